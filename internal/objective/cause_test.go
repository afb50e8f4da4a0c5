package objective

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// life is an ordinary life of 100 runs every 4 minutes with an RPO of 5, and
// of proofs every half hour that alternate over the sites; a fault is planted
// into it.
type life struct {
	h      History
	points []Point
	runs   []Run
}

const (
	every = 4 * time.Minute
	toRun = 100
)

func ordinary() *life {
	l := &life{h: History{Policies: []Policy{{From: t0, RPO: 5 * time.Minute, ProveEvery: 30 * time.Minute, Sites: []string{"onsite", "cloud"}}}}}
	for i := range toRun {
		start := t0.Add(time.Duration(i-1) * every)
		p := Point{Consistent: start.Add(time.Second), Durable: map[string]time.Time{"onsite": start.Add(20 * time.Second), "cloud": start.Add(30 * time.Second)}}
		if i%8 == 0 {
			p.Proven = map[string]time.Time{[]string{"onsite", "cloud"}[i/8%2]: start.Add(3 * time.Minute)}
		}
		l.points = append(l.points, p)
		l.runs = append(l.runs, Run{Started: start, Ended: start.Add(20 * time.Second), Consistent: p.Consistent})
	}
	return l
}

// end returns when the life ends.
func (l *life) end() time.Time { return t0.Add((toRun - 2) * every) }

func (l *life) assess() Assessment {
	h := l.h
	h.Durable, h.Proven, h.Runs = nil, nil, nil
	for _, p := range l.points {
		h.Add(p)
	}
	for _, r := range l.runs {
		if !r.Started.IsZero() {
			h.Runs = append(h.Runs, r)
		}
	}
	return Assess(h, t0, l.end())
}

// fail makes n runs from i on failures.
func (l *life) fail(i, n int, f *Failure) {
	for k := i; k < i+n; k++ {
		l.points[k] = Point{}
		l.runs[k].Consistent, l.runs[k].Failure = time.Time{}, f
	}
}

// skip leaves n runs out from i on.
func (l *life) skip(i, n int) {
	for k := i; k < i+n; k++ {
		l.points[k], l.runs[k] = Point{}, Run{}
	}
}

// late makes a site take what n runs from i on made only when the run after
// them is taken.
func (l *life) late(site string, i, n int) {
	for k := i; k < i+n; k++ {
		l.points[k].Durable[site] = l.points[i+n].Durable[site]
	}
}

func kinds(f Figures) (out []string) {
	for _, v := range f.Violations {
		for _, c := range v.Causes {
			out = append(out, c.Kind)
		}
	}
	return out
}

func TestCausesOfPlantedFaults(t *testing.T) {
	failure := &Failure{Outcome: "failed", Error: "connection refused"}
	onsite, cloud, anySite, all := "site onsite", "site cloud", "any site", "every site"
	for name, c := range map[string]struct {
		plant func(l *life, i, n int)
		want  map[string]string // by view, the only kind of causes
		says  string
	}{
		"nothing": {func(*life, int, int) {}, nil, ""},
		"runs failed": {
			func(l *life, i, n int) { l.fail(i, n, failure) },
			map[string]string{onsite: CauseFailed, cloud: CauseFailed, anySite: CauseFailed, all: CauseFailed},
			"connection refused",
		},
		"runs cut short": {
			func(l *life, i, n int) { l.fail(i, n, &Failure{Outcome: "cut short"}) },
			map[string]string{onsite: CauseFailed, cloud: CauseFailed, anySite: CauseFailed, all: CauseFailed},
			"cut short",
		},
		"a run without result": {
			func(l *life, i, n int) {
				l.fail(i, n, nil)
				for k := i; k < i+n; k++ {
					l.runs[k].Ended = time.Time{}
				}
			},
			map[string]string{onsite: CauseNoResult, cloud: CauseNoResult, anySite: CauseNoResult, all: CauseNoResult},
			"nothing tells how it ended",
		},
		"cloud away": {
			func(l *life, i, n int) { l.late("cloud", i, n) },
			map[string]string{cloud: CauseBehind, all: CauseBehind},
			"site cloud lacked",
		},
		"both away": {
			func(l *life, i, n int) {
				l.late("cloud", i, n)
				l.late("onsite", i, n)
				for k := i; k < i+n; k++ {
					l.runs[k].Failure, l.runs[k].Ended = &Failure{Outcome: "failed", Error: "no route to host"}, l.points[k].Durable["onsite"]
				}
			},
			map[string]string{onsite: CauseBehind, cloud: CauseBehind, anySite: CauseBehind, all: CauseBehind},
			"no route to host",
		},
		"no runs": {
			func(l *life, i, n int) { l.skip(i, n) },
			map[string]string{onsite: CauseNoRun, cloud: CauseNoRun, anySite: CauseNoRun, all: CauseNoRun},
			"no run was begun",
		},
		"the program was not running": {
			func(l *life, i, n int) {
				l.h.Silent = []Period{{l.runs[i-1].Ended.Add(time.Second), l.runs[i+n].Started}}
				l.skip(i, n)
			},
			map[string]string{onsite: CauseSilent, cloud: CauseSilent, anySite: CauseSilent, all: CauseSilent},
			"nothing shows that the program was running",
		},
		"a slow run": {
			func(l *life, i, n int) {
				took := time.Duration(n+1) * every
				l.skip(i+1, n)
				l.runs[i].Ended = l.runs[i].Started.Add(took)
				l.points[i].Durable = map[string]time.Time{"onsite": l.runs[i].Ended, "cloud": l.runs[i].Ended.Add(time.Second)}
			},
			map[string]string{onsite: CauseSlow, cloud: CauseSlow, anySite: CauseSlow, all: CauseSlow},
			"the p99 of the",
		},
		"a stricter RPO": {
			func(l *life, i, n int) {
				// For one tooth only, so that nothing follows by its rhythm.
				p := l.h.Policies[0]
				strict := p
				strict.From, strict.RPO = l.points[i].Consistent.Add(3*time.Minute), 2*time.Minute
				p.From = l.runs[i+1].Started
				l.h.Policies = append(l.h.Policies, strict, p)
			},
			map[string]string{onsite: CauseStricter, cloud: CauseStricter, anySite: CauseStricter, all: CauseStricter},
			"from 5m0s to 2m0s",
		},
		"another site is asked for": {
			func(l *life, i, n int) {
				p := l.h.Policies[0]
				p.From, p.Sites = l.points[i].Consistent.Add(time.Minute), []string{"onsite", "far"}
				l.h.Policies = append(l.h.Policies, p)
			},
			map[string]string{"site far": CauseStricter + "," + CauseBehind, all: CauseStricter + "," + CauseBehind},
			"the sites were changed, from onsite, cloud to onsite, far",
		},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				l := ordinary()
				c.plant(l, rapid.IntRange(20, 80).Draw(t, "at"), rapid.IntRange(1, 15).Draw(t, "runs"))
				a := l.assess()
				text := ""
				for _, f := range a.Views {
					if f.Proven {
						continue
					}
					if got := strings.Join(kinds(f), ","); got != c.want[f.View.String()] {
						t.Fatalf("%v: causes %q, want %q: %+v", f.View, got, c.want[f.View.String()], f.Violations)
					}
					for _, v := range f.Violations {
						text += v.Causes[0].Detail + "\n"
					}
				}
				if !strings.Contains(text, c.says) {
					t.Fatalf("%q is not in:\n%s", c.says, text)
				}
			})
		})
	}
}

func TestCauseOfTheFirstRun(t *testing.T) {
	l := ordinary()
	l.skip(0, 3)
	got := l.assess().Views[2]
	if ks := kinds(got); !slices.Equal(ks, []string{CauseFirst}) || got.Unprotected != 2*every+20*time.Second {
		t.Errorf("%v, unprotected %v: %+v", ks, got.Unprotected, got.Violations)
	}
}

func TestCausesOfWhatIsNotProven(t *testing.T) {
	proven := func(a Assessment, view string) Figures {
		i := slices.IndexFunc(a.Views, func(f Figures) bool { return f.View.String() == "proven, "+view })
		return a.Views[i]
	}
	// The first proof from cloud comes late, and need not come earlier.
	from := 40 // the last proof that counts is of run 32
	plant := func(l *life) {
		for i := from; i < toRun; i++ {
			l.points[i].Proven = nil
		}
	}
	l := ordinary()
	plant(l)
	if ks := kinds(proven(l.assess(), "any site")); !slices.Equal(ks, []string{CauseNoProof}) {
		t.Errorf("without proofs: %v", ks)
	}
	for i := from; i < toRun; i += 8 {
		site := []string{"onsite", "cloud"}[i/8%2]
		l.h.Proofs = append(l.h.Proofs, Run{Started: l.runs[i].Started, Ended: l.runs[i].Started.Add(time.Minute), Failure: &Failure{Outcome: "different", Error: "table pay differs", Site: site}})
	}
	f := proven(l.assess(), "site cloud")
	if ks := kinds(f); !slices.Equal(ks, []string{CauseProofs}) {
		t.Fatalf("with failed proofs: %v", ks)
	}
	if c := f.Violations[0].Causes[0]; c.Count != 4 || c.Site != "cloud" || !strings.Contains(c.Detail, "table pay differs") {
		t.Errorf("%+v", c)
	}
	l.h.Proofs = nil
	l.h.Silent = []Period{{l.runs[from].Started, l.end()}}
	if ks := kinds(proven(l.assess(), "every site")); !slices.Equal(ks, []string{CauseSilent}) {
		t.Errorf("silent: %v", ks)
	}
}

func TestWhatWasNeverProvenIsBrokenOnceItHadItsTime(t *testing.T) {
	h := History{Policies: []Policy{
		{From: t0, RPO: 5 * time.Minute, Sites: []string{"onsite"}},
		{From: t0.Add(time.Hour), RPO: 5 * time.Minute, ProveEvery: 30 * time.Minute, Sites: []string{"onsite"}},
	}}
	limit := 125 * time.Minute
	f := Assess(h, t0, t0.Add(5*time.Hour)).Views[3] // of one site
	if f.String() != "proven, site onsite" || len(f.Violations) != 1 || f.Judged != 4*time.Hour {
		t.Fatalf("%+v", f)
	}
	if v := f.Violations[0]; !v.Start.Equal(t0.Add(time.Hour+limit)) || v.Causes[0].Kind != CauseFirst {
		t.Errorf("%+v", v)
	}
}

package evidence

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

func (l *life) promise(t testing.TB, p Policy) {
	t.Helper()
	var err error
	p.SHA256, err = p.Digest()
	must(t, p, err)
	l.note(t, Record{Act: ActPolicy, By: "ops", Policy: &p})
}

// promised is a promise with something of everything.
func promised() Policy {
	return Policy{
		Sites: []string{"onsite", "cloud"},
		Functions: map[string]FunctionObjective{"payments": {
			RPOSeconds: 300, RTOSeconds: 3600, Source: "market", Scope: []string{"payments", "ledger"}, ProveEverySeconds: 86400, ProveLevel: "L6",
			Keep: map[string]int{"daily": 30}, Checks: map[string]string{"sum": digest},
		}, "catalog": {RPOSeconds: 3600}},
		Terms:   &Terms{MinSites: 2, ScrubEverySeconds: 86400, ControlsEverySeconds: 604800, Sites: map[string]SiteTerms{"cloud": {Lock: "compliance", LockSeconds: 864000}}},
		Anchors: map[string]float64{"mail audit@auditor.example": 86400},
	}
}

func warnings(v *Verification, kind WarningKind) (out []string) {
	for _, w := range v.Warnings {
		if w.Kind == kind {
			out = append(out, w.Text+" "+strings.Join(w.Missed, "; "))
		}
	}
	return out
}

func TestWhatIsWellHasNoWarnings(t *testing.T) {
	l := newLife(t)
	l.promise(t, promised())
	for range 3 {
		l.hours(t, 24)
		l.anchor(t)
	}
	better := promised()
	f := better.Functions["payments"]
	f.RPOSeconds, f.RTOSeconds, f.ProveEverySeconds, f.ProveLevel, f.Scope = 200, 1800, 3600, "L7", append(f.Scope, "refunds")
	f.Checks = map[string]string{"sum": digest, "orders": digest}
	f.Keep = map[string]int{"daily": 31, "weekly": 4}
	better.Functions = map[string]FunctionObjective{"payments": f, "catalog": {RPOSeconds: 3600}, "accounts": {RPOSeconds: 900}}
	better.Sites, better.Anchors = append(better.Sites, "third"), map[string]float64{"mail audit@auditor.example": 3600, "site third": 86400}
	l.promise(t, better)
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	good(t, v)
	if len(v.Warnings) != 0 {
		t.Errorf("%+v", v.Warnings)
	}
}

func TestSilenceIsAWarning(t *testing.T) {
	l := newLife(t)
	l.promise(t, promised())
	l.hours(t, 2)
	from := l.clock.Now()
	l.clock.Advance(50 * time.Hour)
	to := l.clock.Now()
	l.hours(t, 2)
	l.clock.Advance(3 * time.Hour)
	keys := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), keys)
	good(t, v)
	got := warnings(v, WarnSilence)
	if len(got) != 2 || v.Silences != 1 {
		t.Fatalf("%d: %q", v.Silences, got)
	}
	for _, part := range []string{"50h4m", "payments: 600 recovery points at least, for an RPO of 5m0s", "payments: 2 proofs, one every 24h0m0s", "catalog: 50 recovery points", "2 anchors by mail audit@auditor.example"} {
		if !strings.Contains(got[0], part) {
			t.Errorf("no %q in %q", part, got[0])
		}
	}
	if !strings.Contains(got[1], "3h4m") { // until the bundle was made
		t.Errorf("%q", got[1])
	}
	// A period that begins or ends in the silence has all of it.
	for name, period := range map[string][2]time.Time{"begins": {from.Add(10 * time.Hour), {}}, "ends": {{}, to.Add(-10 * time.Hour)}} {
		v := verify(t, bundleOf(t, l.Log, period[0], period[1]), keys)
		good(t, v)
		if got := warnings(v, WarnSilence); len(got) == 0 || !strings.Contains(strings.Join(got, " "), "for 50h") {
			t.Errorf("a period that %s in it: %q", name, got)
		}
	}
}

func TestLoweredPromisesAreWarnings(t *testing.T) {
	payments := func(change func(f *FunctionObjective)) func(*Policy) {
		return func(p *Policy) {
			f := p.Functions["payments"]
			f.Checks, f.Keep = maps.Clone(f.Checks), maps.Clone(f.Keep)
			change(&f)
			p.Functions["payments"] = f
		}
	}
	for say, change := range map[string]func(*Policy){
		"payments: the RPO was raised from 5m0s to 10m0s":                                           payments(func(f *FunctionObjective) { f.RPOSeconds = 600 }),
		"payments: the RTO was raised from 1h0m0s to 2h0m0s":                                        payments(func(f *FunctionObjective) { f.RTOSeconds = 7200 }),
		"payments: proofs are promised every 48h0m0s, and were every 24h0m0s":                       payments(func(f *FunctionObjective) { f.ProveEverySeconds *= 2 }),
		"payments: proofs are promised no longer, and were every 24h0m0s":                           payments(func(f *FunctionObjective) { f.ProveEverySeconds = 0 }),
		"payments: proofs go to level L5, and went to L6":                                           payments(func(f *FunctionObjective) { f.ProveLevel = "L5" }),
		"payments: it is captured from copy, and was from market":                                   payments(func(f *FunctionObjective) { f.Source = "copy" }),
		"payments: ledger is no longer captured: [payments ledger] before, [payments] now":          payments(func(f *FunctionObjective) { f.Scope = []string{"payments"} }),
		"payments: check sum was removed":                                                           payments(func(f *FunctionObjective) { delete(f.Checks, "sum") }),
		"payments: check sum is another one, with the digest aa":                                    payments(func(f *FunctionObjective) { f.Checks["sum"] = "aa" }),
		"payments: it keeps 7 recovery points by the rule daily, and kept 30":                       payments(func(f *FunctionObjective) { f.Keep["daily"] = 7 }),
		"1 sites must hold a recovery point, and 2 had to":                                          func(p *Policy) { p.Terms.MinSites = 1 },
		"scrubs are promised every 48h0m0s, and were every 24h0m0s":                                 func(p *Policy) { p.Terms.ScrubEverySeconds *= 2 },
		"negative controls are promised no longer":                                                  func(p *Policy) { p.Terms.ControlsEverySeconds = 0 },
		"what site cloud holds is locked no longer, and was for 240h0m0s (compliance)":              func(p *Policy) { p.Terms.Sites["cloud"] = SiteTerms{} },
		"what site cloud holds is locked for 24h0m0s, and was for 240h0m0s":                         func(p *Policy) { p.Terms.Sites["cloud"] = SiteTerms{Lock: "compliance", LockSeconds: 86400} },
		"function catalog was dropped":                                                              func(p *Policy) { delete(p.Functions, "catalog") },
		"site cloud was dropped: [onsite cloud] before, [onsite] now":                               func(p *Policy) { p.Sites = p.Sites[:1] },
		"anchors by mail audit@auditor.example are promised every 168h0m0s, and were every 24h0m0s": func(p *Policy) { p.Anchors["mail audit@auditor.example"] *= 7 },
		"anchors by mail audit@auditor.example are promised no longer, and were every 24h0m0s":      func(p *Policy) { p.Anchors = nil },
	} {
		l := newLife(t)
		l.promise(t, promised())
		l.hours(t, 1)
		less := promised()
		change(&less)
		l.promise(t, less)
		v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
		good(t, v)
		if got := warnings(v, WarnLowered); len(got) != 1 || !strings.Contains(got[0], say) {
			t.Errorf("%s: %q", say, got)
		}
	}
	l := newLife(t)
	all := promised()
	f := all.Functions["payments"]
	f.Keep = nil
	all.Functions["payments"] = f
	l.promise(t, all)
	l.promise(t, promised())
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	if got := warnings(v, WarnLowered); len(got) != 1 || !strings.Contains(got[0], "all were kept") {
		t.Errorf("%q", got)
	}
}

// TestThePromiseBeforeThePeriod: what was promised before a period holds in it.
func TestThePromiseBeforeThePeriod(t *testing.T) {
	l := newLife(t)
	l.promise(t, promised())
	l.hours(t, 1)
	since := l.clock.Now()
	l.hours(t, 1)
	l.clock.Advance(40 * time.Hour)
	less := promised()
	less.Sites = less.Sites[:1]
	l.promise(t, less)
	v := verify(t, bundleOf(t, l.Log, since, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	good(t, v)
	if got := warnings(v, WarnLowered); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if got := warnings(v, WarnUnanchored); len(got) != 1 || !strings.Contains(got[0], "anchored nothing for 41h") {
		t.Errorf("%q", got)
	}
	if got := warnings(v, WarnSilence); len(got) != 1 || !strings.Contains(got[0], "payments: 480 recovery points") {
		t.Errorf("%q", got)
	}
}

func TestMissingAnchorsAreWarnings(t *testing.T) {
	l := newLife(t)
	l.promise(t, promised())
	l.hours(t, 24)
	l.anchor(t)
	l.hours(t, 40) // late
	l.anchor(t)
	l.hours(t, 31) // and never again
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	good(t, v)
	got := warnings(v, WarnUnanchored)
	if len(got) != 2 || !strings.Contains(got[0], "anchored nothing for 40h") || !strings.Contains(got[1], "anchored nothing for 30h55m") {
		t.Errorf("%q", got)
	}
	// One that was never given is missed from when it was promised.
	l = newLife(t)
	l.promise(t, promised())
	l.hours(t, 31)
	none := promised()
	none.Anchors = nil
	l.promise(t, none)
	l.hours(t, 31)
	v = verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	if got := warnings(v, WarnUnanchored); len(got) != 1 || !strings.Contains(got[0], "anchored nothing for 31h") {
		t.Errorf("%q", got)
	}
}

// anchoredEvery is the promise with another interval of its anchors.
func anchoredEvery(every time.Duration) Policy {
	p := promised()
	p.Anchors = map[string]float64{"mail audit@auditor.example": every.Seconds()}
	return p
}

// TestAnotherRhythmOfAnchors: up to a policy anchors are judged by the promise
// before, and from there on by the new one.
func TestAnotherRhythmOfAnchors(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		anchored func(t *testing.T, l *life)
		want     []string
	}{
		"raised to hide a gap": {func(t *testing.T, l *life) {
			l.hours(t, 240)
			l.promise(t, anchoredEvery(30*day))
			l.anchor(t)
		}, []string{"anchored nothing for 240h"}},
		"given up to hide a gap": {func(t *testing.T, l *life) {
			l.hours(t, 240)
			l.promise(t, anchoredEvery(0))
		}, []string{"anchored nothing for 240h"}},
		"raised, and kept": {func(t *testing.T, l *life) {
			l.hours(t, 20)
			l.promise(t, anchoredEvery(2*day))
			l.hours(t, 20)
			l.anchor(t)
		}, nil},
		"raised, and broken": {func(t *testing.T, l *life) {
			l.hours(t, 20)
			l.promise(t, anchoredEvery(2*day))
			l.hours(t, 42)
		}, []string{"anchored nothing for 61h"}},
		"lowered, and kept": {func(t *testing.T, l *life) {
			l.hours(t, 20)
			l.promise(t, anchoredEvery(time.Hour))
			l.clock.Advance(time.Second)
			l.anchor(t)
		}, nil},
		"lowered, and broken": {func(t *testing.T, l *life) {
			l.hours(t, 20)
			l.promise(t, anchoredEvery(time.Hour))
			l.hours(t, 3)
		}, []string{"anchored nothing for 2h55m"}},
		"lowered by little again and again": {func(t *testing.T, l *life) {
			for less := range 6 {
				l.hours(t, 10)
				l.promise(t, anchoredEvery(day-time.Duration(less+1)*time.Minute))
			}
		}, []string{"anchored nothing for 40h"}},
	} {
		l := newLife(t)
		l.promise(t, promised())
		l.anchor(t)
		c.anchored(t, l)
		v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
		good(t, v)
		got := warnings(v, WarnUnanchored)
		if len(got) != len(c.want) {
			t.Errorf("%s: %q", name, got)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
}

func TestOpenActsAreWarnings(t *testing.T) {
	l := full(t)
	v := verify(t, bundleOf(t, l.Log, time.Time{}, time.Time{}), VerifyOptions{Keys: []PublicKey{l.PublicKey()}})
	if got := warnings(v, WarnOpen); len(got) != 1 || !strings.Contains(got[0], fmt.Sprintf("restore of %q", "payments")) {
		t.Errorf("%q", got)
	}
}

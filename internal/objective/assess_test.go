package objective

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawHistory draws points and policies on whole seconds.
func drawHistory(t *rapid.T) (History, []Point) {
	points := drawPoints(t)
	h := historyOf(points)
	from := 0
	for range rapid.IntRange(0, 3).Draw(t, "policies") {
		from += rapid.IntRange(0, 20).Draw(t, "from")
		h.Policies = append(h.Policies, Policy{
			From: at(from), RPO: time.Duration(rapid.IntRange(0, 20).Draw(t, "rpo")) * time.Second,
			ProveEvery: time.Duration(rapid.IntRange(0, 8).Draw(t, "prove")) * time.Second,
			Sites:      rapid.SampledFrom([][]string{{"onsite"}, {"onsite", "cloud"}, {"cloud", "onsite", "far"}}).Draw(t, "sites"),
		})
	}
	return h, points
}

// model judges the cell of one second by the definitions alone.
type model struct {
	points   []Point
	policies []Policy
}

func (m model) policy(mid time.Time) (in Policy) {
	for _, p := range m.policies {
		if !p.From.After(mid) {
			in = p
		}
	}
	return in
}

// exposure is the age of the newest point in a view, and whether there is one.
func (m model) exposure(v View, sites []string, mid time.Time) (time.Duration, bool) {
	var ages []time.Duration
	for _, site := range sites {
		age, ok := sampled(m.points, func(p Point, at time.Time) bool {
			if v.Proven {
				return has(p.Proven, site, at)
			}
			return has(p.Durable, site, at)
		}, mid)
		switch {
		case v.Scope == ScopeSite && site == v.Site:
			return age, ok
		case v.Scope == ScopeAll && !ok:
			return 0, false
		case ok:
			ages = append(ages, age)
		}
	}
	if len(ages) == 0 || v.Scope == ScopeSite {
		return 0, false
	}
	if v.Scope == ScopeAny {
		return slices.Min(ages), true
	}
	return slices.Max(ages), true
}

func (m model) limit(v View, p Policy) (time.Duration, bool) {
	if p.RPO == 0 || v.Scope == ScopeSite && !slices.Contains(p.Sites, v.Site) || v.Proven && p.ProveEvery == 0 {
		return 0, false
	}
	if !v.Proven {
		return p.RPO, true
	}
	n := 1
	if v.Scope != ScopeAny {
		n = len(p.Sites)
	}
	return p.RPO + time.Duration(4*n)*p.ProveEvery, true
}

// promisedSince goes back second by second while something is promised of a view.
func (m model) promisedSince(v View, mid time.Time) time.Time {
	for {
		if _, promised := m.limit(v, m.policy(mid.Add(-time.Second))); !promised {
			return mid.Add(-500 * time.Millisecond)
		}
		mid = mid.Add(-time.Second)
	}
}

// judged is what the model finds of a view.
type judged struct {
	measured, judged, broken, none int // seconds
	worst                          time.Duration
	teeth                          []tooth
	fresh, began                   time.Time // end of what is new, and from when that counts
}

func (m model) judge(t *rapid.T, f Figures, from, to int) (j judged) {
	half := 500 * time.Millisecond
	for s := from; s < to; s++ {
		mid := at(s).Add(half)
		p := m.policy(mid)
		if p.RPO == 0 || f.Scope == ScopeSite && !slices.Contains(p.Sites, f.Site) {
			continue
		}
		j.measured++
		age, ok := m.exposure(f.View, p.Sites, mid)
		if ok {
			j.worst = max(j.worst, age+half)
			j.teeth = append(j.teeth, tooth{age - half, age + half})
		} else {
			j.none++
		}
		limit, promised := m.limit(f.View, p)
		if !promised {
			continue
		}
		j.judged++
		bad := !ok || age > limit
		if !ok && f.Proven {
			bad = mid.Sub(m.promisedSince(f.View, mid)) > limit
		}
		if !ok && !f.Proven { // new: exposure counts from the first promise of all
			i := slices.IndexFunc(m.policies, func(p Policy) bool { return p.RPO > 0 })
			bad = mid.Sub(m.policies[i].From) > limit
			if !bad {
				j.fresh, j.began = mid.Add(half), m.policies[i].From
			}
		}
		if bad {
			j.broken++
		}
		v := covering(f.Violations, mid)
		if bad != (v != nil) {
			t.Fatalf("%v at %v: age %v, %v against %v, but violations %+v", f.View, mid, age, ok, limit, f.Violations)
		}
		if v != nil && (v.Limit != limit || ok && v.Peak < age+half || !ok && !v.Unprotected || len(v.Causes) == 0) {
			t.Fatalf("%v at %v: age %v, %v against %v is not in %+v", f.View, mid, age, ok, limit, v)
		}
	}
	return j
}

func TestAssessmentAgainstTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, points := drawHistory(t)
		from := rapid.IntRange(-2, 55).Draw(t, "from")
		to := rapid.IntRange(from+1, 62).Draw(t, "to")
		a := Assess(h, at(from), at(to))
		m := model{points, h.Policies}
		for s := from; s < to; s++ {
			if p := m.policy(at(s)); p.RPO > 0 {
				if !a.Since.Equal(at(s)) {
					t.Fatalf("judged since %v, want %v", a.Since, at(s))
				}
				break
			}
		}
		for _, f := range a.Views {
			checkFigures(t, f, m.judge(t, f, from, to))
		}
		if len(a.Views) > 0 != !a.Since.IsZero() {
			t.Fatalf("%d views, since %v", len(a.Views), a.Since)
		}
	})
}

func checkFigures(t *rapid.T, f Figures, want judged) {
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	if f.Judged != seconds(want.judged) || f.Measured != seconds(want.measured) || f.Broken != seconds(want.broken) ||
		f.Unprotected != seconds(want.none) || f.Maximum != want.worst {
		t.Fatalf("%v: %+v, want %+v", f.View, f, want)
	}
	if f.New != (Period{want.began, want.fresh}) {
		t.Fatalf("%v: new in %v, want from %v to %v", f.View, f.New, want.began, want.fresh)
	}
	if want.judged > 0 && math.Abs(f.Attainment-(1-float64(want.broken)/float64(want.judged))) > 1e-9 {
		t.Fatalf("%v: attainment %v, want %d of %d broken", f.View, f.Attainment, want.broken, want.judged)
	}
	// 1 % of n seconds is n × 10 ms; what is unprotected takes of that.
	budget := time.Duration(want.measured)*10*time.Millisecond - seconds(want.none)
	if f.Unbounded != (budget < 0) {
		t.Fatalf("%v: unbounded %v with a budget of %v", f.View, f.Unbounded, budget)
	}
	if !f.Unbounded && (above(want.teeth, f.P99) > budget || f.P99 > 0 && above(want.teeth, f.P99-1) <= budget) {
		t.Fatalf("%v: p99 %v is above for %v, budget %v", f.View, f.P99, above(want.teeth, f.P99), budget)
	}
}

// TestHistoryIsNotJudgedAnew: a policy that comes later changes nothing of what
// was judged before it.
func TestHistoryIsNotJudgedAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, _ := drawHistory(t)
		until := rapid.IntRange(1, 60).Draw(t, "until")
		before := Assess(h, at(0), at(until))
		h.Policies = slices.DeleteFunc(h.Policies, func(p Policy) bool { return !p.From.Before(at(until)) })
		h.Policies = append(h.Policies, Policy{From: at(until), RPO: time.Second, Sites: []string{"elsewhere"}})
		after := Assess(h, at(0), at(until))
		if len(before.Views) != len(after.Views) {
			t.Fatalf("%d views, then %d", len(before.Views), len(after.Views))
		}
		for i, f := range before.Views {
			g := after.Views[i]
			if f.View != g.View || f.Broken != g.Broken || f.P99 != g.P99 || f.Maximum != g.Maximum || len(f.Violations) != len(g.Violations) {
				t.Fatalf("%+v, then %+v", f, g)
			}
		}
	})
}

// TestP99OfASawtooth: with teeth from 2 to 17 minutes the exposure exceeds x
// for 17 − x of 15 minutes, so 1 % of the time is 9 seconds below the peak.
func TestP99OfASawtooth(t *testing.T) {
	h := History{Policies: []Policy{{From: t0, RPO: 15 * time.Minute, Sites: []string{"onsite"}}}}
	for i := range 200 {
		c := t0.Add(time.Duration(i-1) * 15 * time.Minute)
		h.Add(Point{Consistent: c, Durable: map[string]time.Time{"onsite": c.Add(2 * time.Minute)}})
	}
	a := Assess(h, t0, t0.Add(1500*time.Minute))
	f := a.Views[0]
	if f.P99 != 17*time.Minute-9*time.Second || f.Maximum != 17*time.Minute || math.Abs(f.Attainment-13.0/15) > 1e-9 || len(f.Violations) != 100 {
		t.Errorf("p99 %v, maximum %v, attainment %v, %d violations", f.P99, f.Maximum, f.Attainment, len(f.Violations))
	}
}

func TestNothingPromisedIsNothingJudged(t *testing.T) {
	h := historyOf([]Point{{Consistent: at(0), Durable: map[string]time.Time{"onsite": at(1)}}})
	for _, policies := range [][]Policy{nil, {{From: at(10), RPO: time.Minute, Sites: []string{"onsite"}}}, {{From: at(0), Sites: []string{"onsite"}}}} {
		h.Policies = policies
		if a := Assess(h, at(0), at(10)); !a.Since.IsZero() || len(a.Views) > 0 || len(a.Parts) > 0 {
			t.Errorf("with %v: %+v", policies, a)
		}
	}
}

// TestANewFunction: what has no recovery point yet is measured from its promise
// on, and broken after the RPO, for ever when none comes; no change of a policy
// puts that off.
func TestANewFunction(t *testing.T) {
	policy := Policy{From: at(100), RPO: 10 * time.Minute, Sites: []string{"onsite"}}
	again := policy
	again.From, again.RTO = at(400), time.Hour
	h := History{Policies: []Policy{policy, again}}
	first := func(to int) Figures { return Assess(h, at(0), at(to)).Views[0] }
	if f := first(200); f.Broken != 0 || f.Unprotected != 100*time.Second || f.New != (Period{at(100), at(200)}) || f.Attainment != 1 {
		t.Errorf("soon after the promise: %+v", f)
	}
	f := first(1000)
	if len(f.Violations) != 1 || !f.Violations[0].Start.Equal(at(700)) || !f.Violations[0].Unprotected || f.Violations[0].Causes[0].Kind != CauseFirst ||
		f.Broken != 5*time.Minute || f.New != (Period{at(100), at(700)}) {
		t.Errorf("never a recovery point: %+v", f)
	}
	if f := Assess(h, at(800), at(900)).Views[0]; f.Broken != 100*time.Second || f.New != (Period{}) {
		t.Errorf("a later period: %+v", f)
	}
	h.Add(Point{Consistent: at(150), Durable: map[string]time.Time{"onsite": at(160)}})
	if f := first(700); f.Broken != 0 || f.Maximum != 550*time.Second || f.New != (Period{at(100), at(160)}) {
		t.Errorf("with a first recovery point: %+v", f)
	}
	// One that was given up for a time and is promised anew is not new.
	h = History{Policies: []Policy{policy, {From: at(200)}, {From: at(2000), RPO: 10 * time.Minute, Sites: []string{"onsite"}}}}
	if f := Assess(h, at(2000), at(2100)).Views[0]; f.Broken != 100*time.Second || f.New != (Period{}) {
		t.Errorf("promised anew: %+v", f)
	}
}

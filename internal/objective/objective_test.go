package objective

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func at(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }

// drawPoints draws a history on whole seconds below 60, with points that
// arrive late, out of order, twice at one instant or never.
func drawPoints(t *rapid.T) []Point {
	times := func(from int) *rapid.Generator[map[string]time.Time] {
		return rapid.MapOfN(rapid.SampledFrom([]string{"onsite", "cloud"}), rapid.Map(rapid.IntRange(from, 60), at), 0, 2)
	}
	var points []Point
	for range rapid.IntRange(0, 8).Draw(t, "n") {
		c := rapid.IntRange(0, 50).Draw(t, "consistent")
		points = append(points, Point{Consistent: at(c), Durable: times(c).Draw(t, "durable"), Proven: times(c).Draw(t, "proven")})
	}
	return points
}

// view is one way to look at a history: the curve, and the same by definition.
type view struct {
	curve  Curve
	usable func(p Point, at time.Time) bool
}

func has(m map[string]time.Time, site string, at time.Time) bool {
	d, ok := m[site]
	return ok && !d.After(at)
}

func views(ps []Point) map[string]view {
	return map[string]view{
		"onsite": {AtSite(ps, "onsite"), func(p Point, at time.Time) bool { return has(p.Durable, "onsite", at) }},
		"cloud":  {AtSite(ps, "cloud"), func(p Point, at time.Time) bool { return has(p.Durable, "cloud", at) }},
		"any": {AtAny(ps), func(p Point, at time.Time) bool {
			return has(p.Durable, "onsite", at) || has(p.Durable, "cloud", at)
		}},
		"proven": {ProvenAtSite(ps, "cloud"), func(p Point, at time.Time) bool { return has(p.Proven, "cloud", at) }},
		"proven any": {ProvenAtAny(ps), func(p Point, at time.Time) bool {
			return has(p.Proven, "onsite", at) || has(p.Proven, "cloud", at)
		}},
	}
}

// sampled is the exposure by its definition: t − max { t_cons(p) : usable }.
func sampled(ps []Point, usable func(Point, time.Time) bool, t time.Time) (time.Duration, bool) {
	var newest time.Time
	found := false
	for _, p := range ps {
		if usable(p, t) && (!found || p.Consistent.After(newest)) {
			newest, found = p.Consistent, true
		}
	}
	return t.Sub(newest), found
}

func TestExposureIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ps := drawPoints(t)
		for name, v := range views(ps) {
			for s := -1; s <= 62; s++ {
				got, ok := v.curve.At(at(s))
				want, wantOK := sampled(ps, v.usable, at(s))
				if ok != wantOK || ok && got != want {
					t.Fatalf("%s at %ds: %v, %v, want %v, %v", name, s, got, ok, want, wantOK)
				}
			}
		}
	})
}

func TestExposureAllIsTheWorstSite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ps := drawPoints(t)
		for s := -1; s <= 62; s++ {
			a, aok := Exposure(ps, "onsite", at(s))
			b, bok := Exposure(ps, "cloud", at(s))
			got, ok := ExposureAll(ps, []string{"onsite", "cloud"}, at(s))
			if ok != (aok && bok) || ok && got != max(a, b) {
				t.Fatalf("at %ds: %v, %v; sites have %v, %v and %v, %v", s, got, ok, a, aok, b, bok)
			}
			anyway, anyOK := ExposureAny(ps, at(s))
			if anyOK != (aok || bok) || aok && anyway > a || bok && anyway > b {
				t.Fatalf("at %ds: any is %v, %v; sites have %v, %v and %v, %v", s, anyway, anyOK, a, aok, b, bok)
			}
		}
	})
}

// TestPeriodsAgainstSampling holds Worst, Violations and Attainment against
// samples twice a second. All events are on whole seconds, so a sample at the
// half stands for its whole second, and a peak is the sample plus a half.
func TestPeriodsAgainstSampling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ps := drawPoints(t)
		rpo := time.Duration(rapid.IntRange(0, 40).Draw(t, "rpo")) * time.Second
		from := rapid.IntRange(0, 55).Draw(t, "from")
		to := rapid.IntRange(from+1, 62).Draw(t, "to")
		for name, v := range views(ps) {
			checkPeriod(t, name, v, ps, rpo, from, to)
		}
	})
}

func checkPeriod(t *rapid.T, name string, v view, ps []Point, rpo time.Duration, from, to int) {
	half := 500 * time.Millisecond
	var worst time.Duration
	whole, broken := true, 0
	violations := v.curve.Violations(at(from), at(to), rpo)
	for s := from; s < to; s++ {
		mid := at(s).Add(half)
		e, ok := sampled(ps, v.usable, mid)
		whole = whole && ok
		worst = max(worst, e+half)
		bad := !ok || e > rpo
		if bad {
			broken++
		}
		if got := covering(violations, mid); (got != nil) != bad {
			t.Fatalf("%s at %v: exposure %v, %v against %v, but violations %v", name, mid, e, ok, rpo, violations)
		} else if bad && ok && got.Peak < e+half || bad && !ok && !got.Unprotected {
			t.Fatalf("%s at %v: exposure %v, %v is not in %+v", name, mid, e, ok, got)
		}
	}
	if got, ok := v.curve.Worst(at(from), at(to)); ok != whole || ok && got != worst {
		t.Fatalf("%s: worst %v, %v, want %v, %v", name, got, ok, worst, whole)
	}
	want := 1 - float64(broken)/float64(to-from)
	if got := v.curve.Attainment(at(from), at(to), rpo); math.Abs(got-want) > 1e-9 {
		t.Fatalf("%s: attainment %v, want %v", name, got, want)
	}
	for i := 1; i < len(violations); i++ {
		if !violations[i-1].End.Before(violations[i].Start) {
			t.Fatalf("%s: violations touch: %v", name, violations)
		}
	}
}

func covering(vs []Violation, t time.Time) *Violation {
	for i := range vs {
		if !t.Before(vs[i].Start) && t.Before(vs[i].End) {
			return &vs[i]
		}
	}
	return nil
}

// TestTheExampleOfTheDesign: every 15 minutes with 2 minutes to durable is
// inside an RPO of 15 minutes 86.7 % of the time.
func TestTheExampleOfTheDesign(t *testing.T) {
	var ps []Point
	for i := range 200 {
		c := t0.Add(time.Duration(i) * 15 * time.Minute)
		ps = append(ps, Point{Consistent: c, Durable: map[string]time.Time{"onsite": c.Add(2 * time.Minute)}})
	}
	c := AtSite(ps, "onsite")
	from, to := t0.Add(150*time.Minute), t0.Add(1650*time.Minute)
	if got := c.Attainment(from, to, 15*time.Minute); math.Abs(got-13.0/15) > 1e-9 {
		t.Errorf("attainment %.4f, want %.4f", got, 13.0/15)
	}
	if got, ok := c.Worst(from, to); !ok || got != 17*time.Minute {
		t.Errorf("worst %v, %v, want 17m", got, ok)
	}
	got := c.Violations(from, from.Add(15*time.Minute), 15*time.Minute)
	want := []Violation{{Start: from, End: from.Add(2 * time.Minute), Peak: 17 * time.Minute}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}

func TestPointFromTheFutureHasAgeZero(t *testing.T) {
	ps := []Point{{Consistent: at(100), Durable: map[string]time.Time{"onsite": at(10)}}}
	if got, ok := Exposure(ps, "onsite", at(20)); !ok || got != 0 {
		t.Errorf("got %v, %v", got, ok)
	}
}

func TestEmptyPeriod(t *testing.T) {
	c := AtSite([]Point{{Consistent: at(0), Durable: map[string]time.Time{"onsite": at(5)}}}, "onsite")
	for s, want := range map[int]float64{4: 0, 5: 1, 10: 1, 11: 0} {
		if got := c.Attainment(at(s), at(s), 10*time.Second); got != want {
			t.Errorf("at %ds: %v, want %v", s, got, want)
		}
	}
}

// TestIntervalKeepsTheObjective plays the worst case: every run takes p99,
// starts as late as it may, and as many as tolerated fail in a row.
func TestIntervalKeepsTheObjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := func(name string, least int) time.Duration {
			return time.Duration(rapid.IntRange(least, 4000).Draw(t, name)) * time.Millisecond
		}
		rpo, p99, delay, k := d("rpo", 1), d("p99", 0), d("delay", 0), rapid.IntRange(0, 5).Draw(t, "tolerated")
		interval, err := Interval(rpo, p99, delay, k)
		var unmet *UnmeetableError
		if errors.As(err, &unmet) {
			if rpo >= unmet.Least && rpo > p99+delay {
				t.Fatalf("%v: not met, yet the least is %v", rpo, unmet.Least)
			}
			if again, err := Interval(unmet.Least+time.Millisecond*10, p99, delay, k); err != nil {
				t.Fatalf("the least RPO %v is not met either: %v, %v", unmet.Least, again, err)
			}
			return
		}
		worst := interval*time.Duration(k+1) + delay + p99
		if worst > rpo || interval < p99 {
			t.Fatalf("interval %v exposes %v with an RPO of %v", interval, worst, rpo)
		}
		if next := (interval+time.Duration(k+1))*time.Duration(k+1) + delay + p99; next <= rpo {
			t.Fatalf("interval %v is not the greatest", interval)
		}
	})
}

func TestIntervalSaysTheNumbers(t *testing.T) {
	interval, err := Interval(5*time.Minute, 2*time.Minute, 30*time.Second, 1)
	want := "an RPO of 5m0s cannot be met: a run takes 2m0s until it is durable (p99), up to 30s may pass before it starts, and 1 failed run is tolerated; the least that can be met is 6m30s"
	if err == nil || err.Error() != want || interval != 75*time.Second {
		t.Errorf("got %v, %v", interval, err)
	}
	if interval, err = Interval(time.Minute, 2*time.Minute, 0, 0); interval != 0 || !strings.Contains(err.Error(), "no failed run") {
		t.Errorf("got %v, %v, want back to back", interval, err)
	}
	if interval, err = Interval(15*time.Minute, 2*time.Minute, 30*time.Second, 0); err != nil || interval != 12*time.Minute+30*time.Second {
		t.Errorf("got %v, %v", interval, err)
	}
}

func TestP99(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 1, 2: 2, 99: 99, 100: 99, 101: 100, 199: 198, 200: 198, 1000: 990} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var ds []time.Duration
			for i := n; i >= 1; i-- {
				ds = append(ds, time.Duration(i))
			}
			if got := P99(ds); got != time.Duration(want) {
				t.Errorf("got %d, want %d", got, want)
			}
			if n > 1 && ds[0] != time.Duration(n) {
				t.Error("the caller's slice was sorted")
			}
		})
	}
}

package retention

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func somePolicy(t *rapid.T) Policy {
	n := rapid.IntRange(-1, 12)
	return Policy{n.Draw(t, "last"), n.Draw(t, "hourly"), n.Draw(t, "daily"), n.Draw(t, "weekly"), n.Draw(t, "monthly"), n.Draw(t, "yearly")}
}

// somePoints are points in any state, over minutes or over centuries, many of
// them at the same time as another or at the edge of a period.
func somePoints(t *rapid.T, sites []string, now time.Time) []Point {
	within := rapid.SampledFrom([]time.Duration{time.Hour, 100 * time.Hour, 100 * 24 * time.Hour, 200 * 365 * 24 * time.Hour}).Draw(t, "within")
	step := rapid.SampledFrom([]time.Duration{time.Nanosecond, time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "step")
	seed := rapid.Uint64().Draw(t, "seed")
	r := rand.New(rand.NewPCG(seed, 1))
	some := func() []string {
		if r.IntN(3) > 0 {
			return slices.Clone(sites)
		}
		return slices.DeleteFunc(append(slices.Clone(sites), "attic"), func(string) bool { return r.IntN(2) == 0 })
	}
	points := make([]Point, rapid.IntRange(0, 60).Draw(t, "points"))
	for i := range points {
		points[i] = Point{ID: fmt.Sprintf("p%02d", i), Time: now.Add(time.Duration(r.Int64N(int64(within))) - within*9/10).Truncate(step), Sites: some()}
		if r.IntN(4) == 0 {
			points[i].Proven = some()
		}
		if r.IntN(20) == 0 {
			points[i].Held = "reason"
		}
	}
	return points
}

// TestDecideAgreesWithTheModel: rules, floors, holds and what is on its way,
// over points in any state.
func TestDecideAgreesWithTheModel(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 30, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		sites := []string{"onsite", "cloud", "vault"}[:rapid.IntRange(0, 3).Draw(t, "sites")]
		p, points := somePolicy(t), somePoints(t, sites, now)
		ds := Decide(&p, points, sites, now)
		if diff := cmp.Diff(model(p, points, sites, now), ids(kept(ds))); diff != "" {
			t.Fatalf("kept (-model +Decide):\n%s\n%s", diff, shown(ds))
		}
		if len(ds) != len(points) {
			t.Fatalf("%d decisions about %d points", len(ds), len(points))
		}
		for i, d := range ds {
			if len(d.Reasons) == 0 || slices.Contains(d.Reasons, "") {
				t.Fatalf("%s: no reason", d.ID)
			}
			if i > 0 && newer(d.Point, ds[i-1].Point) {
				t.Fatalf("%s comes after %s", d.ID, ds[i-1].ID)
			}
		}
	})
}

// TestDroppedPointsNameWhatIsKeptInstead: a kept point, newer, of the period
// that the reason names.
func TestDroppedPointsNameWhatIsKeptInstead(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 30, 0, 0, time.UTC)
	rules := map[string]string{"its hour": "hourly", "its day": "daily", "its week": "weekly", "its month": "monthly", "its year": "yearly"}
	rapid.Check(t, func(t *rapid.T) {
		p, points := somePolicy(t), somePoints(t, both, now)
		ds := Decide(&p, points, both, now)
		for _, d := range ds {
			if d.Keep {
				continue
			}
			its, rest, reached := strings.Cut(strings.TrimPrefix(d.Reasons[0], "no rule needs it: "), " (")
			if !reached {
				for rule, n := range counts(p) {
					if n > 0 && periodNames[rule] != nil && len(where(asked(rule, n, kept(ds)), func(q Point) bool { return !newer(q, d.Point) })) > 0 {
						t.Fatalf("%s is said to be beyond the rules, but %s reaches it\n%s", d.ID, rule, shown(ds))
					}
				}
				continue
			}
			_, by, _ := strings.Cut(rest, " is kept by ")
			of := periodNames[rules[its]]
			i := slices.IndexFunc(ds, func(q Decision) bool { return q.ID == by })
			if of == nil || i < 0 || !ds[i].Keep || !newer(ds[i].Point, d.Point) || of(ds[i].Time.UTC()) != of(d.Time.UTC()) {
				t.Fatalf("%s: %s\n%s", d.ID, d.Reasons[0], shown(ds))
			}
		}
	})
}

func TestDecidingAgainChangesNothing(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 30, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		p := somePolicy(t)
		once := Decide(&p, somePoints(t, both, now), both, now)
		again := Decide(&p, kept(once), both, now)
		if diff := cmp.Diff(shown(slices.DeleteFunc(once, func(d Decision) bool { return !d.Keep })), shown(again)); diff != "" {
			t.Fatalf("(-once +again):\n%s", diff)
		}
	})
}

// TestOrderAndZonesDoNotMatter: the same instants in other places of the list,
// in other zones, by a clock in another zone.
func TestOrderAndZonesDoNotMatter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 30, 0, 0, time.UTC)
	zones := []*time.Location{time.UTC, time.FixedZone("far east", 14*3600), time.FixedZone("odd", -(9*3600 + 1800))}
	for _, name := range []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, zone)
	}
	rapid.Check(t, func(t *rapid.T) {
		p, points := somePolicy(t), somePoints(t, both, now)
		want := shown(Decide(&p, points, both, now))
		other := rapid.Permutation(points).Draw(t, "order")
		for i := range other {
			other[i].Time = other[i].Time.In(zones[i%len(zones)])
		}
		got := shown(Decide(&p, other, []string{"onsite", "cloud", "onsite"}, now.In(rapid.SampledFrom(zones).Draw(t, "zone"))))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-as it was +in another order and zones):\n%s", diff)
		}
	})
}

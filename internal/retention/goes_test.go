package retention

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is said to go is gone some time later, and what is said to stay is there
// until then, when points are taken as was assumed.
func TestGoesIsWhatHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := &Policy{
			Last: rapid.IntRange(0, 30).Draw(t, "last"), Hourly: rapid.IntRange(0, 30).Draw(t, "hourly"),
			Daily: rapid.IntRange(0, 20).Draw(t, "daily"), Weekly: rapid.IntRange(0, 6).Draw(t, "weekly"),
		}
		every := time.Duration(rapid.SampledFrom([]int{20, 60, 300, 2000}).Draw(t, "every")) * time.Minute
		now := time.Date(2026, 3, 10, 7, 13, 0, 0, time.UTC)
		var all []Point
		take := func(from, to time.Time) {
			for when := from; !when.After(to); when = when.Add(every) {
				all = append(all, Point{ID: fmt.Sprintf("%06d", len(all)), Time: when, Sites: []string{"a"}})
			}
		}
		take(now.Add(-40*24*time.Hour), now)
		all = kept(Decide(policy, all, []string{"a"}, now))
		times := make([]time.Time, len(all))
		said := map[string]time.Time{}
		for i, p := range all {
			times[i] = p.Time
		}
		for i, goes := range Goes(policy, times, every, now) {
			said[all[i].ID] = goes
		}
		then := now.Add(time.Duration(rapid.IntRange(1, 60*24).Draw(t, "hours later")) * time.Hour)
		newest := all[0].Time
		for _, p := range all {
			newest = latest(newest, p.Time)
		}
		for when := newest.Add(every); !when.After(then); when = when.Add(every) {
			all = append(all, Point{ID: fmt.Sprintf("x%06d", len(all)), Time: when, Sites: []string{"a"}})
		}
		still := map[string]bool{}
		for _, p := range kept(Decide(policy, all, []string{"a"}, then)) {
			still[p.ID] = true
		}
		slack := 8*24*time.Hour + every // a week, which a period may be off
		for id, goes := range said {
			if goes.After(then.Add(slack)) && !still[id] {
				t.Fatalf("%s was said to stay until %s and is gone at %s: %+v every %s", id, goes, then, policy, every)
			}
			if goes.Add(slack).Before(then) && still[id] && !newestOfAll(all, id) {
				t.Fatalf("%s was said to go at %s and is there at %s: %+v every %s", id, goes, then, policy, every)
			}
		}
	})
}

// newestOfAll is kept whatever the policy says.
func newestOfAll(all []Point, id string) bool { return newestOf(all)[0].ID == id }

func TestGoesWithoutAPolicy(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	if got := Goes(nil, []time.Time{now}, time.Hour, now); !got[0].IsZero() {
		t.Errorf("goes at %s", got[0])
	}
	got := Goes(&Policy{Daily: 3}, []time.Time{now.Add(-time.Hour), now.Add(-25 * time.Hour), now.Add(-26 * time.Hour)}, time.Hour, now)
	if got[0].Format(time.DateOnly) != "2026-03-03" || got[1].Format(time.DateOnly) != "2026-03-02" || !got[2].Equal(now) {
		t.Errorf("goes %v", got)
	}
}

package retention

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// doubted draws points of which those from some suspect one on are in doubt.
func doubted(t *rapid.T, now time.Time) []Point {
	n := rapid.IntRange(1, 25).Draw(t, "points")
	points := make([]Point, n)
	from := n
	for i := range points {
		points[i] = Point{ID: fmt.Sprintf("%02d", i), Time: now.Add(-time.Duration(n-i) * 7 * time.Hour)}
		for _, s := range both {
			if rapid.IntRange(0, 3).Draw(t, "held") > 0 {
				points[i].Sites = append(points[i].Sites, s)
				if rapid.IntRange(0, 3).Draw(t, "proven") == 0 {
					points[i].Proven = append(points[i].Proven, s)
				}
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "suspect") == 0 {
			points[i].Suspect, from = true, min(from, i)
		}
		points[i].Doubtful = i >= from
	}
	return points
}

// Whatever the rules say, each site keeps the newest clean point that it holds
// and the newest proven from it, the newest clean one that all hold stays, and
// so does every suspect one: while there is a doubt, and however often it is
// decided.
func TestTheLastCleanPointStays(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		points := doubted(t, now)
		rule := func(name string) int { return rapid.IntRange(0, 3).Draw(t, name) }
		p := &Policy{Last: rule("last"), Hourly: rule("hourly"), Daily: rule("daily"), Weekly: rule("weekly")}
		left := points
		for round := range 3 {
			var kept []Point
			for _, d := range Decide(p, left, both, now.Add(time.Duration(round)*48*time.Hour)) {
				if d.Keep {
					kept = append(kept, d.Point)
				}
			}
			left = kept
		}
		stays := func(what string, is func(Point) bool) {
			for _, n := range newestOf(where(points, is)) {
				if !slices.ContainsFunc(left, func(o Point) bool { return o.ID == n.ID }) {
					t.Fatalf("the %s is %s and was dropped: %+v", what, n.ID, points)
				}
			}
		}
		clean := func(p Point) bool { return !p.Doubtful }
		for _, s := range both {
			stays("newest clean one at "+s, func(p Point) bool { return clean(p) && heldAt(s)(p) })
			stays("newest clean one proven from "+s, func(p Point) bool { return clean(p) && heldAt(s)(p) && slices.Contains(p.Proven, s) })
		}
		stays("newest clean one at all sites", func(p Point) bool { return clean(p) && heldAt(both[0])(p) && heldAt(both[1])(p) })
		for _, one := range points {
			if one.Suspect {
				stays("suspect", func(p Point) bool { return p.ID == one.ID })
			}
		}
	})
}

func TestReasonsOfDoubt(t *testing.T) {
	check(t, Decide(&Policy{Last: 1}, []Point{
		{ID: "e", Time: at(t, "2026-11-23 10:00"), Sites: both, Doubtful: true},
		{ID: "d", Time: at(t, "2026-11-23 09:00"), Sites: both, Suspect: true, Doubtful: true},
		{ID: "c", Time: at(t, "2026-11-23 08:00"), Sites: both},
		{ID: "b", Time: at(t, "2026-11-23 07:00"), Sites: both, Proven: []string{"cloud"}},
		{ID: "a", Time: at(t, "2026-11-23 06:00"), Sites: both},
	}, both, at(t, "2026-11-23 12:00")), `
		keep e: last 1 of 1; newest that every site holds
		keep d: suspect: nobody has judged it yet
		keep c: newest clean one that onsite holds; newest clean one that cloud holds; newest clean one that every site holds
		keep b: newest proven from cloud; newest clean one proven from cloud
		drop a: no rule needs it: older than what is kept by last 1
	`)
}

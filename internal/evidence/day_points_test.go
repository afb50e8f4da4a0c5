package evidence

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawDayPoints draws points as a day may tell them.
func drawDayPoints(t *rapid.T) []DayPoint {
	var points []DayPoint
	at, size := int64(1764028800000), int64(0)
	for range rapid.IntRange(0, 12).Draw(t, "points") {
		at += rapid.Int64Range(0, 600_000).Draw(t, "apart")
		p := DayPoint{Consistent: at}
		if rapid.Bool().Draw(t, "of today") {
			p.Started = at - rapid.Int64Range(1, 5000).Draw(t, "before")
			size = max(size+rapid.Int64Range(-1000, 1000).Draw(t, "grown"), 1)
		}
		p.Bytes = size
		for _, site := range []string{"onsite", "cloud"} {
			if rapid.Bool().Draw(t, "durable") {
				p.Durable = put(p.Durable, site, at+rapid.Int64Range(1, 90_000).Draw(t, "durable after"))
			}
			if rapid.IntRange(0, 4).Draw(t, "proven") == 0 {
				p.Proven = put(p.Proven, site, at+rapid.Int64Range(1, 90_000).Draw(t, "proven after"))
			}
		}
		points = append(points, p)
	}
	return points
}

func TestDayPointsUnfoldToWhatWasFolded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawDayPoints(t)
		text, err := json.Marshal(foldPoints(want))
		if err != nil {
			t.Fatal(err)
		}
		var folded DayPoints
		if err := json.Unmarshal(text, &folded); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, slices.Collect(folded.All())); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", text, diff)
		}
	})
}

// TestDayPointsWithBadColumns: a log from elsewhere may hold anything.
func TestDayPointsWithBadColumns(t *testing.T) {
	c := DayPoints{
		Consistent: []int64{1000, 10},
		Durable:    map[string][]int64{"onsite": {5}},
		Proven:     map[string][]int64{"onsite": {1, 7, 0}, "cloud": {-3, 9, 99, 4}},
	}
	want := []DayPoint{
		{Consistent: 1000, Durable: map[string]int64{"onsite": 1005}},
		{Consistent: 1010, Proven: map[string]int64{"onsite": 1017}},
	}
	if diff := cmp.Diff(want, slices.Collect(c.All())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

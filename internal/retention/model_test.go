package retention

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The model says the same as the package in the plainest way: whole sets,
// names of periods as the calendar prints them, no order that matters.

// periodNames name the period of a time, by the rule that counts them.
var periodNames = map[string]func(time.Time) string{
	"last":    nil,
	"hourly":  func(t time.Time) string { return t.Format("2006-01-02 15") },
	"daily":   func(t time.Time) string { return t.Format("2006-01-02") },
	"weekly":  func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%04d %02d", y, w) },
	"monthly": func(t time.Time) string { return t.Format("2006-01") },
	"yearly":  func(t time.Time) string { return t.Format("2006") },
}

func counts(p Policy) map[string]int {
	return map[string]int{"last": p.Last, "hourly": p.Hourly, "daily": p.Daily, "weekly": p.Weekly, "monthly": p.Monthly, "yearly": p.Yearly}
}

func newer(a, b Point) bool { return a.Time.After(b.Time) || a.Time.Equal(b.Time) && a.ID > b.ID }

// newestOf returns the newest of the points, at most one.
func newestOf(points []Point) []Point {
	var best []Point
	for _, p := range points {
		if best == nil || newer(p, best[0]) {
			best = []Point{p}
		}
	}
	return best
}

func where(points []Point, is func(Point) bool) []Point {
	var out []Point
	for _, p := range points {
		if is(p) {
			out = append(out, p)
		}
	}
	return out
}

// periodsOf groups points by period; of the last points each is its own.
func periodsOf(rule string, points []Point) map[string][]Point {
	groups := map[string][]Point{}
	for _, p := range points {
		name := p.Time.UTC().Format(time.RFC3339Nano) + " " + p.ID
		if of := periodNames[rule]; of != nil {
			name = of(p.Time.UTC())
		}
		groups[name] = append(groups[name], p)
	}
	return groups
}

// asked returns what a rule of n asks for: the newest of each of the newest n
// periods that have a point.
func asked(rule string, n int, points []Point) []Point {
	var picks []Point
	for _, group := range periodsOf(rule, points) {
		picks = append(picks, newestOf(group)...)
	}
	slices.SortFunc(picks, func(a, b Point) int {
		if newer(a, b) {
			return -1
		}
		return 1
	})
	return picks[:min(max(n, 0), len(picks))]
}

func heldAt(site string) func(Point) bool {
	return func(p Point) bool { return slices.Contains(p.Sites, site) }
}

func anywhere(sites []string) func(Point) bool {
	return func(p Point) bool { return slices.ContainsFunc(sites, func(s string) bool { return heldAt(s)(p) }) }
}

func everywhere(sites []string) func(Point) bool {
	return func(p Point) bool { return !slices.ContainsFunc(sites, func(s string) bool { return !heldAt(s)(p) }) }
}

// model returns the IDs of what must be kept, sorted.
func model(p Policy, points []Point, sites []string, now time.Time) []string {
	counted := where(points, func(p Point) bool { return !p.Time.After(now) && anywhere(sites)(p) })
	keep := where(points, func(p Point) bool {
		return p.Time.After(now) || p.Held != "" || !anywhere(sites)(p) || !everywhere(sites)(p)
	})
	views := [][]Point{counted}
	for _, s := range sites {
		here := where(counted, heldAt(s))
		views = append(views, here)
		keep = append(keep, newestOf(here)...)
		keep = append(keep, newestOf(where(here, func(p Point) bool { return slices.Contains(p.Proven, s) }))...)
	}
	keep = append(keep, newestOf(where(counted, everywhere(sites)))...)
	keep = append(keep, newestOf(where(counted, func(p Point) bool { return len(p.Proven) > 0 }))...)
	for rule, n := range counts(p) {
		for _, view := range views {
			keep = append(keep, asked(rule, n, view)...)
		}
	}
	return ids(keep)
}

// ids returns the IDs of points, sorted, each once.
func ids(points []Point) []string {
	var all []string
	for _, p := range points {
		all = append(all, p.ID)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// kept returns the points of the decisions to keep.
func kept(ds []Decision) []Point {
	var out []Point
	for _, d := range ds {
		if d.Keep {
			out = append(out, d.Point)
		}
	}
	return out
}

// without returns the entries of a that b lacks; both are sorted.
func without(a, b []string) string {
	var out []string
	for _, s := range a {
		if _, ok := slices.BinarySearch(b, s); !ok {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

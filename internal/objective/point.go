// Package objective holds the arithmetic of the promises: how old the newest
// usable recovery point is, how long that was more than allowed, and how often
// snapshots must run so that it never is. It is pure: no clock, no state.
package objective

import (
	"slices"
	"time"
)

// Point is one recovery point of a function and what became of it.
type Point struct {
	// Consistent is the instant in the database that the point restores to.
	Consistent time.Time
	// Durable says when the point's commit was acknowledged, by site.
	Durable map[string]time.Time
	// Proven says when a restore of the point from there first passed, by site.
	Proven map[string]time.Time
}

// Exposure returns how old the newest point is that can be restored from the
// site at that time. False: there is none, so the loss has no bound.
func Exposure(points []Point, site string, at time.Time) (time.Duration, bool) {
	return AtSite(points, site).At(at)
}

// ExposureAny is the exposure while every site can be reached: the best of them.
func ExposureAny(points []Point, at time.Time) (time.Duration, bool) {
	return AtAny(points).At(at)
}

// ExposureAll is the exposure when only the worst of the sites is left: each
// one alone is at least this good. Without sites there is nothing: false.
func ExposureAll(points []Point, sites []string, at time.Time) (time.Duration, bool) {
	return AtAll(points, sites).At(at)
}

// ProvenExposure is [Exposure] with only the points that a restore from the
// site has proven.
func ProvenExposure(points []Point, site string, at time.Time) (time.Duration, bool) {
	return ProvenAtSite(points, site).At(at)
}

// AtSite returns the curve of what can be restored from one site.
func AtSite(points []Point, site string) Curve {
	return curveOf(points, func(p Point) (time.Time, bool) {
		t, ok := p.Durable[site]
		return t, ok
	})
}

// ProvenAtSite returns the curve of what is proven at one site.
func ProvenAtSite(points []Point, site string) Curve {
	return curveOf(points, func(p Point) (time.Time, bool) {
		t, ok := p.Proven[site]
		return t, ok
	})
}

// AtAny returns the curve of what can be restored from any site.
func AtAny(points []Point) Curve {
	return curveOf(points, func(p Point) (time.Time, bool) { return earliest(p.Durable) })
}

// ProvenAtAny returns the curve of what is proven at any site.
func ProvenAtAny(points []Point) Curve {
	return curveOf(points, func(p Point) (time.Time, bool) { return earliest(p.Proven) })
}

// AtAll returns the curve of what can be restored from each one of the sites.
func AtAll(points []Point, sites []string) Curve {
	curves := make([]Curve, len(sites))
	for i, s := range sites {
		curves[i] = AtSite(points, s)
	}
	return worstOf(curves)
}

func earliest(times map[string]time.Time) (first time.Time, ok bool) {
	for _, t := range times {
		if !ok || t.Before(first) {
			first, ok = t, true
		}
	}
	return first, ok
}

// step says: from at on, newest is the newest usable point.
type step struct{ at, newest time.Time }

// Curve is exposure over time, a sawtooth: it falls when a newer point becomes
// usable and else grows with the time. The zero Curve never has a point.
type Curve struct{ steps []step }

// curveOf makes a curve of points that become usable when usable says.
func curveOf(points []Point, usable func(Point) (time.Time, bool)) Curve {
	var events []step
	for _, p := range points {
		if at, ok := usable(p); ok {
			events = append(events, step{at, p.Consistent})
		}
	}
	slices.SortFunc(events, func(a, b step) int { return a.at.Compare(b.at) })
	var c Curve
	for _, e := range events {
		if n := len(c.steps); n > 0 {
			if !e.newest.After(c.steps[n-1].newest) {
				continue // an older point that arrives late changes nothing
			}
			if e.at.Equal(c.steps[n-1].at) {
				c.steps[n-1] = e
				continue
			}
		}
		c.steps = append(c.steps, e)
	}
	return c
}

// worstOf returns the curve that at each time is the worst of the given ones.
func worstOf(curves []Curve) Curve {
	if len(curves) == 0 {
		return Curve{}
	}
	var times []time.Time
	for _, c := range curves {
		for _, s := range c.steps {
			times = append(times, s.at)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	var out Curve
	for _, at := range times {
		newest, ok := oldestNewest(curves, at)
		n := len(out.steps)
		if ok && (n == 0 || newest.After(out.steps[n-1].newest)) {
			out.steps = append(out.steps, step{at, newest})
		}
	}
	return out
}

func oldestNewest(curves []Curve, at time.Time) (time.Time, bool) {
	var oldest time.Time
	for i, c := range curves {
		newest, ok := c.newest(at)
		if !ok {
			return time.Time{}, false
		}
		if i == 0 || newest.Before(oldest) {
			oldest = newest
		}
	}
	return oldest, true
}

// newest returns the newest point usable at that time.
func (c Curve) newest(at time.Time) (time.Time, bool) {
	i, found := slices.BinarySearchFunc(c.steps, at, func(s step, t time.Time) int { return s.at.Compare(t) })
	if !found {
		i--
	}
	if i < 0 {
		return time.Time{}, false
	}
	return c.steps[i].newest, true
}

// At returns the exposure at that time; false when there is no usable point.
// A point from the future, left by a clock that was wrong, counts as age zero.
func (c Curve) At(at time.Time) (time.Duration, bool) {
	newest, ok := c.newest(at)
	if !ok {
		return 0, false
	}
	return max(at.Sub(newest), 0), true
}

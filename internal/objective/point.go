// Package objective holds the arithmetic of the promises: how old the newest
// usable recovery point is, how long that was more than allowed, and how often
// snapshots must run so that it never is; why it was, and when growth will make
// it so. It is pure: no clock, no state.
package objective

import (
	"maps"
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
	return historyOf(points).Curve(View{Scope: ScopeSite, Site: site}, nil)
}

// ProvenAtSite returns the curve of what is proven at one site.
func ProvenAtSite(points []Point, site string) Curve {
	return historyOf(points).Curve(View{Scope: ScopeSite, Site: site, Proven: true}, nil)
}

// AtAny returns the curve of what can be restored from any site.
func AtAny(points []Point) Curve {
	h := historyOf(points)
	return h.Curve(View{Scope: ScopeAny}, slices.Collect(maps.Keys(h.Durable)))
}

// ProvenAtAny returns the curve of what is proven at any site.
func ProvenAtAny(points []Point) Curve {
	h := historyOf(points)
	return h.Curve(View{Scope: ScopeAny, Proven: true}, slices.Collect(maps.Keys(h.Proven)))
}

// AtAll returns the curve of what can be restored from each one of the sites.
func AtAll(points []Point, sites []string) Curve {
	return historyOf(points).Curve(View{Scope: ScopeAll}, sites)
}

func historyOf(points []Point) (h History) {
	for _, p := range points {
		h.Add(p)
	}
	return h
}

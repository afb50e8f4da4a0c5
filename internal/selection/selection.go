// Package selection decides which recovery point is proven next, and says what
// it takes to prove all of them. It decides from what it is given alone: the
// same points and the same seed give the same choice again.
package selection

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// Rule says why a recovery point is proven.
type Rule string

// The rules.
const (
	// Latest is the newest: it says how good a recovery would be now.
	Latest Rule = "latest"
	// Oldest is the one that has had most time to rot.
	Oldest Rule = "oldest"
	// Random is any, so that nobody can know which, and repeatable by its seed.
	Random Rule = "random"
	// Rotation is the one that nobody has looked at for longest, so that it
	// comes to each in turn.
	Rotation Rule = "rotation"
	// Schema is the newest of those whose definitions no proof has restored yet.
	Schema Rule = "schema"
	// Named was asked for by its ID.
	Named Rule = "named"
)

// Rules are those that can be asked for.
var Rules = []Rule{Latest, Oldest, Random, Rotation}

// Point is a recovery point that a site holds and that is kept.
type Point struct {
	ID string
	// Time is its consistency point.
	Time time.Time
	// Schema stands for the definition of everything in its scope; empty when
	// that is not known.
	Schema string
	// Proven says that the last verdict on it from this site is that it
	// passed, Restored the same for any site.
	Proven, Restored bool
	// Looked is when a proof last came to a verdict on it, from any site; zero
	// when none ever did.
	Looked time.Time
	// Failed is when a proof of it last ended without a verdict; zero when none
	// did since Looked.
	Failed time.Time
	// Goes is when the rules will have given it up; zero when they never will.
	Goes time.Time
}

// base is since when nobody has looked at the point.
func (p Point) base() time.Time {
	if p.Looked.After(p.Time) {
		return p.Looked
	}
	return p.Time
}

// Choice is a recovery point, and why it was chosen.
type Choice struct {
	ID   string
	Rule Rule
	// Seed makes a random choice repeatable, see [Draw]; empty for other rules.
	Seed string
	// Population is how many there were to choose from, Proven how many of
	// those had been proven from the site before.
	Population, Proven int
}

// Choose applies a rule to what a site holds. The seed counts for [Random]
// alone, now and bound for [Rotation]: a point whose proof could not be carried
// out is passed over for a quarter of the bound, so that it does not hold up
// the others. It is false when there is nothing to choose from.
func Choose(rule Rule, points []Point, seed string, now time.Time, bound time.Duration) (Choice, bool) {
	from := points
	var best func(a, b Point) int
	switch rule {
	case Latest:
		best = func(a, b Point) int { return cmp.Or(ahead(a, now)-ahead(b, now), b.Time.Compare(a.Time)) }
	case Oldest:
		best = func(a, b Point) int { return a.Time.Compare(b.Time) }
	case Random:
		best = func(a, b Point) int { return cmp.Compare(Draw(seed, a.ID), Draw(seed, b.ID)) }
	case Rotation:
		best = func(a, b Point) int {
			return cmp.Or(passedOver(a, now, bound)-passedOver(b, now, bound), waiting(a, b))
		}
	case Schema:
		from = unrestored(points)
		best = func(a, b Point) int { return b.Time.Compare(a.Time) }
	default:
		return Choice{}, false
	}
	if len(from) == 0 {
		return Choice{}, false
	}
	chosen := slices.MinFunc(from, func(a, b Point) int { return cmp.Or(best(a, b), cmp.Compare(a.ID, b.ID)) })
	c := Choice{ID: chosen.ID, Rule: rule, Population: len(from)}
	if rule == Random {
		c.Seed = seed
	}
	for _, p := range from {
		if p.Proven {
			c.Proven++
		}
	}
	return c, true
}

// waiting puts first who waits longest, and of two who wait equally long the
// one that was never proven.
func waiting(a, b Point) int {
	never := func(p Point) int {
		if p.Looked.IsZero() {
			return 0
		}
		return 1
	}
	return cmp.Or(a.base().Compare(b.base()), never(a)-never(b))
}

// ahead is 1 for a point that lies ahead of the clock: it was taken when the
// clock was wrong.
func ahead(p Point, now time.Time) int {
	if p.Time.After(now) {
		return 1
	}
	return 0
}

// passedOver is 1 for a point whose proof has just failed.
func passedOver(p Point, now time.Time, bound time.Duration) int {
	if !p.Failed.IsZero() && !p.Failed.After(now) && now.Sub(p.Failed) < bound/4 {
		return 1
	}
	return 0
}

// unrestored returns the points whose definitions no proof has restored, the
// newest of each.
func unrestored(points []Point) []Point {
	known := map[string]bool{"": true}
	for _, p := range points {
		if p.Restored {
			known[p.Schema] = true
		}
	}
	return newestOfEach(points, known)
}

// newestOfEach returns the newest point of each definition that is not known,
// newest first.
func newestOfEach(points []Point, known map[string]bool) []Point {
	var out []Point
	newest := slices.Clone(points)
	slices.SortFunc(newest, func(a, b Point) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.ID, b.ID)) })
	for _, p := range newest {
		if !known[p.Schema] {
			known[p.Schema] = true
			out = append(out, p)
		}
	}
	return out
}

// Changed returns the points with definitions that no proof has looked at yet,
// the newest of each, newest first. A verdict that a point is bad counts as a
// look: it has been told, and trying again at once tells nothing more.
func Changed(points []Point) []Point {
	looked := map[string]bool{"": true}
	for _, p := range points {
		if p.Restored || !p.Looked.IsZero() {
			looked[p.Schema] = true
		}
	}
	return newestOfEach(points, looked)
}

// Draw is the lot of a recovery point under a seed: the SHA-256, in hexadecimal
// digits, of the seed, a colon and the ID. The lowest lot of a population is the
// one that is chosen at random, so whoever knows the seed and the population
// finds the same one with sha256sum.
func Draw(seed, id string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(seed+":"+id))) }

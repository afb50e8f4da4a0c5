package objective

import (
	"slices"
	"time"
)

// Curve is exposure over time, a sawtooth: it falls when a newer point becomes
// usable and else grows with the time. The zero Curve never has a point. Of
// its arrivals each is later than the one before and of a newer point.
type Curve struct{ steps []Arrival }

// curveOf makes the curve of points that arrive in any order.
func curveOf(arrivals []Arrival) Curve {
	byTime := func(a, b Arrival) int { return a.At.Compare(b.At) }
	if !slices.IsSortedFunc(arrivals, byTime) {
		arrivals = slices.SortedStableFunc(slices.Values(arrivals), byTime)
	}
	c := Curve{steps: make([]Arrival, 0, len(arrivals))}
	for _, a := range arrivals {
		c.arrive(a)
	}
	return c
}

// arrive takes in a point that arrives no earlier than those before it.
func (c *Curve) arrive(a Arrival) {
	n := len(c.steps)
	switch {
	case n > 0 && !a.Consistent.After(c.steps[n-1].Consistent): // an older point that arrives late changes nothing
	case n > 0 && a.At.Equal(c.steps[n-1].At):
		c.steps[n-1] = a
	default:
		c.steps = append(c.steps, a)
	}
}

// bestOf returns the curve that at each time is the best of the given ones.
func bestOf(curves []Curve) Curve {
	out := roomFor(curves)
	together(curves, func(at time.Time, newest []time.Time) {
		out.arrive(Arrival{at, slices.MaxFunc(newest, time.Time.Compare)})
	})
	return out
}

// worstOf returns the curve that at each time is the worst of the given ones.
func worstOf(curves []Curve) Curve {
	out := roomFor(curves)
	together(curves, func(at time.Time, newest []time.Time) {
		if len(newest) == len(curves) {
			out.arrive(Arrival{at, slices.MinFunc(newest, time.Time.Compare)})
		}
	})
	return out
}

// roomFor is an empty curve with room for as many arrivals as the longest has.
func roomFor(curves []Curve) Curve {
	n := 0
	for _, c := range curves {
		n = max(n, len(c.steps))
	}
	return Curve{steps: make([]Arrival, 0, n)}
}

// together calls step for each time at which one of the curves changes, with
// the newest point of each that has any.
func together(curves []Curve, step func(at time.Time, newest []time.Time)) {
	next := make([]int, len(curves)) // by curve, the arrival to come
	newest := make([]time.Time, 0, len(curves))
	for {
		at, more := earliest(curves, next)
		if !more {
			return
		}
		newest = newest[:0]
		for i, c := range curves {
			if next[i] < len(c.steps) && c.steps[next[i]].At.Equal(at) {
				next[i]++
			}
			if next[i] > 0 {
				newest = append(newest, c.steps[next[i]-1].Consistent)
			}
		}
		step(at, newest)
	}
}

func earliest(curves []Curve, next []int) (at time.Time, more bool) {
	for i, c := range curves {
		if next[i] < len(c.steps) && (!more || c.steps[next[i]].At.Before(at)) {
			at, more = c.steps[next[i]].At, true
		}
	}
	return at, more
}

// Newest returns the consistency point of the newest point usable at that
// time.
func (c Curve) Newest(at time.Time) (time.Time, bool) {
	i := c.after(at)
	if i == 0 {
		return time.Time{}, false
	}
	return c.steps[i-1].Consistent, true
}

// after returns how many arrivals are no later than at.
func (c Curve) after(at time.Time) int {
	i, found := slices.BinarySearchFunc(c.steps, at, func(s Arrival, t time.Time) int { return s.At.Compare(t) })
	if found {
		i++
	}
	return i
}

// At returns the exposure at that time; false when there is no usable point.
// A point from the future, left by a clock that was wrong, counts as age zero.
func (c Curve) At(at time.Time) (time.Duration, bool) {
	newest, ok := c.Newest(at)
	if !ok {
		return 0, false
	}
	return max(at.Sub(newest), 0), true
}

// Segment is a stretch of time with the same newest point, or with none: the
// exposure grows from From − Newest to To − Newest.
type Segment struct {
	From, To, Newest time.Time
	None             bool
}

// Segments cuts the period from..to where the newest point changes.
func (c Curve) Segments(from, to time.Time) []Segment { return c.segments(nil, from, to) }

// segments appends them to out.
func (c Curve) segments(out []Segment, from, to time.Time) []Segment {
	newest, ok := c.Newest(from)
	current := Segment{From: from, Newest: newest, None: !ok}
	first := c.after(from)
	last := max(c.after(to), first)
	out = slices.Grow(out, last-first+1)
	for _, s := range c.steps[first:last] {
		if s.At.Equal(to) {
			break
		}
		current.To = s.At
		out = append(out, current)
		current = Segment{From: s.At, Newest: s.Consistent}
	}
	current.To = to
	return append(out, current)
}

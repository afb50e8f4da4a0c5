package selection

import (
	"slices"
	"time"
)

// Of the proofs that are not of the latest, one in so many is random, and one of
// the oldest, while the rotation keeps up; and one in so many belongs to a
// definition that was never restored, whether it does or not.
const (
	rareRandom = 4
	rareOldest = 8
	rareSchema = 4
)

// Turn says by which rule a site is proven next, when past are the rules of the
// proofs on schedule there, newest first. The latest takes every other turn, so
// that proven exposure stays short, unless it has been proven from the site
// already. The other turns belong to the rotation, which shares with definitions
// that were never restored; what it can spare goes to those, to the oldest, and
// to one at random.
func Turn(points []Point, past []Rule, now time.Time, o Pace) Rule {
	if turn := len(past) == 0 || past[0] != Latest; turn && !provenLatest(points, now) {
		return Latest
	}
	others := slices.DeleteFunc(slices.Clone(past), func(r Rule) bool { return r == Latest })
	spare := o.Bound <= 0 || Look(points, now, o).spare
	since := func(rule Rule) int {
		if at := slices.Index(others, rule); at >= 0 {
			return at
		}
		return len(others)
	}
	switch {
	case len(unrestored(points)) > 0 && (spare || since(Schema) >= rareSchema-1):
		return Schema
	case spare && since(Oldest) >= rareOldest-1:
		return Oldest
	case spare && since(Random) >= rareRandom-1:
		return Random
	default:
		return Rotation
	}
}

func provenLatest(points []Point, now time.Time) bool {
	c, ok := Choose(Latest, points, "", now, 0)
	return ok && slices.ContainsFunc(points, func(p Point) bool { return p.ID == c.ID && p.Proven })
}

// Pace is how often a function is proven, and what is wanted of it.
type Pace struct {
	// Every is the time between two proofs of the function, at whatever site;
	// Sites is how many take turns.
	Every time.Duration
	Sites int
	// Bound is the time within which each point is to be proven, from when it
	// was made and from each proof of it on; 0: there is none.
	Bound time.Duration
}

// turn is the time from one proof by rotation to the next: every other proof of
// a site is one, less those for definitions that were never restored.
func (o Pace) turn(points []Point) time.Duration {
	turn := 2 * o.Every
	if len(unrestored(points)) > 0 {
		turn = turn * rareSchema / (rareSchema - 1)
	}
	return turn
}

// Outlook says how far a function's points are proven, and whether all of them
// will be in time.
type Outlook struct {
	// Points are kept now, Proven of them were proven from some site.
	Points, Proven int
	// OldestUnproven is the consistency point of the oldest that never was; zero
	// when there is none.
	OldestUnproven time.Time
	// Wanted is how many fall due within one bound from now on: all but those
	// that their rules give up before.
	Wanted int
	// Late is how many should have been proven already; Missed is how many more
	// will not be in time at this pace.
	Late, Missed int
	// Every is the longest time between two proofs with which those that are
	// not late would all be in time; 0 when there is none to be proven.
	Every time.Duration

	spare bool // a turn may be given away
}

// Met reports whether every point is proven in time, and will be.
func (l Outlook) Met() bool { return l.Late == 0 && l.Missed == 0 }

// Look works it out: points fall due one bound after somebody looked at them,
// and are taken in that order, one each turn.
func Look(points []Point, now time.Time, o Pace) Outlook {
	out := Outlook{Points: len(points), spare: true}
	var due []time.Time
	for _, p := range points {
		if p.Restored {
			out.Proven++
		} else if out.OldestUnproven.IsZero() || p.Time.Before(out.OldestUnproven) {
			out.OldestUnproven = p.Time
		}
		if at := p.base().Add(o.Bound); o.Bound > 0 && (p.Goes.IsZero() || p.Goes.After(at)) {
			due = append(due, at)
		}
	}
	slices.SortFunc(due, time.Time.Compare)
	out.Wanted = len(due)
	turn := o.turn(points)
	place := 0 // in the queue
	for _, at := range due {
		place++
		left := at.Sub(now)
		if left < 0 {
			out.Late++
			out.spare = false
			continue
		}
		need := time.Duration(place)*turn + o.slack()
		if need > left {
			out.Missed++
		}
		if need+turn > left {
			out.spare = false
		}
		fit := time.Duration(float64(left) * float64(o.Every) / float64(max(need, 1)))
		if out.Every == 0 || fit < out.Every {
			out.Every = fit
		}
	}
	return out
}

// slack is how long it may take until the next turn of the rotation: first
// comes the latest of every site.
func (o Pace) slack() time.Duration { return time.Duration(2*max(o.Sites, 1)) * o.Every }

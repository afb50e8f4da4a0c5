package objective

import (
	"slices"
	"time"
)

// p99 returns the least exposure that was not exceeded for at least 99 % of the
// time: the quantile of the sawtooth itself, not of samples or of its peaks.
// False: for more than 1 % of the time there was no usable point.
//
// While a point is the newest, the exposure passes through each value from lo
// to hi for equally long. So the time above x is the sum, over the segments,
// of min(hi − x, hi − lo) where that is positive; it falls with x, and the
// least x at which it is short enough is found by halving, to the nanosecond.
func p99(segments []Segment) (time.Duration, bool) {
	teeth := make([]tooth, 0, len(segments))
	var total, none, highest time.Duration
	for _, s := range segments {
		total += s.To.Sub(s.From)
		if s.None {
			none += s.To.Sub(s.From)
			continue
		}
		// A point from the future has age zero until its time has come.
		t := tooth{max(s.From.Sub(s.Newest), 0), max(s.To.Sub(s.Newest), 0)}
		highest = max(highest, t.hi)
		teeth = append(teeth, t)
	}
	budget := total/100 - none
	if budget < 0 {
		return 0, false
	}
	low, high := time.Duration(-1), highest // above(low) is too long, above(high) is not
	for high-low > 1 {
		x := low + (high-low)/2
		if above(teeth, x) <= budget {
			high = x
			continue
		}
		low = x
		teeth = slices.DeleteFunc(teeth, func(t tooth) bool { return t.hi <= low })
	}
	return high, true
}

// tooth is how the exposure grows while one point is the newest.
type tooth struct{ lo, hi time.Duration }

func above(teeth []tooth, x time.Duration) (sum time.Duration) {
	for _, t := range teeth {
		if t.hi > x {
			sum += min(t.hi-x, t.hi-t.lo)
		}
	}
	return sum
}

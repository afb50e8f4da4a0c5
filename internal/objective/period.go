package objective

import "time"

// Violation is a stretch of time with more exposure than is allowed. At its
// start the exposure is just at the limit (or the period or a policy begins,
// or the last moment without any point).
type Violation struct {
	Start, End time.Time
	// Peak is the greatest known exposure in it.
	Peak time.Duration
	// Unprotected says that for a part of it there was no usable point at all,
	// so the peak is not the whole truth.
	Unprotected bool
	// Limit is what was allowed, and Causes what the records tell of why it was
	// exceeded; both only in an [Assessment].
	Limit  time.Duration
	Causes []Cause
}

// Worst returns the greatest exposure in the period, the achieved RPO. False:
// at some moment of the period there was no usable point.
func (c Curve) Worst(from, to time.Time) (time.Duration, bool) {
	segments := c.Segments(from, to)
	if segments[0].None {
		return 0, false
	}
	worst, _ := worst(segments)
	return worst, true
}

// worst returns the greatest known exposure, and how long there was no point.
func worst(segments []Segment) (worst, none time.Duration) {
	for _, s := range segments {
		if s.None {
			none += s.To.Sub(s.From)
			continue
		}
		worst = max(worst, s.To.Sub(s.Newest))
	}
	return worst, none
}

// Violations returns the stretches of the period in which the exposure was
// above rpo, in order. Those that touch are one.
func (c Curve) Violations(from, to time.Time, rpo time.Duration) []Violation {
	return violations(c.Segments(from, to), rpo, from)
}

// violations finds where the segments exceed the limit. Where there is no point
// they do from due on.
func violations(segments []Segment, limit time.Duration, due time.Time) []Violation {
	var out []Violation
	for _, s := range segments {
		v := Violation{Start: s.From, End: s.To, Unprotected: s.None}
		if s.None && due.After(s.From) {
			v.Start = due
		}
		if !s.None {
			v.Peak = s.To.Sub(s.Newest)
			if allowed := s.Newest.Add(limit); allowed.After(s.From) {
				v.Start = allowed
			}
		}
		if !v.Start.Before(v.End) {
			continue
		}
		if n := len(out); n > 0 && !out[n-1].End.Before(v.Start) {
			last := &out[n-1]
			last.End, last.Peak, last.Unprotected = v.End, max(last.Peak, v.Peak), last.Unprotected || v.Unprotected
			continue
		}
		out = append(out, v)
	}
	return out
}

// broken returns how long the violations lasted together.
func broken(violations []Violation) (sum time.Duration) {
	for _, v := range violations {
		sum += v.End.Sub(v.Start)
	}
	return sum
}

// Attainment returns the share of the period's time, 0 to 1, in which the
// exposure was at most rpo. Of an empty period it is 1 or 0, as at its instant.
func (c Curve) Attainment(from, to time.Time, rpo time.Duration) float64 {
	if !from.Before(to) {
		if e, ok := c.At(from); ok && e <= rpo {
			return 1
		}
		return 0
	}
	return 1 - float64(broken(c.Violations(from, to, rpo)))/float64(to.Sub(from))
}

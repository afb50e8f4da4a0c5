package objective

import "time"

// Violation is a stretch of time with more exposure than the RPO allows. At
// its start the exposure is just at the RPO (or the period begins, or the last
// moment without any point).
type Violation struct {
	Start, End time.Time
	// Peak is the greatest known exposure in it.
	Peak time.Duration
	// Unprotected says that for a part of it there was no usable point at all,
	// so the peak is not the whole truth.
	Unprotected bool
}

// segment is a stretch of time with the same newest point, or with none.
type segment struct {
	from, to, newest time.Time
	none             bool
}

// segments cuts the period from..to where the newest point changes.
func (c Curve) segments(from, to time.Time) []segment {
	newest, ok := c.newest(from)
	current := segment{from: from, newest: newest, none: !ok}
	var out []segment
	for _, s := range c.steps {
		if !s.at.After(from) || !s.at.Before(to) {
			continue
		}
		current.to = s.at
		out = append(out, current)
		current = segment{from: s.at, newest: s.newest}
	}
	current.to = to
	return append(out, current)
}

// Worst returns the greatest exposure in the period, the achieved RPO. False:
// at some moment of the period there was no usable point.
func (c Curve) Worst(from, to time.Time) (time.Duration, bool) {
	var worst time.Duration
	for _, s := range c.segments(from, to) {
		if s.none {
			return 0, false
		}
		worst = max(worst, s.to.Sub(s.newest))
	}
	return worst, true
}

// Violations returns the stretches of the period in which the exposure was
// above rpo, in order. Those that touch are one.
func (c Curve) Violations(from, to time.Time, rpo time.Duration) []Violation {
	var out []Violation
	for _, s := range c.segments(from, to) {
		v := Violation{Start: s.from, End: s.to, Unprotected: s.none}
		if !s.none {
			v.Peak = s.to.Sub(s.newest)
			if limit := s.newest.Add(rpo); limit.After(s.from) {
				v.Start = limit
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

// Attainment returns the share of the period's time, 0 to 1, in which the
// exposure was at most rpo. Of an empty period it is 1 or 0, as at its instant.
func (c Curve) Attainment(from, to time.Time, rpo time.Duration) float64 {
	if !from.Before(to) {
		if e, ok := c.At(from); ok && e <= rpo {
			return 1
		}
		return 0
	}
	var broken time.Duration
	for _, v := range c.Violations(from, to, rpo) {
		broken += v.End.Sub(v.Start)
	}
	return 1 - float64(broken)/float64(to.Sub(from))
}

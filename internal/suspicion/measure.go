package suspicion

import (
	"math"
	"slices"
)

const (
	// past is how many measures of a table are remembered.
	past = 32
	// enough measures of changed rows must be there before one is judged: a
	// table that is written anew all the time shows it in these.
	enough = 3
	// deviations is how many standard deviations beyond the median are
	// ordinary still.
	deviations = 6
	// sigmas is how sure a share that was estimated must be: the lower end of
	// its interval of confidence, at so many standard deviations (99.87 % of
	// estimates lie above it), is what is compared with the limit.
	sigmas = 3
)

// drop is the share of its rows by which a table shrank.
func drop(was, t Table) float64 {
	if was.Rows <= 0 || t.Rows >= was.Rows {
		return 0
	}
	return float64(was.Rows-t.Rows) / float64(was.Rows)
}

// measure is a share of rows and the least that it is with confidence.
type measure struct{ share, least float64 }

// changed is the share of the rows of before that are not there any more as
// they were. It is not known where no samples were taken, and not when the
// columns are others: then every row is written in another way.
func changed(was, t Table) (measure, bool) {
	if was.Digest == t.Digest && was.Rows == t.Rows {
		return measure{}, was.Rows > 0
	}
	if was.Sample == nil || t.Sample == nil || !slices.Equal(was.Columns, t.Columns) {
		return measure{}, false
	}
	of, gone := was.Sample.Gone(t.Sample)
	if of == 0 {
		return measure{}, false
	}
	share := float64(gone) / float64(of)
	if was.Sample.whole() && t.Sample.whole() {
		return measure{share, share}, true
	}
	return measure{share, lowerEnd(share, float64(of))}, true
}

// lowerEnd is the lower end of Wilson's score interval for a share found in a
// sample of n (E. B. Wilson, Probable inference, the law of succession, and
// statistical inference, 1927).
func lowerEnd(share, n float64) float64 {
	const z2 = sigmas * sigmas
	spread := sigmas * math.Sqrt(share*(1-share)/n+z2/(4*n*n))
	return max((share+z2/(2*n)-spread)/(1+z2/n), 0)
}

// limitFrom is what a measure may be: the configured share, or what is ordinary for
// the table in such a time.
func limitFrom(configured float64, seen []float64, lapse float64) float64 {
	if len(seen) < enough {
		return configured
	}
	return max(configured, 1-math.Pow(1-ordinary(seen), lapse))
}

// ordinary is the greatest that a measure with this past is by chance: what it
// was already, and the median with six standard deviations beyond. Those are
// taken from the median absolute deviation, which few outliers do not move, by
// the factor 1.4826 that holds for a normal distribution (P. J. Rousseeuw and
// C. Croux, Alternatives to the median absolute deviation, 1993).
func ordinary(seen []float64) float64 {
	m := median(seen)
	off := make([]float64, len(seen))
	for i, v := range seen {
		off[i] = math.Abs(v - m)
	}
	return min(max(slices.Max(seen), m+deviations*1.4826*median(off)), 1)
}

// lapse is how many times the usual the time since the point before is, at
// least 1: after a time without recovery points more has changed.
func lapse(before *Point, now Point) float64 {
	usual := median(before.Gaps)
	if usual <= 0 {
		return 1
	}
	return max(now.Time.Sub(before.Time).Seconds()/usual, 1)
}

// median of nothing is 0.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(v))
	n := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[n]
	}
	return (sorted[n-1] + sorted[n]) / 2
}

// remember appends to a past, of which it forgets the beginning, and leaves the
// given one as it is.
func remember(seen []float64, v float64) []float64 {
	out := append(slices.Clone(seen), math.Round(v*1e6)/1e6)
	return out[max(len(out)-past, 0):]
}

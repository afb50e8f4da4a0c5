package objective

import (
	"fmt"
	"slices"
	"time"
)

// UnmeetableError says that no interval keeps the promise, with the numbers.
type UnmeetableError struct {
	RPO, P99, Delay time.Duration
	Tolerated       int
	// Least is the smallest RPO that could be met with these numbers.
	Least time.Duration
}

func (e *UnmeetableError) Error() string {
	failures := "no failed run is tolerated"
	if e.Tolerated == 1 {
		failures = "1 failed run is tolerated"
	} else if e.Tolerated > 1 {
		failures = fmt.Sprintf("%d failed runs in a row are tolerated", e.Tolerated)
	}
	return fmt.Sprintf("an RPO of %v cannot be met: a run takes %v until it is durable (p99), up to %v may pass before it starts, and %s; the least that can be met is %v",
		e.RPO, e.P99, e.Delay, failures, e.Least)
}

// Interval returns the greatest time between the starts of two runs that keeps
// the exposure within rpo although so many runs in a row fail:
//
//	interval = (rpo − p99 − delay) / (1 + tolerated)
//
// p99 is the time that a run takes until its point is durable; delay is what
// may pass between the time that a run is due and its start.
//
// Runs of a function never overlap, so starts cannot be closer than a run is
// long: an interval below p99 is an [*UnmeetableError]. The interval that
// comes with it, never negative, is the best effort: 0 is back to back.
func Interval(rpo, p99, delay time.Duration, tolerated int) (time.Duration, error) {
	tolerated = max(tolerated, 0)
	runs := time.Duration(1 + tolerated)
	interval := max((rpo-p99-delay)/runs, 0)
	if interval < max(p99, 1) {
		return interval, &UnmeetableError{RPO: rpo, P99: p99, Delay: delay, Tolerated: tolerated, Least: (runs+1)*p99 + delay}
	}
	return interval, nil
}

// P99 returns the 99th percentile by nearest rank: the least of the given
// durations that 99 of 100 of them do not exceed. Below 100 durations that is
// the longest, and of none it is 0.
func P99(durations []time.Duration) time.Duration {
	if len(durations) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(durations))
	rank := (len(sorted)*99 + 99) / 100
	return sorted[rank-1]
}

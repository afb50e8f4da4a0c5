package schedule

import "time"

const (
	minRetry = time.Second
	maxRetry = 5 * time.Minute
)

// latestUntil returns the latest of the times that are not after now. Times
// from the future are left by a clock that was wrong and say nothing.
func latestUntil(now time.Time, times ...time.Time) (latest time.Time, ok bool) {
	for _, t := range times {
		if !t.IsZero() && !t.After(now) && (!ok || t.After(latest)) {
			latest, ok = t, true
		}
	}
	return latest, ok
}

// due returns when the next snapshot of j is due. It may be in the past.
// Needs s.mu.
func (s *Scheduler) due(j *job, p Plan, now time.Time) time.Time {
	point, _ := s.opts.History.LastPoint(j.Function)
	anchor, ok := latestUntil(now, point, j.snapshot.good)
	next := now // no point, or none that can be believed: at once
	if ok {
		next = p.next(j, anchor)
	}
	a := j.snapshot
	if a.failed > 0 {
		next = believable(a.retry, now)
	} else if gap := a.good.Add(minGap); !a.good.IsZero() && !a.good.After(now) && next.Before(gap) {
		next = believable(gap, now)
	}
	return next
}

// believable is t, or now when t lies further ahead than any retry can: the
// clock was stepped back meanwhile.
func believable(t, now time.Time) time.Time {
	if t.Sub(now) > maxRetry {
		return now
	}
	return t
}

// retryAt returns when a failed run of j, which ended now, is tried again:
// soon at first, then half as often each time. While failures are tolerated it
// is not later than the formula counts on: attempt n+1 starts n intervals
// after the first was due. Nor is it later than the last start that can still
// make the deadline. Needs s.mu.
func retryAt(j *job, p Plan, now time.Time) time.Time {
	longest := min(max(p.Interval, p.P99, minRetry), maxRetry)
	wait := min(max(p.Interval/8, minRetry), 15*time.Second)
	for range min(j.snapshot.failed-1, 16) {
		wait *= 2
	}
	at := now.Add(min(wait, longest))
	if p.Deadline.IsZero() {
		return at
	}
	soonest := now.Add(minRetry)
	if j.snapshot.failed <= j.Tolerate {
		attempts := time.Duration(j.snapshot.failed + 1)
		at = earlier(at, p.Deadline.Add(attempts*p.Interval-j.RPO))
		at = later(at, soonest)
	}
	if last := p.Deadline.Add(-p.P99 - p.Wait); last.After(soonest) {
		at = earlier(at, last)
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// deadline is when the RPO breaks; without a believable point, long ago.
func (s *Scheduler) deadline(j *job, now time.Time) time.Time {
	point, ok := s.opts.History.LastPoint(j.Function)
	if !ok || point.After(now) {
		return time.Time{}
	}
	return point.Add(j.RPO)
}

// proofDue returns when and at which site the next proof of j is due. False:
// there is nothing to prove or no proofs are wanted. Needs s.mu.
func (s *Scheduler) proofDue(j *job, now time.Time) (at time.Time, site string, ok bool) {
	if _, has := s.opts.History.LastPoint(j.Function); !has || j.ProveEvery <= 0 || len(s.opts.Sites) == 0 {
		return time.Time{}, "", false
	}
	var newest time.Time
	for _, name := range s.opts.Sites {
		last, _ := s.opts.History.LastProof(j.Function, name)
		if last, ok := latestUntil(now, last, j.proofs[name]); ok {
			newest = later(newest, last)
		}
	}
	site = s.longestUnproven(j, s.opts.Sites, now)
	switch {
	case j.proof.failed > 0:
		at = j.proof.retry
		if at.Sub(now) > proofRetry(j) {
			at = now
		}
	case newest.IsZero():
		at = now
	default:
		at = newest.Add(j.ProveEvery)
	}
	return at, site, true
}

// proofRetry is how long after a failed proof the next is tried, at the site
// whose turn it is then.
func proofRetry(j *job) time.Duration {
	return min(max(j.ProveEvery/4, minRetry), time.Hour)
}

// Next returns when the next snapshot of the function is due: now or earlier
// when it waits for a slot, the start of the run when one goes on, zero for a
// function that has no job.
func (s *Scheduler) Next(function string) time.Time {
	j := s.byID[function]
	if j == nil {
		return time.Time{}
	}
	p, now := s.plan(j, s.measure()), s.opts.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.snapshot.running {
		return j.snapshot.started
	}
	return s.due(j, p, now)
}

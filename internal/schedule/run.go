package schedule

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// maxNap bounds how long the scheduler sleeps without a look at the clock, so
// that a stepped clock or a point that came from elsewhere is noticed.
const maxNap = time.Minute

// minOverrun is how long a run may last before it can lose its slot, however
// short its p99 is.
const minOverrun = 30 * time.Second

// Run runs what is due until ctx ends. It then waits for the runs that go on,
// whose context has ended too, and returns nil. No failure of a run ends it.
// It must be called once.
func (s *Scheduler) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	for ctx.Err() == nil {
		wake := s.round(ctx, &running)
		s.nap(ctx, wake)
	}
	return nil
}

// round starts what is due and returns when to look again at the latest.
func (s *Scheduler) round(ctx context.Context, running *sync.WaitGroup) time.Time {
	now := s.opts.Clock.Now()
	plans, m := make(map[*job]Plan, len(s.jobs)), s.measure()
	for _, j := range s.jobs {
		plans[j] = s.plan(j, m)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wake := now.Add(maxNap)
	var waiting []*job
	for _, j := range s.jobs {
		s.report(j, plans[j])
		if j.snapshot.running {
			continue
		}
		if at := s.due(j, plans[j], now); at.After(now) {
			wake = earlier(wake, at)
		} else {
			waiting = append(waiting, j)
		}
	}
	s.order(waiting, now)
	for len(waiting) > 0 && s.slot(waiting[0], plans, now) {
		s.start(ctx, running, waiting[0], work{})
		waiting = waiting[1:]
	}
	if len(waiting) > 0 {
		return earlier(wake, s.slotComes(waiting[0], plans, now))
	}
	return earlier(wake, s.startProof(ctx, running, now))
}

// order puts the earliest deadline first; what has no point yet has the
// earliest of all. Equal ones go by priority.
func (s *Scheduler) order(waiting []*job, now time.Time) {
	deadlines := map[*job]time.Time{}
	for _, j := range waiting {
		deadlines[j] = s.deadline(j, now)
	}
	slices.SortStableFunc(waiting, func(a, b *job) int {
		return cmp.Or(deadlines[a].Compare(deadlines[b]), cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Function, b.Function))
	})
}

// slot says whether j may start a snapshot now. When all slots are taken, one
// is lent from a run that lasts far longer than it ever did, as a stuck one
// does, but only if waiting on would break the deadline of j.
func (s *Scheduler) slot(j *job, plans map[*job]Plan, now time.Time) bool {
	taken := 0
	var overdue *job
	for _, other := range s.jobs {
		a := &other.snapshot
		if !a.running || a.lent {
			continue
		}
		taken++
		if !now.Before(overrun(other, plans[other])) && (overdue == nil || a.started.Before(overdue.snapshot.started)) {
			overdue = other
		}
	}
	if taken < s.slots {
		return true
	}
	if overdue == nil || now.Before(s.latestStart(j, plans[j], now)) {
		return false
	}
	overdue.snapshot.lent = true
	s.opts.Log.Warn("a snapshot lasts far longer than usual; another function runs beside it",
		"function", overdue.Function, "started", overdue.snapshot.started, "p99", plans[overdue].P99, "beside", j.Function)
	return true
}

// overrun is when a run of j counts as lasting far too long.
func overrun(j *job, p Plan) time.Time { return j.snapshot.started.Add(max(3*p.P99, minOverrun)) }

// latestStart is the last start that can make the deadline.
func (s *Scheduler) latestStart(j *job, p Plan, now time.Time) time.Time {
	return s.deadline(j, now).Add(-p.P99)
}

// slotComes returns when a slot may be lent to j. The end of a run wakes the
// scheduler by itself.
func (s *Scheduler) slotComes(j *job, plans map[*job]Plan, now time.Time) time.Time {
	at := now.Add(maxNap)
	for _, other := range s.jobs {
		if other.snapshot.running && !other.snapshot.lent {
			at = earlier(at, later(overrun(other, plans[other]), s.latestStart(j, plans[j], now)))
		}
	}
	return later(at, now.Add(time.Millisecond))
}

// startProof starts the proof that is due longest, if its slot is free, and
// returns when to look again. It is called when no snapshot waits.
func (s *Scheduler) startProof(ctx context.Context, running *sync.WaitGroup, now time.Time) time.Time {
	wake := now.Add(maxNap)
	var turn, change dueProof
	for _, j := range s.jobs {
		if j.proof.running {
			// A proof that lasts longer than its own period loses its slot.
			if at := j.proof.started.Add(j.ProveEvery); !j.proof.lent && now.Before(at) {
				return earlier(wake, at)
			}
			j.proof.lent = true
			continue
		}
		if at, site, ok := s.proofDue(j, now); ok {
			turn.orBefore(j, at, work{proof: true, site: site})
		}
		if at, site, ok := s.changeDue(j, now); ok {
			change.orBefore(j, at, work{proof: true, change: true, site: site})
		}
	}
	// A change waits while anything has its turn: it starves nobody.
	for _, first := range []dueProof{turn, change} {
		switch {
		case first.job == nil:
		case first.at.After(now):
			wake = earlier(wake, first.at)
		default:
			s.start(ctx, running, first.job, first.work)
			return wake
		}
	}
	return wake
}

// dueProof is the proof that is due first of those that were looked at.
type dueProof struct {
	job  *job
	at   time.Time
	work work
}

func (d *dueProof) orBefore(j *job, at time.Time, w work) {
	if d.job == nil || at.Before(d.at) {
		*d = dueProof{j, at, w}
	}
}

// start runs j in a goroutine of its own. Needs s.mu.
func (s *Scheduler) start(ctx context.Context, running *sync.WaitGroup, j *job, w work) {
	a, now := &j.snapshot, s.opts.Clock.Now()
	switch {
	case w.change:
		a, j.change = &j.proof, now
	case w.proof:
		a = &j.proof
		j.proofs[w.site] = now
	}
	a.running, a.lent, a.started = true, false, now
	running.Go(func() {
		err := s.call(ctx, j.Function, w)
		s.done <- outcome{j, w, err} // has room for all that can run at once
	})
}

// call runs the Runner; a panic there is an error here.
func (s *Scheduler) call(ctx context.Context, function string, w work) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	switch {
	case w.change:
		return s.opts.Runner.ProveChange(ctx, function, w.site)
	case w.proof:
		return s.opts.Runner.Prove(ctx, function, w.site)
	}
	return s.opts.Runner.Snapshot(ctx, function)
}

// nap waits until the clock says wake, or a run ends, or ctx does.
func (s *Scheduler) nap(ctx context.Context, wake time.Time) {
	napping, stop := context.WithCancel(ctx)
	slept := make(chan struct{})
	go func() {
		defer close(slept)
		_ = s.opts.Clock.Sleep(napping, wake.Sub(s.opts.Clock.Now()))
	}()
	select {
	case o := <-s.done:
		s.ended(ctx, o)
	case <-slept:
	}
	stop()
	<-slept
}

// ended takes the end of a run into account.
func (s *Scheduler) ended(ctx context.Context, o outcome) {
	j, now := o.job, s.opts.Clock.Now()
	p := s.plan(j, s.measure())
	s.mu.Lock()
	defer s.mu.Unlock()
	a, what := &j.snapshot, "snapshot"
	if o.of.proof {
		a, what = &j.proof, "proof"
	}
	a.running = false
	if o.of.change { // the turns go on as if it had not been
		if o.err != nil && ctx.Err() == nil {
			s.opts.Log.Error("proof of changed definitions failed", "function", j.Function, "site", o.of.site, "retry", now.Add(changeGap(j)), "error", o.err)
		}
		return
	}
	if o.err == nil {
		a.good, a.failed, a.retry = a.started, 0, time.Time{}
		return
	}
	if ctx.Err() != nil {
		return // stopped by us, no failure
	}
	a.failed++
	if o.of.proof {
		a.retry = now.Add(proofRetry(j))
	} else {
		a.retry = retryAt(j, p, now)
	}
	s.opts.Log.Error(what+" failed", "function", j.Function, "failed_in_a_row", a.failed, "retry", a.retry, "error", o.err)
}

// report logs a problem of the plan once, and its end.
func (s *Scheduler) report(j *job, p Plan) {
	broken := p.Problem != ""
	switch {
	case broken && j.problem == "":
		s.opts.Log.Warn("the objective cannot be met", "function", j.Function, "problem", p.Problem)
	case !broken && j.problem != "":
		s.opts.Log.Info("the objective can be met again", "function", j.Function, "plan", p.Reason)
	}
	j.problem = p.Problem
}

package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

const (
	// houseSettle is how long a service that starts lets prunes and sweeps
	// wait: its start is about snapshots, and about sites that were away.
	houseSettle = 5 * time.Minute
	// houseRetry is the time until another try after one that failed, as while
	// a site is away.
	houseRetry = time.Hour
	// houseNap is the longest sleep without another look at the record and the
	// clock: somebody may have swept by hand, or stepped the clock.
	houseNap = 10 * time.Minute
)

// keepHouse gives up what no rule keeps and deletes what nobody needs, every
// sweep.every, until ctx ends. When that is due is told by the record of
// runs, so that a restart neither skips nor repeats it.
func (e *Engine) keepHouse(ctx context.Context) {
	if !prunes(e.cfg) {
		return // all is kept, so there is nothing to sweep
	}
	settled := e.clock.Now().Add(e.settle)
	for {
		wait := e.clock.Now()
		due, err := e.houseDue(wait)
		if err != nil {
			e.log.Error("the record of runs could not be read", "error", err)
		}
		if due.Before(settled) {
			due = settled
		}
		e.setNextSweep(due)
		if left := due.Sub(wait); left > 0 || err != nil {
			if e.clock.Sleep(ctx, min(max(left, time.Second), houseNap)) != nil {
				return
			}
			continue
		}
		e.setNextSweep(time.Time{})
		// Many that share a site should not all come at once.
		jitter := rand.N(e.cfg.Sweep.Every/50 + 1) //nolint:gosec // spreads load, guards nothing
		if e.clock.Sleep(ctx, min(jitter, e.settle)) != nil {
			return
		}
		e.pruneAndSweep(ctx)
		if ctx.Err() != nil {
			return
		}
	}
}

func (e *Engine) setNextSweep(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.nextSweep = at
}

// houseDue returns when the next prune and sweep are due: sweep.every after the
// last of both, sooner when one of them failed.
func (e *Engine) houseDue(now time.Time) (time.Time, error) {
	prune, sweep, err := e.lastUpkeep()
	if err != nil {
		return now.Add(houseRetry), err
	}
	due := now.Add(e.cfg.Sweep.Every)
	for _, run := range []*catalog.Run{prune, sweep} {
		if next := nextAfter(run, e.cfg.Sweep.Every, now); next.Before(due) {
			due = next
		}
	}
	return due, nil
}

// nextAfter returns when a run is due after the last one of its kind, nil when
// there was none. One that seems to come from the future does not count: the
// clock was wrong then.
func nextAfter(run *catalog.Run, every time.Duration, now time.Time) time.Time {
	switch {
	case run == nil || run.Started.After(now):
		return now
	case run.Error != "" && run.Ended.Before(now):
		return run.Ended.Add(min(houseRetry, every))
	default:
		return run.Started.Add(every)
	}
}

// lastUpkeep returns the last prune of all functions and the last sweep that
// ended; nil when there was none.
func (e *Engine) lastUpkeep() (prune, sweep *catalog.Run, err error) {
	err = e.catalog.Runs(func(r *catalog.Run) bool {
		switch {
		case r.Ended.IsZero():
		case r.Kind == catalog.RunPrune && r.Function == "" && prune == nil:
			prune = r
		case r.Kind == catalog.RunSweep && sweep == nil:
			sweep = r
		}
		return prune == nil || sweep == nil
	})
	return prune, sweep, err
}

// pruneAndSweep applies the rules and deletes what was given up long enough ago.
// A prune that fails does not keep the sweep from being made: what was given up
// before was so for a reason.
func (e *Engine) pruneAndSweep(ctx context.Context) {
	pruned, err := e.Prune(ctx, PruneRequest{}, nil)
	if err != nil && ctx.Err() == nil {
		e.log.Error("prune failed; it is tried again", "error", err)
	}
	for _, f := range pruned.Functions {
		if f.Dropped > 0 {
			e.log.Info("recovery points given up", "function", f.Function, "dropped", f.Dropped, "kept", f.Kept, "deleted_from", pruned.GoesAt)
		}
	}
	if ctx.Err() != nil {
		return
	}
	swept, err := e.Sweep(ctx, SweepRequest{}, nil)
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil:
		e.log.Error("sweep failed; it is tried again", "error", err)
	default:
		e.log.Info("swept", "commits_deleted", swept.DeletedCommits.Objects, "packs_deleted", swept.DeletedPacks.Objects,
			"bytes_deleted", swept.DeletedPacks.Bytes, "condemned", swept.Condemned.Objects, "rewritten", swept.Rewritten.Objects,
			"protected", swept.Locked)
	}
}

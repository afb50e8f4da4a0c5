package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// sweepTries is how often a sweep is begun again because something new was on
// its way to a site just when it looked.
const sweepTries = 5

// Sweep deletes what was given up before the time of grace, and gives up what no
// recovery point needs any more. All sites must be in step; when one is away
// nothing is deleted anywhere.
func (e *Engine) Sweep(ctx context.Context, req SweepRequest, report progress.Reporter) (SweepResult, error) {
	options := repository.SweepOptions{Grace: e.cfg.Sweep.Grace, MaxRewrite: int64(e.cfg.Sweep.MaxRewrite), DryRun: req.DryRun}
	if req.MaxRewrite != nil {
		if *req.MaxRewrite < 0 {
			return SweepResult{}, fmt.Errorf("%w: bytes to rewrite: %d: it cannot be negative", ErrUsage, *req.MaxRewrite)
		}
		options.MaxRewrite = *req.MaxRewrite
	}
	out := SweepResult{Time: e.clock.Now().UTC(), DryRun: req.DryRun, GraceSeconds: options.Grace.Seconds()}
	if req.DryRun {
		err := e.sweepOnce(ctx, options, &out, report)
		return out, err
	}
	err := e.deletion(ctx, "sweep", func() (evidence.Deletion, error) {
		err := e.recorded(ctx, catalog.RunSweep, func(run *catalog.Run) error {
			err := e.sweepInStep(ctx, options, &out, report)
			note(run, out)
			return err
		})
		gone := out.DeletedCommits.Plus(out.DeletedPacks)
		return evidence.Deletion{Objects: gone.Objects, Bytes: gone.Bytes}, err
	})
	return out, err
}

// sweepInStep brings the sites in step and sweeps.
func (e *Engine) sweepInStep(ctx context.Context, o repository.SweepOptions, out *SweepResult, report progress.Reporter) error {
	var err error
	for range sweepTries {
		results, syncErr := e.Sync(ctx, SyncRequest{}, report)
		switch {
		case errors.Is(syncErr, ErrDegraded):
			if why := keepFromSweeping(results); len(why) > 0 {
				return errors.New("nothing was deleted: every site must be in step for that: " + strings.Join(why, "; "))
			}
		case syncErr != nil:
			return syncErr
		}
		err = e.sweepOnce(ctx, o, out, report)
		if !errors.Is(err, repository.ErrNotInStep) {
			return err
		}
	}
	return fmt.Errorf("nothing more was deleted: %w", err)
}

// keepFromSweeping says which sites keep a sweep from being made, and why. That
// is a failure, though the sites are only degraded: it was not done. What no
// site has does not count: it comes back from none, and if a sweep waited for
// it nothing would ever be deleted again.
func keepFromSweeping(results []SyncResult) (why []string) {
	for _, r := range results {
		if !r.InStep && !onlyLost(r) {
			why = append(why, ofSite(r.Site, r.Error))
		}
	}
	return why
}

// onlyLost reports whether a site holds all that any site could give it.
func onlyLost(r SyncResult) bool {
	return !r.ComparedAt.IsZero() && r.WaitingObjects == 0 && r.FaultCount == r.LostCount && r.FaultCount > 0 && len(r.Problems) == 0
}

func (e *Engine) sweepOnce(ctx context.Context, o repository.SweepOptions, out *SweepResult, report progress.Reporter) error {
	swept, err := e.repository.Sweep(ctx, o, func(phase string, done, total int64) {
		report.Report(progress.Event{Phase: phase, Done: done, Total: total, Unit: "objects"})
	})
	out.DeletedCommits, out.DeletedPacks = out.DeletedCommits.Plus(swept.Commits), out.DeletedPacks.Plus(swept.Packs)
	out.Condemned, out.Rewritten, out.Moved = out.Condemned.Plus(swept.Condemned), out.Rewritten.Plus(swept.Rewritten), out.Moved.Plus(swept.Moved)
	out.Locked, out.LockedUntil = swept.Locked, inUTC(swept.LockedUntil)
	if err != nil {
		return err
	}
	return e.waiting(out, o.Grace)
}

// waiting fills in what was given up and stays for now.
func (e *Engine) waiting(out *SweepResult, grace time.Duration) error {
	out.WaitingSnapshots, out.WaitingUntil = 0, time.Time{}
	return e.repository.Snapshots("", func(s repository.SnapshotInfo) bool {
		if s.Condemned.IsZero() {
			return true
		}
		at := s.Condemned.Add(grace).UTC()
		if at.Before(out.Time) {
			return true // it goes, or a site protects it
		}
		out.WaitingSnapshots++
		if out.WaitingUntil.IsZero() || at.Before(out.WaitingUntil) {
			out.WaitingUntil = at
		}
		return true
	})
}

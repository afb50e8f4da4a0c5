package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/repository"
)

// pruneLost gives up the recovery points that cannot be had whole any more. The
// error matches [ErrDegraded] when some are kept because a site cannot be asked.
func (e *Engine) pruneLost(ctx context.Context, req PruneRequest, out PruneResult) (PruneResult, error) {
	functions := req.Functions
	if len(functions) == 0 {
		functions = []string{""} // also those that are not configured any more
	} else if _, err := e.chosen(functions); err != nil {
		return out, err
	}
	unasked := ""
	work := func() error {
		for _, name := range functions {
			points, err := e.repository.GiveUpLost(ctx, name, req.DryRun)
			for i := range points {
				out.addLost(&points[i])
				if points[i].Unasked {
					unasked = points[i].Kept
				}
			}
			if err != nil {
				return fmt.Errorf("give up what is lost: %w", err)
			}
		}
		return nil
	}
	var err error
	if req.DryRun {
		err = work()
	} else {
		err = e.recorded(ctx, catalog.RunPrune, func(run *catalog.Run) error {
			run.Function = strings.Join(append([]string{"--lost"}, req.Functions...), " ")
			err := work()
			note(run, pruneCounts(out))
			return err
		})
	}
	slices.SortFunc(out.Functions, func(a, b PrunedFunction) int { return strings.Compare(a.Function, b.Function) })
	if err == nil && unasked != "" {
		err = fmt.Errorf("%w: recovery points that may be lost are kept: %s", ErrDegraded, unasked)
	}
	return out, err
}

// addLost adds what is decided about a lost recovery point.
func (r *PruneResult) addLost(p *repository.LostPoint) {
	i := slices.IndexFunc(r.Functions, func(f PrunedFunction) bool { return f.Function == p.Function })
	if i < 0 {
		i = len(r.Functions)
		r.Functions = append(r.Functions, PrunedFunction{Function: p.Function, Decisions: []PruneDecision{}})
	}
	f := &r.Functions[i]
	d := PruneDecision{Snapshot: p.Snapshot, RecoveryPoint: p.RecoveryPoint, Keep: p.Kept != "", Reasons: []string{p.Kept}, Lost: &p.LostSnapshot}
	if d.Keep {
		f.Kept++
	} else {
		d.Reasons = []string{p.Reason()}
		f.Dropped++
	}
	f.Decisions = append(f.Decisions, d)
}

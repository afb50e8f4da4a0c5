package engine

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/saypro/backupd/internal/catalog"
)

// recorded does upkeep as a run that is on record from its start to its end.
// One goes on at a time: another waits for it.
func (e *Engine) recorded(ctx context.Context, kind string, work func(*catalog.Run) error) error {
	select {
	case e.upkeep <- struct{}{}:
		defer func() { <-e.upkeep }()
	case <-ctx.Done():
		return ctx.Err()
	}
	run := &catalog.Run{Kind: kind, Started: e.clock.Now()}
	if err := e.catalog.PutRun(run); err != nil {
		return err
	}
	err := work(run)
	run.Ended = e.clock.Now()
	switch {
	case err != nil && ctx.Err() != nil:
		run.Error = "cut short: it was cancelled, or backupd ended"
	case err != nil:
		run.Error = err.Error()
	}
	return errors.Join(err, e.catalog.PutRun(run))
}

// note puts what came of a run into its record.
func note(run *catalog.Run, result any) {
	// What cannot be told is left out: plain structs can.
	run.Result, _ = json.Marshal(result)
}

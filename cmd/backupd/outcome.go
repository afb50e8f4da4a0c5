package main

import (
	"errors"
	"fmt"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/server"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/verify"
)

// Results and errors come side by side, and the exit status must be that of
// the worse of the two: a failure never ends in status 0, nor in the milder
// status of something else that happened beside it.

// snapshotOutcome returns the error that results and err come to together.
func snapshotOutcome(results []snapshot.Result, err error) error {
	for _, r := range results {
		switch {
		case r.Snapshot == "" && err == nil:
			err = fmt.Errorf("function %s: no recovery point was made: %s", r.Function, r.Error)
		case r.Snapshot == "" && server.KindOf(err) == server.KindDegraded:
			err = errors.New(err.Error()) // a failure beside it is worse
		case r.Degraded && err == nil:
			err = fmt.Errorf("function %s: %w", r.Function, engine.ErrDegraded)
		}
	}
	return err
}

// verifyOutcome returns the error that results and err come to together.
func verifyOutcome(results []verify.Result, err error) error {
	for _, r := range results {
		switch {
		case r.Difference && !errors.Is(err, engine.ErrDifference):
			err = errors.Join(fmt.Errorf("function %s at site %s: %w", r.Function, r.Site, engine.ErrDifference), err)
		case !r.Passed && err == nil:
			err = fmt.Errorf("function %s at site %s: not proven: %s", r.Function, r.Site, r.Unmet())
		}
	}
	return err
}

// list returns items for a JSON document: an empty list is a list, but a
// failure that left none has nothing to add.
func list[T any](items []T, err error) any {
	switch {
	case len(items) > 0:
		return items
	case failed(err):
		return nil
	default:
		return []T{}
	}
}

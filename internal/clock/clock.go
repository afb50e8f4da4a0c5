// Package clock is the only place that reads the time of the machine, so that
// everything else can be run under a clock that a test controls.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and waits for it. Times carry Go's monotonic reading,
// so that the difference of two is right even when the wall clock is stepped
// between them.
type Clock interface {
	// Now returns the present time.
	Now() time.Time
	// Sleep waits for d or until ctx ends, whose error it then returns.
	Sleep(ctx context.Context, d time.Duration) error
}

// System is the clock of the machine.
var System Clock = system{}

type system struct{}

func (system) Now() time.Time { return time.Now() }

func (system) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

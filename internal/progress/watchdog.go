package progress

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// DefaultStall is how long nothing may move before a phase counts as hung.
// What is healthy is quiet for seconds, and for a minute or two when a server
// writes a checkpoint or hands over to its standby. Five minutes are more than
// all of that, and leave time for another run within most objectives.
const DefaultStall = 5 * time.Minute

// ErrStalled marks work that was ended because nothing moved any more.
var ErrStalled = errors.New("nothing has moved for too long")

// StalledError tells where nothing moved. It matches [ErrStalled] and is the
// cause of the context of the work that it ended.
type StalledError struct {
	Phase string        // what was being done
	Idle  time.Duration // how long nothing has moved
	Moved int64         // bytes that had moved before; 0 also when not known
}

func (e *StalledError) Error() string {
	text := fmt.Sprintf("%s: nothing has moved for %s", e.Phase, e.Idle.Round(time.Millisecond))
	if e.Moved > 0 {
		text += fmt.Sprintf(", after %d bytes", e.Moved)
	}
	return text
}

// Is makes it match ErrStalled.
func (e *StalledError) Is(target error) bool { return target == ErrStalled }

// Pulse tells how much has moved so far, a number that only grows. Resting
// tells that nothing need move now, because somebody else is being waited for.
type Pulse func() (moved int64, resting bool)

// Watchdog ends work in which nothing moves.
type Watchdog struct {
	Clock clock.Clock
	// Bound is how long nothing may move; 0 and below: for ever.
	Bound time.Duration
}

// watchLooks is how often the watchdog looks within its bound. That many looks
// in a row must find nothing moved: when this process, or its whole machine,
// was stopped for a while, that is one look and not a stall.
const watchLooks = 10

// Watch does the work under a context that ends when nothing has moved for the
// bound. The error is then a [*StalledError] whatever the work returned for
// it; otherwise it is that of the work.
func (d Watchdog) Watch(ctx context.Context, phase string, pulse Pulse, work func(context.Context) error) error {
	if d.Bound <= 0 {
		return work(ctx)
	}
	ctx, end := context.WithCancelCause(ctx)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		d.look(ctx, end, phase, pulse)
	}()
	err := work(ctx)
	end(nil)
	<-gone
	var stalled *StalledError
	if err != nil && errors.As(context.Cause(ctx), &stalled) {
		return stalled
	}
	return err
}

// look ends the context when nothing moves, and returns when it has ended.
func (d Watchdog) look(ctx context.Context, end context.CancelCauseFunc, phase string, pulse Pulse) {
	first, _ := pulse()
	last, idle, since := first, 0, d.Clock.Now()
	for d.Clock.Sleep(ctx, d.Bound/watchLooks) == nil {
		now, resting := pulse()
		if now != last || resting {
			last, idle, since = now, 0, d.Clock.Now()
			continue
		}
		if idle++; idle >= watchLooks {
			end(&StalledError{Phase: phase, Idle: d.Clock.Now().Sub(since), Moved: last - first})
			return
		}
	}
}

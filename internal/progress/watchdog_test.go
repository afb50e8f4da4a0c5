package progress

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// stand is work that waits for its end under a watchdog of one minute.
type stand struct {
	clock   *clock.Fake
	moved   atomic.Int64
	resting atomic.Bool
	ended   chan error
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{clock: clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), ended: make(chan error, 1)}
	s.moved.Store(1000) // what moved before is not counted
	d := Watchdog{Clock: s.clock, Bound: time.Minute}
	pulse := func() (int64, bool) { return s.moved.Load(), s.resting.Load() }
	go func() {
		s.ended <- d.Watch(t.Context(), "copying pay.big", pulse, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	for s.clock.Sleepers() == 0 {
		time.Sleep(time.Millisecond)
	}
	return s
}

// pass lets time go by, look by look.
func (s *stand) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for ; d > 0 && len(s.ended) == 0; d -= time.Minute / watchLooks {
		for s.clock.Sleepers() == 0 && len(s.ended) == 0 {
			time.Sleep(time.Millisecond)
		}
		s.clock.Advance(time.Minute / watchLooks)
	}
}

func (s *stand) stalled(t *testing.T) *StalledError {
	t.Helper()
	var stalled *StalledError
	if err := <-s.ended; !errors.As(err, &stalled) || !errors.Is(err, ErrStalled) {
		t.Fatalf("ended with %v", err)
	}
	return stalled
}

func TestWorkInWhichNothingMovesIsEnded(t *testing.T) {
	s := newStand(t)
	for range 100 { // far beyond the bound, but something moves
		s.moved.Add(10)
		s.pass(t, 30*time.Second)
	}
	s.pass(t, 2*time.Minute)
	err := s.stalled(t)
	if err.Phase != "copying pay.big" || err.Moved != 1000 || err.Idle < time.Minute || err.Idle > 70*time.Second {
		t.Errorf("%+v", err)
	}
	for _, word := range []string{"copying pay.big", "1000 bytes", "1m"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not tell of %s", err, word)
		}
	}
}

func TestWaitingForOthersIsNoStall(t *testing.T) {
	s := newStand(t)
	s.resting.Store(true)
	s.pass(t, 30*time.Minute)
	if len(s.ended) > 0 {
		t.Fatal("ended while it rested")
	}
	s.resting.Store(false)
	s.pass(t, 2*time.Minute)
	if err := s.stalled(t); err.Idle > 70*time.Second {
		t.Errorf("the rest counts as a stall: %+v", err)
	}
}

// A machine that slept for an hour is no hung source.
func TestAStoppedProcessIsNoStall(t *testing.T) {
	s := newStand(t)
	s.pass(t, 30*time.Second)
	for s.clock.Sleepers() == 0 {
		time.Sleep(time.Millisecond)
	}
	s.clock.Advance(time.Hour)
	s.pass(t, 12*time.Second)
	if len(s.ended) > 0 {
		t.Fatalf("ended: %v", <-s.ended)
	}
	s.moved.Add(1)
	s.pass(t, 48*time.Second)
	if len(s.ended) > 0 {
		t.Fatalf("ended: %v", <-s.ended)
	}
	s.pass(t, time.Minute)
	if err := s.stalled(t); err.Moved != 1 {
		t.Errorf("%+v", err)
	}
}

func TestWatchPassesOnWhatTheWorkReturns(t *testing.T) {
	none := func() (int64, bool) { return 0, false }
	broken := errors.New("broken")
	for _, d := range []Watchdog{{Clock: clock.System, Bound: time.Hour}, {}} {
		for _, want := range []error{nil, broken} {
			if err := d.Watch(t.Context(), "x", none, func(context.Context) error { return want }); !errors.Is(err, want) {
				t.Errorf("bound %s: %v, want %v", d.Bound, err, want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Watchdog{Clock: clock.System, Bound: time.Hour}.Watch(ctx, "x", none, func(ctx context.Context) error { return ctx.Err() })
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrStalled) {
		t.Errorf("cancelled by its caller: %v", err)
	}
	quick := Watchdog{Clock: clock.System, Bound: 20 * time.Millisecond}
	err = quick.Watch(t.Context(), "x", none, func(ctx context.Context) error {
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, ErrStalled) {
			t.Errorf("the work is not told why: %v", cause)
		}
		return nil // it came to its end all the same
	})
	if err != nil {
		t.Error(err)
	}
}

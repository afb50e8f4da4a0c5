package clock

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestFakeWakesSleepersWhoseTimeHasCome(t *testing.T) {
	f := NewFake(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	woken := make(chan error, 2)
	for _, d := range []time.Duration{time.Minute, time.Hour} {
		go func() { woken <- f.Sleep(t.Context(), d) }()
	}
	for f.Sleepers() < 2 {
		time.Sleep(time.Millisecond)
	}
	f.Advance(time.Minute)
	if err := <-woken; err != nil || f.Sleepers() != 1 {
		t.Errorf("woke with %v, %d sleep on", err, f.Sleepers())
	}
	f.Advance(-time.Hour) // stepping back wakes nobody
	if f.Sleepers() != 1 {
		t.Error("a step back woke a sleeper")
	}
	f.Advance(2 * time.Hour)
	if err := <-woken; err != nil {
		t.Error(err)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	for _, c := range []Clock{System, NewFake(time.Now())} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Millisecond, cancel)
		if err := c.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
			t.Errorf("%T: %v", c, err)
		}
		if err := c.Sleep(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("%T sleeps although its context has ended: %v", c, err)
		}
	}
	if err := System.Sleep(t.Context(), time.Microsecond); err != nil {
		t.Error(err)
	}
	if d := time.Since(System.Now()); d < 0 || d > time.Minute {
		t.Errorf("the system's clock is %s off", d)
	}
}

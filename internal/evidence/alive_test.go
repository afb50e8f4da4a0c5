package evidence

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestSilenceIsBroken: an hour without a record ends in one, and a busy log gets
// none.
func TestSilenceIsBroken(t *testing.T) {
	l := newLife(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	failures := make(chan error, 8)
	go func() { ended <- l.KeepAlive(ctx, func(err error) { failures <- err }) }()
	asleep := func() {
		t.Helper()
		for range 1000 {
			if l.clock.Sleepers() > 0 {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatal("nobody sleeps")
	}
	asleep()
	if l.Size() != 2 { // the key, and that it runs
		t.Fatalf("%d records at the start", l.Size())
	}
	l.clock.Advance(50 * time.Minute)
	l.snapshot(t, "payments")
	l.clock.Advance(50 * time.Minute)
	asleep()
	if l.Size() != 4 {
		t.Fatalf("%d records: it was not idle", l.Size())
	}
	for range 5 {
		asleep()
		l.clock.Advance(time.Hour)
		asleep()
	}
	alive := collect(t, l.Find(ActAlive, "", time.Time{}, time.Time{}))
	if len(alive) < 5 {
		t.Errorf("%d records of five idle hours", len(alive))
	}
	all := collect(t, l.Records(0, l.Size()))
	for i := 1; i < len(all); i++ {
		// The clock of the test goes on by an hour at once.
		if gap := all[i].Time.Sub(all[i-1].Time); gap > 2*time.Hour {
			t.Errorf("%v between two", gap)
		}
	}
	l.store.mu.Lock()
	l.store.fail = errors.New("no space left on device")
	l.store.mu.Unlock()
	l.clock.Advance(time.Hour)
	if err := <-failures; err == nil {
		t.Error("a failure was not told")
	}
	asleep()
	size := l.Size()
	l.clock.Advance(2 * time.Minute)
	asleep()
	for range 1000 {
		if l.Size() > size {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if l.Size() == size {
		t.Error("it did not try again")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

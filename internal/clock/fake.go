package clock

import (
	"context"
	"sync"
	"time"
)

// Fake is a clock that moves only when told to. The zero value is not usable;
// make one with [NewFake].
type Fake struct {
	mu      sync.Mutex
	now     time.Time
	waiting map[chan struct{}]time.Time
}

// NewFake returns a clock that stands at t.
func NewFake(t time.Time) *Fake {
	return &Fake{now: t, waiting: map[chan struct{}]time.Time{}}
}

// Now returns the time at which the clock stands.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Advance moves the clock by d, which may be negative as when an operator
// steps the clock back, and wakes the sleepers whose time has come.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	for ch, at := range f.waiting {
		if !at.After(f.now) {
			close(ch)
			delete(f.waiting, ch)
		}
	}
}

// Sleepers returns how many calls of Sleep are waiting, for tests that must
// not advance the clock before somebody waits for it.
func (f *Fake) Sleepers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.waiting)
}

// Sleep waits until the clock has been advanced by d or ctx ends.
func (f *Fake) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d <= 0 {
		return nil
	}
	ch := make(chan struct{})
	f.mu.Lock()
	f.waiting[ch] = f.now.Add(d)
	f.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		f.mu.Lock()
		delete(f.waiting, ch)
		f.mu.Unlock()
		return ctx.Err()
	}
}

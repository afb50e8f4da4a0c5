package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

func TestRateConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store {
		return storage.WithRate(disk(t), 500<<20, clock.System)
	})
}

func TestRateOfZeroIsNone(t *testing.T) {
	s := disk(t)
	if storage.WithRate(s, 0, clock.System) != storage.Store(s) {
		t.Error("wrapped")
	}
}

// strides is a clock that moves on by each wait, and notes the longest.
type strides struct {
	mu      sync.Mutex
	now     time.Time
	longest time.Duration
}

func (c *strides) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *strides) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.longest = max(c.longest, d)
	return ctx.Err()
}

func TestRateIsKeptEvenly(t *testing.T) {
	for _, speed := range []int64{10, 64 << 10, 10 << 20, 1 << 30} {
		c := &strides{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		start := c.now
		s := storage.WithRate(disk(t), speed, c)
		content := storagetest.Bytes(1, int(min(10*speed, 8<<20)))
		storagetest.Put(t, s, "p/x", content)
		half := c.now.Sub(start)
		if !bytes.Equal(storagetest.Get(t, s, "p/x"), content) {
			t.Error("other bytes came back")
		}
		for what, took := range map[string]time.Duration{"put": half, "get": c.now.Sub(start) - half} {
			want := time.Duration(float64(len(content)) / float64(speed) * float64(time.Second))
			if took > want+time.Millisecond || took < want-150*time.Millisecond {
				t.Errorf("%d B/s: %s took %s, want %s", speed, what, took, want)
			}
		}
		if c.longest > time.Second {
			t.Errorf("%d B/s: nothing moved for %s", speed, c.longest)
		}
	}
}

// All who are under way share the rate, in both directions.
func TestRateIsShared(t *testing.T) {
	const each, users, speed = 150_000, 3, 1_000_000
	plain := disk(t)
	storagetest.Put(t, plain, "p/there", storagetest.Bytes(9, each))
	s := storage.WithRate(plain, speed, clock.System)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() {
			name := "p/" + string(rune('a'+i))
			if err := s.Put(t.Context(), storagetest.Object(name, storagetest.Bytes(uint64(i), each))); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if got, err := storagetest.Read(t.Context(), s, "p/there", 0, -1); err != nil || len(got) != each {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	// 900 kB at 1 MB/s, of which a tenth of a second's worth may come at once.
	if took := time.Since(start); took < 750*time.Millisecond {
		t.Errorf("all was through after %s", took)
	}
}

func TestRateEndsWithItsContext(t *testing.T) {
	plain := disk(t)
	storagetest.Put(t, plain, "p/there", storagetest.Bytes(9, 10_000))
	s := storage.WithRate(plain, 1000, clock.System)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := s.Put(ctx, storagetest.Object("p/x", storagetest.Bytes(1, 10_000))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Put = %v", err)
	}
	if _, err := storagetest.Read(ctx, s, "p/there", 0, -1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Get = %v", err)
	}
	r, err := s.Get(t.Context(), "p/there", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.(io.Seeker); ok {
		t.Error("what Get returned can be rewound")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %s to stop", d)
	}
}

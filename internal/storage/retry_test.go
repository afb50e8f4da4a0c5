package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/dir"
	"github.com/saypro/backupd/internal/storage/faulty"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

// noWait is a clock on which every wait is over at once. It notes them.
type noWait struct {
	clock.Clock
	waits *[]time.Duration
}

func (c noWait) Sleep(ctx context.Context, d time.Duration) error {
	if c.waits != nil {
		*c.waits = append(*c.waits, d)
	}
	return ctx.Err()
}

func instant() noWait { return noWait{Clock: clock.System} }

// disk returns a directory with faults.
func disk(t *testing.T) *faulty.Store {
	t.Helper()
	s, err := dir.Open(dir.Options{Site: "disk", Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return faulty.New(s, "disk")
}

var five = storage.RetryPolicy{Attempts: 5, Base: time.Second, Max: 3 * time.Second}

func TestRetryConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store {
		return storage.WithRetry(disk(t), five, instant(), nil)
	})
}

// Everything holds although every operation fails now and then, also after it
// has been done, and reading breaks off all the time.
func TestRetryConformanceUnderFaults(t *testing.T) {
	const seed = 11
	t.Logf("seed %d", seed)
	storagetest.RunLossy(t, func(t *testing.T) storage.Store {
		random := rand.New(rand.NewPCG(seed, 0))
		chance := func(p float64) func() bool { return func() bool { return random.Float64() < p } }
		s := disk(t)
		s.Inject(faulty.Rule{If: chance(0.2), Err: faulty.ErrLost})
		s.Inject(faulty.Rule{If: chance(0.2), Err: faulty.ErrLost, After: true})
		s.Inject(faulty.Rule{Op: "get", If: chance(0.5), BreakAfter: 700_001})
		return storage.WithRetry(s, storage.RetryPolicy{Attempts: 50}, instant(), nil)
	})
}

func TestRetryGivesUp(t *testing.T) {
	s := disk(t)
	r := storage.WithRetry(s, five, instant(), nil)
	s.SetDown(true)
	ops := map[string]func() error{
		"put":    func() error { return r.Put(t.Context(), storagetest.Object("p/x", []byte("x"))) },
		"get":    func() error { _, err := r.Get(t.Context(), "p/x", 0, -1); return err },
		"stat":   func() error { _, err := r.Stat(t.Context(), "p/x"); return err },
		"list":   func() error { return r.List(t.Context(), "", "", func(storage.Info) error { return nil }) },
		"delete": func() error { return r.Delete(t.Context(), "p/x") },
	}
	for op, do := range ops {
		if err := do(); !errors.Is(err, faulty.ErrDown) {
			t.Errorf("%s = %v, want the last error", op, err)
		}
		if n := s.Count(op); n != 5 {
			t.Errorf("%s was tried %d times, want 5", op, n)
		}
	}
	s.SetDown(false)
	s.ResetCounts()
	for _, sentinel := range []error{storage.ErrDenied, storage.ErrNoBucket, storage.ErrChecksum, storage.ErrNotFound} {
		remove := s.Inject(faulty.Rule{Err: sentinel})
		for op, do := range ops {
			if err := do(); !errors.Is(err, sentinel) {
				t.Errorf("%s = %v, want %v", op, err, sentinel)
			}
			if n := s.Count(op); n != 1 {
				t.Errorf("%s was tried %d times after %v, want once", op, n, sentinel)
			}
		}
		s.ResetCounts()
		remove()
	}
}

func TestRetryWaits(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)).Float64
	again := rand.New(rand.NewPCG(seed, 0)).Float64
	var waits []time.Duration
	s := disk(t)
	s.SetDown(true)
	r := storage.WithRetry(s, five, noWait{clock.System, &waits}, random)
	if _, err := r.Stat(t.Context(), "p/x"); err == nil {
		t.Fatal("no error")
	}
	longest := []time.Duration{1, 2, 3, 3} // seconds
	if len(waits) != len(longest) {
		t.Fatalf("waits %v", waits)
	}
	for i := range waits {
		if want := time.Duration(again() * float64(longest[i]*time.Second)); waits[i] != want {
			t.Errorf("wait %d is %v, want %v of at most %v s", i, waits[i], want, int(longest[i]))
		}
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	s := disk(t)
	s.SetDown(true)
	fake := clock.NewFake(time.Unix(0, 0))
	r := storage.WithRetry(s, five, fake, func() float64 { return 0.5 })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { _, err := r.Stat(ctx, "p/x"); done <- err }()
	for fake.Sleepers() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, faulty.ErrDown) {
		t.Errorf("Stat = %v, want the reason for waiting", err)
	}
	if n := s.Count("stat"); n != 1 {
		t.Errorf("tried %d times", n)
	}
}

func TestRetryPutWithLostAnswer(t *testing.T) {
	content := storagetest.Bytes(1, 10_000)
	s := disk(t)
	s.Inject(faulty.Rule{Op: "put", Times: 1, Err: faulty.ErrLost, After: true})
	r := storage.WithRetry(s, five, instant(), nil)
	if err := r.Put(t.Context(), storagetest.Object("p/x", content)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(storagetest.Get(t, s, "p/x"), content) {
		t.Error("other bytes")
	}
	if n := s.Count("put"); n != 2 {
		t.Errorf("%d puts", n)
	}
}

// Somebody else's object of the same name must never count as ours, be it of
// another size or of the same.
func TestRetryPutFindsAnother(t *testing.T) {
	for _, theirs := range [][]byte{storagetest.Bytes(2, 10_000), storagetest.Bytes(1, 9_999), nil} {
		s := disk(t)
		storagetest.Put(t, s, "p/x", theirs)
		s.Inject(faulty.Rule{Op: "put", Times: 1, Err: faulty.ErrLost})
		r := storage.WithRetry(s, five, instant(), nil)
		err := r.Put(t.Context(), storagetest.Object("p/x", storagetest.Bytes(1, 10_000)))
		if !errors.Is(err, storage.ErrExists) {
			t.Errorf("Put = %v, want ErrExists", err)
		}
		if !bytes.Equal(storagetest.Get(t, s, "p/x"), theirs) {
			t.Error("it was changed")
		}
	}
}

// An object that was there before the first attempt is refused even with the
// same bytes: nothing was lost on the way, so it is not ours.
func TestRetryPutFirstAttemptExists(t *testing.T) {
	s := disk(t)
	storagetest.Put(t, s, "p/x", []byte("same"))
	s.ResetCounts()
	err := storage.WithRetry(s, five, instant(), nil).Put(t.Context(), storagetest.Object("p/x", []byte("same")))
	if !errors.Is(err, storage.ErrExists) || s.Count("") != 1 {
		t.Errorf("Put = %v after %d operations", err, s.Count(""))
	}
}

// When the object cannot be read back, whether it is ours stays open.
func TestRetryPutCannotReadBack(t *testing.T) {
	for _, op := range []string{"stat", "get"} {
		s := disk(t)
		s.Inject(faulty.Rule{Op: "put", Times: 1, Err: faulty.ErrLost, After: true})
		s.Inject(faulty.Rule{Op: op, Err: faulty.ErrDown})
		err := storage.WithRetry(s, five, instant(), nil).Put(t.Context(), storagetest.Object("p/x", []byte("x")))
		if !errors.Is(err, faulty.ErrDown) || storage.Permanent(err) {
			t.Errorf("%s fails: Put = %v, want a temporary error", op, err)
		}
	}
	s := disk(t)
	s.Inject(faulty.Rule{Op: "put", Times: 1, Err: faulty.ErrLost, After: true})
	s.Inject(faulty.Rule{Op: "get", Corrupt: true})
	err := storage.WithRetry(s, five, instant(), nil).Put(t.Context(), storagetest.Object("p/x", []byte("x")))
	if !errors.Is(err, storage.ErrExists) {
		t.Errorf("read back corrupt: Put = %v, want ErrExists", err)
	}
}

func TestRetryGetResumes(t *testing.T) {
	content := storagetest.Bytes(1, 100_000)
	s := disk(t)
	storagetest.Put(t, s, "p/x", content)
	s.Inject(faulty.Rule{Op: "get", BreakAfter: 7_000})
	r := storage.WithRetry(s, storage.RetryPolicy{Attempts: 2}, instant(), nil)
	for _, c := range []struct{ offset, length int64 }{{0, -1}, {0, 100_000}, {50_000, -1}, {123, 70_000}, {0, 7_000}} {
		end := c.offset + c.length
		if c.length == -1 {
			end = int64(len(content))
		}
		s.ResetCounts()
		got, err := storagetest.Read(t.Context(), r, "p/x", c.offset, c.length)
		if err != nil || !bytes.Equal(got, content[c.offset:end]) {
			t.Errorf("Get%v = %d bytes, %v", c, len(got), err)
		}
		if n, want := s.Count("get"), int(end-c.offset+6_999)/7_000; n != want && n != want+1 {
			t.Errorf("Get%v took %d gets, want about %d", c, n, want)
		}
	}
}

// A site that breaks off after a few bytes each time is not read in crumbs.
func TestRetryGetTakesNoCrumbs(t *testing.T) {
	s := disk(t)
	storagetest.Put(t, s, "p/x", storagetest.Bytes(1, 100_000))
	s.Inject(faulty.Rule{Op: "get", BreakAfter: 50})
	_, err := storagetest.Read(t.Context(), storage.WithRetry(s, five, instant(), nil), "p/x", 0, -1)
	if err == nil || storage.Permanent(err) || s.Count("get") != five.Attempts {
		t.Errorf("%d gets, %v", s.Count("get"), err)
	}
}

// What waits in vain has waited long already.
func TestRetryTriesAStallOnceMore(t *testing.T) {
	s := disk(t)
	s.Inject(faulty.Rule{Op: "stat", Err: os.ErrDeadlineExceeded})
	_, err := storage.WithRetry(s, five, instant(), nil).Stat(t.Context(), "p/x")
	if !errors.Is(err, os.ErrDeadlineExceeded) || s.Count("stat") != 2 {
		t.Errorf("%d attempts, %v", s.Count("stat"), err)
	}
}

func TestRetryGetGivesUpInTheMiddle(t *testing.T) {
	content := storagetest.Bytes(1, 100_000)
	s := disk(t)
	storagetest.Put(t, s, "p/x", content)
	s.Inject(faulty.Rule{Op: "get", BreakAfter: 7_000, Times: 1})
	body, err := storage.WithRetry(s, five, instant(), nil).Get(t.Context(), "p/x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	s.ResetCounts()
	s.Inject(faulty.Rule{Op: "get", Err: faulty.ErrDown})
	got, err := io.ReadAll(body)
	if len(got) != 7_000 || !errors.Is(err, faulty.ErrDown) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if n := s.Count("get"); n != 4 {
		t.Errorf("tried %d times more, want 4", n)
	}
}

func TestRetryListGoesOn(t *testing.T) {
	s := disk(t)
	want := []string{"p/a", "p/b", "p/c", "p/d"}
	for _, name := range want {
		storagetest.Put(t, s, name, nil)
	}
	// Each listing breaks off after one object.
	broken := &breaking{Store: s}
	got := storagetest.List(t, storage.WithRetry(broken, storage.RetryPolicy{Attempts: 2}, instant(), nil), "p/", "")
	if len(got) != 4 || got[0] != "p/a" || got[3] != "p/d" {
		t.Errorf("List = %q, want %q", got, want)
	}
}

// breaking is a store whose listings break off after the first object.
type breaking struct{ storage.Store }

func (b *breaking) List(ctx context.Context, prefix, after string, fn func(storage.Info) error) error {
	var stopped error
	seen := false
	err := b.Store.List(ctx, prefix, after, func(i storage.Info) error {
		if seen {
			return faulty.ErrLost
		}
		seen = true
		stopped = fn(i)
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	return err
}

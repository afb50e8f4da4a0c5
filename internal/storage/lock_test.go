package storage_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/faulty"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

var compliance = storage.Retention{Mode: storage.Compliance, Until: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}

// A directory can protect nothing, and says so.
func TestLockOnAStoreWithout(t *testing.T) {
	s := storage.WithRetry(disk(t), five, instant(), nil)
	obj := storagetest.Object("p/locked", []byte("x"))
	obj.Retention = compliance
	_, unread := storage.RetentionOf(t.Context(), s, "p/x")
	_, untested := storage.TamperTest(t.Context(), s, storage.Compliance, clock.System)
	for what, err := range map[string]error{
		"put":       s.Put(t.Context(), obj),
		"with lock": storage.WithLock(s, storage.Compliance, time.Hour, clock.System).Put(t.Context(), storagetest.Object("p/x", nil)),
		"retain":    storage.Retain(t.Context(), s, "p/x", compliance),
		"retention": unread,
		"tamper":    untested,
	} {
		var e *storage.Error
		if !errors.Is(err, storage.ErrUnsupported) || !errors.As(err, &e) || strings.Contains(err.Error(), "site :") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := storagetest.List(t, s, "", ""); len(got) != 0 {
		t.Errorf("stored: %q", got)
	}
}

func TestPurgeOnAStoreWithout(t *testing.T) {
	s := storage.WithRetry(disk(t), five, instant(), nil)
	storagetest.Put(t, s, "p/x", []byte("x"))
	for range 2 {
		if err := storage.Purge(t.Context(), s, "p/x"); err != nil {
			t.Error(err)
		}
	}
	if got := storagetest.List(t, s, "", ""); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

// keeper is a store that notes retentions.
type keeper struct {
	storage.Store
	puts  []storage.Retention
	holds storage.Retention
	err   error
	calls int
}

func (k *keeper) Put(_ context.Context, obj storage.Object) error {
	k.puts = append(k.puts, obj.Retention)
	return nil
}

func (k *keeper) Retain(_ context.Context, _ string, r storage.Retention) error {
	k.calls++
	if k.err == nil {
		k.holds = r
	}
	return k.err
}

func (k *keeper) Retention(context.Context, string) (storage.Retention, error) { return k.holds, k.err }

func (k *keeper) Purge(context.Context, string) error {
	k.calls++
	return k.err
}

func TestWithLock(t *testing.T) {
	now := clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	k := &keeper{}
	s := storage.WithLock(k, storage.Governance, 35*24*time.Hour, now)
	own := storagetest.Object("p/own", nil)
	own.Retention = compliance
	for _, obj := range []storage.Object{storagetest.Object("p/x", nil), own, storagetest.Object("probe/x", nil)} {
		if err := s.Put(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	until := time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)
	want := []storage.Retention{{Mode: storage.Governance, Until: until}, compliance, {}}
	for i, r := range k.puts {
		if r != want[i] {
			t.Errorf("put %d with %v, want %v", i, r, want[i])
		}
	}
}

// Retentions and purges pass through every decorator, and are tried again.
func TestLockPassesThrough(t *testing.T) {
	k := &keeper{}
	f := faulty.New(k, "disk")
	s := storage.WithRetry(storage.WithLock(storage.WithRate(f, 1000, instant()), storage.Compliance, time.Hour, instant()), five, instant(), nil)
	for _, op := range []string{"retain", "retention", "purge"} {
		f.Inject(faulty.Rule{Op: op, Times: 2, Err: faulty.ErrLost})
	}
	if err := storage.Retain(t.Context(), s, "p/x", compliance); err != nil || k.holds != compliance {
		t.Errorf("Retain: %v, holds %v", err, k.holds)
	}
	if r, err := storage.RetentionOf(t.Context(), s, "p/x"); err != nil || r != compliance {
		t.Errorf("RetentionOf = %v, %v", r, err)
	}
	if err := storage.Purge(t.Context(), s, "p/x"); err != nil || k.calls != 2 {
		t.Errorf("Purge: %v, %d calls", err, k.calls)
	}
	for _, op := range []string{"retain", "retention", "purge"} {
		if f.Count(op) != 3 {
			t.Errorf("%s: %d calls, want 3", op, f.Count(op))
		}
	}
	k.err = storage.ErrLocked
	if err := storage.Purge(t.Context(), s, "p/x"); !errors.Is(err, storage.ErrLocked) || k.calls != 3 {
		t.Errorf("Purge of what is locked: %v, %d calls", err, k.calls)
	}
}

// A key that may do no harm shows nothing about the lock.
func TestTamperResult(t *testing.T) {
	good := storage.TamperResult{
		Object: "probe/tamper-1", Asked: compliance, Stated: compliance,
		Delete: storage.Refusal{Refused: true, By: "lock"}, Shorten: storage.Refusal{Refused: true, By: "lock"}, Readable: true,
	}
	if err := good.Err(); err != nil {
		t.Error(err)
	}
	for what, spoil := range map[string]func(*storage.TamperResult){
		"mode":      func(r *storage.TamperResult) { r.Stated.Mode = storage.Governance },
		"none":      func(r *storage.TamperResult) { r.Stated = storage.Retention{} },
		"sooner":    func(r *storage.TamperResult) { r.Stated.Until = r.Asked.Until.Add(-time.Second) },
		"deleted":   func(r *storage.TamperResult) { r.Delete = storage.Refusal{} },
		"shortened": func(r *storage.TamperResult) { r.Shorten = storage.Refusal{} },
		"hidden":    func(r *storage.TamperResult) { r.Readable = false },
		"bypassed":  func(r *storage.TamperResult) { r.Bypass = &storage.Refusal{} },
		"no rights": func(r *storage.TamperResult) { r.Delete.By, r.Shorten.By = "rights", "rights" },
	} {
		r := good
		spoil(&r)
		if r.Err() == nil {
			t.Errorf("%s: passes", what)
		}
	}
	writer := good
	writer.Delete.By = "rights"
	if err := writer.Err(); err != nil {
		t.Errorf("a key that may not delete: %v", err)
	}
}

func TestSuffices(t *testing.T) {
	enough := storage.Capabilities{ConditionalPut: true, ListAfterPut: true, RangedGet: true}
	if err := enough.Suffices(); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]storage.Capabilities{
		"overwrites": {ListAfterPut: true, RangedGet: true, Checksum: true, Delete: true, ObjectLock: true},
		"part":       {ListAfterPut: true, ConditionalPut: true},
		"list":       {RangedGet: true, ConditionalPut: true},
	} {
		if err := c.Suffices(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

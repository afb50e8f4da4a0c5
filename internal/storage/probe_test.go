package storage_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/faulty"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

func TestProbeGoodSite(t *testing.T) {
	s := disk(t)
	storagetest.Put(t, s, "repo.json", []byte("{}"))
	found, err := storage.Probe(t.Context(), storage.WithRetry(s, five, instant(), nil))
	want := storage.Capabilities{ConditionalPut: true, Checksum: true, ListAfterPut: true, RangedGet: true, Delete: true}
	if err != nil || found.ConditionalPut != want.ConditionalPut || found.Checksum != want.Checksum ||
		found.ListAfterPut != want.ListAfterPut || found.RangedGet != want.RangedGet || found.Delete != want.Delete ||
		found.ObjectLock || len(found.Notes) != 0 {
		t.Errorf("Probe = %+v, %v", found, err)
	}
	if got := storagetest.List(t, s, "", ""); len(got) != 1 {
		t.Errorf("left: %q", got)
	}
}

// careless is a site that does as little as its flags say.
type careless struct {
	storage.Store
	overwrites, checksNothing, listsLate, locks bool
	lockErr                                     error
}

func (c *careless) Put(ctx context.Context, obj storage.Object) error {
	err := c.Store.Put(ctx, obj)
	if c.overwrites && errors.Is(err, storage.ErrExists) {
		if err := c.Delete(ctx, obj.Name); err != nil {
			return err
		}
		return c.Store.Put(ctx, obj)
	}
	return err
}

func (c *careless) PutUnchecked(ctx context.Context, obj storage.Object) error {
	if c.checksNothing {
		return nil
	}
	return c.Put(ctx, obj)
}

func (c *careless) List(ctx context.Context, prefix, after string, fn func(storage.Info) error) error {
	if c.listsLate {
		return nil
	}
	return c.Store.List(ctx, prefix, after, fn)
}

func (c *careless) ObjectLock(context.Context) (bool, error) { return c.locks, c.lockErr }

func TestProbeFindsWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		site careless
		ok   func(storage.Capabilities) bool
		note string
	}{
		"overwrites":      {careless{overwrites: true}, func(f storage.Capabilities) bool { return !f.ConditionalPut && f.RangedGet }, "not write-once"},
		"checks nothing":  {careless{checksNothing: true}, func(f storage.Capabilities) bool { return !f.Checksum && f.ConditionalPut }, "wrong SHA-256"},
		"lists late":      {careless{listsLate: true}, func(f storage.Capabilities) bool { return !f.ListAfterPut }, "listing"},
		"locks":           {careless{locks: true}, func(f storage.Capabilities) bool { return f.ObjectLock }, ""},
		"lock is unknown": {careless{lockErr: storage.ErrDenied}, func(f storage.Capabilities) bool { return !f.ObjectLock }, "not known"},
	} {
		c.site.Store = disk(t)
		found, err := storage.Probe(t.Context(), &c.site)
		if notes := strings.Join(found.Notes, "\n"); err != nil || !c.ok(found) ||
			c.note != "" && !strings.Contains(notes, c.note) || c.note == "" && notes != "" {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

func TestProbeWithoutTheRightToDelete(t *testing.T) {
	s := disk(t)
	for _, op := range []string{"delete", "purge"} {
		s.Inject(faulty.Rule{Op: op, Err: storage.ErrDenied})
	}
	found, err := storage.Probe(t.Context(), s)
	if err != nil || found.Delete || !found.ConditionalPut || len(found.Notes) != 1 {
		t.Errorf("Probe = %+v, %v", found, err)
	}
	if got := storagetest.List(t, s, "", ""); len(got) != 1 || !strings.HasPrefix(got[0], "probe/") {
		t.Errorf("left: %q", got)
	}
}

func TestProbeRangeIgnored(t *testing.T) {
	s := disk(t)
	s.Inject(faulty.Rule{Op: "get", Err: storage.ErrUnsupported})
	found, err := storage.Probe(t.Context(), s)
	if err != nil || found.RangedGet || len(found.Notes) != 1 {
		t.Errorf("Probe = %+v, %v", found, err)
	}
}

func TestProbeCannotBeCarriedOut(t *testing.T) {
	for _, err := range []error{faulty.ErrDown, storage.ErrDenied, storage.ErrNoBucket} {
		s := disk(t)
		s.Inject(faulty.Rule{Err: err})
		if _, got := storage.Probe(t.Context(), s); !errors.Is(got, err) {
			t.Errorf("Probe = %v, want %v", got, err)
		}
	}
}

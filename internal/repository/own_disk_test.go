package repository

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/saypro/backupd/internal/storage"
)

// A full disk of this host is not told as the failure of a site, and a full disk of
// a site is.
func TestWhoseDiskIsFull(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "catalog.db", Err: syscall.ENOSPC}
	for name, c := range map[string]struct {
		err error
		own bool
	}{
		"this host's":       {fmt.Errorf("catalog: %w", full), true},
		"the spool's":       {fmt.Errorf("%w: p/00: %w", ErrSpool, full), true},
		"a folder's":        {fmt.Errorf("send: %w", &storage.Error{Op: "put", Name: "p/00", Err: full}), false},
		"a site that fails": {errors.New("connection refused"), false},
	} {
		b := newBench(t)
		b.uploads.setFailing("cloud", b.clock.Now(), ownFault(c.err))
		h, err := b.Health()
		if err != nil {
			t.Fatal(err)
		}
		want := SiteAway
		if c.own {
			want = SiteHeldUp
		}
		if got := h["cloud"]; got.State != want || !got.Failing || errors.Is(ownFault(c.err), ErrOwnDisk) != c.own {
			t.Errorf("%s: %s, %q", name, got.State, got.Error)
		}
	}
	if ownFault(nil) != nil {
		t.Error("no error is one")
	}
}

package sitetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/testenv"
)

// Outage kills the server of a private site in the middle of operations and
// starts it again. The store itself reports a temporary error; with retries
// the operation gets through in the end.
func Outage(t *testing.T, site *testenv.Site) {
	t.Parallel() // the servers are its own, and most of it is waiting
	link := testenv.Proxy(t, strings.TrimPrefix(site.Endpoint, "http://"))
	c := site.Config(site.Prefix())
	c.Endpoint = link.URL()
	plain := testenv.OpenSite(t, site.Name, c, 0)
	patient := storage.WithRetry(plain, storage.RetryPolicy{
		Attempts: 100, Base: 100 * time.Millisecond, Max: 300 * time.Millisecond,
	}, clock.System, nil)
	content := storagetest.Bytes(1, 8<<20)
	// What is read must be more than the buffers on the way hold, from which
	// it would arrive after the server's death.
	large := storagetest.Bytes(2, 32<<20)
	storagetest.Put(t, plain, "p/before", large)

	// killed runs do, kills the server in the middle, and waits for the end.
	killed := func(do func() error, restart bool) error {
		done := make(chan error, 1)
		link.Throttle(8 << 20)
		go func() { done <- do() }()
		time.Sleep(200 * time.Millisecond)
		site.Kill()
		link.Restore()
		if restart {
			time.Sleep(300 * time.Millisecond)
			site.Start(t)
			return <-done
		}
		err := <-done
		site.Start(t)
		return err
	}
	get := func(s storage.Store) func() error {
		return func() error {
			got, err := storagetest.Read(t.Context(), s, "p/before", 0, -1)
			if err == nil && !bytes.Equal(got, large) {
				t.Error("other bytes came back")
			}
			return err
		}
	}
	put := func(s storage.Store, name string) func() error {
		return func() error { return s.Put(t.Context(), storagetest.Object(name, content)) }
	}
	for what, do := range map[string]func() error{"get": get(plain), "put": put(plain, "p/plain")} {
		err := killed(do, false)
		var e *storage.Error
		if !errors.As(err, &e) || storage.Permanent(err) || e.Hint == "" {
			t.Errorf("%s: %v, want a temporary error with a hint", what, err)
		}
	}
	for what, do := range map[string]func() error{"get": get(patient), "put": put(patient, "p/patient")} {
		if err := killed(do, true); err != nil {
			t.Errorf("%s with retries: %v", what, err)
		}
	}
	// What was cut off is not there, what got through is whole.
	if got := storagetest.List(t, plain, "p/", ""); len(got) != 2 || got[0] != "p/before" || got[1] != "p/patient" {
		t.Errorf("List = %q", got)
	}
	if !bytes.Equal(storagetest.Get(t, plain, "p/patient"), content) {
		t.Error("other bytes came back")
	}
}

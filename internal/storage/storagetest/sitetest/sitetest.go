// Package sitetest runs the conformance suite against S3 services, with what
// only a store on a network can get wrong besides.
package sitetest

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/testenv"
)

// Run tests the store of the given kind against a site's server.
func Run(t *testing.T, site *testenv.Site, kind string) {
	at := func(change func(*config.Site)) config.Site {
		c := site.Config(site.Prefix())
		c.Kind = kind
		if change != nil {
			change(&c)
		}
		return c
	}
	open := func(t *testing.T, change func(*config.Site)) storage.Store {
		return testenv.OpenSite(t, site.Name, at(change), 0)
	}
	storagetest.Suite{
		Open: func(t *testing.T) storage.Store { return open(t, nil) },
		Sibling: func(t *testing.T) (a, b storage.Store) {
			base := site.Prefix() + "/NAME"
			return open(t, func(c *config.Site) { c.Prefix = base }),
				open(t, func(c *config.Site) { c.Prefix = base + "2" })
		},
		NoBucket: func(t *testing.T) storage.Store {
			return open(t, func(c *config.Site) { c.Bucket = "absent-bucket" })
		},
		Denied: func(t *testing.T) (storage.Store, string) {
			const wrong = "wrong-secret-0123456789"
			return open(t, func(c *config.Site) { c.SecretKey = wrong }), wrong
		},
	}.Run(t)
	t.Run("UnknownKey", func(t *testing.T) {
		s := open(t, func(c *config.Site) { c.AccessKey = "nobody" })
		if _, err := s.Stat(t.Context(), "p/object"); !errors.Is(err, storage.ErrDenied) {
			t.Errorf("Stat = %v, want ErrDenied", err)
		}
	})
	t.Run("EmptyPrefix", func(t *testing.T) {
		bucket := site.NewBucket(t, false)
		s := open(t, func(c *config.Site) { c.Bucket, c.Prefix = bucket, "" })
		storagetest.Put(t, s, "repo.json", []byte("{}"))
		if got := storagetest.List(t, s, "", ""); len(got) != 1 || got[0] != "repo.json" {
			t.Errorf("List = %q", got)
		}
	})
	t.Run("LockedBucket", func(t *testing.T) {
		bucket := site.NewBucket(t, true)
		testLocked(t, open(t, func(c *config.Site) { c.Bucket = bucket }))
	})
	t.Run("Probe", func(t *testing.T) { testProbe(t, open(t, nil)) })
	t.Run("Network", func(t *testing.T) { testNetwork(t, site, at) })
	t.Run("Away", func(t *testing.T) {
		link := testenv.Proxy(t, "127.0.0.1:1")
		storagetest.Away(t, open(t, func(c *config.Site) { c.Endpoint = link.URL() }))
		storagetest.Away(t, open(t, func(c *config.Site) { c.Endpoint = "http://127.0.0.1:1" }))
		storagetest.Away(t, open(t, func(c *config.Site) { c.Endpoint = "http://no-such-host.invalid" }))
		storagetest.Away(t, open(t, func(c *config.Site) { c.Endpoint = strings.Replace(c.Endpoint, "http:", "https:", 1) }))
	})
}

// testLocked has a bucket that keeps old versions: there too, an object is
// write-once and a deleted one is gone from sight.
func testLocked(t *testing.T, s storage.Store) {
	storagetest.Put(t, s, "p/object", []byte("first"))
	if err := s.Put(t.Context(), storagetest.Object("p/object", []byte("second"))); !errors.Is(err, storage.ErrExists) {
		t.Errorf("second Put = %v, want ErrExists", err)
	}
	found, err := storage.Probe(t.Context(), s)
	if err != nil || !found.ObjectLock || !found.ConditionalPut {
		t.Errorf("Probe = %+v, %v", found, err)
	}
	if err := s.Delete(t.Context(), "p/object"); err != nil {
		t.Error(err)
	}
	if _, err := s.Stat(t.Context(), "p/object"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Stat = %v", err)
	}
	if got := storagetest.List(t, s, "", ""); len(got) != 0 {
		t.Errorf("List = %q", got)
	}
}

func testProbe(t *testing.T, s storage.Store) {
	found, err := storage.Probe(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if !found.ConditionalPut || !found.Checksum || !found.ListAfterPut || !found.RangedGet || !found.Delete {
		t.Errorf("Probe = %+v", found)
	}
	if found.ObjectLock || len(found.Notes) != 0 {
		t.Errorf("Probe = %+v", found)
	}
	if got := storagetest.List(t, s, "", ""); len(got) != 0 {
		t.Errorf("the probe left %q", got)
	}
}

// testNetwork breaks the connection while bytes are under way.
func testNetwork(t *testing.T, site *testenv.Site, at func(func(*config.Site)) config.Site) {
	link := testenv.Proxy(t, strings.TrimPrefix(site.Endpoint, "http://"))
	const stall = 700 * time.Millisecond
	s := testenv.OpenSite(t, site.Name, at(func(c *config.Site) { c.Endpoint = link.URL() }), stall)
	content := storagetest.Bytes(1, 8<<20)
	storagetest.Put(t, s, "p/object", content)
	temporary := func(what string, err error) {
		t.Helper()
		var e *storage.Error
		if !errors.As(err, &e) || storage.Permanent(err) || e.Hint == "" {
			t.Errorf("%s: %v, want a temporary error with a hint", what, err)
		}
	}

	link.CutAfter(2 << 20)
	got, err := storagetest.Read(t.Context(), s, "p/object", 0, -1)
	temporary("Get, cut", err)
	if len(got) == 0 || len(got) >= len(content) || !bytes.Equal(got, content[:len(got)]) {
		t.Errorf("Get, cut: %d bytes", len(got))
	}
	link.Restore()

	r, err := s.Get(t.Context(), "p/object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	link.Hang()
	_, err = io.Copy(io.Discard, r)
	temporary("Get, hung", err)
	_ = r.Close() // broken
	_, err = s.Stat(t.Context(), "p/object")
	temporary("Stat, hung", err)
	temporary("Put, hung", s.Put(t.Context(), storagetest.Object("p/hung", content)))
	link.Cut()
	link.Restore()

	// Slow is not hung: this takes longer than the stall allows for silence.
	link.Throttle(8 << 20)
	large := storagetest.Bytes(2, 16<<20)
	storagetest.Put(t, s, "p/slow", large)
	link.Restore()
	if !bytes.Equal(storagetest.Get(t, s, "p/slow"), large) {
		t.Error("other bytes came back")
	}
}

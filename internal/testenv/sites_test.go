package testenv_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/testenv"
)

func TestSitesAreShared(t *testing.T) {
	a, b := testenv.Sites(t), testenv.Sites(t)
	if a != b {
		t.Error("a second pair was started")
	}
	for _, site := range []*testenv.Site{a.Onsite, a.Cloud} {
		one, two := site.Store(t), site.Store(t)
		storagetest.Put(t, one, "p/object", []byte("x"))
		if got := storagetest.List(t, two, "", ""); len(got) != 0 {
			t.Errorf("%s: prefixes are shared: %q", site.Name, got)
		}
	}
}

func TestPrivateSitesKeepTheirDataOverAKill(t *testing.T) {
	pair := testenv.PrivateSites(t)
	for _, site := range []*testenv.Site{pair.Onsite, pair.Cloud} {
		s := site.Store(t)
		storagetest.Put(t, s, "p/object", []byte("content"))
		site.Kill()
		storagetest.Away(t, s)
		site.Start(t)
		if got := storagetest.Get(t, s, "p/object"); string(got) != "content" {
			t.Errorf("%s: got %q", site.Name, got)
		}
	}
}

func TestCloudFilesArePlain(t *testing.T) {
	cloud := testenv.Sites(t).Cloud
	prefix := cloud.Prefix()
	content := storagetest.Bytes(1, 100_000)
	s := cloud.StoreAt(t, prefix)
	storagetest.Put(t, s, "p/ab/object", content)
	file := cloud.File(t, prefix, "p/ab/object")
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("file: %d bytes, %v", len(got), err)
	}
	got[500] ^= 1
	if err := os.WriteFile(file, got, 0o600); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(storagetest.Get(t, s, "p/ab/object"), got) {
		t.Error("the damage does not show")
	}
}

func TestObjectLockBucket(t *testing.T) {
	pair := testenv.Sites(t)
	for _, site := range []*testenv.Site{pair.Onsite, pair.Cloud} {
		for _, lock := range []bool{true, false} {
			c := site.Config(site.Prefix())
			c.Bucket = site.NewBucket(t, lock)
			s := testenv.OpenSite(t, site.Name, c, 0)
			got, err := s.(storage.LockProber).ObjectLock(t.Context())
			if err != nil || got != lock {
				t.Errorf("%s: ObjectLock = %v, %v; want %v", site.Name, got, err, lock)
			}
		}
	}
}

// echo answers what it is sent.
func echo(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	return listener.Addr().String()
}

const n = 100_000

// exchange sends n bytes over a new connection and returns how many came back.
func exchange(t *testing.T, address string, patience time.Duration) int {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	sent := storagetest.Bytes(1, n)
	go func() { _, _ = c.Write(sent) }()
	got := make([]byte, n)
	back, _ := io.ReadFull(c, got) // how far it came is the answer
	if !bytes.Equal(got[:back], sent[:back]) {
		t.Error("other bytes came back")
	}
	return back
}

func TestProxy(t *testing.T) {
	l := testenv.Proxy(t, echo(t))
	if got := exchange(t, l.Address(), 10*time.Second); got != n {
		t.Errorf("whole: %d bytes", got)
	}
	l.CutAfter(50_000)
	if got := exchange(t, l.Address(), 10*time.Second); got != 50_000 {
		t.Errorf("CutAfter: %d bytes", got)
	}
	if got := exchange(t, l.Address(), 10*time.Second); got != 0 {
		t.Errorf("after the cut: %d bytes", got)
	}
	l.Restore()
	if got := exchange(t, l.Address(), 10*time.Second); got != n {
		t.Errorf("restored: %d bytes", got)
	}
	l.Hang()
	if got := exchange(t, l.Address(), 200*time.Millisecond); got != 0 {
		t.Errorf("hung: %d bytes", got)
	}
	l.Restore()
	l.Throttle(200_000)
	if got := exchange(t, l.Address(), 300*time.Millisecond); got == 0 || got == n {
		t.Errorf("throttled: %d bytes in 0.3 s", got)
	}
}

package faulty_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/dir"
	"github.com/saypro/backupd/internal/storage/faulty"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

func open(t *testing.T) *faulty.Store {
	t.Helper()
	s, err := dir.Open(dir.Options{Site: "disk", Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return faulty.New(s, "disk")
}

func TestConformanceWithoutFaults(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t) })
}

func TestRuleMatches(t *testing.T) {
	for _, c := range []struct {
		rule faulty.Rule
		hit  bool
	}{
		{faulty.Rule{}, true},
		{faulty.Rule{Op: "stat"}, true},
		{faulty.Rule{Op: "get"}, false},
		{faulty.Rule{Name: "p/ab/object"}, true},
		{faulty.Rule{Name: "p/ab"}, false},
		{faulty.Rule{Name: "p/*"}, true},
		{faulty.Rule{Name: "*object"}, true},
		{faulty.Rule{Name: "p/*/obj*t"}, true},
		{faulty.Rule{Name: "c/*"}, false},
		{faulty.Rule{Name: "*x"}, false},
		{faulty.Rule{Op: "stat", Name: "*"}, true},
	} {
		s := open(t)
		storagetest.Put(t, s, "p/ab/object", nil)
		c.rule.Err = storage.ErrDenied
		s.Inject(c.rule)
		_, err := s.Stat(t.Context(), "p/ab/object")
		var e *storage.Error
		if hit := errors.Is(err, storage.ErrDenied); hit != c.hit || hit && (!errors.As(err, &e) || e.Site != "disk") {
			t.Errorf("%+v: Stat = %v", c.rule, err)
		}
	}
}

func TestSkipTimesIf(t *testing.T) {
	s := open(t)
	odd := false
	remove := s.Inject(faulty.Rule{Op: "delete", Skip: 2, Times: 2, Err: faulty.ErrLost, If: func() bool {
		odd = !odd
		return !odd
	}})
	var got []bool
	for range 10 {
		got = append(got, s.Delete(t.Context(), "p/x") != nil)
	}
	if got, want := boolString(got), "...x.x...."; got != want {
		t.Errorf("failed: %s, want %s", got, want)
	}
	remove()
	s.Inject(faulty.Rule{Err: faulty.ErrLost})()
	if err := s.Delete(t.Context(), "p/x"); err != nil {
		t.Errorf("after the rules were removed: %v", err)
	}
	if s.Count("delete") != 11 || s.Count("") != 11 || s.Count("put") != 0 {
		t.Errorf("counts: %d, %d, %d", s.Count("delete"), s.Count(""), s.Count("put"))
	}
}

func boolString(b []bool) string {
	out := bytes.Repeat([]byte("."), len(b))
	for i := range b {
		if b[i] {
			out[i] = 'x'
		}
	}
	return string(out)
}

func TestAfter(t *testing.T) {
	s := open(t)
	s.Inject(faulty.Rule{Op: "put", Err: faulty.ErrLost, After: true})
	err := s.Put(t.Context(), storagetest.Object("p/x", []byte("x")))
	if !errors.Is(err, faulty.ErrLost) || storage.Permanent(err) {
		t.Errorf("Put = %v", err)
	}
	if got := storagetest.Get(t, s, "p/x"); string(got) != "x" {
		t.Errorf("got %q", got)
	}
}

func TestBytes(t *testing.T) {
	content := storagetest.Bytes(1, 5000)
	s := open(t)
	storagetest.Put(t, s, "p/x", content)
	read := func(r faulty.Rule) ([]byte, error) {
		defer s.Inject(r)()
		return storagetest.Read(t.Context(), s, "p/x", 0, -1)
	}
	got, err := read(faulty.Rule{Corrupt: true})
	if err != nil || len(got) != 5000 || bytes.Equal(got, content) || got[512] != content[512]^0x80 || got[513] != content[513] {
		t.Errorf("Corrupt: %d bytes, %v", len(got), err)
	}
	got, err = read(faulty.Rule{Truncate: 3000})
	if err != nil || !bytes.Equal(got, content[:3000]) {
		t.Errorf("Truncate: %d bytes, %v", len(got), err)
	}
	got, err = read(faulty.Rule{BreakAfter: 3000})
	if !errors.Is(err, io.ErrUnexpectedEOF) || storage.Permanent(err) || !bytes.Equal(got, content[:3000]) {
		t.Errorf("BreakAfter: %d bytes, %v", len(got), err)
	}
	got, err = read(faulty.Rule{})
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("no fault: %d bytes, %v", len(got), err)
	}
}

func TestDown(t *testing.T) {
	s := open(t)
	storagetest.Put(t, s, "p/x", []byte("x"))
	body, err := s.Get(t.Context(), "p/x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	s.SetDown(true)
	storagetest.Away(t, s)
	if _, err := io.ReadAll(body); !errors.Is(err, faulty.ErrDown) {
		t.Errorf("reading under way: %v", err)
	}
	s.SetDown(false)
	if got := storagetest.Get(t, s, "p/x"); string(got) != "x" {
		t.Errorf("got %q", got)
	}
}

func TestLatency(t *testing.T) {
	fake := clock.NewFake(time.Unix(0, 0))
	s := open(t).WithClock(fake)
	s.Inject(faulty.Rule{Op: "stat", Latency: time.Minute})
	done := make(chan error)
	go func() { _, err := s.Stat(t.Context(), "p/x"); done <- err }()
	for fake.Sleepers() == 0 {
		time.Sleep(time.Millisecond)
	}
	fake.Advance(59 * time.Second)
	select {
	case err := <-done:
		t.Fatalf("too early: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	fake.Advance(time.Second)
	if err := <-done; !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Stat = %v", err)
	}
}

package dir_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/dir"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

func open(t *testing.T, path, prefix string) storage.Store {
	t.Helper()
	s, err := dir.Open(dir.Options{Site: "disk", Path: path, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storagetest.Suite{
		Open: func(t *testing.T) storage.Store { return open(t, t.TempDir(), "market/main") },
		Sibling: func(t *testing.T) (a, b storage.Store) {
			path := t.TempDir()
			return open(t, path, "NAME"), open(t, path, "NAME2")
		},
		NoBucket: func(t *testing.T) storage.Store { return open(t, filepath.Join(t.TempDir(), "absent"), "market") },
	}.Run(t)
}

func TestObjectIsAPlainFile(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, "market")
	storagetest.Put(t, s, "p/ab/object", []byte("content"))
	got, err := os.ReadFile(filepath.Join(path, "market", "p", "ab", "object"))
	if err != nil || string(got) != "content" {
		t.Errorf("file = %q, %v", got, err)
	}
}

func TestNothingTemporaryStays(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, "")
	storagetest.Put(t, s, "p/object", []byte("content"))
	wrong := storagetest.Object("p/wrong", storagetest.Bytes(1, 100_000))
	wrong.SHA256[5] ^= 1
	if err := s.Put(t.Context(), wrong); !errors.Is(err, storage.ErrChecksum) {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Join(path, ".tmp")); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestOpenRemovesAbandonedOnly(t *testing.T) {
	path := t.TempDir()
	storagetest.Put(t, open(t, path, ""), "p/object", []byte("content"))
	old, young := filepath.Join(path, ".tmp", "put-old"), filepath.Join(path, ".tmp", "put-young")
	for _, f := range []string{old, young} {
		if err := os.WriteFile(f, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	longAgo := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(old, longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	s := open(t, path, "")
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("old file: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("young file: %v", err)
	}
	if got := storagetest.List(t, s, "", ""); len(got) != 1 {
		t.Errorf("List = %q", got)
	}
}

func TestTruncatedFileIsShort(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, "")
	storagetest.Put(t, s, "p/object", storagetest.Bytes(1, 1000))
	r, err := s.Get(t.Context(), "p/object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.Truncate(filepath.Join(path, "p", "object"), 400); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if len(got) != 400 || !errors.Is(err, storage.ErrShort) {
		t.Errorf("read %d bytes, %v; want 400 and ErrShort", len(got), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, o := range []dir.Options{
		{Site: "disk", Path: "relative"},
		{Site: "disk"},
		{Site: "disk", Path: "/tmp", Prefix: "../up"},
		{Site: "disk", Path: "/tmp", Prefix: "a b"},
	} {
		if _, err := dir.Open(o); !errors.Is(err, storage.ErrInvalid) || !strings.Contains(err.Error(), "disk") {
			t.Errorf("Open(%+v) = %v", o, err)
		}
	}
}

func TestTraffic(t *testing.T) {
	storagetest.Traffic(t, func(t *testing.T, traffic *storage.Traffic) storage.Store {
		s, err := dir.Open(dir.Options{Site: "disk", Path: t.TempDir(), Traffic: traffic})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

package storage_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/dir"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

func TestReadOnly(t *testing.T) {
	store, err := dir.Open(dir.Options{Site: "here", Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	object := func() storage.Object { return storagetest.Object("p/one", []byte("content")) }
	if err := store.Put(t.Context(), object()); err != nil {
		t.Fatal(err)
	}
	s := storage.ReadOnly(store)
	another := storagetest.Object("p/two", []byte("content"))
	if err := s.Put(t.Context(), another); !errors.Is(err, storage.ErrReadOnly) || !storage.Permanent(err) {
		t.Errorf("put: %v", err)
	}
	if err := s.Delete(t.Context(), "p/one"); !errors.Is(err, storage.ErrReadOnly) {
		t.Errorf("delete: %v", err)
	}
	var names []string
	if err := s.List(t.Context(), "", "", func(i storage.Info) error { names = append(names, i.Name); return nil }); err != nil || strings.Join(names, " ") != "p/one" {
		t.Errorf("listed %v, %v", names, err)
	}
	if info, err := s.Stat(t.Context(), "p/one"); err != nil || info.Size != 7 {
		t.Errorf("stat %+v, %v", info, err)
	}
	r, err := s.Get(t.Context(), "p/one", 3, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if text, err := io.ReadAll(r); err != nil || string(text) != "tent" {
		t.Errorf("got %q, %v", text, err)
	}
	for name, can := range map[string]bool{"Locker": is[storage.Locker](s), "Purger": is[storage.Purger](s), "Wrapper": is[storage.Wrapper](s)} {
		if can {
			t.Errorf("it is a %s", name)
		}
	}
}

func is[T any](v any) bool { _, ok := v.(T); return ok }

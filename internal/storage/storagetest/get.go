package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/saypro/backupd/internal/storage"
)

func testRanges(t *testing.T, s storage.Store) {
	content := Bytes(1, 1000)
	Put(t, s, "p/object", content)
	for _, c := range []struct {
		offset, length int64
		want           []byte
		err            error
	}{
		{0, -1, content, nil},
		{0, 1000, content, nil},
		{0, 1, content[:1], nil},
		{0, 100, content[:100], nil},
		{333, 100, content[333:433], nil},
		{900, 100, content[900:], nil},
		{999, 1, content[999:], nil},
		{900, -1, content[900:], nil},
		{500, 0, nil, nil},
		{1000, 0, nil, nil},
		{1000, -1, nil, nil},
		{0, 1001, nil, storage.ErrShort},
		{999, 2, nil, storage.ErrShort},
		{1000, 1, nil, storage.ErrShort},
		{1001, 0, nil, storage.ErrShort},
		{1001, -1, nil, storage.ErrShort},
		{5000, 10, nil, storage.ErrShort},
		{-1, 10, nil, storage.ErrInvalid},
		{0, -2, nil, storage.ErrInvalid},
	} {
		got, err := Read(t.Context(), s, "p/object", c.offset, c.length)
		if !errors.Is(err, c.err) || err == nil && !bytes.Equal(got, c.want) {
			t.Errorf("Get(%d, %d) = %d bytes, %v; want %d bytes, %v",
				c.offset, c.length, len(got), err, len(c.want), c.err)
		}
		if errors.Is(c.err, storage.ErrShort) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Get(%d, %d): %v does not match io.ErrUnexpectedEOF", c.offset, c.length, err)
		}
	}
}

func testNotFound(t *testing.T, s storage.Store) {
	Put(t, s, "p/folder/object", []byte("x"))
	for _, name := range []string{"absent", "p/absent", "p/folder", "p/folder/object/below"} {
		for _, r := range [][2]int64{{0, -1}, {0, 0}, {5, 10}} {
			_, err := Read(t.Context(), s, name, r[0], r[1])
			if !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("Get(%s, %v) = %v, want ErrNotFound", name, r, err)
			}
			isStorageError(t, err, "get", name)
		}
		_, err := s.Stat(t.Context(), name)
		if !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Stat(%s) = %v, want ErrNotFound", name, err)
		}
		isStorageError(t, err, "stat", name)
	}
	if got := List(t, s, "absent", ""); len(got) != 0 {
		t.Errorf("List = %q", got)
	}
}

func testDelete(t *testing.T, s storage.Store) {
	Put(t, s, "p/one", []byte("1"))
	Put(t, s, "p/two", []byte("2"))
	for range 2 {
		if err := s.Delete(t.Context(), "p/one"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), "never/there"); err != nil {
		t.Error(err)
	}
	if _, err := s.Stat(t.Context(), "p/one"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Stat = %v", err)
	}
	if got := List(t, s, "", ""); len(got) != 1 || got[0] != "p/two" {
		t.Errorf("List = %q", got)
	}
	Put(t, s, "p/one", []byte("again"))
	if got := Get(t, s, "p/one"); string(got) != "again" {
		t.Errorf("got %q", got)
	}
}

func testCancelled(t *testing.T, s storage.Store) {
	Put(t, s, "p/object", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ops := allOps(ctx, s, "p/other")
	ops["get"] = func() error { _, err := Read(ctx, s, "p/object", 0, -1); return err }
	for op, do := range ops {
		err := do()
		if !errors.Is(err, context.Canceled) || storage.Permanent(err) {
			t.Errorf("%s = %v, want context.Canceled", op, err)
		}
		isStorageError(t, err, op, "")
	}
	if got := List(t, s, "", ""); len(got) != 1 {
		t.Errorf("List = %q", got)
	}
}

func testCancelledWhileReading(t *testing.T, s storage.Store) {
	Put(t, s, "p/object", Bytes(1, 8<<20))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Get(ctx, "p/object", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	n, err := io.Copy(io.Discard, r)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("read %d bytes more, then %v", n, err)
	}
	isStorageError(t, err, "get", "p/object")
}

func testConcurrent(t *testing.T, s storage.Store) {
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("p/%02x/object", w)
			content := Bytes(uint64(w), 100_000)
			if err := s.Put(t.Context(), Object(name, content)); err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				got, err := Read(t.Context(), s, name, 0, -1)
				if err != nil || !bytes.Equal(got, content) {
					t.Errorf("%s: %d bytes, %v", name, len(got), err)
				}
			}
		})
	}
	wg.Wait()
	if got := List(t, s, "p/", ""); len(got) != 8 {
		t.Errorf("List = %q", got)
	}
}

func testPrefixIsolation(t *testing.T, a, b storage.Store) {
	Put(t, a, "p/same", []byte("a"))
	Put(t, b, "p/same", []byte("b"))
	Put(t, b, "p/only-b", []byte("b"))
	if got := List(t, a, "", ""); len(got) != 1 || got[0] != "p/same" {
		t.Errorf("List of a = %q", got)
	}
	if got := List(t, b, "", ""); len(got) != 2 {
		t.Errorf("List of b = %q", got)
	}
	if err := b.Delete(t.Context(), "p/same"); err != nil {
		t.Fatal(err)
	}
	if got := Get(t, a, "p/same"); string(got) != "a" {
		t.Errorf("got %q", got)
	}
}

// allOps returns each operation on one object.
func allOps(ctx context.Context, s storage.Store, name string) map[string]func() error {
	return map[string]func() error{
		"put":    func() error { return s.Put(ctx, Object(name, []byte("content"))) },
		"get":    func() error { _, err := Read(ctx, s, name, 0, -1); return err },
		"stat":   func() error { _, err := s.Stat(ctx, name); return err },
		"list":   func() error { return s.List(ctx, "", "", func(storage.Info) error { return nil }) },
		"delete": func() error { return s.Delete(ctx, name) },
	}
}

func testAllFail(t *testing.T, s storage.Store, want error) []error {
	t.Helper()
	var errs []error
	for op, do := range allOps(t.Context(), s, "p/object") {
		err := do()
		if !errors.Is(err, want) {
			t.Errorf("%s = %v, want %v", op, err, want)
		}
		isStorageError(t, err, op, "")
		errs = append(errs, err)
	}
	return errs
}

// Away checks that every operation on a site that cannot be reached fails in
// the way that says: try again later, and look at this.
func Away(t *testing.T, s storage.Store) {
	t.Helper()
	for op, do := range allOps(t.Context(), s, "p/object") {
		err := do()
		var e *storage.Error
		if !errors.As(err, &e) || storage.Permanent(err) || e.Hint == "" {
			t.Errorf("%s = %v, want a temporary error with a hint", op, err)
		}
	}
}

// isStorageError checks type and content of an error; an empty name is not
// compared.
func isStorageError(t *testing.T, err error, op, name string) {
	t.Helper()
	var e *storage.Error
	if !errors.As(err, &e) || e.Op != op || name != "" && e.Name != name || e.Site == "" {
		t.Errorf("%s %s: not a proper *storage.Error: %#v", op, name, err)
	}
}

func noSecret(t *testing.T, err error, secret string) {
	t.Helper()
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
		t.Errorf("the secret is in: %v", err)
	}
}

package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/saypro/backupd/internal/storage"
)

func testPutThenSeen(t *testing.T, s storage.Store) {
	content := Bytes(1, 1000)
	Put(t, s, "p/ab/object", content)
	if !bytes.Equal(Get(t, s, "p/ab/object"), content) {
		t.Error("other bytes came back")
	}
	info, err := s.Stat(t.Context(), "p/ab/object")
	if want := (storage.Info{Name: "p/ab/object", Size: 1000}); err != nil || info != want {
		t.Errorf("Stat = %+v, %v; want %+v", info, err, want)
	}
	var listed []storage.Info
	if err := s.List(t.Context(), "", "", func(i storage.Info) error {
		listed = append(listed, i)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []storage.Info{info}; !slices.Equal(listed, want) {
		t.Errorf("List = %v, want %v", listed, want)
	}
}

func testNames(t *testing.T, s storage.Store) {
	names := []string{
		"c/2026/01/02/150405.123-ab12-7",
		"g/20260102T150405.123-ab12",
		"keys/a=b@c+d_e.age",
		"p/ab/" + fmt.Sprintf("%064x", 0xab),
		"repo.json",
	}
	for i, name := range names {
		Put(t, s, name, Bytes(uint64(i), 10+i))
	}
	for i, name := range names {
		if got := Get(t, s, name); !bytes.Equal(got, Bytes(uint64(i), 10+i)) {
			t.Errorf("%s: got %x", name, got)
		}
	}
	if got := List(t, s, "", ""); !slices.Equal(got, names) {
		t.Errorf("List = %q, want %q", got, names)
	}
}

func testInvalidNames(t *testing.T, s storage.Store) {
	for _, name := range []string{"", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", ".tmp/a", "a b", "a\\b", "ä", "a\x00"} {
		if err := s.Put(t.Context(), Object(name, nil)); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("Put(%q) = %v", name, err)
		}
		if _, err := s.Get(t.Context(), name, 0, -1); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("Get(%q) = %v", name, err)
		}
		if _, err := s.Stat(t.Context(), name); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("Stat(%q) = %v", name, err)
		}
		if err := s.Delete(t.Context(), name); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("Delete(%q) = %v", name, err)
		}
	}
	if got := List(t, s, "", ""); len(got) != 0 {
		t.Errorf("objects appeared: %q", got)
	}
}

func testWriteOnce(t *testing.T, s storage.Store) {
	first := Bytes(1, 5000)
	Put(t, s, "p/once", first)
	for _, second := range [][]byte{Bytes(2, 5000), nil, Bytes(3, 3<<20)} {
		err := s.Put(t.Context(), Object("p/once", second))
		if !errors.Is(err, storage.ErrExists) {
			t.Errorf("second Put of %d bytes = %v, want ErrExists", len(second), err)
		}
		isStorageError(t, err, "put", "p/once")
	}
	if !bytes.Equal(Get(t, s, "p/once"), first) {
		t.Error("the object was changed")
	}
}

func testWriteOnceSameBytes(t *testing.T, s storage.Store) {
	Put(t, s, "p/once", []byte("same"))
	if err := s.Put(t.Context(), Object("p/once", []byte("same"))); !errors.Is(err, storage.ErrExists) {
		t.Errorf("second Put = %v, want ErrExists", err)
	}
}

// testWriteOnceConcurrent has several writers of one name. A conflict may
// surface as a temporary error, but there is one winner at most and what is
// read is the winner's; one that tries again then finds the object there.
func testWriteOnceConcurrent(t *testing.T, s storage.Store) {
	const writers, rounds = 6, 4
	for round := range rounds {
		name := fmt.Sprintf("p/race-%d", round)
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() { errs[w] = s.Put(t.Context(), Object(name, Bytes(uint64(w), 20_000+w))) })
		}
		wg.Wait()
		winner := -1
		for w, err := range errs {
			switch {
			case err == nil && winner == -1:
				winner = w
			case err == nil:
				t.Errorf("round %d: writers %d and %d both won", round, winner, w)
			case !errors.Is(err, storage.ErrExists) && storage.Permanent(err):
				t.Errorf("round %d: writer %d: %v", round, w, err)
			}
		}
		if winner == -1 {
			t.Fatalf("round %d: nobody won: %v", round, errs)
		}
		if !bytes.Equal(Get(t, s, name), Bytes(uint64(winner), 20_000+winner)) {
			t.Errorf("round %d: the object is not the winner's", round)
		}
		if err := s.Put(t.Context(), Object(name, nil)); !errors.Is(err, storage.ErrExists) {
			t.Errorf("round %d: Put afterwards = %v", round, err)
		}
	}
}

func testWrongChecksum(t *testing.T, s storage.Store) {
	for _, size := range []int{0, 1, 3000, 3 << 20} {
		obj := Object(fmt.Sprintf("p/wrong-%d", size), Bytes(1, size))
		obj.SHA256[0] ^= 1
		err := s.Put(t.Context(), obj)
		if !errors.Is(err, storage.ErrChecksum) {
			t.Errorf("%d bytes: Put = %v, want ErrChecksum", size, err)
		}
		isStorageError(t, err, "put", obj.Name)
		if _, err := s.Stat(t.Context(), obj.Name); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%d bytes: Stat afterwards = %v", size, err)
		}
	}
	if got := List(t, s, "", ""); len(got) != 0 {
		t.Errorf("visible: %q", got)
	}
}

func testWrongSize(t *testing.T, s storage.Store) {
	for _, size := range []int64{-1, 0, 9, 11} {
		obj := Object("p/size", Bytes(1, 10))
		obj.Size = size
		if err := s.Put(t.Context(), obj); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("size %d of 10: Put = %v, want ErrInvalid", size, err)
		}
	}
	if got := List(t, s, "", ""); len(got) != 0 {
		t.Errorf("visible: %q", got)
	}
}

func testBodyIsRewound(t *testing.T, s storage.Store) {
	obj := Object("p/rewound", Bytes(1, 100))
	if _, err := obj.Body.Seek(50, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(Get(t, s, "p/rewound"), Bytes(1, 100)) {
		t.Error("other bytes came back")
	}
}

func testEmpty(t *testing.T, s storage.Store) {
	Put(t, s, "p/empty", nil)
	if got := Get(t, s, "p/empty"); len(got) != 0 {
		t.Errorf("got %d bytes", len(got))
	}
	if got, err := Read(t.Context(), s, "p/empty", 0, 0); err != nil || len(got) != 0 {
		t.Errorf("Get of 0 bytes = %d bytes, %v", len(got), err)
	}
	if info, err := s.Stat(t.Context(), "p/empty"); err != nil || info.Size != 0 {
		t.Errorf("Stat = %+v, %v", info, err)
	}
	if _, err := Read(t.Context(), s, "p/empty", 0, 1); !errors.Is(err, storage.ErrShort) {
		t.Errorf("Get of 1 byte = %v, want ErrShort", err)
	}
}

func testLarge(t *testing.T, s storage.Store) {
	content := Bytes(7, 20<<20)
	Put(t, s, "p/large", content)
	if !bytes.Equal(Get(t, s, "p/large"), content) {
		t.Error("other bytes came back")
	}
	got, err := Read(t.Context(), s, "p/large", 16<<20-5, 10)
	if err != nil || !bytes.Equal(got, content[16<<20-5:][:10]) {
		t.Errorf("range = %x, %v", got, err)
	}
}

package catalog

import (
	"errors"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// What waits to be put on record comes out in order, survives a restart, and is
// bounded.
func TestUntoldActsWaitInOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.FirstUntold(); !errors.Is(err, ErrNotFound) {
		t.Fatalf("an empty catalog: %v", err)
	}
	for _, act := range []string{"first", "second"} {
		if err := c.AddUntold([]byte(act)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err = Open(path); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, want := range []string{"first", "second", "third"} {
		n, act, err := c.FirstUntold()
		if err != nil || string(act) != want {
			t.Fatalf("%q, %v; want %q", act, err, want)
		}
		if err := c.DropUntold(n); err != nil {
			t.Fatal(err)
		}
		if want == "first" {
			if err := c.AddUntold([]byte("third")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, _, err := c.FirstUntold(); !errors.Is(err, ErrNotFound) {
		t.Errorf("all told: %v", err)
	}
	err = c.db.Update(func(tx *bbolt.Tx) error {
		for n := range uint64(mostUntold) {
			if err := tx.Bucket(bucketUntold).Put(be64(n), []byte("act")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddUntold([]byte("one more")); !errors.Is(err, ErrTooMany) {
		t.Errorf("of %d and one more: %v", mostUntold, err)
	}
}

// Package storagetest is the conformance suite of [storage.Store]: every
// sentence of the contract, as a test against a real place that keeps objects.
package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/saypro/backupd/internal/storage"
)

// Suite says what is under test.
type Suite struct {
	// Open returns a store with a prefix (or directory) of its own that holds
	// nothing yet.
	Open func(t *testing.T) storage.Store
	// Sibling returns two stores in the same bucket whose prefixes are
	// "NAME" and "NAME2", so that one is the beginning of the other.
	Sibling func(t *testing.T) (a, b storage.Store)
	// NoBucket returns a store whose bucket or directory does not exist.
	NoBucket func(t *testing.T) storage.Store
	// Denied returns a store whose credentials the site refuses, and a text
	// that no error of it may contain: the secret.
	Denied func(t *testing.T) (s storage.Store, secret string)
}

// Run runs the parts of the suite that need nothing but an empty store.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	RunLossy(t, open)
	t.Run("WriteOnceSameBytes", func(t *testing.T) { testWriteOnceSameBytes(t, open(t)) })
}

// RunLossy is [Run] for a store that loses answers and tries again: when the
// bytes of a Put are there already, it cannot know that they are not its own.
func RunLossy(t *testing.T, open func(t *testing.T) storage.Store) {
	RunWriter(t, open)
	t.Run("Delete", func(t *testing.T) { testDelete(t, open(t)) })
}

// RunWriter is [RunLossy] for a store that may not delete.
func RunWriter(t *testing.T, open func(t *testing.T) storage.Store) {
	for _, part := range []struct {
		name string
		test func(*testing.T, storage.Store)
	}{
		{"PutThenSeen", testPutThenSeen},
		{"Names", testNames},
		{"InvalidNames", testInvalidNames},
		{"WriteOnce", testWriteOnce},
		{"WriteOnceConcurrent", testWriteOnceConcurrent},
		{"WrongChecksum", testWrongChecksum},
		{"WrongSize", testWrongSize},
		{"BodyIsRewound", testBodyIsRewound},
		{"Empty", testEmpty},
		{"Large", testLarge},
		{"Ranges", testRanges},
		{"NotFound", testNotFound},
		{"ListPages", testListPages},
		{"ListOrder", testListOrder},
		{"ListStops", testListStops},
		{"Cancelled", testCancelled},
		{"CancelledWhileReading", testCancelledWhileReading},
		{"Concurrent", testConcurrent},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

// Run runs all of the suite.
func (s Suite) Run(t *testing.T) {
	Run(t, s.Open)
	t.Run("PrefixIsolation", func(t *testing.T) {
		a, b := s.Sibling(t)
		testPrefixIsolation(t, a, b)
	})
	t.Run("NoBucket", func(t *testing.T) { testAllFail(t, s.NoBucket(t), storage.ErrNoBucket) })
	if s.Denied != nil {
		t.Run("Denied", func(t *testing.T) {
			store, secret := s.Denied(t)
			for _, err := range testAllFail(t, store, storage.ErrDenied) {
				noSecret(t, err, secret)
			}
		})
	}
}

// Object makes an object of the given content.
func Object(name string, content []byte) storage.Object {
	return storage.Object{
		Name: name, Size: int64(len(content)), SHA256: sha256.Sum256(content), Body: bytes.NewReader(content),
	}
}

// Bytes returns n bytes that look random and depend on the seed only.
func Bytes(seed uint64, n int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// Put stores content or ends the test.
func Put(t testing.TB, s storage.Store, name string, content []byte) {
	t.Helper()
	if err := s.Put(t.Context(), Object(name, content)); err != nil {
		t.Fatal(err)
	}
}

// Get returns the whole object or ends the test.
func Get(t testing.TB, s storage.Store, name string) []byte {
	t.Helper()
	b, err := Read(t.Context(), s, name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Read returns the bytes of a range, whether getting or reading fails.
func Read(ctx context.Context, s storage.Store, name string, offset, length int64) ([]byte, error) {
	r, err := s.Get(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// List returns the names under a prefix or ends the test.
func List(t testing.TB, s storage.Store, prefix, after string) []string {
	t.Helper()
	var names []string
	if err := s.List(t.Context(), prefix, after, func(i storage.Info) error {
		names = append(names, i.Name)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

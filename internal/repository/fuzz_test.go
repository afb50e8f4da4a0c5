package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
)

// fuzzKey is a key for what a fuzzer makes up.
func fuzzKey(f *testing.F) *masterKey {
	f.Helper()
	key, err := newMasterKey(bytes.Repeat([]byte{7}, 32), [16]byte{1, 2, 3})
	if err != nil {
		f.Fatal(err)
	}
	return key
}

func testdata(f *testing.F, name string) []byte {
	f.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// said fails unless an error says what is wrong with the bytes.
func said(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrWrongKey) && !errors.Is(err, ErrFormat) {
		t.Errorf("error is %v", err)
	}
}

func FuzzMark(f *testing.F) {
	key := fuzzKey(f)
	object := testdata(f, "mark.bin")
	const name = "g/2026/03/01/120000.001-0badcafe-8"
	if _, err := openMark(ringOf(key), name, object); err != nil {
		f.Fatal(err)
	}
	f.Add(object)
	f.Add(testdata(f, "commit.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := openMark(ringOf(key), name, b)
		said(t, err)
		if err == nil && !bytes.Equal(b, object) {
			t.Error("a mark that nobody sealed was opened")
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add(testdata(f, "format1/onsite/repo.json"))
	f.Add([]byte(`{"format": 1, "features": {"read": ["x"]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseConfig(b)
		said(t, err)
		if err != nil {
			return
		}
		if _, err := c.id(); err != nil || c.Format != Format || len(c.Features.Read) > 0 || c.Chunking != thisChunking {
			t.Errorf("taken: %+v (%v)", c, err)
		}
		if id, err := keyIDOf(keyName(c.Key)); err != nil || id.String() != c.Key {
			t.Errorf("its key has no name: %v", err)
		}
	})
}

func FuzzKeyName(f *testing.F) {
	f.Add("keys/0123456789abcdef.age")
	f.Add("keys/0123456789abcdef-0123456789abcdef.age")
	f.Fuzz(func(t *testing.T, name string) {
		id, err := keyIDOf(name)
		said(t, err)
		if err != nil {
			return
		}
		first := keyName(id.String())
		if name != first && (len(name) != len(first)+17 || name[:21] != first[:21]) {
			t.Errorf("%q is taken for a name of key %s", name, id)
		}
	})
}

func FuzzWrappedKey(f *testing.F) {
	id, err := age.ParseX25519Identity(goldenIdentity)
	if err != nil {
		f.Fatal(err)
	}
	first := fuzzKey(f)
	for _, name := range []string{"672fd3d4cbfc8bc0.age", "b6529eb82ddd0382.age"} {
		f.Add(testdata(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := countRecipients(b)
		said(t, err)
		key, err := unwrap(b, []age.Identity{id}, first.repo)
		said(t, err)
		if err == nil && key.id != first.id && first.checkVouch(key) != nil {
			t.Error("a key that nobody wrapped was opened")
		}
	})
}

// bytesStore is a site that holds one object: what a fuzzer made up.
type bytesStore struct {
	storage.Store // whatever else is called ends the test
	object        []byte
}

func (s bytesStore) Get(_ context.Context, _ string, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 || offset > int64(len(s.object)) {
		return nil, storage.ErrShort
	}
	b := s.object[offset:]
	if length >= 0 && length < int64(len(b)) {
		b = b[:length]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func FuzzPack(f *testing.F) {
	key := fuzzKey(f)
	pack := testdata(f, "pack.bin")
	f.Add(pack)
	f.Add(testdata(f, "mark.bin"))
	f.Fuzz(func(t *testing.T, b []byte) {
		site := Site{Name: "made up", Store: bytesStore{object: b}}
		info := storage.Info{Name: catalog.PackName(sum(b)), Size: int64(len(b))}
		_, entries, aead, err := openPackAt(t.Context(), ringOf(key), site, info)
		said(t, err)
		if err != nil {
			return
		}
		at := int64(headerSize)
		for _, e := range entries {
			if at+int64(e.Stored) > int64(len(b)) {
				t.Fatalf("a chunk ends behind its pack")
			}
			said(t, openEntry(key, aead, e, at, bytes.Clone(b[at:at+int64(e.Stored)])))
			at += int64(e.Stored)
		}
	})
}

// FuzzTakenIn has an adopter take in commits and marks with content that a
// fuzzer made up and somebody with the key has sealed.
func FuzzTakenIn(f *testing.F) {
	key := fuzzKey(f)
	for _, name := range []string{"commit.json", "mark.json"} {
		f.Add(testdata(f, name))
	}
	f.Add([]byte(`{"format":1,"snapshots":[null]}`))
	f.Add([]byte(`{"format":1,"snapshots":[{"snapshot":"","function":"x"}]}`))
	f.Add([]byte(`{"format":1,"snapshots":[{"snapshot":"0123456789ab","function":"x","packs":[{"sha256":"","size":-1}]}]}`))
	f.Add([]byte(`{"format":1,"key":"x"}`))
	cat, err := catalog.Open(filepath.Join(f.TempDir(), "catalog.db"))
	if err != nil {
		f.Fatal(err)
	}
	defer cat.Close()
	r := &Repository{
		id: key.repo, keys: ringOf(key), catalog: cat, log: slog.New(slog.DiscardHandler),
		clock: clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if !json.Valid(content) {
			return
		}
		for name, how := range map[string]objectSeal{"c/2026/03/01/120000.000-0badcafe-7": commitSeal, "g/2026/03/01/120000.001-0badcafe-8": markSeal} {
			object, err := sealObject(key, how, name, json.RawMessage(content))
			if err != nil {
				t.Fatal(err)
			}
			a := adopter{Repository: r, site: Site{Name: "made up", Store: emptyStore{bytesStore{object: object}}}}
			_, _, err = a.adopt(t.Context(), storage.Info{Name: name, Size: int64(len(object))})
			var lacking *lackingError
			if err != nil && !errors.As(err, &lacking) {
				t.Errorf("%s: it is neither taken nor a problem: %v", name, err)
			}
		}
	})
}

// emptyStore has none of what a commit names.
type emptyStore struct{ bytesStore }

func (emptyStore) Stat(context.Context, string) (storage.Info, error) {
	return storage.Info{}, storage.ErrNotFound
}

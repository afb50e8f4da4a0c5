package repository

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
)

// older is a repository that the first release wrote, and its catalog of format
// 1: two snapshots, of which one site lacks the second.
func older(t *testing.T) *bench {
	t.Helper()
	from, base := filepath.Join("testdata", "format1"), t.TempDir()
	b := &bench{roots: map[string]string{}, clock: clock.NewFake(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))}
	b.daemon, b.escrow = identityIn(t, filepath.Join(from, "identity.txt")), identityIn(t, filepath.Join(from, "escrow.txt"))
	b.options = Options{
		Spool: filepath.Join(base, "spool"), Identities: []age.Identity{b.daemon}, Clock: b.clock, Log: slog.New(slog.DiscardHandler),
	}
	for _, name := range []string{"onsite", "cloud"} {
		b.roots[name] = filepath.Join(base, name)
		if err := os.CopyFS(b.roots[name], os.DirFS(filepath.Join(from, name))); err != nil {
			t.Fatal(err)
		}
		b.options.Sites = append(b.options.Sites, Site{Name: name, Store: openDir(t, name, b.roots[name])})
	}
	packed, err := os.Open(filepath.Join(from, "catalog.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	db, err := io.ReadAll(unpacked)
	if err == nil {
		err = os.WriteFile(filepath.Join(base, "catalog.db"), db, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.openCatalog(t, filepath.Join(base, "catalog.db"))
	if err := b.options.Catalog.Verify(); err != nil {
		t.Fatalf("the catalog after its migration: %v", err)
	}
	b.open(t)
	t.Cleanup(func() {
		b.checkAll(t)
		b.stop()
		if err := b.options.Catalog.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func identityIn(t *testing.T, path string) *age.X25519Identity {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.ParseX25519Identity(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// olderRows are the rows of its snapshots, the newest first.
func olderRows() [][]byte {
	long := append(bytes.Repeat([]byte("y"), 5<<20), '\n')
	return [][]byte{slices.Concat(fixedRows(300), long, fixedRows(10)), fixedRows(300)}
}

// checkOlder reads everything that the older release wrote.
func checkOlder(t *testing.T, r *Repository, sites []string) {
	t.Helper()
	var found []SnapshotInfo
	if err := r.Snapshots("payments", func(s SnapshotInfo) bool { found = append(found, s); return true }); err != nil {
		t.Fatal(err)
	}
	rows := olderRows()
	if len(found) < len(rows) {
		t.Fatalf("%d snapshots", len(found))
	}
	for i, want := range rows {
		snap, err := r.Snapshot(t.Context(), found[len(found)-len(rows)+i].ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, site := range sites {
			got, err := (&bench{Repository: r}).read(t, snap, []string{site}, nil)
			if err != nil || !bytes.Equal(got["payments.ledger"], want) {
				t.Errorf("snapshot %s from %s: %d bytes back instead of %d (%v)", snap.ID, site, len(got["payments.ledger"]), len(want), err)
			}
			rd, err := r.Reader(snap, []string{site}, nil)
			if err != nil {
				t.Fatal(err)
			}
			var schema bytes.Buffer
			if err := rd.Copy(t.Context(), snap.Streams["schema"], &schema); err != nil || schema.String() != "schema of payments" {
				t.Errorf("snapshot %s from %s: schema %q (%v)", snap.ID, site, schema.String(), err)
			}
		}
	}
}

func TestRepositoryOfAnOlderRelease(t *testing.T) {
	b := older(t)
	var newest SnapshotInfo
	if err := b.Snapshots("payments", func(s SnapshotInfo) bool { newest = s; return false }); err != nil {
		t.Fatal(err)
	}
	snap, err := b.Snapshot(t.Context(), newest.ID)
	if err != nil {
		t.Fatal(err)
	}
	b.durable(t, snap) // the site that was away is given what it lacks
	checkOlder(t, b.Repository, []string{"onsite", "cloud"})

	// What is new is added, and finds what is old.
	again := b.write(t, "payments", map[string][]byte{"payments.ledger": olderRows()[0]})
	b.durable(t, again)
	if again.BytesNew != 0 {
		t.Errorf("%d bytes were not found in what the older release wrote", again.BytesNew)
	}
	b.rotate(t)
	b.durable(t, b.write(t, "payments", map[string][]byte{"payments.ledger": []byte("1\tnew\n")}))
	for _, site := range b.options.Sites {
		fresh := b.elsewhere(t, site)
		out, err := fresh.Rebuild(t.Context(), site.Name, nil)
		if err != nil || out.Snapshots != 4 || len(out.Damaged)+len(out.Lost) > 0 {
			t.Fatalf("rebuild from %s: %+v (%v)", site.Name, out, err)
		}
		checkOlder(t, fresh, []string{site.Name})
	}
}

// The same on an empty host, from each site as the older release left it.
func TestRebuildFromAnOlderRelease(t *testing.T) {
	b := older(t)
	b.stop()
	b.stop = func() {}
	for site, want := range map[int]int{0: 2, 1: 1} {
		root := filepath.Join(t.TempDir(), "site")
		name := b.options.Sites[site].Name
		if err := os.CopyFS(root, os.DirFS(filepath.Join("testdata", "format1", name))); err != nil {
			t.Fatal(err)
		}
		fresh := b.elsewhere(t, Site{Name: name, Store: openDir(t, name, root)})
		out, err := fresh.Rebuild(t.Context(), name, nil)
		if err != nil || out.Snapshots != want || len(out.Damaged)+len(out.Lost) > 0 {
			t.Errorf("rebuild from %s: %+v (%v)", name, out, err)
		}
		if site == 0 {
			checkOlder(t, fresh, []string{name})
		}
	}
}

// The daemon of an older release that never comes back leaves a catalog that
// only knows one key, apart.
func TestCatalogOfAnOlderReleaseOpensWithoutAnySite(t *testing.T) {
	b := older(t)
	b.stop()
	b.stop = func() {}
	sites := b.options.Sites
	b.options.Sites = nil
	if _, err := Open(t.Context(), b.options); err != nil {
		t.Error(err)
	}
	b.options.Sites = sites
	b.open(t)
	if _, err := b.options.Catalog.WrappedKey(keyName(b.keys.first.String())); errors.Is(err, catalog.ErrNotFound) {
		t.Error("the key is not kept with the others")
	}
}

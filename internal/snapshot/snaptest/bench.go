// Package snaptest gives the tests of snapshot, restore and verify a
// repository on two sites whose uploads run, and checks at the end of each
// test that nothing in it is out of order.
package snaptest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/dir"
)

// Sites are the names of the sites of every bench, in order of preference.
var Sites = []string{"onsite", "cloud"}

// Source is the name of the source of every bench.
const Source = "market"

// Stall is how long nothing may move between the source of a bench and a
// snapshot: more than a busy machine is ever quiet.
const Stall = 5 * time.Second

// Bench is a repository on two sites, with what takes snapshots into it.
type Bench struct {
	*repository.Repository
	Catalog *catalog.Catalog
	Taker   *snapshot.Taker
	Log     *slog.Logger
	// Base holds everything of the bench; it is kept when the test fails.
	Base string
	// Dirs are the folders of the sites, by name; empty for stores given.
	Dirs map[string]string
	// Damaged are sites whose copies the test has spoiled on purpose, so that
	// the checks at the end leave them alone.
	Damaged map[string]bool
	// Options are those that the repository was opened with.
	Options repository.Options

	stop func()
}

// New returns a bench on directories. sourceURL is the address of the database
// that Source stands for.
func New(t *testing.T, sourceURL string) *Bench {
	t.Helper()
	return NewOn(t, sourceURL, nil)
}

// NewOn returns a bench on the given stores, one for each of Sites, or on
// directories when there are none.
func NewOn(t *testing.T, sourceURL string, stores map[string]storage.Store) *Bench {
	t.Helper()
	b := &Bench{Dirs: map[string]string{}, Damaged: map[string]bool{}, Base: keptDir(t)}
	b.Log = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	daemon, escrow := identity(t), identity(t)
	b.Options = repository.Options{
		Spool: filepath.Join(b.Base, "spool"), Identities: []age.Identity{daemon}, Clock: clock.System, Log: b.Log,
	}
	for _, name := range Sites {
		store := stores[name]
		if store == nil {
			b.Dirs[name] = filepath.Join(b.Base, name)
			store = openDir(t, name, b.Dirs[name])
		}
		b.Options.Sites = append(b.Options.Sites, repository.Site{Name: name, Store: store})
	}
	var err error
	if b.Catalog, err = catalog.Open(filepath.Join(b.Base, "catalog.db")); err != nil {
		t.Fatal(err)
	}
	b.Options.Catalog = b.Catalog
	recipients := []age.Recipient{daemon.Recipient(), escrow.Recipient()}
	if _, err := repository.Init(t.Context(), b.Options, recipients); err != nil {
		t.Fatal(err)
	}
	b.open(t, sourceURL)
	return b
}

// open opens the repository, runs its uploads and has all of it checked at the
// end of the test.
func (b *Bench) open(t *testing.T, sourceURL string) {
	t.Helper()
	var err error
	if b.Repository, err = repository.Open(t.Context(), b.Options); err != nil {
		t.Fatal(err)
	}
	b.StartUploads(t)
	t.Cleanup(func() {
		b.checkAll(t)
		b.StopUploads()
		if err := b.Catalog.Close(); err != nil {
			t.Error(err)
		}
	})
	b.Taker = &snapshot.Taker{
		Repository: b.Repository, Catalog: b.Catalog, Sources: map[string]*postgres.Source{Source: b.source(t, sourceURL)},
		Connections: map[string]int{Source: 2}, Clock: clock.System, Log: b.Log, MinSites: 1, Patience: time.Second,
	}
}

func (b *Bench) source(t *testing.T, url string) *postgres.Source {
	t.Helper()
	source, err := postgres.New(postgres.Options{
		Name: Source, URL: url, Connections: 2, LockTimeout: 2 * time.Second, MaxSnapshotAge: time.Minute, StallTimeout: Stall,
		Log: b.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// StartUploads runs the uploads again after [Bench.StopUploads].
func (b *Bench) StartUploads(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.Upload(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// StopUploads ends the uploads; a second call does nothing.
func (b *Bench) StopUploads() {
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// Take takes a snapshot that must succeed and be on both sites.
func (b *Bench) Take(t *testing.T, fn config.Function) snapshot.Result {
	t.Helper()
	r, err := b.Taker.Take(t.Context(), fn, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Degraded || len(r.Sites) != len(Sites) {
		t.Fatalf("the snapshot is degraded: %+v", r.Sites)
	}
	return r
}

// Listed returns the ids of all snapshots that are listed.
func (b *Bench) Listed(t *testing.T) []string {
	t.Helper()
	var ids []string
	if err := b.Snapshots("", func(s repository.SnapshotInfo) bool { ids = append(ids, s.ID); return true }); err != nil {
		t.Fatal(err)
	}
	return ids
}

// checkAll is the full check of the repository: the catalog in itself, and
// levels L0 to L2 of every copy that a site claims to hold.
func (b *Bench) checkAll(t *testing.T) {
	t.Helper()
	if err := b.Catalog.Verify(); err != nil {
		t.Error(err)
	}
	for _, id := range b.Listed(t) {
		info, err := b.Info(id)
		if err != nil {
			t.Error(err)
			continue
		}
		for site, state := range info.Sites {
			if state.State == repository.StateDurable && !b.Damaged[site] {
				b.checkCopy(t, id, site)
			}
		}
	}
}

func (b *Bench) checkCopy(t *testing.T, id, site string) {
	t.Helper()
	ctx := context.Background()
	snap, err := b.ReadCommit(ctx, id, site)
	if err != nil {
		t.Error(err)
		return
	}
	packs, err := os.MkdirTemp(b.Base, "packs-")
	if err != nil {
		t.Error(err)
		return
	}
	quiet := func(int64) {}
	_, missing, err1 := b.CheckPresent(ctx, snap, site)
	_, wrong, err2 := b.Fetch(ctx, snap, site, packs, quiet)
	_, unreadable, err3 := b.CheckReadable(ctx, snap, packs, quiet)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Errorf("check of snapshot %s at site %s: %v", id, site, err)
	}
	for _, p := range append(append(missing, wrong...), unreadable...) {
		t.Errorf("snapshot %s at site %s: %s", id, site, p)
	}
}

// Objects returns the files of a site's objects whose names begin with prefix,
// "p/" for packs and "c/" for commits.
func (b *Bench) Objects(t *testing.T, site, prefix string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(b.Dirs[site], func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(b.Dirs[site], path)
		if strings.HasPrefix(filepath.ToSlash(name), prefix) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatalf("site %s holds no object %s…", site, prefix)
	}
	return out
}

// Spoil flips a bit in the middle of every pack of a site.
func (b *Bench) Spoil(t *testing.T, site string) {
	t.Helper()
	b.Damaged[site] = true
	for _, path := range b.Objects(t, site, "p/") {
		FlipBit(t, path)
	}
}

// FlipBit changes one bit in the middle of a file.
func FlipBit(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		content[len(content)/2] ^= 0x10
		err = os.Chmod(path, 0o600)
	}
	if err == nil {
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Messages collects the messages that a run reports.
type Messages struct {
	mu  sync.Mutex
	all []string
}

// Report takes an event.
func (m *Messages) Report(e progress.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.Message != "" {
		m.all = append(m.all, e.Message)
	}
}

// All returns the messages, a line each.
func (m *Messages) All() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.all, "\n")
}

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func openDir(t *testing.T, name, root string) storage.Store {
	t.Helper()
	if err := os.MkdirAll(root, 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := dir.Open(dir.Options{Site: name, Path: root})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// keptDir is a temporary folder that stays when the test fails.
func keptDir(t *testing.T) string {
	t.Helper()
	path, err := os.MkdirTemp("", "backupd-bench-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept for a look: %s", path)
			return
		}
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

// testWriter sends a log to the test, as long as it runs.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

package repository

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/rowhash"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/faulty"
)

// reopen opens the repository with other sites, as after a change of the
// configuration.
func (b *bench) reopen(t *testing.T, sites ...Site) {
	t.Helper()
	b.stop()
	b.options.Sites = sites
	b.open(t)
}

func TestSiteTakenOutAndPutBackGetsWhatItMissed(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	both := b.options.Sites
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 500)}))
	rows := someRows(rnd, 3000)
	b.reopen(t, both[0])
	without := b.write(t, "payments", map[string][]byte{"t": rows})
	b.durable(t, without)
	b.reopen(t, both...)
	after := b.write(t, "payments", map[string][]byte{"t": rows}) // all of it is in packs that the cloud never got
	b.durable(t, after)
	b.durable(t, without)
}

func TestNewSiteGetsThePacksOfACaptureThatFailed(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	rows := someRows(rnd, 150_000) // more than one pack
	broken := errors.New("source went away")
	err := b.Write(t.Context(), func(_ context.Context, w *Writer) error {
		if _, err := writeTable(w, "t", rows); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		left, err := b.options.Catalog.Backlog("onsite")
		return err == nil && left.Objects == 0
	})
	vault := Site{Name: "vault", Store: openDir(t, "vault", t.TempDir())}
	b.stop()
	b.options.Sites = append(b.options.Sites, vault)
	if _, err := Init(t.Context(), b.options, nil); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": rows}))
}

func TestLongRowThatCompressesWell(t *testing.T) {
	b := newBench(t)
	rows := append(bytes.Repeat([]byte("0123456789abcdef"), (72<<20)/16), '\n')
	snap := b.write(t, "catalog", map[string][]byte{"documents": rows})
	b.durable(t, snap)
	got, err := b.read(t, snap, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got["documents"], rows) {
		t.Error("the row came back different")
	}
}

func TestInitThatDiedHalfWay(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)})
	b.durable(t, snap)
	b.stop()
	if err := os.RemoveAll(b.roots["cloud"]); err != nil {
		t.Fatal(err)
	}
	cloud := faulty.New(openDir(t, "cloud", b.roots["cloud"]), "cloud")
	whole := b.options.Sites[1]
	b.options.Sites[1] = Site{Name: "cloud", Store: cloud}
	// The object arrives, the answer does not.
	cloud.Inject(faulty.Rule{Op: "put", Name: configName, Err: errors.New("connection reset"), After: true, Times: 1})
	if _, err := Init(t.Context(), b.options, nil); err == nil {
		t.Fatal("the fault did not show")
	}
	b.options.Sites[1] = whole
	if _, err := Init(t.Context(), b.options, nil); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	b.durable(t, snap)
}

func TestShareThatVanishesUnderAnUpload(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)}))
	root, away := b.roots["cloud"], b.roots["cloud"]+".away"
	if err := errors.Join(os.Rename(root, away), os.Mkdir(root, 0o700)); err != nil {
		t.Fatal(err)
	}
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)})
	waitFor(t, func() bool {
		states, err := b.Wait(t.Context(), snap.ID, Patience{})
		return err == nil && states["cloud"].Error != ""
	})
	if err := errors.Join(os.RemoveAll(root), os.Rename(away, root)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		b.clock.Advance(time.Minute)
		states, err := b.Wait(t.Context(), snap.ID, Patience{})
		return err == nil && states["cloud"].State == StateDurable
	})
}

func TestRottenObjectIsReplaced(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.stop()
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)})
	pack := filepath.Join(b.roots["cloud"], catalog.PackName(snap.Packs[0].SHA256))
	if err := os.MkdirAll(filepath.Dir(pack), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pack, make([]byte, snap.Packs[0].Size), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	b.durable(t, snap)
	there, err := os.ReadFile(pack)
	if err != nil || sum(there) != snap.Packs[0].SHA256 {
		t.Errorf("zeros of the right length were taken for the pack (%v)", err)
	}
}

func TestDamagedKeyIsFound(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)})
	b.durable(t, snap)
	defer flipByte(t, filepath.Join(b.roots["cloud"], keyName(b.keys.first.String())), 50)()
	if problems := b.check(t, snap.ID, "cloud"); len(problems) != 1 || problems[0].Object != keyName(b.keys.first.String()) {
		t.Errorf("the check found %v", problems)
	}
}

// With a site that cannot be asked nobody knows that there is no repository.
func TestInitDoesNotMakeASecondRepository(t *testing.T) {
	b := newBench(t)
	o := b.options
	away := faulty.New(openDir(t, "onsite", t.TempDir()), "onsite")
	away.SetDown(true)
	o.Sites = []Site{{Name: "onsite", Store: away}, {Name: "new", Store: openDir(t, "new", t.TempDir())}}
	cat, err := catalog.Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cat.Close() }()
	o.Catalog = cat
	_, err = Init(t.Context(), o, []age.Recipient{b.daemon.Recipient(), b.escrow.Recipient()})
	if err == nil || errors.Is(err, ErrNoRepository) {
		t.Errorf("init with a site away: %v", err)
	}
	if _, err := o.Sites[1].Store.Stat(t.Context(), configName); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a second repository was made: %v", err)
	}
}

func TestPointFromTheFutureIsNotTheNewest(t *testing.T) {
	b := newBench(t)
	b.clock.Advance(365 * 24 * time.Hour)
	wrong := b.write(t, "payments", map[string][]byte{"t": []byte("1\n")})
	b.clock.Advance(-365 * 24 * time.Hour)
	any := func(SnapshotInfo) bool { return true }
	s, ok, err := b.Newest("payments", any)
	if err != nil || !ok || s.ID != wrong.ID {
		t.Errorf("the only one is not the newest: %v %v", s.ID, err)
	}
	b.clock.Advance(time.Minute)
	right := b.write(t, "payments", map[string][]byte{"t": []byte("1\n2\n")})
	b.clock.Advance(time.Minute)
	if s, ok, err := b.Newest("payments", any); err != nil || !ok || s.ID != right.ID {
		t.Errorf("%s is the newest, want %s (%v)", s.ID, right.ID, err)
	}
	b.durable(t, right)
}

func TestSlowSiteDoesNotHoldUpARun(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	slow := faulty.New(b.options.Sites[1].Store, "cloud")
	slow.Inject(faulty.Rule{Op: "put", Latency: time.Hour})
	b.reopen(t, b.options.Sites[0], Site{Name: "cloud", Store: slow})
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)})
	ticking, stop := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for ticking.Err() == nil {
			b.clock.Advance(time.Second)
			time.Sleep(time.Millisecond)
		}
	}()
	states, err := b.Wait(t.Context(), snap.ID, Patience{Failing: time.Hour, Enough: 1, Lag: 10 * time.Second})
	stop()
	<-stopped
	if err != nil || states["onsite"].State != StateDurable || states["cloud"].State != StateSpooled {
		t.Errorf("with a slow site the states are %v (%v)", states, err)
	}
}

// A catalog rebuilt from either site alone tells what the live one tells.
func TestRebuildFromEachSite(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	var snaps []*Snapshot
	for i := range 4 {
		b.clock.Advance(time.Minute)
		tables := map[string][]byte{"t": someRows(rnd, 2000), "same": []byte("1\n")}
		snaps = append(snaps, b.write(t, []string{"payments", "accounts"}[i%2], tables))
	}
	for _, s := range snaps {
		b.durable(t, s)
	}
	for i, site := range b.options.Sites {
		fresh := b.elsewhere(t, site)
		out, err := fresh.Rebuild(t.Context(), site.Name, nil)
		if err != nil || len(out.Lost) > 0 || len(out.Damaged) > 0 || out.Snapshots != len(snaps) {
			t.Fatalf("rebuild from %s: %+v (%v)", site.Name, out, err)
		}
		if err := fresh.catalog.Verify(); err != nil {
			t.Error(err)
		}
		for _, want := range snaps {
			want, liveErr := b.Snapshot(t.Context(), want.ID)
			got, err := fresh.Snapshot(t.Context(), want.ID)
			if err := errors.Join(liveErr, err); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("from %s (%d): %s", site.Name, i, diff)
			}
			for _, table := range got.Tables {
				rd, err := fresh.Reader(got, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				var w rowhash.Writer
				if err := rd.Copy(t.Context(), table.Data, &w); err != nil {
					t.Fatal(err)
				}
				if digest, _ := w.Sum(); digest.String() != table.Digest {
					t.Errorf("table %s: digest %s, want %s", table.Name, digest, table.Digest)
				}
			}
		}
		if _, err := fresh.Rebuild(t.Context(), site.Name, nil); !errors.Is(err, ErrNotEmpty) {
			t.Errorf("rebuilt twice: %v", err)
		}
	}
}

// elsewhere opens the repository on an empty host with the escrow's key and
// one site.
func (b *bench) elsewhere(t *testing.T, sites ...Site) *Repository {
	t.Helper()
	cat, err := catalog.Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cat.Close() })
	o := b.options
	o.Catalog, o.Spool, o.Sites, o.Identities = cat, t.TempDir(), sites, []age.Identity{b.escrow}
	r, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRebuildTellsWhatIsLost(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	first := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 2000)})
	second := b.write(t, "accounts", map[string][]byte{"t": someRows(rnd, 2000)})
	b.durable(t, second)
	pack := filepath.Join(b.roots["cloud"], catalog.PackName(first.Packs[0].SHA256))
	away := filepath.Join(t.TempDir(), "pack")
	if err := os.Rename(pack, away); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Rename(away, pack); err != nil {
			t.Error(err)
		}
	}()
	out, err := b.elsewhere(t, b.options.Sites[1]).Rebuild(t.Context(), "cloud", nil)
	if err != nil || out.Snapshots != 1 || len(out.Lost) != 1 || out.Lost[0].Snapshot != first.ID ||
		out.Lost[0].Missing[0] != catalog.PackName(first.Packs[0].SHA256) {
		t.Errorf("rebuild without a pack: %+v (%v)", out, err)
	}
}

// After a rebuild the other site is compared, not written anew, and what it
// lacks is copied to it.
func TestRebuiltCatalogCatchesUpTheOtherSite(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 2000)})
	b.durable(t, snap)
	b.stop()
	if err := os.Remove(filepath.Join(b.roots["cloud"], catalog.PackName(snap.Packs[0].SHA256))); err != nil {
		t.Fatal(err)
	}
	old := b.options.Catalog
	b.openCatalog(t, filepath.Join(t.TempDir(), "new.db"))
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.Repository, err = Open(t.Context(), b.options); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Rebuild(t.Context(), "onsite", nil); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	b.durable(t, snap)
	b.clock.Advance(time.Minute)
	next := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)})
	b.durable(t, next)
}

// What could not be finished must not keep the space that was missing.
func TestSpoolKeepsNothingUnfinished(t *testing.T) {
	s, err := openSpool(t.TempDir(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.path("c/in-the-way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.put("c/in-the-way", []byte("x")); !errors.Is(err, ErrSpool) {
		t.Errorf("put over a directory: %v", err)
	}
	left, err := os.ReadDir(s.temporary())
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

package repository

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/faulty"
)

// twoPacks takes two snapshots: of the second, the table same lies in the pack
// of the first and the table new in one of its own.
func (b *bench) twoPacks(t *testing.T) (first, second *Snapshot, tables map[string][]byte) {
	t.Helper()
	rnd := seeded(t)
	tables = map[string][]byte{"same": someRows(rnd, 2000), "new": someRows(rnd, 2000)}
	first = b.write(t, "payments", tables)
	b.clock.Advance(time.Minute)
	tables["new"] = someRows(rnd, 2000)
	second = b.write(t, "payments", tables)
	b.durable(t, first)
	b.durable(t, second)
	return first, second, tables
}

// ownPack returns the pack that a snapshot names and an earlier one does not.
func ownPack(t *testing.T, s, earlier *Snapshot) string {
	t.Helper()
	for _, p := range s.Packs {
		if !slices.Contains(earlier.Packs, p) {
			return catalog.PackName(p.SHA256)
		}
	}
	t.Fatal("it has no pack of its own")
	return ""
}

func (b *bench) lose(t *testing.T, name string, sites ...string) {
	t.Helper()
	for _, site := range sites {
		if err := os.Remove(filepath.Join(b.roots[site], name)); err != nil {
			t.Fatal(err)
		}
	}
}

// instead opens the repository with an empty catalog, as on a new host, and
// rebuilds that from a site.
func (b *bench) instead(t *testing.T, site string) *Rebuilt {
	t.Helper()
	b.stop()
	old := b.options.Catalog
	b.openCatalog(t, filepath.Join(t.TempDir(), "new.db"))
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	b.options.Spool = t.TempDir()
	var err error
	if b.Repository, err = Open(t.Context(), b.options); err != nil {
		t.Fatal(err)
	}
	out, err := b.Rebuild(t.Context(), site, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.open(t)
	return out
}

func TestRebuildTellsWhichTablesAreLost(t *testing.T) {
	b := newBench(t)
	first, second, tables := b.twoPacks(t)
	pack := ownPack(t, second, first)
	b.lose(t, pack, "cloud")
	want := LostSnapshot{
		Snapshot: second.ID, Function: "payments", RecoveryPoint: second.RecoveryPoint,
		Missing: []string{pack}, LostTables: []string{"new"}, WholeTables: []string{"same"},
	}
	r, out := b.rebuilt(t, b.options.Sites[1])
	if diff := cmp.Diff([]LostSnapshot{want}, out.Lost); diff != "" || out.Snapshots != 1 {
		t.Errorf("%d snapshots, lost (-want +got):\n%s", out.Snapshots, diff)
	}
	// What is whole of it can be read, what is not says what is missing.
	info, err := r.Info(second.ID)
	if err != nil || info.Sites["cloud"].State != StateDamaged || !strings.Contains(info.Sites["cloud"].Error, pack) {
		t.Errorf("it is %+v (%v)", info.Sites, err)
	}
	known, err := r.Snapshot(t.Context(), second.ID)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := r.Reader(known, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range known.Tables {
		var rows bytes.Buffer
		err := rd.Copy(t.Context(), table.Data, &rows)
		if whole := table.Name == "same"; whole && (err != nil || !bytes.Equal(rows.Bytes(), tables["same"])) || !whole && !errors.Is(err, ErrUnavailable) {
			t.Errorf("table %s: %d bytes, %v", table.Name, rows.Len(), err)
		}
	}
	if s, ok, err := r.Newest("payments", func(s SnapshotInfo) bool { return s.Holders() > 0 }); err != nil || !ok || s.ID != first.ID {
		t.Errorf("the newest recovery point is %v %v (%v)", s.ID, ok, err)
	}
	// With another site at hand it is said whether that has what is missing.
	want.Elsewhere = []string{"onsite"}
	both := b.elsewhere(t, b.options.Sites...)
	if out, err = both.Rebuild(t.Context(), "cloud", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]LostSnapshot{want}, out.Lost); diff != "" {
		t.Errorf("with the other site (-want +got):\n%s", diff)
	}
	away := faulty.New(b.options.Sites[0].Store, "onsite")
	away.SetDown(true)
	alone := b.elsewhere(t, Site{Name: "onsite", Store: away}, b.options.Sites[1])
	if out, err = alone.Rebuild(t.Context(), "cloud", nil); err != nil || len(out.Unasked) != 1 || out.Unasked[0].Object != "onsite" || len(out.Lost[0].Elsewhere) > 0 {
		t.Errorf("with the other site away: %+v (%v)", out, err)
	}
	// The live catalog puts it right.
	b.scrubAll(t)
}

// After a rebuild everything comes back that any site has, and nothing is sent
// that is there.
func TestRebuiltCatalogGetsBackWhatTheOthersHave(t *testing.T) {
	b := newBench(t)
	puts := b.flawed(t)
	first, second, _ := b.twoPacks(t)
	// The cloud misses the newest snapshots, and has lost a pack.
	puts["cloud"].SetDown(true)
	b.clock.Advance(time.Minute)
	third := b.write(t, "accounts", map[string][]byte{"u": []byte("1\n2\n")})
	if err := b.Hold(t.Context(), first.ID, "an audit"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { left, err := b.catalog.Backlog("onsite"); return err == nil && left.Objects == 0 })
	puts["cloud"].SetDown(false)
	b.lose(t, ownPack(t, second, first), "cloud")
	for _, s := range puts {
		s.ResetCounts()
	}
	out := b.instead(t, "cloud")
	if out.Snapshots != 1 || len(out.Lost) != 1 || !slices.Equal(out.Lost[0].Elsewhere, []string{"onsite"}) {
		t.Errorf("rebuilt from the cloud: %+v", out)
	}
	stop := b.tick()
	b.inStep(t)
	b.inStep(t) // what the first found at one site is at the other now
	stop()
	for _, s := range []*Snapshot{first, second, third} {
		b.durable(t, s)
	}
	if info, err := b.Info(first.ID); err != nil || info.Held != "an audit" {
		t.Errorf("the hold is %q (%v)", info.Held, err)
	}
	// The pack, the third snapshot's pack and commit, the mark.
	if onsite, cloud := puts["onsite"].Count("put"), puts["cloud"].Count("put"); onsite != 0 || cloud != 4 {
		t.Errorf("%d objects were sent to onsite, %d to the cloud", onsite, cloud)
	}
	b.sameEverywhere(t)
}

// What is lost at every site is said so, does not keep the house from being
// kept, and goes when nobody needs it.
func TestLostSnapshotCanBeGivenUp(t *testing.T) {
	b := newBench(t)
	first, second, tables := b.twoPacks(t)
	pack := ownPack(t, second, first)
	b.lose(t, pack, "cloud", "onsite")
	out := b.instead(t, "onsite")
	if len(out.Lost) != 1 || len(out.Lost[0].Elsewhere) > 0 || len(out.Unasked) > 0 {
		t.Errorf("rebuilt: %+v", out)
	}
	found, err := b.Sync(t.Context(), nil, time.Minute, nil)
	if err != nil || len(found["onsite"].Problems)+len(found["cloud"].Problems) > 0 {
		t.Errorf("compared: %+v (%v)", found, err)
	}
	b.clock.Advance(time.Minute)
	third := b.write(t, "payments", tables)
	b.durable(t, third)
	if err := b.Condemn(t.Context(), map[string]string{second.ID: "it is lost"}); err != nil {
		t.Fatal(err)
	}
	b.sweep(t, SweepOptions{})
	b.clock.Advance(2 * day)
	b.sweep(t, SweepOptions{})
	for _, site := range b.siteNames() {
		if faults, err := b.catalog.Faults(site); err != nil || len(faults) > 0 {
			t.Errorf("site %s: %v (%v)", site, faults, err)
		}
	}
	if _, err := b.Info(second.ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("it is still known: %v", err)
	}
	b.sameEverywhere(t)
}

// A site that was filled anew while a pack was lost is given it, when it is
// found again, before the commits that name it.
func TestPackThatIsFoundAgainReachesNewSites(t *testing.T) {
	b := newBench(t)
	first, second, _ := b.twoPacks(t)
	pack := ownPack(t, second, first)
	good := mustRead(t, filepath.Join(b.roots["onsite"], pack))
	b.lose(t, pack, "onsite", "cloud")
	b.scrubAll(t)
	b.stop()
	if err := errors.Join(os.RemoveAll(b.roots["cloud"]), os.Mkdir(b.roots["cloud"], 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), b.options, nil); err != nil {
		t.Fatal(err)
	}
	sent := &recorder{Store: b.options.Sites[1].Store}
	b.options.Sites = []Site{b.options.Sites[0], {Name: "cloud", Store: sent}}
	b.open(t)
	b.inStep(t)
	if err := os.WriteFile(filepath.Join(b.roots["onsite"], pack), good, 0o600); err != nil {
		t.Fatal(err)
	}
	stop := b.tick()
	b.inStep(t)
	b.inStep(t)
	stop()
	b.durable(t, second)
	info, err := b.Info(second.ID)
	if err != nil {
		t.Fatal(err)
	}
	if names := sent.names(); slices.Index(names, pack) < 0 || slices.Index(names, pack) > slices.Index(names, info.Commit) {
		t.Errorf("it was sent in the order %v", names)
	}
}

// recorder is a store that remembers in which order objects came.
type recorder struct {
	storage.Store
	mu   sync.Mutex
	came []string
}

func (r *recorder) Put(ctx context.Context, o storage.Object) error {
	err := r.Store.Put(ctx, o)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.came = append(r.came, o.Name)
	}
	return err
}

func (r *recorder) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.came)
}

// A pack whose server cannot read it does not keep the rest from coming back.
func TestRebuildWithAnUnreadablePack(t *testing.T) {
	b := newBench(t)
	first, second, _ := b.twoPacks(t)
	pack := ownPack(t, second, first)
	bad := &rotten{Store: b.options.Sites[1].Store}
	bad.name.Store(&pack)
	_, out := b.rebuilt(t, Site{Name: "cloud", Store: bad})
	if out.Snapshots != 1 || len(out.Lost) != 1 || out.Lost[0].Snapshot != second.ID || len(out.Damaged) != 1 || out.Damaged[0].Object != pack {
		t.Errorf("rebuilt: %+v", out)
	}
}

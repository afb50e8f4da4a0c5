package repository

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

const day = 24 * time.Hour

func (b *bench) sweep(t *testing.T, o SweepOptions) Swept {
	t.Helper()
	b.inStep(t)
	if o.Grace == 0 {
		o.Grace = day
	}
	out, err := b.Sweep(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.inStep(t)
	return out
}

// inStep waits until every site has everything.
func (b *bench) inStep(t *testing.T) {
	t.Helper()
	if _, err := b.Sync(t.Context(), nil, time.Minute, nil); err != nil {
		t.Fatal(err)
	}
}

// objects returns the names of what a site holds below a folder.
func (b *bench) objects(t *testing.T, site, folder string) (names []string) {
	t.Helper()
	root := filepath.Join(b.roots[site], folder)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return names
}

// matches restores every snapshot of the list from each site alone.
func (b *bench) matches(t *testing.T, snaps []*Snapshot, want map[string]map[string][]byte) {
	t.Helper()
	for _, s := range snaps {
		now, err := b.Snapshot(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		for site := range b.roots {
			got, err := b.read(t, now, []string{site}, nil)
			if err != nil {
				t.Fatalf("snapshot %s from %s: %v", s.ID, site, err)
			}
			for name, rows := range want[s.ID] {
				if !bytes.Equal(got[name], rows) {
					t.Errorf("snapshot %s from %s: table %s differs", s.ID, site, name)
				}
			}
		}
	}
}

// history takes snapshots of a table of which one part in so many changes from
// one to the next: each time the next part, so that what later ones need of the
// first follows from the numbers alone, whatever the seed.
func (b *bench) history(t *testing.T, rnd *rand.Rand, n, part int) ([]*Snapshot, map[string]map[string][]byte) {
	t.Helper()
	snaps, want := b.unsent(t, rnd, n, part)
	for _, s := range snaps {
		b.durable(t, s)
	}
	return snaps, want
}

// unsent is history that does not wait for the sites.
func (b *bench) unsent(t *testing.T, rnd *rand.Rand, n, part int) ([]*Snapshot, map[string]map[string][]byte) {
	t.Helper()
	rows := evenRows(rnd, 20_000)
	var snaps []*Snapshot
	want := map[string]map[string][]byte{}
	for i := range n {
		from := i % part * (len(rows) / part)
		for j := from; j < from+len(rows)/part; j++ {
			rows[j] = fmt.Appendf(nil, "%d\t%d\t%x\n", i, j, rnd.Uint64())
		}
		b.clock.Advance(time.Hour)
		tables := map[string][]byte{"t": bytes.Join(rows, nil)}
		s := b.write(t, "payments", tables)
		snaps, want[s.ID] = append(snaps, s), tables
	}
	return snaps, want
}

// evenRows returns n rows of COPY text of about the same length, so that equal
// parts of them are about equally many bytes.
func evenRows(rnd *rand.Rand, n int) (rows [][]byte) {
	for i := range n {
		row := fmt.Appendf(nil, "%d\t", i)
		for range 600 + rnd.IntN(200) {
			row = append(row, "abcdefghijklmnopqrstuvwxyz012345"[rnd.IntN(32)])
		}
		rows = append(rows, append(row, '\n'))
	}
	return rows
}

func TestSweepDeletesInTwoPhases(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snaps, want := b.history(t, rnd, 4, 1)
	before := len(b.objects(t, "cloud", "p"))
	doomed := map[string]string{snaps[0].ID: "no rule keeps it", snaps[1].ID: "no rule keeps it"}
	if err := b.Condemn(t.Context(), doomed); err != nil {
		t.Fatal(err)
	}
	first := b.sweep(t, SweepOptions{})
	if first.Commits.Objects+first.Packs.Objects > 0 || first.Condemned.Objects == 0 {
		t.Errorf("the first sweep: %+v", first)
	}
	b.matches(t, snaps, want) // all of them, for a day
	b.clock.Advance(day + time.Minute)
	told := b.sweep(t, SweepOptions{DryRun: true})
	second := b.sweep(t, SweepOptions{})
	if second.Commits.Objects != 2 || second.Packs.Objects != first.Condemned.Objects || told.Packs != second.Packs || told.Commits != second.Commits {
		t.Errorf("the second sweep: %+v, foretold %+v", second, told)
	}
	for site := range b.roots {
		if n := len(b.objects(t, site, "p")); n != before-second.Packs.Objects {
			t.Errorf("site %s has %d packs, it had %d and %d were deleted", site, n, before, second.Packs.Objects)
		}
		if n := len(b.objects(t, site, "c")); n != 2 {
			t.Errorf("site %s has %d commits", site, n)
		}
	}
	if _, err := b.Info(snaps[0].ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a deleted snapshot is known: %v", err)
	}
	b.matches(t, snaps[2:], want)
	// What was deleted does not serve as a place of chunks any more.
	s := b.write(t, "payments", want[snaps[0].ID])
	b.durable(t, s)
	b.matches(t, []*Snapshot{s}, map[string]map[string][]byte{s.ID: want[snaps[0].ID]})
}

func TestHeldAndLastSnapshotsStay(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snaps, want := b.history(t, rnd, 3, 1)
	if err := b.Condemn(t.Context(), map[string]string{snaps[2].ID: "a bad rule"}); !errors.Is(err, ErrFloor) {
		t.Errorf("the last good snapshot is condemned: %v", err)
	}
	proof := catalog.Proof{Function: "payments", Snapshot: snaps[0].ID, Site: "cloud", Passed: true, Level: "L5"}
	if err := b.options.Catalog.PutProof(&proof); err != nil {
		t.Fatal(err)
	}
	if err := b.Condemn(t.Context(), map[string]string{snaps[0].ID: "a bad rule"}); !errors.Is(err, ErrFloor) {
		t.Errorf("the last proven snapshot is condemned: %v", err)
	}
	if err := b.Condemn(t.Context(), map[string]string{snaps[1].ID: "no rule keeps it"}); err != nil {
		t.Fatal(err)
	}
	b.sweep(t, SweepOptions{})
	if err := b.Hold(t.Context(), snaps[1].ID, "court order"); err != nil {
		t.Fatal(err)
	}
	if err := b.Condemn(t.Context(), map[string]string{snaps[1].ID: "no rule keeps it"}); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(2 * day)
	if out := b.sweep(t, SweepOptions{}); out.Commits.Objects+out.Packs.Objects > 0 {
		t.Errorf("deleted: %+v", out)
	}
	b.matches(t, snaps, want)
}

func TestNothingIsDeletedWhileASiteIsAway(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snaps, want := b.history(t, rnd, 2, 1)
	if err := b.Condemn(t.Context(), map[string]string{snaps[0].ID: "no rule keeps it"}); err != nil {
		t.Fatal(err)
	}
	b.sweep(t, SweepOptions{})
	b.clock.Advance(2 * day)
	b.inStep(t)
	hidden := b.roots["cloud"] + ".away"
	if err := os.Rename(b.roots["cloud"], hidden); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Sweep(t.Context(), SweepOptions{Grace: day}, nil); !errors.Is(err, ErrNotInStep) {
		t.Errorf("swept while a site was away: %v", err)
	}
	if err := os.Rename(hidden, b.roots["cloud"]); err != nil {
		t.Fatal(err)
	}
	b.matches(t, snaps, want)
}

func TestMostlyDeadPacksAreRewritten(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	// Of the first pack, four parts of eight are written over before the fifth
	// snapshot: about half of it is needed, less than rewriteBelow. All of the
	// later packs is.
	snaps, want := b.history(t, rnd, 6, 8)
	doomed := map[string]string{}
	for _, s := range snaps[:4] {
		doomed[s.ID] = "no rule keeps it"
	}
	if err := b.Condemn(t.Context(), doomed); err != nil {
		t.Fatal(err)
	}
	told := b.sweep(t, SweepOptions{MaxRewrite: 1 << 30, DryRun: true})
	first := b.sweep(t, SweepOptions{MaxRewrite: 1 << 30})
	if first.Rewritten.Objects == 0 || first.Moved.Bytes >= first.Rewritten.Bytes || told.Rewritten != first.Rewritten {
		t.Fatalf("rewritten: %+v, foretold %+v", first, told)
	}
	b.matches(t, snaps, want)
	second := b.sweep(t, SweepOptions{MaxRewrite: 1 << 30})
	if second.Condemned.Objects < first.Rewritten.Objects {
		t.Errorf("%d packs were rewritten, and %d condemned", first.Rewritten.Objects, second.Condemned.Objects)
	}
	b.matches(t, snaps, want)
	b.clock.Advance(day + time.Minute)
	third := b.sweep(t, SweepOptions{MaxRewrite: 1 << 30})
	if third.Packs.Objects == 0 || third.Commits.Objects < 6 {
		t.Errorf("deleted %+v", third)
	}
	b.matches(t, snaps[4:], want)
	for site := range b.roots {
		if n := len(b.objects(t, site, "c")); n != 2 {
			t.Errorf("site %s has %d commits", site, n)
		}
		r := b.elsewhere(t, b.options.Sites...)
		if _, err := r.Rebuild(t.Context(), site, nil); err != nil {
			t.Errorf("rebuild from %s: %v", site, err)
		}
	}
	// Nothing is left to rewrite.
	if fourth := b.sweep(t, SweepOptions{MaxRewrite: 1 << 30, DryRun: true}); fourth.Rewritten.Objects > 0 {
		t.Errorf("there is more to rewrite: %+v", fourth)
	}
}

// Two services that write to one repository do not see each other's captures
// before their commits. So nothing is deleted for a while after the other was
// noticed.
func TestNothingIsDeletedBesideAnotherWriter(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snaps, want := b.history(t, rnd, 2, 1)
	if err := b.Condemn(t.Context(), map[string]string{snaps[0].ID: "no rule keeps it"}); err != nil {
		t.Fatal(err)
	}
	b.sweep(t, SweepOptions{})
	other := b.beside(t)
	theirs := other.write(t, "payments", want[snaps[0].ID])
	other.durable(t, theirs)
	want[theirs.ID] = want[snaps[0].ID]
	b.clock.Advance(day + time.Hour)
	if _, err := b.Sweep(t.Context(), SweepOptions{Grace: day}, nil); !errors.Is(err, ErrNotInStep) {
		t.Errorf("swept beside another writer: %v", err)
	}
	b.inStep(t)
	b.matches(t, append(snaps, theirs), want)
	b.clock.Advance(3 * day)
	if out := b.sweep(t, SweepOptions{}); out.Commits.Objects != 1 {
		t.Errorf("swept: %+v", out)
	}
	b.matches(t, []*Snapshot{snaps[1], theirs}, want)
}

// beside is another service on the same sites, with a catalog made from one of
// them.
func (b *bench) beside(t *testing.T) *bench {
	t.Helper()
	other := *b
	base := t.TempDir()
	other.options.Spool = filepath.Join(base, "spool")
	other.openCatalog(t, filepath.Join(base, "catalog.db"))
	r, err := Open(t.Context(), other.options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rebuild(t.Context(), "onsite", nil); err != nil {
		t.Fatal(err)
	}
	other.open(t)
	t.Cleanup(func() {
		other.stop()
		if err := other.options.Catalog.Close(); err != nil {
			t.Error(err)
		}
	})
	return &other
}

package repository

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

// giveUp asks what is lost, or gives it up, and returns what is said of the
// only point that it may be about.
func (b *bench) giveUp(t *testing.T, tell bool) LostPoint {
	t.Helper()
	points, err := b.GiveUpLost(t.Context(), "", tell)
	if err != nil || len(points) != 1 {
		t.Fatalf("lost: %+v (%v)", points, err)
	}
	return points[0]
}

func (b *bench) isCondemned(t *testing.T, id string) bool {
	t.Helper()
	s, err := b.Info(id)
	if err != nil {
		t.Fatal(err)
	}
	return !s.Condemned.IsZero()
}

// loseNow takes an object away at every site, and has the repository find out.
func (b *bench) loseNow(t *testing.T, name string) (content []byte) {
	t.Helper()
	content = mustRead(t, filepath.Join(b.roots["cloud"], name))
	b.lose(t, name, "cloud", "onsite")
	b.inStep(t)
	return content
}

func (b *bench) putBack(t *testing.T, site, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.roots[site], name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// away calls fn while a site is not there.
func (b *bench) away(t *testing.T, site string, fn func()) {
	t.Helper()
	hidden := b.roots[site] + ".away"
	if err := os.Rename(b.roots[site], hidden); err != nil {
		t.Fatal(err)
	}
	fn()
	if err := os.Rename(hidden, b.roots[site]); err != nil {
		t.Fatal(err)
	}
}

// What is lost is given up when it is asked for, and only when every site has
// said that it does not have it, nobody holds it and it is nowhere after all.
func TestLostPointIsGivenUp(t *testing.T) {
	b := newBench(t)
	first, second, tables := b.twoPacks(t)
	if points, err := b.GiveUpLost(t.Context(), "", false); err != nil || len(points) > 0 {
		t.Errorf("when all is well: %+v (%v)", points, err)
	}
	// That it was the last to be proven does not keep what cannot be restored.
	for i, s := range []*Snapshot{first, second} {
		err := b.catalog.PutProof(&catalog.Proof{Function: "payments", Snapshot: s.ID, Site: "cloud", Passed: true, Level: "L5", Started: b.clock.Now().Add(time.Duration(i))})
		if err != nil {
			t.Fatal(err)
		}
	}
	pack := ownPack(t, second, first)
	content := b.loseNow(t, pack)
	if err := b.Condemn(t.Context(), map[string]string{second.ID: "no rule keeps it"}); !errors.Is(err, ErrFloor) {
		t.Errorf("rules take the last proven one because it is lost now: %v", err)
	}

	told := b.giveUp(t, true)
	if told.Snapshot != second.ID || told.Kept != "" || !slices.Equal(told.Missing, []string{pack}) ||
		!slices.Equal(told.LostTables, []string{"new"}) || !slices.Equal(told.WholeTables, []string{"same"}) {
		t.Errorf("lost: %+v", told)
	}
	b.away(t, "cloud", func() {
		if p := b.giveUp(t, false); !p.Unasked || !strings.Contains(p.Kept, "site cloud cannot be asked") {
			t.Errorf("while a site is away: %+v", p)
		}
	})
	// A bucket that was made anew says nothing either.
	b.away(t, "cloud", func() {
		if err := os.MkdirAll(b.roots["cloud"], 0o700); err != nil {
			t.Fatal(err)
		}
		if p := b.giveUp(t, false); !p.Unasked {
			t.Errorf("while a site is empty: %+v", p)
		}
		if err := os.RemoveAll(b.roots["cloud"]); err != nil {
			t.Fatal(err)
		}
	})
	if err := b.Hold(t.Context(), second.ID, "court order"); err != nil {
		t.Fatal(err)
	}
	if p := b.giveUp(t, false); p.Kept != "held: court order" {
		t.Errorf("while it is held: %+v", p)
	}
	if err := b.Hold(t.Context(), second.ID, ""); err != nil {
		t.Fatal(err)
	}
	b.putBack(t, "cloud", pack, content)
	if p := b.giveUp(t, false); !strings.Contains(p.Kept, "found again: site cloud") {
		t.Errorf("when it is at a site after all: %+v", p)
	}
	if b.isCondemned(t, second.ID) {
		t.Fatal("it was given up, for one reason or another that does not count")
	}
	b.putBack(t, "cloud", pack, flipped(content)) // helps nobody

	if p := b.giveUp(t, false); p.Kept != "" {
		t.Errorf("when it is lost: %+v", p)
	}
	if s, err := b.Info(second.ID); err != nil || !strings.HasPrefix(s.Reason, "lost: ") || !strings.Contains(s.Reason, "new") {
		t.Errorf("given up: %+v (%v)", s, err)
	}
	if up, err := b.catalog.GivenUp(pack); err != nil || !up || b.isCondemned(t, first.ID) {
		t.Errorf("all that needs the pack is given up: %t (%v)", up, err)
	}
	if floors, err := b.Floors("payments"); err != nil || floors[second.ID] != "" || floors[first.ID] == "" {
		t.Errorf("floors: %v (%v)", floors, err)
	}
	third := b.write(t, "payments", tables)
	b.durable(t, third)
	if err := b.Condemn(t.Context(), map[string]string{first.ID: "no rule keeps it"}); !errors.Is(err, ErrFloor) {
		t.Errorf("the last proven one that is whole: %v", err)
	}
	b.sweep(t, SweepOptions{})
	b.clock.Advance(2 * day)
	b.sweep(t, SweepOptions{})
	if _, err := b.Info(second.ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("it is still known: %v", err)
	}
	for _, site := range b.siteNames() {
		if faults, err := b.catalog.Faults(site); err != nil || len(faults) > 0 {
			t.Errorf("site %s: %v (%v)", site, faults, err)
		}
	}
	b.matches(t, []*Snapshot{third}, map[string]map[string][]byte{third.ID: tables})
}

// A pack that waits in the spool, and is at no site, is not lost; nor is what
// one site has and the other lacks.
func TestWhatCanBeHadIsNotGivenUp(t *testing.T) {
	b := newBench(t)
	first, second, _ := b.twoPacks(t)
	pack := ownPack(t, second, first)
	content := b.loseNow(t, pack)
	if err := os.WriteFile(b.spool.path(pack), content, 0o600); err != nil {
		t.Fatal(err)
	}
	if p := b.giveUp(t, false); !strings.Contains(p.Kept, "found again: the spool") || b.isCondemned(t, second.ID) {
		t.Errorf("in the spool: %+v", p)
	}
	if err := os.Remove(b.spool.path(pack)); err != nil {
		t.Fatal(err)
	}
	b.lose(t, catalog.PackName(first.Packs[0].SHA256), "onsite") // the cloud has it
	b.inStep(t)
	if p := b.giveUp(t, true); p.Snapshot != second.ID {
		t.Errorf("lost: %+v", p)
	}
}

// Without its commit a snapshot is at no site, whatever else is there.
func TestPointWhoseCommitIsLost(t *testing.T) {
	b := newBench(t)
	_, second, _ := b.twoPacks(t)
	info, err := b.Info(second.ID)
	if err != nil {
		t.Fatal(err)
	}
	content := b.loseNow(t, info.Commit)
	if p := b.giveUp(t, true); p.Snapshot != second.ID || !slices.Equal(p.Missing, []string{info.Commit}) || len(p.LostTables) > 0 || len(p.WholeTables) != 2 {
		t.Errorf("lost: %+v", p)
	}
	b.putBack(t, "onsite", info.Commit, content)
	if p := b.giveUp(t, false); !strings.Contains(p.Kept, "found again: site onsite") {
		t.Errorf("found again: %+v", p)
	}
	b.inStep(t)
	if points, err := b.GiveUpLost(t.Context(), "", false); err != nil || len(points) > 0 {
		t.Errorf("when it is back: %+v (%v)", points, err)
	}
}

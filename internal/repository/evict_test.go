package repository

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

// What leaves a spool that is full may be nowhere else but at the one site that
// has taken it, which must have it still.
func TestWhatASiteHasLostDoesNotLeaveTheSpool(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	stores := b.bounded(t)
	stores["cloud"].SetDown(true)
	b.until(t, func() bool { return b.failing(t, "cloud") })
	first := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)})
	b.until(t, func() bool { return b.all(t, "onsite", []*Snapshot{first}) })
	if err := os.Remove(filepath.Join(b.roots["onsite"], catalog.PackName(first.Packs[0].SHA256))); err != nil {
		t.Fatal(err)
	}
	snaps := []*Snapshot{first}
	for range 10 { // more than may wait
		b.clock.Advance(time.Minute)
		snaps = append(snaps, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)}))
	}
	b.until(t, func() bool { return b.all(t, "onsite", snaps) }) // the first is mended from the spool
	stores["cloud"].SetDown(false)
	b.until(t, func() bool { return b.all(t, "cloud", snaps) })
	for site := range b.roots {
		if problems := b.check(t, first.ID, site); len(problems) > 0 {
			t.Errorf("site %s: %v", site, problems)
		}
	}
}

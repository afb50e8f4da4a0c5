package repository

import (
	"errors"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

// A site that was taken out of the configuration between the condemnation and the
// deletion of a snapshot, and is put back, does not bring it back for good.
func TestDeletedSnapshotDoesNotComeBackWithASite(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snaps, want := b.history(t, rnd, 3, 1)
	if err := b.Condemn(t.Context(), map[string]string{snaps[0].ID: "no rule keeps it"}); err != nil {
		t.Fatal(err)
	}
	b.sweep(t, SweepOptions{})
	both := b.options.Sites
	b.reopen(t, both[0])
	b.clock.Advance(day + time.Minute)
	if out := b.sweep(t, SweepOptions{}); out.Commits.Objects != 1 {
		t.Fatalf("deleted at the site that was left: %+v", out)
	}
	if err := b.Hold(t.Context(), snaps[1].ID, "court order"); err != nil {
		t.Fatal(err)
	}
	b.reopen(t, both...)
	b.inStep(t)
	back, err := b.Info(snaps[0].ID)
	if err != nil || back.Condemned.IsZero() || back.Reason != "no rule keeps it" {
		t.Errorf("found at the site that is back: %+v (%v)", back, err)
	}
	b.matches(t, snaps, want) // whole while it is there
	b.sweep(t, SweepOptions{})
	if _, err := b.Info(snaps[0].ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("after the next sweep: %v", err)
	}
	b.clock.Advance(2 * day)
	b.sweep(t, SweepOptions{})
	b.clock.Advance(2 * day)
	b.sweep(t, SweepOptions{})
	for site := range b.roots {
		if n := len(b.objects(t, site, "c")); n != 2 {
			t.Errorf("site %s has %d commits", site, n)
		}
	}
	b.matches(t, snaps[1:], want)
}

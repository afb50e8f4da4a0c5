package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
)

// lost prunes what is lost.
func (w *world) lost(t *testing.T, dryRun bool) []engine.PruneDecision {
	t.Helper()
	r, err := w.Prune(t.Context(), engine.PruneRequest{Lost: true, DryRun: dryRun}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Lost || r.DryRun != dryRun || len(r.Functions) > 1 {
		t.Fatalf("%+v", r)
	}
	if len(r.Functions) == 0 {
		return nil
	}
	return r.Functions[0].Decisions
}

// losePacks takes away all packs, and has the engine find out.
func (w *world) losePacks(t *testing.T) {
	t.Helper()
	for _, site := range []string{"onsite", "cloud"} {
		if w.remove(t, site, func(name string) bool { return strings.HasPrefix(name, "p/") }) == 0 {
			t.Fatalf("site %s has no packs", site)
		}
	}
	if _, err := w.Sync(t.Context(), engine.SyncRequest{}, nil); !errors.Is(err, engine.ErrDegraded) {
		t.Errorf("synced: %v", err)
	}
}

// A recovery point that is lost for good makes the status degraded until it is
// given up, and no longer.
func TestLostPointsAreGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{more: "sweep: {grace: 2h}\n"})
	ids := w.history(t, 2)
	if d := w.lost(t, true); len(d) > 0 {
		t.Errorf("when all is well: %+v", d)
	}
	w.losePacks(t)
	third := w.take(t, "payments").Snapshot
	reasons := func() string {
		return strings.Join(slices.Concat(w.site(t, "onsite").Reasons, w.site(t, "cloud").Reasons), "; ")
	}
	if text := reasons(); !strings.Contains(text, "lost at every site") || !strings.Contains(text, "prune --lost") {
		t.Errorf("sites say: %s", text)
	}
	told := w.lost(t, true)
	if len(told) != 2 || told[0].Keep || told[0].Lost == nil || !slices.Contains(told[0].Lost.LostTables, "payments.ledger") {
		t.Fatalf("told: %+v", told)
	}
	w.lost(t, false)
	points := w.points(t)
	for _, id := range ids {
		if p := points[id]; p.Condemned.IsZero() || !strings.HasPrefix(p.Reason, "lost: ") {
			t.Errorf("given up: %+v", p)
		}
	}
	if !points[third].Condemned.IsZero() {
		t.Errorf("the one that is whole was given up: %+v", points[third])
	}
	if text := reasons(); strings.Contains(text, "lost") {
		t.Errorf("after it was given up sites say: %s", text)
	}
	w.sync(t) // does not fail over what nobody needs
	if again := w.lost(t, false); len(again) > 0 {
		t.Errorf("once more: %+v", again)
	}
	w.sweep(t)
	w.clock.advance(3 * time.Hour)
	if swept := w.sweep(t); swept.DeletedCommits.Objects != 2 {
		t.Errorf("swept: %+v", swept)
	}
	if s := w.site(t, "cloud"); s.FaultCount > 0 {
		t.Errorf("cloud: %+v", s)
	}
}

// Nothing is given up because a site is away; the answer says so.
func TestLostPointsAreKeptWhileASiteIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	id := w.history(t, 1)[0]
	w.losePacks(t)
	w.links["cloud"].Cut()
	r, err := w.Prune(t.Context(), engine.PruneRequest{Lost: true}, nil)
	if !errors.Is(err, engine.ErrDegraded) || len(r.Functions) != 1 || r.Functions[0].Kept != 1 || r.Functions[0].Dropped != 0 {
		t.Errorf("%+v (%v)", r, err)
	}
	w.links["cloud"].Restore()
	if p := w.points(t)[id]; !p.Condemned.IsZero() {
		t.Errorf("given up: %+v", p)
	}
}

package engine_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
)

// wentBack is a world whose catalog is put back to what it was before the last of
// what happened, all of which the sites keep. It returns how many records there were.
func wentBack(t *testing.T) (w *world, before uint64) {
	t.Helper()
	w = lived(t)
	w.shut(t)
	path := filepath.Join(w.cfg.DataDir, "catalog.db")
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w.open(t)
	w.take(t, "payments")
	w.again(t) // the evidence is queued on closing
	w.sync(t)
	before = w.Evidence().Size()
	w.shut(t)
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	if size := w.Evidence().Size(); size >= before {
		t.Fatalf("%d records, before %d", size, before)
	}
	return w, before
}

// A catalog that went back in time, as with the image of a machine, goes on with the
// records that sites kept of what came after it.
func TestACatalogThatWentBackGoesOnWithWhatSitesKeep(t *testing.T) {
	w, before := wentBack(t)
	w.links["onsite"].Cut() // one that answers does
	r, err := w.Snapshot(t.Context(), []string{"accounts"}, nil)
	if len(r) != 1 || r[0].Rows == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := w.pair(t, evidence.ActSnapshot); got.Function != "accounts" || got.Sequence < before {
		t.Errorf("record %d of %s; there were %d records", got.Sequence, got.Function, before)
	}
	w.links["onsite"].Restore()
	w.again(t)
	for _, s := range w.sync(t) {
		if len(s.Problems) != 0 {
			t.Errorf("site %s: %v", s.Site, s.Problems)
		}
	}
	v := w.check(t, w.Evidence().PublicKey().String())
	if !v.OK || !slices.ContainsFunc(v.Warnings, func(warned evidence.Warning) bool { return warned.Kind == evidence.WarnTaken }) {
		t.Errorf("%+v, and the audit warns of %+v", v.Findings, v.Warnings)
	}
	stop := w.serve(t)
	w.until(t, "sites were looked at", func(s engine.Status) bool { return s.Serving })
	stop()
	if w.says(t, "Two histories") {
		t.Errorf("status says %v", w.status(t).Reasons)
	}
}

// A site that takes the connection and says nothing leaves the others their time.
func TestACatalogThatWentBackDoesNotWaitForASiteThatHangs(t *testing.T) {
	w, before := wentBack(t)
	link := w.links[w.cfg.SiteOrder[0]]
	link.Hang()
	point := slices.Sorted(maps.Keys(w.points(t)))[0]
	if _, err := w.Hold(t.Context(), engine.HoldRequest{Snapshot: point, Reason: "looked at"}); err != nil {
		t.Fatal(err)
	}
	if size := w.Evidence().Size(); size <= before {
		t.Errorf("%d records after a hold; there were %d", size, before)
	}
	link.Restore()
	w.again(t)
	w.sync(t)
	if v := w.check(t, w.Evidence().PublicKey().String()); !v.OK {
		t.Errorf("%+v", v.Findings)
	}
}

// Where no site answers, the log goes on all the same. The two histories are found
// out, and what sites have of the other is not taken for ours.
func TestTwoHistoriesAreFound(t *testing.T) {
	w, before := wentBack(t)
	for _, link := range w.links {
		link.Cut()
	}
	if r, err := w.Snapshot(t.Context(), []string{"accounts"}, nil); len(r) != 1 || r[0].Rows == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := w.pair(t, evidence.ActSnapshot); got.Function != "accounts" || got.Sequence >= before {
		t.Fatalf("record %d of %s; there were %d records", got.Sequence, got.Function, before)
	}
	for _, link := range w.links {
		link.Restore()
	}
	w.again(t)
	r, err := w.Sync(t.Context(), engine.SyncRequest{}, nil)
	if err != nil && !errors.Is(err, engine.ErrDegraded) {
		t.Fatal(err)
	}
	for _, s := range r {
		if s.InStep {
			t.Errorf("site %s: %+v", s.Site, s)
		}
	}
	stop := w.serve(t)
	w.until(t, "the other history is told", func(s engine.Status) bool {
		return s.Degraded && strings.Contains(strings.Join(s.Reasons, "\n"), "Two histories")
	})
	stop()
}

package engine_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/repository"
)

const day = 24 * time.Hour

// prune prunes one function and returns what it decided.
func (w *world) prune(t *testing.T, dryRun bool) engine.PrunedFunction {
	t.Helper()
	r, err := w.Prune(t.Context(), engine.PruneRequest{Functions: []string{"payments"}, DryRun: dryRun}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Functions) != 1 || r.Functions[0].Function != "payments" || r.DryRun != dryRun {
		t.Fatalf("%+v", r)
	}
	return r.Functions[0]
}

func (w *world) sweep(t *testing.T) engine.SweepResult {
	t.Helper()
	r, err := w.Sweep(t.Context(), engine.SweepRequest{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// points returns the recovery points of payments by their IDs.
func (w *world) points(t *testing.T) map[string]engine.RecoveryPoint {
	t.Helper()
	list, err := w.Snapshots(t.Context(), "payments")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]engine.RecoveryPoint{}
	for _, p := range list {
		out[p.Snapshot] = p
	}
	return out
}

// history takes a recovery point a day, each of other rows than the one before.
func (w *world) history(t *testing.T, days int) (ids []string) {
	t.Helper()
	for i := range days {
		if i > 0 {
			w.clock.advance(day)
		}
		w.db.Exec(t, `UPDATE payments.ledger SET note = md5(random()::text) || md5(random()::text)`)
		ids = append(ids, w.take(t, "payments").Snapshot)
	}
	w.sync(t)
	return ids
}

func TestPruneSweepAndWhatStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: ", keep: {daily: 2}", more: "sweep: {grace: 2h}\n"})
	ids := w.history(t, 5)
	// The oldest is proven, the second is held, so only the third may go.
	if _, err := w.Verify(t.Context(), engine.VerifyRequest{Snapshot: ids[0], From: "onsite", Level: "L2"}, nil); err != nil {
		t.Fatal(err)
	}
	held, err := w.Hold(t.Context(), engine.HoldRequest{Snapshot: ids[1], Reason: "audit of March"})
	if err != nil || held.Snapshot != ids[1] || held.Held != "audit of March" {
		t.Fatalf("%+v, %v", held, err)
	}

	told := w.prune(t, true)
	if told.Kept != 4 || told.Dropped != 1 || told.Rules != "daily 2" || len(told.Decisions) != 5 {
		t.Errorf("%+v", told)
	}
	for i, want := range []string{"newest of", "newest of", "no rule needs it", "held: audit of March", "newest proven from onsite"} {
		d := told.Decisions[i]
		if d.Snapshot != ids[4-i] || d.Keep != (i != 2) || !strings.Contains(strings.Join(d.Reasons, "; "), want) {
			t.Errorf("decision %d: %+v, want %q about %s", i, d, want, ids[4-i])
		}
	}
	if p := w.points(t)[ids[2]]; !p.Condemned.IsZero() {
		t.Error("a dry run gave something up")
	}

	if did := w.prune(t, false); did.Dropped != 1 || did.Waiting != 0 {
		t.Errorf("%+v", did)
	}
	doomed := w.points(t)[ids[2]]
	if doomed.Condemned.IsZero() || doomed.GoesAt.Sub(doomed.Condemned) != 2*time.Hour || !strings.Contains(doomed.Reason, "no rule needs it") {
		t.Errorf("%+v", doomed)
	}
	if again := w.prune(t, false); again.Kept != 4 || again.Dropped != 0 || again.Waiting != 1 {
		t.Errorf("pruned again: %+v", again)
	}

	// Within the time of grace it stays, and can be restored.
	early := w.sweep(t)
	if early.DeletedCommits.Objects != 0 || early.DeletedPacks.Objects != 0 || early.Condemned.Objects == 0 || early.WaitingSnapshots != 1 || !early.WaitingUntil.Equal(doomed.GoesAt) {
		t.Errorf("early sweep: %+v", early)
	}
	w.clock.advance(3 * time.Hour)
	if r, err := w.Sweep(t.Context(), engine.SweepRequest{DryRun: true}, nil); err != nil || r.DeletedCommits.Objects != 1 || !r.DryRun {
		t.Errorf("dry run: %+v, %v", r, err)
	}
	before := w.objects(t, "cloud")
	swept := w.sweep(t)
	if swept.DeletedCommits.Objects != 1 || swept.DeletedPacks.Objects != early.Condemned.Objects || swept.WaitingSnapshots != 0 {
		t.Errorf("sweep: %+v", swept)
	}
	if gone := 1 + swept.DeletedPacks.Objects; w.objects(t, "cloud") != before-gone || w.objects(t, "onsite") != before-gone {
		t.Errorf("%d objects before, %d deleted, %d at the cloud site, %d onsite", before, gone, w.objects(t, "cloud"), w.objects(t, "onsite"))
	}
	left := slices.Sorted(maps.Keys(w.points(t)))
	if want := slices.Sorted(slices.Values([]string{ids[0], ids[1], ids[3], ids[4]})); !slices.Equal(left, want) {
		t.Errorf("left: %v, want %v", left, want)
	}
	for _, id := range []string{ids[0], ids[1], ids[3], ids[4]} {
		if _, err := w.Verify(t.Context(), engine.VerifyRequest{Snapshot: id, Level: "L2"}, nil); err != nil {
			t.Errorf("what is left: %v", err)
		}
	}

	// What is released goes, and what is not the last proven any more.
	if _, err := w.Hold(t.Context(), engine.HoldRequest{Snapshot: ids[1]}); err != nil {
		t.Fatal(err)
	}
	if end := w.prune(t, true); end.Dropped != 2 || end.Decisions[2].Snapshot != ids[1] || end.Decisions[2].Keep || end.Decisions[3].Keep {
		t.Errorf("after the release: %+v", end)
	}
}

func (w *world) objects(t *testing.T, site string) int {
	t.Helper()
	return len(objectsOf(t, w.sites[site].StoreAt(t, w.where[site])))
}

func TestAHoldSparesWhatWasGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: ", keep: {daily: 1}", more: "sweep: {grace: 2h}\n"})
	ids := w.history(t, 2)
	if did := w.prune(t, false); did.Dropped != 1 {
		t.Fatalf("%+v", did)
	}
	p, err := w.Hold(t.Context(), engine.HoldRequest{Snapshot: ids[0][:8], Reason: "wait"})
	if err != nil || p.Snapshot != ids[0] || !p.Condemned.IsZero() || p.Reason != "" {
		t.Errorf("%+v, %v", p, err)
	}
	w.clock.advance(day)
	if s := w.sweep(t); s.DeletedCommits.Objects != 0 {
		t.Errorf("%+v", s)
	}
	if _, ok := w.points(t)[ids[0]]; !ok {
		t.Error("it is gone although it is held")
	}
	_, err = w.Hold(t.Context(), engine.HoldRequest{Snapshot: "nosuch", Reason: "x"})
	if !errors.Is(err, engine.ErrUsage) {
		t.Errorf("hold of what there is not: %v", err)
	}
}

func TestNothingGoesWhileASiteIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: ", keep: {daily: 1}", more: "sweep: {grace: 2h}\n"})
	w.history(t, 2)
	w.prune(t, false)
	w.clock.advance(day)
	w.links["cloud"].Cut()
	before := w.objects(t, "onsite")
	_, err := w.Sweep(t.Context(), engine.SweepRequest{}, nil)
	if err == nil || errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "nothing was deleted: every site must be in step for that: site cloud: ") {
		t.Errorf("%v", err)
	}
	if after := w.objects(t, "onsite"); after < before {
		t.Errorf("%d objects onsite before, %d after", before, after)
	}
	// A dry run needs no site.
	if r, err := w.Sweep(t.Context(), engine.SweepRequest{DryRun: true}, nil); err != nil || r.DeletedCommits.Objects != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	w.links["cloud"].Restore()
	if r := w.sweep(t); r.DeletedCommits.Objects != 1 {
		t.Errorf("after its return: %+v", r)
	}
}

// What a site has lost does not count as held there, so no other point goes in
// its favour.
func TestADamagedPointKeepsNoOtherFromBeingKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: ", keep: {last: 1}"})
	ids := w.history(t, 2)
	w.remove(t, "cloud", func(name string) bool { return strings.HasPrefix(name, "p/") })
	w.remove(t, "onsite", func(name string) bool { return strings.HasPrefix(name, "p/") })
	w.db.Exec(t, `UPDATE payments.ledger SET note = md5(random()::text)`)
	if _, err := w.Sync(t.Context(), engine.SyncRequest{}, nil); !errors.Is(err, engine.ErrDegraded) {
		t.Fatal(err)
	}
	third := w.take(t, "payments").Snapshot
	told := w.prune(t, true)
	for _, d := range told.Decisions {
		if !d.Keep {
			t.Errorf("%+v is dropped, though nobody knows", d)
		}
	}
	points := w.points(t)
	if points[ids[0]].Sites["cloud"].State != repository.StateDamaged || points[third].Sites["cloud"].State != repository.StateDurable {
		t.Errorf("%+v", points)
	}
}

// A proof by hand of an old point makes it the one that was proven last, which
// the repository never gives up.
func TestWhatWasProvenLastStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: ", keep: {last: 1}"})
	ids := w.history(t, 3)
	for _, id := range []string{ids[2], ids[0]} {
		if _, err := w.Verify(t.Context(), engine.VerifyRequest{Snapshot: id, Level: "L0"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	did := w.prune(t, false)
	if did.Kept != 2 || did.Dropped != 1 || did.Decisions[1].Keep || !did.Decisions[2].Keep ||
		!strings.Contains(did.Decisions[2].Reasons[0], "last proven one: it stays whatever the rules say") {
		t.Errorf("%+v", did)
	}
}

func TestListsGoByNameThenNewestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	want := []string{w.take(t, "payments").Snapshot}
	want = append([]string{w.take(t, "accounts").Snapshot}, want...)
	w.clock.advance(time.Minute)
	want = append([]string{w.take(t, "accounts").Snapshot}, want...)
	list, err := w.Snapshots(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, p.Snapshot)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	r, err := w.Prune(t.Context(), engine.PruneRequest{DryRun: true}, nil)
	if err != nil || len(r.Functions) != 2 || r.Functions[0].Function != "accounts" || r.Functions[0].Rules != "" || r.Functions[0].Dropped != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What no site has any more comes back from none: that must not keep the rest
// from being deleted for ever.
func TestASweepGoesOnWithoutWhatIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: ", keep: {last: 1}", more: "sweep: {grace: 2h}\n"})
	first := w.history(t, 1)[0]
	store := w.sites["onsite"].StoreAt(t, w.where["onsite"])
	before := objectsOf(t, store)
	second := w.history(t, 1)[0]
	lost := func(name string) bool { return strings.HasPrefix(name, "p/") && !slices.Contains(before, name) }
	if n := w.remove(t, "onsite", lost); n == 0 || w.remove(t, "cloud", lost) != n {
		t.Fatalf("%d packs are the second's alone", n)
	}
	if _, err := w.Sync(t.Context(), engine.SyncRequest{}, nil); !errors.Is(err, engine.ErrDegraded) {
		t.Fatalf("%v, want degraded", err)
	}
	w.clock.advance(day)
	w.db.Exec(t, `UPDATE payments.ledger SET note = md5(random()::text)`)
	w.take(t, "payments")

	for _, d := range w.prune(t, false).Decisions {
		if why := strings.Join(d.Reasons, "; "); d.Snapshot == second && (!d.Keep || why != "no site holds it whole") {
			t.Errorf("the damaged one: %+v", d)
		}
	}
	w.clock.advance(3 * time.Hour)
	if swept := w.sweep(t); swept.DeletedCommits.Objects == 0 {
		t.Errorf("%+v", swept)
	}
	if _, there := w.points(t)[first]; there {
		t.Error("what was given up is still there")
	}
}

package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/restore"
)

const cleared = "the archive job, ticket 4711"

// toldOfSuspects returns what the evidence says of suspicions.
func (w *world) toldOfSuspects(t *testing.T) (out []evidence.Record) {
	t.Helper()
	log := w.Evidence()
	for r, err := range log.Records(0, log.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Act == evidence.ActSuspect {
			out = append(out, r)
		}
	}
	return out
}

// suspects lists what nobody has judged.
func (w *world) suspects(t *testing.T, all bool) []engine.SuspectPoint {
	t.Helper()
	out, err := w.Suspects(t.Context(), engine.SuspectRequest{All: all})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// alarm returns what the status says of payments that names the snapshot.
func (w *world) alarm(t *testing.T, id string) string {
	t.Helper()
	s, err := w.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Functions {
		for _, reason := range f.Reasons {
			if f.Function == "payments" && strings.Contains(reason, "snapshot "+id) {
				if !f.Degraded || !s.Degraded {
					t.Error("the status is not degraded")
				}
				return reason
			}
		}
	}
	return ""
}

// planned returns the warning in the plan of a restore of the newest point.
func (w *world) planned(t *testing.T, req restore.Request) (restore.Plan, string) {
	t.Helper()
	req.Function, req.To = "payments", w.db.NewDatabase(t).URL()
	plan, err := w.Plan(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, note := range plan.Notes {
		if strings.HasPrefix(note, "WARNING") {
			return plan, note
		}
	}
	return plan, ""
}

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q: %q", what, part, text)
		}
	}
}

// The life of a suspicion: alarm, hold, warnings, what rules may not take, the
// judgement, and the next one.
func TestSuspectPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: ", keep: {last: 1}", more: "sweep: {grace: 2h}\n"})
	first := w.take(t, "payments")
	clean := w.take(t, "payments")
	w.db.Exec(t, `DELETE FROM payments.ledger WHERE id > 200`)
	bad := w.take(t, "payments")
	after := w.take(t, "payments")
	w.sync(t)
	if len(bad.Suspect) != 1 || len(after.Suspect) != 0 {
		t.Fatalf("bad %+v, after %+v", bad.Suspect, after.Suspect)
	}
	contains(t, "the status", w.alarm(t, bad.Snapshot), "payments", "payments.ledger", "from 2000 rows to 200", "50 % is the limit", clean.Snapshot, "backupd suspect clear "+bad.Snapshot)

	list := w.suspects(t, false)
	if len(list) != 1 || list[0].Snapshot != bad.Snapshot || list[0].LastClean != clean.Snapshot || list[0].Signals[0].Table != "payments.ledger" {
		t.Errorf("%+v", list)
	}
	points := w.points(t)
	for id, want := range map[string]string{first.Snapshot: "", clean.Snapshot: "", bad.Snapshot: bad.Snapshot, after.Snapshot: bad.Snapshot} {
		if got := points[id].DoubtfulSince; got != want {
			t.Errorf("%s is in doubt since %q, want %q", id, got, want)
		}
	}
	contains(t, "the hold", points[clean.Snapshot].Held, "last clean before suspect "+bad.Snapshot, "payments.ledger")

	plan, warning := w.planned(t, restore.Request{})
	if plan.Snapshot != after.Snapshot {
		t.Errorf("a restore takes %s", plan.Snapshot)
	}
	contains(t, "the plan", warning, "after suspect snapshot "+bad.Snapshot, "--snapshot "+clean.Snapshot)
	plan, warning = w.planned(t, restore.Request{At: bad.RecoveryPoint})
	if plan.Snapshot != bad.Snapshot {
		t.Errorf("a restore of that time takes %s", plan.Snapshot)
	}
	contains(t, "the plan of that time", warning, "is suspect", "from 2000 rows to 200", "--snapshot "+clean.Snapshot)
	if _, warning := w.planned(t, restore.Request{Snapshot: clean.Snapshot}); warning != "" {
		t.Errorf("the clean one: %s", warning)
	}

	// Let go by hand, the last clean one stays all the same.
	if _, err := w.Hold(t.Context(), engine.HoldRequest{Snapshot: clean.Snapshot}); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(day)
	later := w.take(t, "payments")
	w.sync(t)
	w.prune(t, false)
	gone := []string{}
	for id, p := range w.points(t) {
		if !p.Condemned.IsZero() {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	if want := slices.Sorted(slices.Values([]string{first.Snapshot, after.Snapshot})); !slices.Equal(gone, want) {
		t.Errorf("given up: %v, want %v of clean %s, bad %s, later %s", gone, want, clean.Snapshot, bad.Snapshot, later.Snapshot)
	}
	r := w.toldOfSuspects(t)
	if len(r) != 1 || r[0].Function != "payments" || r[0].Suspect.Snapshot != bad.Snapshot || r[0].Suspect.LastClean != clean.Snapshot ||
		len(r[0].Suspect.Signals) != 1 || r[0].Suspect.Signals[0].Before != 2000 || r[0].Suspect.Signals[0].After != 200 {
		t.Errorf("%+v", r)
	}
	w.judge(t, bad.Snapshot, clean.Snapshot)
	w.nextIsTold(t, bad.Snapshot, later.Snapshot)
}

// judge clears a suspect point and looks at what that ends.
func (w *world) judge(t *testing.T, bad, clean string) {
	t.Helper()
	w.again(t) // pins are made anew by a service after a crash
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Serve(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	contains(t, "the hold made anew", w.points(t)[clean].Held, "last clean before suspect "+bad)
	for _, req := range []engine.ClearRequest{{Snapshot: bad}, {Snapshot: clean, Reason: "x"}, {Snapshot: "nosuch", Reason: "x"}} {
		if _, err := w.ClearSuspect(t.Context(), req); !errors.Is(err, engine.ErrUsage) {
			t.Errorf("%+v: %v", req, err)
		}
	}
	p, err := w.ClearSuspect(t.Context(), engine.ClearRequest{Snapshot: bad[:8], Reason: cleared})
	if err != nil || p.Cleared != cleared || p.LastClean != "" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := w.ClearSuspect(t.Context(), engine.ClearRequest{Snapshot: bad, Reason: "again"}); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("cleared twice: %v", err)
	}
	if alarm := w.alarm(t, bad); alarm != "" {
		t.Errorf("the alarm goes on: %s", alarm)
	}
	points := w.points(t)
	if points[clean].Held != "" || points[bad].DoubtfulSince != "" || points[bad].Cleared != cleared || len(points[bad].Suspect) != 1 {
		t.Errorf("clean %+v, bad %+v", points[clean], points[bad])
	}
	if list := w.suspects(t, false); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	if list := w.suspects(t, true); len(list) != 1 || list[0].Cleared != cleared {
		t.Errorf("%+v", list)
	}
	if _, warning := w.planned(t, restore.Request{}); warning != "" {
		t.Error(warning)
	}
}

// nextIsTold repeats the attack: what was cleared hides nothing. It survives the
// loss of the catalog.
func (w *world) nextIsTold(t *testing.T, before, clean string) {
	t.Helper()
	w.db.Exec(t, `INSERT INTO payments.ledger SELECT i FROM generate_series(201, 2000) i`)
	restored := w.take(t, "payments")
	if _, err := w.Hold(t.Context(), engine.HoldRequest{Snapshot: restored.Snapshot, Reason: "mine"}); err != nil {
		t.Fatal(err)
	}
	w.db.Exec(t, `DELETE FROM payments.ledger WHERE id > 200`)
	again := w.take(t, "payments")
	w.sync(t)
	contains(t, "the status", w.alarm(t, again.Snapshot), "from 2000 rows to 200", restored.Snapshot)
	if held := w.points(t)[restored.Snapshot].Held; held != "mine" {
		t.Errorf("somebody's own hold has become %q", held)
	}
	if r := w.toldOfSuspects(t); len(r) != 3 || r[2].Suspect.Snapshot != again.Snapshot || r[2].Suspect.LastClean != restored.Snapshot {
		t.Errorf("%+v", r)
	}
	w.shut(t)
	w.cfg.DataDir = shortDir(t)
	if _, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	contains(t, "the status of a rebuilt catalog", w.alarm(t, again.Snapshot), "from 2000 rows to 200", restored.Snapshot)
	points := w.points(t)
	if points[before].Cleared != cleared || points[again.Snapshot].DoubtfulSince != again.Snapshot || points[restored.Snapshot].Held != "mine" {
		t.Errorf("rebuilt: %+v", points)
	}
	if points[clean].DoubtfulSince != "" {
		t.Errorf("%+v", points[clean])
	}
}

// What was judged is in the log with who did and why.
func TestClearIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: `, suspect: {canary: {bird: {sql: "SELECT count(*) FROM payments.ledger"}}}`})
	w.take(t, "payments")
	w.db.Exec(t, `DELETE FROM payments.ledger WHERE id = 1`)
	bad := w.take(t, "payments")
	if _, err := w.ClearSuspect(engine.By(t.Context(), "anna"), engine.ClearRequest{Snapshot: bad.Snapshot, Reason: cleared}); err != nil {
		t.Fatal(err)
	}
	r := w.toldOfSuspects(t)
	if len(r) != 2 || r[0].Suspect.Signals[0].Kind != "canary" || r[0].Suspect.Signals[0].Table != "bird" {
		t.Fatalf("%+v", r)
	}
	if c := r[1]; c.By != "anna" || c.Suspect.Snapshot != bad.Snapshot || c.Suspect.Cleared != cleared || len(c.Suspect.Signals) != 0 {
		t.Errorf("%+v", c)
	}
}

// What cannot raise an alarm yet is not called fine: it is said for as long as it
// takes, and for no longer.
func TestWhatIsNotWatchedYetIsSaid(t *testing.T) {
	w := newWorld(t, extra{})
	told := func() string { return strings.Join(w.payments(t).Unwatched, "; ") }
	if !strings.Contains(told(), "no recovery point was compared") {
		t.Errorf("without a recovery point: %q", told())
	}
	for n, want := range []string{"no recovery point was compared", "(payments.ledger): it takes 2 more recovery points", "it takes 1 more recovery point to", ""} {
		w.db.Exec(t, "UPDATE payments.ledger SET amount = amount + 1 WHERE id = 1")
		w.take(t, "payments")
		if got := told(); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("after %d: %q, want %q", n+1, got, want)
		}
	}
	// And from then on it is watched indeed.
	w.db.Exec(t, "UPDATE payments.ledger SET amount = amount + 1")
	if r := w.take(t, "payments"); len(r.Suspect) != 1 {
		t.Errorf("every row changed: %+v", r.Suspect)
	}
}

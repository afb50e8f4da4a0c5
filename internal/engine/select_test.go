package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/verify"
)

// one proves one recovery point from one site.
func (w *world) one(t *testing.T, req engine.VerifyRequest) verify.Result {
	t.Helper()
	req.Functions, req.From, req.Level = []string{"payments"}, "onsite", "L3"
	r, err := w.Verify(t.Context(), req, nil)
	if err != nil || len(r) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	return r[0]
}

func (w *world) payments(t *testing.T) engine.FunctionStatus {
	t.Helper()
	s, err := w.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Functions {
		if f.Function == "payments" {
			return f
		}
	}
	t.Fatal("no status of payments")
	return engine.FunctionStatus{}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	ids := w.history(t, 5)

	newest := w.one(t, engine.VerifyRequest{})
	if newest.Snapshot != ids[4] || newest.Selection != (verify.Selection{Rule: "latest", Population: 5}) {
		t.Errorf("latest: %s, %+v", newest.Snapshot, newest.Selection)
	}
	exposure := w.payments(t).Sites["onsite"].ProvenExposureSeconds
	if exposure == nil || *exposure > 600 {
		t.Fatalf("proven exposure %v after the newest was proven", exposure)
	}
	// The proof of an older point that comes later makes nothing better or worse.
	oldest := w.one(t, engine.VerifyRequest{Select: "oldest"})
	if oldest.Snapshot != ids[0] || oldest.Selection != (verify.Selection{Rule: "oldest", Population: 5, Proven: 1}) {
		t.Errorf("oldest: %s, %+v", oldest.Snapshot, oldest.Selection)
	}
	if again := w.payments(t).Sites["onsite"].ProvenExposureSeconds; again == nil || *again < *exposure || *again > *exposure+600 {
		t.Errorf("proven exposure %v, then %v", *exposure, *again)
	}
	if cloud := w.payments(t).Sites["cloud"].ProvenExposureSeconds; cloud != nil {
		t.Errorf("proven exposure of a site that was never read: %v", *cloud)
	}
	if r := w.one(t, engine.VerifyRequest{Select: "rotation"}); r.Snapshot != ids[1] {
		t.Errorf("rotation: %s of %v", r.Snapshot, ids)
	}
	first := w.one(t, engine.VerifyRequest{Select: "random"})
	if again := w.one(t, engine.VerifyRequest{Select: "random", Seed: first.Selection.Seed}); again.Snapshot != first.Snapshot || len(first.Selection.Seed) != 32 {
		t.Errorf("random: %s with %q, then %s", first.Snapshot, first.Selection.Seed, again.Snapshot)
	}
	if r := w.one(t, engine.VerifyRequest{Snapshot: ids[2]}); r.Selection.Rule != "named" {
		t.Errorf("named: %+v", r.Selection)
	}
	for _, req := range []engine.VerifyRequest{{Select: "best"}, {Select: "schema"}, {Seed: "x"}, {Select: "oldest", Seed: "x"}, {Select: "oldest", Snapshot: ids[0]}, {Level: "L7"}, {Level: "L9"}, {Cold: true, Level: "L5"}} {
		before := w.Evidence().Size()
		if r, err := w.Verify(t.Context(), req, nil); len(r) > 0 || !errors.Is(err, engine.ErrUsage) {
			t.Errorf("%+v: %+v, %v", req, r, err)
		}
		if now := w.Evidence().Size(); now != before {
			t.Errorf("%+v: refused, and %d records were written", req, now-before)
		}
	}
}

func TestProofsOnScheduleComeToEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	ids := w.history(t, 2)
	w.db.Exec(t, "CREATE INDEX ON payments.ledger (amount)")
	ids = append(ids, w.take(t, "payments").Snapshot)
	w.db.Exec(t, "CREATE INDEX ON payments.ledger (note)")
	ids = append(ids, w.take(t, "payments").Snapshot)
	w.sync(t)

	before := w.payments(t)
	if before.KeptPoints != 4 || before.ProvenPoints != 0 || !before.OldestUnproven.Equal(w.points(t)[ids[0]].RecoveryPoint) || len(before.Warnings) > 0 {
		t.Errorf("before any proof: %d of %d, oldest %s, warnings %q", before.ProvenPoints, before.KeptPoints, before.OldestUnproven, before.Warnings)
	}
	proven := func() string {
		var text string
		for i, id := range ids {
			for _, site := range []string{"onsite", "cloud"} {
				if w.points(t)[id].Sites[site].Proven {
					text += site[:1] + string(rune('0'+i)) + " "
				}
			}
		}
		return text
	}
	for i, want := range []string{
		"c3 ",                // the latest
		"o3 c3 ",             // of the other site too
		"c2 o3 c3 ",          // whose definitions no proof has seen
		"o1 c2 o3 c3 ",       // the newest of those before the indexes
		"c0 o1 c2 o3 c3 ",    // the rotation
		"c0 o1 o2 c2 o3 c3 ", // looked at first of all that are left
	} {
		site := []string{"cloud", "onsite"}[i%2]
		if err := w.ProveOnSchedule(t.Context(), "payments", site); err != nil {
			t.Fatal(err)
		}
		if got := proven(); i < 5 && got != want {
			t.Errorf("after %d proofs: %s, want %s", i+1, got, want)
		}
	}
	after := w.payments(t)
	if after.KeptPoints != 4 || after.ProvenPoints != 4 || !after.OldestUnproven.IsZero() {
		t.Errorf("in the end: %d of %d", after.ProvenPoints, after.KeptPoints)
	}
	if at := after.Sites["cloud"]; at.KeptPoints != 4 || at.ProvenPoints >= 4 || at.OldestUnproven.IsZero() {
		t.Errorf("from the cloud: %d of %d", at.ProvenPoints, at.KeptPoints)
	}
	w.clock.advance(31 * 24 * time.Hour)
	if text := strings.Join(w.payments(t).Warnings, "\n"); !strings.Contains(text, "4 of 4 recovery points have not been proven for longer than prove.rotate") {
		t.Errorf("a month later: %q", text)
	}
}

// Proofs that come too seldom for what is kept are warned of before anything is
// late.
func TestRotationThatCannotBeMet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	w.history(t, 20)
	text := strings.Join(w.payments(t).Warnings, "\n")
	if !strings.Contains(text, "20 recovery points are to be proven within the next 720h0m0s") || !strings.Contains(text, "or more often") || strings.Contains(text, "have not been proven") {
		t.Errorf("warnings %q", text)
	}
}

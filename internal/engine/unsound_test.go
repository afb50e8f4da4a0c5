package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/restore"
)

// A check of the function's own that fails says nothing against the site: the copy
// is whole, and the plan of a restore says so.
func TestAFailedCheckOfTheFunctionIsNoDamage(t *testing.T) {
	w := newWorld(t, extra{function: coldChecks})
	w.db.Exec(t, "DELETE FROM payments.ledger WHERE id = 1")
	w.take(t, "payments")
	_, err := w.Verify(t.Context(), engine.VerifyRequest{Functions: []string{"payments"}, From: "cloud", Level: "L6"}, nil)
	if !errors.Is(err, engine.ErrDifference) || !strings.Contains(err.Error(), "restored whole to L5") {
		t.Fatalf("verify: %v", err)
	}
	const failed = `rows: answered "1999", expected = "2000"`
	s := w.status(t)
	f := s.Functions[1]
	told := strings.Join(f.Reasons, "\n")
	if at := f.Sites["cloud"]; at.State != engine.StateUnsound || !f.Degraded || strings.Contains(told, "damaged") ||
		!strings.Contains(told, "a check of the function's own failed") || !strings.Contains(told, "the copy is whole (L5)") || !strings.Contains(told, failed) {
		t.Errorf("state %s, degraded %t, %q", at.State, f.Degraded, f.Reasons)
	}
	p, err := w.Plan(t.Context(), restore.Request{Function: "payments", To: w.db.NewDatabase(t).URL()})
	if err != nil || strings.Contains(p.Proof, "could not be carried out") || !strings.Contains(p.Proof, "restored whole to L5") || !strings.Contains(p.Proof, failed) {
		t.Errorf("plan: %q, %v", p.Proof, err)
	}
}

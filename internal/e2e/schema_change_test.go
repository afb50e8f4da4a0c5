package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/testenv"
)

type provenAnswer struct {
	Functions []struct {
		ProvenPoints    int       `json:"proven_points"`
		NextProof       time.Time `json:"next_proof"`
		NextProofSite   string    `json:"next_proof_site"`
		NextProofReason string    `json:"next_proof_reason"`
		LastProof       *struct {
			Snapshot      string
			RecoveryPoint time.Time `json:"recovery_point"`
			Passed        bool
		} `json:"last_proof"`
	}
}

// planned reports whether the next proof is one that was not begun yet: what is
// being made has no site there, and is on record a little before it is over.
func (s provenAnswer) planned() bool { return s.Functions[0].NextProofSite != "" }

// proven asks for the status, which may be degraded for a moment.
func (w *world) proven() (s provenAnswer) {
	w.t.Helper()
	o := w.run("status", "--json")
	if err := json.Unmarshal([]byte(o.stdout), &s); err != nil {
		w.t.Fatalf("%v in %s", err, o)
	}
	return s
}

// A table is altered while the service runs: the next recovery point is proven
// by itself, though the next turn is a day away, and that turn stays where it is.
func TestAChangedSchemaIsProvenByItself(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.rpo, w.extra = "10s", ", prove: {every: 24h}"
	w.write()
	d := w.serve()
	var s provenAnswer
	w.eventually("the first proof to be over", func() bool {
		s = w.proven()
		return len(s.Functions) == 1 && s.Functions[0].LastProof != nil && s.planned()
	})
	turn, reason := s.Functions[0].NextProof, s.Functions[0].NextProofReason
	if reason != "turn" || time.Until(turn) < 23*time.Hour {
		t.Errorf("after the first proof the next is due at %s because of %q", turn, reason)
	}
	first := s.Functions[0].LastProof.Snapshot
	w.pg.Exec(t, "ALTER TABLE payments.transactions ADD COLUMN reviewed boolean")
	altered := time.Now()
	w.eventually("the proof of what was altered to be over", func() bool {
		s = w.proven()
		return s.Functions[0].LastProof.Snapshot != first && s.planned()
	})
	f := s.Functions[0]
	if p := f.LastProof; !p.Passed || p.RecoveryPoint.Before(altered.Add(-time.Second)) || f.ProvenPoints != 2 {
		t.Errorf("altered at %s, proven %+v", altered, f)
	}
	if !f.NextProof.Equal(turn) || f.NextProofReason != "turn" {
		t.Errorf("the turn was at %s and is at %s because of %q", turn, f.NextProof, f.NextProofReason)
	}
	// Again at once: within a quarter of prove.every it waits, and says why.
	w.pg.Exec(t, "ALTER TABLE payments.transactions DROP COLUMN reviewed, ADD COLUMN approved boolean")
	w.eventually("the proof of the second change to be announced", func() bool {
		f = w.proven().Functions[0]
		return f.NextProofReason == "schema"
	})
	if wait := time.Until(f.NextProof); wait < 5*time.Hour || wait > 6*time.Hour || f.NextProofSite == "" {
		t.Errorf("it is announced in %s from %q", wait, f.NextProofSite)
	}
	if o := w.run("status"); !strings.Contains(o.stdout, "definitions changed that no proof has restored") {
		t.Errorf("status does not say why the next proof comes: %s", o)
	}
	if code := d.stop(t); code != 0 {
		t.Errorf("the service ended with %d: %s", code, d.log)
	}
	if n := strings.Count(d.log.String(), "rule=schema"); n != 1 {
		t.Errorf("%d proofs of changes in the log: %s", n, d.log)
	}
	out := filepath.Join(w.dir, "report.json")
	w.must(0, "report", "--function", "payments", "--format", "json", "-o", out)
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`"rule": ?"schema"`).Match(text) {
		t.Errorf("the evidence does not say why it was proven: %s", text)
	}
}

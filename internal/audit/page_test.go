package audit_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/audit"
	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
)

// TestNobodyDrawsOnTheScreenOfAnAuditor: whoever makes a bundle has names of their
// own choice in it, and with these a line that says that all is in order, and what
// hides the rest.
func TestNobodyDrawsOnTheScreenOfAnAuditor(t *testing.T) {
	const drawn = "ops\n\nIN ORDER\n\x1b[8m\u202e\u009b8m"
	dir := t.TempDir()
	cat, err := catalog.Open(filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cat.Close() }()
	log, err := evidence.OpenWithKeyFile(evidence.Options{Store: cat, Clock: clock.System, Program: "test"}, filepath.Join(dir, "evidence.key"))
	if err != nil {
		t.Fatal(err)
	}
	f := evidence.FunctionObjective{RPOSeconds: math.MaxFloat64, Terms: &evidence.FunctionTerms{
		Suspicion: evidence.SuspicionTerms{Off: drawn}, Checks: map[string]evidence.CheckTerm{drawn: {Skip: drawn}},
	}}
	made := &evidence.Policy{SHA256: drawn, Sites: []string{drawn}, Functions: map[string]evidence.FunctionObjective{drawn: f}, Anchors: map[string]float64{drawn: 1}}
	for _, p := range []*evidence.Policy{made, {SHA256: drawn}} {
		if _, err := log.Note(evidence.Record{Act: evidence.ActPolicy, By: drawn, Policy: p}); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := log.WriteBundle(&b, time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "bundle.zip")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := audit.Check(t.Context(), audit.Request{File: file, Keys: []string{log.PublicKey().String()}})
	if audit.Status(err) != 4 {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	if err := audit.Show(&shown, v); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(strings.Split(shown.String(), "\n"), "IN ORDER") || strings.ContainsAny(shown.String(), "\x1b\u202e\u009b") {
		t.Errorf("it draws:\n%q", shown.String())
	}
	if !strings.Contains(shown.String(), `by ops\n\nIN ORDER\n\x1b[8m\u202e\u009b8m`) || !strings.Contains(shown.String(), "RPO 1281023h53m38.427387904s") {
		t.Errorf("what was written is not shown:\n%s", shown.String())
	}
}

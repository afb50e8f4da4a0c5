package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
)

// One byte of the catalog's file that changed in a record of the evidence is told
// by its number, with the way out, and the status tells the rest all the same.
func TestADamagedRecordIsToldWithTheWayOut(t *testing.T) {
	w := newWorld(t, extra{})
	w.take(t, "payments")
	taken := w.pair(t, evidence.ActSnapshot).Sequence
	w.take(t, "payments") // the newest record is looked at when the log is opened
	var envelope []byte
	for e, err := range w.Evidence().Envelopes(taken, taken+1) {
		if err != nil {
			t.Fatal(err)
		}
		envelope = slices.Clone(e)
	}
	w.shut(t)
	file := filepath.Join(w.cfg.DataDir, "catalog.db")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(envelope)
	bad[len(bad)/2] = '*'
	changed := bytes.ReplaceAll(content, envelope, bad)
	if bytes.Equal(changed, content) {
		t.Fatal("the record does not lie in the file in one piece")
	}
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	named := func(text string) bool {
		return strings.Contains(text, fmt.Sprintf("record %d of the evidence log is damaged", taken)) && strings.Contains(text, "catalog rebuild --from SITE")
	}
	if _, err := w.Objectives(t.Context(), engine.ObjectivesRequest{}); !errors.Is(err, evidence.ErrDamaged) || !named(err.Error()) {
		t.Errorf("objectives: %v", err)
	}
	s, err := w.Status(t.Context())
	if err != nil || !s.Degraded || !slices.ContainsFunc(s.Reasons, named) || len(s.Functions) != 2 {
		t.Errorf("status: %v, %q", err, s.Reasons)
	}
}

package engine_test

import (
	"os"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/evidence"
)

// Whoever gives the service a new data_dir, and rebuilds nothing, begins no second
// log under the name of the one that sites keep.
func TestANewDataDirGoesOnWithTheLogThatSitesKeep(t *testing.T) {
	w := lived(t)
	before, key := w.Evidence().Size(), w.Evidence().PublicKey()
	w.remove(t, "cloud", isEvidence)
	w.lostHost(t, false)
	w.open(t)
	w.take(t, "payments")
	if r := w.pair(t, evidence.ActSnapshot); r.Sequence < before {
		t.Errorf("it is record %d, and the sites kept %d records", r.Sequence, before)
	}
	taken := ""
	for _, r := range w.on(t, evidence.ActAlive) {
		taken += r.Alive.TakenFrom
	}
	if taken != "onsite" {
		t.Errorf("on record is that it was taken over from %q", taken)
	}
	if v := w.check(t, key.String()); !v.OK {
		t.Errorf("%+v", v.Findings)
	}
	w.again(t)
	w.sync(t)
	if w.says(t, "histor") {
		t.Errorf("status says %v", w.status(t).Reasons)
	}
}

// While a site cannot be asked whether it keeps one, none begins, and data is saved
// and given back all the same. What was done is on record afterwards.
func TestANewDataDirWaitsForASiteThatMayKeepALog(t *testing.T) {
	w := lived(t)
	before, key := w.Evidence().Size(), w.Evidence().PublicKey()
	w.remove(t, "cloud", isEvidence)
	w.lostHost(t, false)
	w.open(t)
	w.links["onsite"].Cut()
	w.takesUnrecorded(t)
	w.restores(t, false)
	if w.Evidence().Size() != 0 {
		t.Fatalf("a second log began: %d records", w.Evidence().Size())
	}
	if !w.says(t, "yet to be taken over") {
		t.Errorf("status says %v", w.status(t).Reasons)
	}
	w.links["onsite"].Restore()
	w.again(t)
	w.take(t, "payments")
	if n := w.Evidence().Size(); n < before+4 {
		t.Errorf("%d records, the sites kept %d", n, before)
	}
	if v := w.check(t, key.String()); !v.OK || v.Acts["restore done"] != 1 {
		t.Errorf("%+v, %v", v.Findings, v.Acts)
	}
}

// A host without the key begins no log either, and says what to do.
func TestANewDataDirWithoutTheKeyBeginsNoLog(t *testing.T) {
	w := lived(t)
	key, err := os.ReadFile(w.cfg.Evidence.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	before := w.Evidence().Size()
	w.lostHost(t, true)
	w.open(t)
	if r, err := w.Snapshot(t.Context(), []string{"payments"}, nil); err == nil || len(r) != 1 || !strings.Contains(err.Error(), "put the key file of that log there") {
		t.Fatalf("%+v, %v", r, err)
	}
	if w.Evidence().Size() != 0 {
		t.Fatal("a second log began")
	}
	w.shut(t)
	if err := os.WriteFile(w.cfg.Evidence.KeyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	w.take(t, "payments")
	if w.Evidence().Size() < before+2 {
		t.Errorf("%d records, the sites kept %d", w.Evidence().Size(), before)
	}
}

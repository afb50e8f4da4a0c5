package engine_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/restore"
)

// late returns how the acts ended that say of themselves that they were recorded
// late.
func (w *world) late(t *testing.T, act evidence.Act) (out []evidence.Outcome) {
	t.Helper()
	why := map[uint64]string{}
	for _, r := range w.on(t, act) {
		if r.Phase == evidence.Intent {
			why[r.Sequence] = r.Late
		} else if why[*r.Intent] != "" {
			out = append(out, r.Outcome)
		}
	}
	return out
}

// unrecorded has a snapshot, a restore and a restore that fails go on without
// their being on record.
func (w *world) unrecorded(t *testing.T) {
	t.Helper()
	w.takesUnrecorded(t)
	w.restores(t, false)
	if _, err := w.Restore(engine.By(t.Context(), "ops"), restore.Request{Function: "payments", To: "postgres://127.0.0.1:1/nowhere"}, nil); err == nil || errors.Is(err, engine.ErrDegraded) {
		t.Errorf("a restore to nowhere: %v", err)
	}
}

// nothingIsUntold demands that what w.unrecorded did is on record, once each, and
// that an audit finds no fault with that.
func (w *world) nothingIsUntold(t *testing.T, keys ...string) {
	t.Helper()
	if took := w.late(t, evidence.ActSnapshot); len(took) != 1 || took[0] != evidence.Done {
		t.Errorf("snapshots recorded late: %v", took)
	}
	if restored := w.late(t, evidence.ActRestore); len(restored) != 2 || restored[0] != evidence.Done || restored[1] != evidence.Failed {
		t.Errorf("restores recorded late: %v", restored)
	}
	v := w.check(t, keys...)
	if !v.OK || v.Acts["restore failed"] != 1 {
		t.Errorf("%+v, %v", v.Findings, v.Acts)
	}
}

// What went on without being on record is recorded as soon as something can be,
// by the log that was there before and by one that began anew.
func TestWhatIsNotOnRecordIsRecordedLater(t *testing.T) {
	for name, mend := range map[string]func(w *world, t *testing.T, away string) (more []string){
		"the key is back": func(w *world, t *testing.T, away string) (more []string) {
			t.Helper()
			if err := os.Rename(away, w.cfg.Evidence.KeyFile); err != nil {
				t.Fatal(err)
			}
			return nil
		},
		"a new key": func(w *world, t *testing.T, _ string) (more []string) {
			t.Helper()
			key, err := engine.StartEvidenceOver(t.Context(), w.cfg, w.options())
			if err != nil {
				t.Fatal(err)
			}
			return []string{key.Public}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, extra{})
			w.take(t, "payments")
			key, err := w.EvidenceKey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.shut(t)
			away := w.cfg.Evidence.KeyFile + ".away"
			if err := os.Rename(w.cfg.Evidence.KeyFile, away); err != nil {
				t.Fatal(err)
			}
			w.open(t)
			w.unrecorded(t)
			w.shut(t)
			keys := append(mend(w, t, away), key.Public)
			for range 2 {
				w.open(t)
				w.take(t, "payments")
				w.shut(t)
			}
			w.open(t)
			w.nothingIsUntold(t, keys...)
			failed := w.on(t, evidence.ActRestore)[2:]
			if failed[0].By != "ops" || failed[1].By != "ops" || !strings.Contains(failed[0].Late, "it ran from 20") || failed[1].Error == "" {
				t.Errorf("it is told as %+v", failed)
			}
		})
	}
}

// A service that has its key back records by itself what it did without it.
func TestAServiceRecordsWhatIsNotOnRecord(t *testing.T) {
	w := newWorld(t, extra{})
	w.take(t, "payments")
	key, err := w.EvidenceKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.again(t)
	release := w.BusyWitness(100 * time.Millisecond)
	w.unrecorded(t)
	release()
	stop := w.serve(t)
	w.until(t, "it is on record", func(engine.Status) bool { return len(w.late(t, evidence.ActRestore)) == 2 })
	stop()
	w.again(t)
	w.nothingIsUntold(t, key.Public)
}

// An act whose result could not be written is not said to have been cut short,
// and one that was on record already when the program ended is not told twice.
func TestAResultIsRecordedLater(t *testing.T) {
	w := newWorld(t, extra{})
	w.take(t, "payments")
	key, err := w.EvidenceKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	intent := evidence.Record{Act: evidence.ActRestore, Function: "payments", By: "ops", Restore: &evidence.Restore{}}
	result := intent
	result.Outcome = evidence.Done
	seq, err := w.Evidence().Begin(intent)
	if err != nil {
		t.Fatal(err)
	}
	w.KeepUntoldTwice(t, &seq, intent, result)
	w.again(t)
	w.take(t, "payments")
	if r := w.pair(t, evidence.ActRestore); r.Outcome != evidence.Done || *r.Intent != seq {
		t.Errorf("it ended as %+v", r)
	}
	intent.Late = "the disk was full"
	for range 2 {
		w.KeepUntoldTwice(t, nil, intent, result)
		w.take(t, "payments")
	}
	if n := len(w.on(t, evidence.ActRestore)); n != 6 {
		t.Errorf("%d records of three restores", n)
	}
	if v := w.check(t, key.Public); !v.OK || v.Acts["restore done"] != 3 || v.Acts["restore cut short"] != 0 {
		t.Errorf("%+v, %v", v.Findings, v.Acts)
	}
}

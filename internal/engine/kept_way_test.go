package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

// madeUp is a segment of the form of a true one, and with its checkpoint, if that has
// the size; no record of it is signed.
func madeUp(s evidence.Segment, from, to uint64) []byte {
	checkpoint := string(s.Checkpoint)
	if to != s.To {
		_, signature, _ := strings.Cut(checkpoint, "\n\n")
		checkpoint = evidence.Checkpoint{Origin: s.Origin, Size: to}.Text() + "\n" + signature
	}
	var content strings.Builder
	fmt.Fprintf(&content, `{"format":"https://github.com/saypro/backupd/evidence/segment/v1","origin":%q,"from":%d,"to":%d,"checkpoint":%q}`+"\n", s.Origin, from, to, checkpoint)
	for range to - from {
		fmt.Fprintf(&content, "%s\n", s.Envelopes[0])
	}
	return []byte(content.String())
}

func (w *world) segment(t *testing.T, site, name string) evidence.Segment {
	t.Helper()
	s, err := evidence.ParseSegment(storagetest.Get(t, w.sites[site].StoreAt(t, w.where[site]), name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Checkpoints that nobody of this log has signed, however many, and objects that lie
// in the way of true ones keep nobody from taking the log over, not even where they
// lie at the only site that is left.
func TestMadeUpEvidenceIsPassedOver(t *testing.T) {
	for name, alone := range map[string]bool{"beside another site": false, "at the only site": true} {
		t.Run(name, func(t *testing.T) {
			w := lived(t)
			size, id := w.Evidence().Size(), filepath.Base(w.Evidence().Origin())
			all := w.evidenceAt(t, "cloud")
			first, last := w.segment(t, "cloud", all[0]), w.segment(t, "cloud", all[len(all)-1])
			put := func(from, to uint64) {
				w.put(t, "cloud", fmt.Sprintf("v/%s/%012d-%d", id, from, to-from), madeUp(last, from, to))
			}
			for i := range uint64(12) {
				put(size+10*i, size+10*i+1)
			}
			put(0, last.To)
			put(0, 1)
			put(first.To-1, first.To)
			w.lostHost(t, false)
			if alone {
				w.remove(t, "onsite", isEvidence)
			}
			out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
			if out == nil || out.Records < size-5 || !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "site cloud") {
				t.Fatalf("rebuilt: %+v, %v; there were %d records", out, err, size)
			}
			w.goesOn(t, out.Records)
		})
	}
}

// Somebody stole a key that gave way, and lays at the only site that is left
// beginnings of a log that it signed, one in the place of a true one.
func TestABeginningByAStolenOldKeyIsPassedOver(t *testing.T) {
	w := lived(t)
	origin, first := w.Evidence().Origin(), w.Evidence().PublicKey().String()
	stolen := filepath.Join(t.TempDir(), "key")
	text, err := os.ReadFile(w.cfg.Evidence.KeyFile)
	if err == nil {
		err = os.WriteFile(stolen, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.RotateEvidenceKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.again(t)
	w.sync(t)
	size, all := w.Evidence().Size(), w.evidenceAt(t, "cloud")
	cat, err := catalog.Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cat.Close() }()
	forged, err := evidence.OpenWithKeyFile(evidence.Options{Store: cat, Clock: clock.System, Program: "thief"}, stolen)
	if err == nil {
		err = forged.BeginKey("stranger")
	}
	second := w.segment(t, "cloud", all[1])
	for err == nil && forged.Size() < second.To {
		_, err = forged.Note(evidence.Record{Act: evidence.ActAlive, By: "stranger", Alive: &evidence.Alive{}})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []uint64{1, second.From - 1, second.To} {
		content, err := forged.Segment(0, to)
		if err != nil {
			t.Fatal(err)
		}
		w.put(t, "cloud", fmt.Sprintf("v/%s/%012d-%d", filepath.Base(origin), 0, to), content)
	}
	w.lostHost(t, false)
	w.remove(t, "onsite", isEvidence)
	out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
	if !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "not this host's") || out.Records < size-5 {
		t.Fatalf("rebuilt: %+v, %v; there were %d records", out, err, size)
	}
	w.goesOn(t, out.Records)
	if v := w.check(t, first); !v.OK || len(v.Keys) != 2 {
		t.Errorf("%+v, %+v", v.Findings, v.Keys)
	}
}

// What is written over at one site is taken from the other, though the rebuild has
// seen the first.
func TestEvidenceThatIsWrittenOverIsTakenFromElsewhere(t *testing.T) {
	w := lived(t)
	size, all := w.Evidence().Size(), w.evidenceAt(t, "cloud")
	s := w.segment(t, "cloud", all[1])
	w.remove(t, "cloud", func(name string) bool { return name == all[1] })
	w.put(t, "cloud", all[1], madeUp(s, s.From, s.To))
	w.lostHost(t, false)
	out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
	if !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), all[1]) || out.Records < size {
		t.Fatalf("rebuilt: %+v, %v; there were %d records", out, err, size)
	}
	w.goesOn(t, out.Records)
	if !w.says(t, "site cloud: 1 object is missing or wrong") {
		t.Errorf("status says %v", w.status(t).Reasons)
	}
}

package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

// fork puts at a site what somebody can who may write there and has no key of the
// log: an object with its first records and so many more, by a key that announces
// itself. It returns the object's name and that key.
func (w *world) fork(t *testing.T, site string, records uint64) (name, key string) {
	t.Helper()
	origin := w.Evidence().Origin()
	first := w.evidenceAt(t, site)[0]
	s, err := evidence.ParseSegment(storagetest.Get(t, w.sites[site].StoreAt(t, w.where[site]), first))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cat, err := catalog.Open(filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cat.Close() }()
	if err := evidence.MakeKeyFileOf(filepath.Join(dir, "key"), origin); err != nil {
		t.Fatal(err)
	}
	fork, err := evidence.OpenWithKeyFile(evidence.Options{Store: cat, Clock: clock.System, Program: "stranger"}, filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	err = fork.Adopt(func(yield func([]byte, error) bool) {
		for _, e := range s.Envelopes {
			if !yield(e, nil) {
				return
			}
		}
	}, s.Checkpoint, nil, "stranger")
	if err != nil {
		t.Fatal(err)
	}
	for fork.Size() < records {
		if _, err := fork.Note(evidence.Record{Act: evidence.ActAlive, By: "stranger", Alive: &evidence.Alive{}}); err != nil {
			t.Fatal(err)
		}
	}
	content, err := fork.Segment(0, records)
	if err != nil {
		t.Fatal(err)
	}
	name = fmt.Sprintf("v/%s/%012d-%d", filepath.Base(origin), 0, records)
	w.put(t, site, name, content)
	return name, fork.PublicKey().String()
}

// goesOn demands that the log has at least so many records, none of a stranger's,
// and that sites are given what comes.
func (w *world) goesOn(t *testing.T, records uint64) {
	t.Helper()
	if w.Engine == nil {
		w.open(t)
	}
	w.take(t, "payments")
	w.again(t) // what is new is queued on closing
	w.take(t, "payments")
	size := w.Evidence().Size()
	if size <= records {
		t.Errorf("%d records; there were %d", size, records)
	}
	for r, err := range w.Evidence().Records(0, size) {
		if err != nil || r.By == "stranger" {
			t.Fatalf("record %d is a stranger's (%v)", r.Sequence, err)
		}
	}
	if end, err := w.Published(); err != nil || end <= records || end > size {
		t.Errorf("of %d records %d were given to the sites (%v); there were %d", size, end, err, records)
	}
}

// Whoever may write at a site, and has no key, puts there a log that begins with
// the true records, announces a key of its own and is longer. The host is lost.
func TestARebuildTakesOverNoStrangersFork(t *testing.T) {
	for name, longer := range map[string]uint64{"a longer one": 20, "one that is as long": 0} {
		t.Run(name, func(t *testing.T) {
			w := lived(t)
			size, public := w.Evidence().Size(), w.Evidence().PublicKey().String()
			object, _ := w.fork(t, "cloud", size+longer)
			w.lostHost(t, false)
			out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
			if !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "site cloud: "+object) || out.Records < size {
				t.Fatalf("rebuilt: %+v, %v; there were %d records", out, err, size)
			}
			w.goesOn(t, out.Records)
			if now := w.Evidence().PublicKey().String(); now != public {
				t.Errorf("signed with %s, before with %s", now, public)
			}
			if v := w.check(t, public); !v.OK || !slices.ContainsFunc(v.Warnings, func(warned evidence.Warning) bool {
				return warned.Kind == evidence.WarnTaken && strings.Contains(warned.Text, object)
			}) {
				t.Errorf("%+v, and the audit warns of %+v", v.Findings, v.Warnings)
			}
			stop := w.serve(t)
			w.until(t, "what lies at the site is told", func(s engine.Status) bool {
				text := strings.Join(s.Reasons, "\n")
				return s.Degraded && strings.Contains(text, object) && strings.Contains(text, "Two histories")
			})
			stop()
		})
	}
}

// Without the key nothing on the host tells a stranger from somebody who had lost a
// key before; a person does.
func TestWithoutItsKeyALongerForkNeedsAPersonsWord(t *testing.T) {
	w := lived(t)
	size, public := w.Evidence().Size(), w.Evidence().PublicKey().String()
	_, stranger := w.fork(t, "cloud", size+20)
	w.lostHost(t, true)
	_, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
	if !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "--evidence-key") || !strings.Contains(err.Error(), stranger) || !strings.Contains(err.Error(), public) {
		t.Fatalf("rebuilt: %v", err)
	}
	// Restores go ahead meanwhile, and no other log begins.
	w.open(t)
	w.restores(t, false)
	if w.Evidence().Size() > 0 {
		t.Errorf("another log began")
	}
	w.shut(t)
	if _, err := engine.RebuildAs(t.Context(), w.cfg, engine.RebuildRequest{From: "cloud", EvidenceKey: "github.com/x"}, w.options(), nil); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("a word that is none: %v", err)
	}
	out, err := engine.RebuildAs(t.Context(), w.cfg, engine.RebuildRequest{From: "cloud", EvidenceKey: public}, w.options(), nil)
	if !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "not this host's") || out.Records < size {
		t.Fatalf("with somebody's word: %+v, %v", out, err)
	}
	w.goesOn(t, out.Records)
	if v := w.check(t, public, w.Evidence().PublicKey().String()); !v.OK {
		t.Errorf("%+v", v.Findings)
	}
}

// A key that is put back after a rebuild that had none is this host's, and no new one
// takes its place.
func TestTheKeyIsPutBackAfterARebuild(t *testing.T) {
	w := lived(t)
	size, public := w.Evidence().Size(), w.Evidence().PublicKey().String()
	w.fork(t, "cloud", size+20)
	kept, err := os.ReadFile(w.cfg.Evidence.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	w.lostHost(t, true)
	if _, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil); !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "--evidence-key") {
		t.Fatalf("rebuilt: %v", err)
	}
	if err := os.WriteFile(w.cfg.Evidence.KeyFile, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
	if !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "not this host's") || out.Records < size {
		t.Fatalf("with its key: %+v, %v", out, err)
	}
	if now, err := os.ReadFile(w.cfg.Evidence.KeyFile); err != nil || string(now) != string(kept) {
		t.Errorf("another key file took its place (%v)", err)
	}
	w.goesOn(t, out.Records)
	if v := w.check(t, public); !v.OK || len(v.Keys) != 1 {
		t.Errorf("%+v, %+v", v.Findings, v.Keys)
	}
}

// A key of some other log is moved away after a rebuild was refused, as that said.
func TestAWrongKeyIsMovedAwayAndRebuiltAgain(t *testing.T) {
	w := lived(t)
	size, public := w.Evidence().Size(), w.Evidence().PublicKey().String()
	w.lostHost(t, true)
	other, err := evidence.NewOrigin()
	if err != nil {
		t.Fatal(err)
	}
	if err := evidence.MakeKeyFileOf(w.cfg.Evidence.KeyFile, other); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil); !errors.Is(err, evidence.ErrOtherKey) {
		t.Fatalf("rebuilt: %v", err)
	}
	if err := os.Rename(w.cfg.Evidence.KeyFile, w.cfg.Evidence.KeyFile+".other"); err != nil {
		t.Fatal(err)
	}
	out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
	if err != nil || out.Records < size {
		t.Fatalf("without it: %+v, %v", out, err)
	}
	w.goesOn(t, out.Records)
	if v := w.check(t, public, w.Evidence().PublicKey().String()); !v.OK || len(v.Keys) != 2 {
		t.Errorf("%+v, %+v", v.Findings, v.Keys)
	}
}

// One who lost a key, went on with another and loses that one, too, says so.
func TestAKeyIsLostTwice(t *testing.T) {
	w := lived(t)
	first := w.Evidence().PublicKey().String()
	w.lostHost(t, true)
	if _, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	w.take(t, "payments")
	w.sync(t)
	w.again(t)
	w.sync(t)
	second, size := w.Evidence().PublicKey().String(), w.Evidence().Size()
	w.lostHost(t, true)
	if _, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil); !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), second) {
		t.Fatalf("rebuilt: %v", err)
	}
	out, err := engine.RebuildAs(t.Context(), w.cfg, engine.RebuildRequest{From: "cloud", EvidenceKey: second}, w.options(), nil)
	if err != nil || out.Records < size {
		t.Fatalf("with somebody's word: %+v, %v; there were %d records", out, err, size)
	}
	w.goesOn(t, size)
	if v := w.check(t, first, second, w.Evidence().PublicKey().String()); !v.OK || len(v.Keys) != 3 {
		t.Errorf("%+v, %+v", v.Findings, v.Keys)
	}
}

// A site was away when the key was changed, and is all that is left.
func TestARotationThatASiteHasNotSeen(t *testing.T) {
	w := lived(t)
	first, size := w.Evidence().PublicKey().String(), w.Evidence().Size()
	w.links["cloud"].Cut()
	if _, err := w.RotateEvidenceKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.shut(t)
	w.links["cloud"].Restore()
	w.links["onsite"].Cut()
	w.lostHost(t, false)
	out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
	if err != nil || out.Records < size-5 { // a site lacks what was given last
		t.Fatalf("rebuilt: %+v, %v; there were %d records", out, err, size)
	}
	w.remove(t, "onsite", isEvidence) // another one stands there now
	w.links["onsite"].Restore()
	w.goesOn(t, out.Records)
	if v := w.check(t, first, w.Evidence().PublicKey().String()); !v.OK || len(v.Keys) != 2 {
		t.Errorf("%+v, %+v", v.Findings, v.Keys)
	}
}

// One object that cannot be read does not hide what comes behind it.
func TestAnUnreadableObjectHidesNoFork(t *testing.T) {
	w := lived(t)
	size, id := w.Evidence().Size(), filepath.Base(w.Evidence().Origin())
	tooLarge := fmt.Sprintf("v/%s/%012d-1", id, 0)
	object, _ := w.fork(t, "cloud", size+20)
	w.put(t, "cloud", tooLarge, make([]byte, 64<<20+1))
	if tooLarge >= object {
		t.Fatalf("%s does not come before %s", tooLarge, object)
	}
	stop := w.serve(t)
	w.until(t, "both are told", func(s engine.Status) bool {
		text := strings.Join(s.Reasons, "\n")
		return s.Degraded && strings.Contains(text, object) && strings.Contains(text, tooLarge) && strings.Contains(text, "Two histories")
	})
	stop()
}

// What cannot be read may be another history, and is told alone, too.
func TestAnUnreadableObjectIsTold(t *testing.T) {
	w := lived(t)
	tooLarge := fmt.Sprintf("v/%s/%012d-1", filepath.Base(w.Evidence().Origin()), 0)
	w.put(t, "cloud", tooLarge, make([]byte, 64<<20+1))
	stop := w.serve(t)
	w.until(t, "it is told", func(s engine.Status) bool {
		text := strings.Join(s.Reasons, "\n")
		return s.Degraded && strings.Contains(text, tooLarge) && strings.Contains(text, "another history may hide")
	})
	stop()
}

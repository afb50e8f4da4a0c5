package engine_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/storage"
)

// lived is a world in which things happened, with all of it at both sites: one
// object of evidence for each of three lives of the engine.
func lived(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, extra{})
	for range 3 {
		w.take(t, "payments")
		w.sync(t)
		w.again(t)
	}
	w.sync(t)
	if n := len(w.evidenceAt(t, "cloud")); n < 3 {
		t.Fatalf("%d objects of evidence", n)
	}
	return w
}

func isEvidence(name string) bool { return strings.HasPrefix(name, "v/") }

// evidenceAt returns the names of the evidence at a site, in order.
func (w *world) evidenceAt(t *testing.T, site string) (out []string) {
	t.Helper()
	for _, name := range objectsOf(t, w.sites[site].StoreAt(t, w.where[site])) {
		if isEvidence(name) {
			out = append(out, name)
		}
	}
	return out
}

func (w *world) put(t *testing.T, site, name string, content []byte) {
	t.Helper()
	err := w.sites[site].StoreAt(t, w.where[site]).Put(t.Context(), storage.Object{
		Name: name, Size: int64(len(content)), SHA256: sha256.Sum256(content), Body: bytes.NewReader(content),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// restores demands that a restore goes ahead, and that its error, if there must
// be one, says only that it is not on record.
func (w *world) restores(t *testing.T, recorded bool) {
	t.Helper()
	r, err := w.Restore(t.Context(), restore.Request{Function: "payments", To: w.db.NewDatabase(t).URL()}, nil)
	if r.Rows != 2000 || r.Error != "" || (err == nil) != recorded || (r.Unrecorded == "") != recorded ||
		err != nil && (!errors.Is(err, engine.ErrDegraded) || errors.Is(err, engine.ErrConfig) || !strings.Contains(err.Error(), "not on record")) {
		t.Errorf("restore: %d rows, unrecorded %q, %v", r.Rows, r.Unrecorded, err)
	}
}

// takesUnrecorded demands a recovery point of which a command says that it is not
// on record.
func (w *world) takesUnrecorded(t *testing.T) {
	t.Helper()
	r, err := w.Snapshot(t.Context(), []string{"payments"}, nil)
	if !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "not on record") || len(r) != 1 || r[0].Rows != 2000 || r[0].Sites["cloud"].State != "durable" {
		t.Errorf("snapshot: %+v, %v", r, err)
	}
}

func (w *world) says(t *testing.T, what string) bool {
	t.Helper()
	s := w.status(t)
	return s.Degraded && strings.Contains(strings.Join(s.Reasons, "\n"), what)
}

// Junk among the evidence, which whoever may write there can put, keeps nobody
// from taking the log over.
func TestJunkAmongEvidenceIsPassedOver(t *testing.T) {
	w := lived(t)
	before, id := w.Evidence().Size(), filepath.Base(w.Evidence().Origin())
	w.put(t, "cloud", "v/"+id+"/000000000003-5", []byte("junk"))
	w.put(t, "cloud", "v/"+id+"/000000009000-5", []byte("junk"))
	w.put(t, "cloud", "v/0badcafe/000000000000-5", []byte("junk"))
	w.links["onsite"].Cut()
	w.lostHost(t, false)
	out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
	if out == nil || out.Records < before {
		t.Fatalf("rebuilt: %+v, %v; there were %d records", out, err, before)
	}
	w.open(t)
	w.restores(t, true)
}

// What one site lacks of the log another may have.
func TestEvidenceIsTakenOverFromAllSitesTogether(t *testing.T) {
	for name, keyLost := range map[string]bool{"with its key": false, "without its key": true} {
		t.Run(name, func(t *testing.T) {
			w := lived(t)
			before := w.Evidence().Size()
			all := w.evidenceAt(t, "cloud")
			w.remove(t, "cloud", func(name string) bool { return name == all[1] })
			w.remove(t, "onsite", func(name string) bool { return name == all[len(all)-1] || name == all[0] })
			w.lostHost(t, keyLost)
			out, err := engine.Rebuild(t.Context(), w.cfg, "onsite", w.options(), nil)
			if err != nil || out.Records < before {
				t.Fatalf("rebuilt: %+v, %v; there were %d records", out, err, before)
			}
		})
	}
}

// Where nobody has all of a log, it does not go on, and no second one begins
// under its name; restores and snapshots go ahead, and a person can begin another.
func TestEvidenceThatIsLostHoldsUpNothing(t *testing.T) {
	w := lived(t)
	all := w.evidenceAt(t, "cloud")
	origin := w.Evidence().Origin()
	for site := range w.sites {
		w.remove(t, site, func(name string) bool { return name == all[1] })
	}
	w.lostHost(t, false)
	if _, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil); !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "--new-log") {
		t.Fatalf("rebuilt: %v", err)
	}
	w.open(t)
	w.takesUnrecorded(t)
	w.restores(t, false)
	if !w.says(t, "yet to be taken over") {
		t.Errorf("status says %v", w.status(t).Reasons)
	}
	if _, err := w.Verify(t.Context(), engine.VerifyRequest{Functions: []string{"payments"}, Level: "L1"}, nil); err == nil {
		t.Error("proven without a record")
	}
	if w.Evidence().Size() != 0 {
		t.Error("a second log began")
	}
	w.shut(t)
	key, err := engine.BeginNewEvidence(t.Context(), w.cfg, w.options())
	if err != nil || key.Log == origin || key.Before == "" {
		t.Fatalf("%+v, %v", key, err)
	}
	if _, err := engine.BeginNewEvidence(t.Context(), w.cfg, w.options()); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("begun twice: %v", err)
	}
	w.open(t)
	w.take(t, "payments")
	w.restores(t, true)
	if v := w.check(t, key.Public); !v.OK || v.Origin == origin {
		t.Errorf("%s: %+v", v.Origin, v.Findings)
	}
}

// A site that keeps nothing of the log says nothing of what one keeps that cannot
// be asked.
func TestNoSecondLogBeginsWhileASiteCannotBeAsked(t *testing.T) {
	w := lived(t)
	before := w.Evidence().Size()
	w.remove(t, "cloud", isEvidence)
	w.links["onsite"].Cut()
	w.lostHost(t, false)
	if _, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil); !errors.Is(err, engine.ErrDegraded) || !strings.Contains(err.Error(), "site onsite") {
		t.Fatalf("rebuilt: %v", err)
	}
	w.links["onsite"].Restore()
	out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil)
	if err != nil || out.Records < before {
		t.Fatalf("with the other site: %+v, %v", out, err)
	}
}

// What every site loses of the evidence they get again from this host, also when
// another key signs by now.
func TestEvidenceThatAllSitesLostIsGivenAgain(t *testing.T) {
	for name, rotated := range map[string]bool{"under the same key": false, "under a later key": true} {
		t.Run(name, func(t *testing.T) {
			w := lived(t)
			first := w.Evidence().PublicKey().String()
			if rotated {
				if _, err := w.RotateEvidenceKey(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			before := w.evidenceAt(t, "cloud")
			for site := range w.sites {
				w.remove(t, site, isEvidence)
			}
			w.sync(t)
			for site := range w.sites {
				if now := w.evidenceAt(t, site); len(now) < len(before) {
					t.Errorf("site %s has %v, before %v", site, now, before)
				}
			}
			if r := w.sync(t); !r[0].InStep || !r[1].InStep {
				t.Errorf("%+v", r)
			}
			// A rebuild takes it for what it is.
			records := w.Evidence().Size()
			w.again(t)
			w.sync(t)
			w.lostHost(t, false)
			if out, err := engine.Rebuild(t.Context(), w.cfg, "cloud", w.options(), nil); err != nil || out.Records < records {
				t.Fatalf("rebuilt: %+v, %v; there were %d records", out, err, records)
			}
			w.open(t)
			if v := w.check(t, first); !v.OK {
				t.Errorf("%+v", v.Findings)
			}
		})
	}
}

// While a log of years is taken over, which takes long, a restore goes ahead.
func TestTakingALogOverHoldsUpNoRestore(t *testing.T) {
	w := newWorld(t, extra{})
	w.take(t, "payments")
	w.again(t)
	release := w.BusyWitness(100 * time.Millisecond)
	w.restores(t, false)
	release()
	w.restores(t, true)
}

// Without the key that signs data is saved and given back, and nothing is deleted
// or proven.
func TestALostEvidenceKeyHoldsUpNoRestore(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"gone":    os.Remove,
		"garbled": func(path string) error { return os.WriteFile(path, []byte("garbled"), 0o600) },
		// What is wrong with the configuration is no fault of what was asked for.
		"a folder": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := lived(t)
			known, err := w.EvidenceKey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.shut(t)
			if err := spoil(w.cfg.Evidence.KeyFile); err != nil {
				t.Fatal(err)
			}
			w.open(t)
			w.takesUnrecorded(t)
			w.restores(t, false)
			// What fails is a failure all the same.
			if _, err := w.Restore(t.Context(), restore.Request{Function: "payments", To: "postgres://127.0.0.1:1/nowhere"}, nil); err == nil || errors.Is(err, engine.ErrDegraded) {
				t.Errorf("a restore to nowhere: %v", err)
			}
			if !w.says(t, "not on record") {
				t.Errorf("status says %v", w.status(t).Reasons)
			}
			if _, err := w.Sweep(t.Context(), engine.SweepRequest{}, nil); !errors.Is(err, evidence.ErrMute) {
				t.Errorf("swept without a record: %v", err)
			}
			id := w.status(t).Functions[1].Sites["cloud"].Snapshot
			if _, err := w.Hold(t.Context(), engine.HoldRequest{Snapshot: id, Reason: "looked at"}); !errors.Is(err, evidence.ErrMute) {
				t.Errorf("held without a record: %v", err)
			}
			if points, err := w.Snapshots(t.Context(), "payments"); err != nil || points[0].Snapshot != id || points[0].Held != "" {
				t.Errorf("it is held all the same: %+v, %v", points[0], err)
			}
			// What is on record can be read all the same.
			if key, err := w.EvidenceKey(t.Context()); !errors.Is(err, engine.ErrDegraded) || key != known {
				t.Errorf("the key: %+v, %v, want %+v", key, err, known)
			}
			if made, err := w.Report(t.Context(), report.Request{From: w.clock.Now().Add(-time.Hour), To: w.clock.Now(), Format: report.FormatHTML}, io.Discard); err != nil || len(made.Verdicts) != 2 {
				t.Errorf("the report: %+v, %v", made, err)
			}
			if r, err := w.Verify(t.Context(), engine.VerifyRequest{Functions: []string{"payments"}}, nil); len(r) != 0 || !errors.Is(err, evidence.ErrMute) {
				t.Errorf("proven without a record: %+v, %v", r, err)
			}
			if err := w.WriteEvidence(t.Context(), engine.BundleRequest{}, &bytes.Buffer{}); !errors.Is(err, evidence.ErrMute) {
				t.Errorf("a bundle: %v", err)
			}
			before := w.status(t).Functions[1].LastRun.Started
			w.clock.advance(10 * time.Minute)
			stop := w.serve(t)
			w.until(t, "it serves all the same", func(s engine.Status) bool {
				run := s.Functions[1].LastRun
				return s.Serving && run.Started.After(before) && run.Error == ""
			})
			stop()
		})
	}
}

// A key that is put back while the service runs is taken up by it, whether or not
// anybody asks for something meanwhile.
func TestAServiceTakesUpTheEvidenceKeyThatIsPutBack(t *testing.T) {
	w := lived(t)
	w.shut(t)
	path := w.cfg.Evidence.KeyFile
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	stop := w.serve(t)
	defer stop()
	w.until(t, "it serves", func(s engine.Status) bool { return s.Serving })
	if !w.says(t, "not on record") {
		t.Errorf("status says %v", w.status(t).Reasons)
	}
	size := w.Evidence().Size()
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	for range 150 { // nobody asks
		if w.Evidence().Mute() == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if w.Evidence().Mute() != nil || w.says(t, "not on record") {
		t.Errorf("status still says %v", w.status(t).Reasons)
	}
	w.restores(t, true)
	w.until(t, "the sites are given it", func(engine.Status) bool {
		end, err := w.Published()
		return err == nil && end > size
	})
}

// What a command began and did not end is ended on record by the next one.
func TestWhatWasCutShortIsEndedWithoutAService(t *testing.T) {
	w := newWorld(t, extra{})
	w.take(t, "payments")
	if _, err := w.Evidence().Begin(evidence.Record{Act: evidence.ActSnapshot, Function: "payments", By: "ops"}); err != nil {
		t.Fatal(err)
	}
	w.again(t) // as if killed: nobody ended it
	w.take(t, "payments")
	key, err := w.EvidenceKey(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if v := w.check(t, key.Public); !v.OK || v.Acts["snapshot cut short"] != 1 {
		t.Errorf("%+v, %v", v.Findings, v.Acts)
	}
}

// With the disk of data_dir full there is still a restore.
func TestAFullDiskHoldsUpNoRestore(t *testing.T) {
	w := lived(t)
	w.shut(t)
	mounted := w.cfg.DataDir + "-small"
	if err := os.Mkdir(mounted, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", mounted).CombinedOutput(); err != nil {
		t.Fatalf("this test needs the right to mount a small file system; run it as root: %v: %s", err, out)
	}
	t.Cleanup(func() {
		w.shut(t)
		if out, err := exec.Command("umount", mounted).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", mounted, err, out)
		}
	})
	if out, err := exec.Command("cp", "-a", w.cfg.DataDir+"/.", mounted).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.cfg.DataDir = mounted
	w.open(t)
	f, err := os.Create(filepath.Join(mounted, "everything"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	for range 20 { // what is free within the catalog lasts for some
		if r, err := w.Restore(t.Context(), restore.Request{Function: "payments", To: w.db.NewDatabase(t).URL()}, nil); r.Rows != 2000 {
			t.Fatalf("restore: %d rows, %v", r.Rows, err)
		}
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		t.Fatal(err)
	}
	w.restores(t, true)
}

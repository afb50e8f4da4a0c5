package report_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
)

// kept writes what is in the book into a real log, in a catalog on disk. The
// log puts the record of its key before all others, so sequences move.
func (b *book) kept(t *testing.T) *evidence.Log {
	t.Helper()
	store, err := catalog.Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	origin, err := evidence.NewOrigin()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := evidence.NewSigner(origin)
	if err != nil {
		t.Fatal(err)
	}
	now := clock.NewFake(b.records[0].Time)
	log, err := evidence.Open(evidence.Options{Store: store, Signer: signer, Clock: now, Program: "v1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range b.records {
		now.Advance(r.Time.Sub(now.Now()))
		if r.Day != nil { // derived anew: its sequences have moved
			first, next := r.Day.First, r.Day.Next+1
			d, err := evidence.DeriveDay(r.Function, r.Day.Date, first, next, log.Records(first, next))
			if err != nil {
				t.Fatal(err)
			}
			r.Day = &d
		}
		if err := write(log, r); err != nil {
			t.Fatal(err)
		}
	}
	return log
}

// write puts a record of a book into a log, where sequences are one more.
func write(log *evidence.Log, r evidence.Record) (err error) {
	switch r.Phase {
	case evidence.Intent:
		_, err = log.Begin(r)
	case evidence.Result:
		err = log.End(*r.Intent+1, r)
	case evidence.Event:
		_, err = log.Note(r)
	}
	return err
}

// live is a report from the log itself.
func live(t *testing.T, log *evidence.Log) report.Log {
	t.Helper()
	checkpoint, err := log.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	return report.Log{Reader: log, Next: log.Size(), Checkpoint: string(checkpoint), Key: log.PublicKey().String()}
}

// TestReportNeedsOnlyTheBundle: an auditor with a bundle and a key makes the
// very report that the service makes, byte by byte.
func TestReportNeedsOnlyTheBundle(t *testing.T) {
	log := weekend().kept(t)
	var bundle bytes.Buffer
	if _, err := log.WriteBundle(&bundle, weekendRequest().From.AddDate(-1, 0, 0), weekendRequest().To.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	fromBundle, err := report.OpenBundle(t.Context(), bytes.NewReader(bundle.Bytes()), int64(bundle.Len()), log.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range []report.Request{
		{From: weekendRequest().From, To: weekendRequest().To, Format: report.FormatHTML},
		{From: weekendRequest().From, To: weekendRequest().To, Format: report.FormatPDF, Function: "payments"},
		{From: weekendRequest().From, To: weekendRequest().To, Format: report.FormatJSON},
	} {
		by := report.Maker{Generated: weekendRequest().Generated, Generator: "v1.0.0"}
		var a, b bytes.Buffer
		madeA, err := report.Write(t.Context(), live(t, log), req, by, &a)
		if err != nil {
			t.Fatal(err)
		}
		madeB, err := report.Write(t.Context(), fromBundle, req, by, &b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) || madeA.Failures != madeB.Failures || madeA.Failures == 0 || madeA.NotPassed != 1 {
			t.Errorf("%s: the report of the service and that of the bundle differ: %+v, %+v", req.Format, madeA, madeB)
		}
	}
}

// TestNoReportOfABundleThatDoesNotHold: edited, or verified with another key.
func TestNoReportOfABundleThatDoesNotHold(t *testing.T) {
	log := weekend().kept(t)
	var bundle bytes.Buffer
	if _, err := log.WriteBundle(&bundle, weekendRequest().From.AddDate(-1, 0, 0), weekendRequest().To.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	other := weekend().kept(t).PublicKey()
	if _, err := report.OpenBundle(t.Context(), bytes.NewReader(bundle.Bytes()), int64(bundle.Len()), other); err == nil {
		t.Error("a bundle is taken with a key of another log")
	}
	edited := withLastExchanged(t, bundle.Bytes())
	_, err := report.OpenBundle(t.Context(), bytes.NewReader(edited), int64(len(edited)), log.PublicKey())
	if !errors.Is(err, report.ErrUnsound) && !errors.Is(err, evidence.ErrBundle) {
		t.Errorf("a bundle with two records exchanged: %v", err)
	}
}

// withLastExchanged exchanges the last two records of a bundle.
func withLastExchanged(t *testing.T, bundle []byte) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(f.Name, "records/") {
			lines := strings.SplitAfter(string(text), "\n")
			n := len(lines)
			lines[n-3], lines[n-2] = lines[n-2], lines[n-3]
			text = []byte(strings.Join(lines, ""))
		}
		w, err := z.Create(f.Name)
		if err == nil {
			_, err = w.Write(text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

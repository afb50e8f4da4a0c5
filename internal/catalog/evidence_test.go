package catalog

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
)

// TestEvidenceOnDisk writes a log into a catalog, opens it anew in between, and
// reads it back by sequence and by index.
func TestEvidenceOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	origin, err := evidence.NewOrigin()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := evidence.NewSigner(origin)
	if err != nil {
		t.Fatal(err)
	}
	now := clock.NewFake(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	var c *Catalog
	var log *evidence.Log
	open := func() {
		t.Helper()
		if c != nil {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if c, err = Open(path); err != nil {
			t.Fatal(err)
		}
		if log, err = evidence.Open(evidence.Options{Store: c, Signer: signer, Clock: now, Program: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	open()
	defer func() { _ = c.Close() }()
	const rounds = 40
	for i := range rounds {
		for _, f := range []string{"payments", "pay"} {
			n, err := log.Begin(evidence.Record{Act: evidence.ActProof, Function: f, Proof: &evidence.Proof{Snapshot: "s"}})
			if err != nil {
				t.Fatal(err)
			}
			if i < rounds-1 {
				err = log.End(n, evidence.Record{Act: evidence.ActProof, Outcome: evidence.Failed, Error: "no scratch"})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		now.Advance(time.Minute)
		if i%10 == 3 {
			open()
		}
	}
	open()
	count := func(function string, from, to time.Time) (n int) {
		t.Helper()
		last := uint64(0)
		for r, err := range log.Find(evidence.ActProof, function, from, to) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Sequence <= last || function != "" && r.Function != function {
				t.Fatalf("%+v after %d", r, last)
			}
			last, n = r.Sequence, n+1
		}
		return n
	}
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, want := range []struct {
		function string
		from, to time.Time
		n        int
	}{
		{"", time.Time{}, time.Time{}, 4*rounds - 2},
		{"pay", time.Time{}, time.Time{}, 2*rounds - 1},
		{"payments", start.Add(time.Minute), start.Add(3 * time.Minute), 4},
		{"", start.Add(10 * time.Minute), start.Add(11 * time.Minute), 4},
		{"p", time.Time{}, time.Time{}, 0},
	} {
		if got := count(want.function, want.from, want.to); got != want.n {
			t.Errorf("%+v: %d records", want, got)
		}
	}
	if open, err := log.Unfinished(); err != nil || len(open) != 2 {
		t.Errorf("unfinished: %v %v", open, err)
	}
	if log.Size() != 4*rounds-2+1 {
		t.Errorf("size %d", log.Size())
	}
	// What is dated after the clock was set back is found where it was.
	now.Advance(-20*time.Minute - 30*time.Second)
	set := now.Now()
	if err := log.SetBack("it was ahead", "ops"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := count("pay", set, set.Add(time.Nanosecond)); got != 2*20-1 {
			t.Errorf("%d records of when the clock was set back", got)
		}
		if got := count("pay", time.Time{}, time.Time{}); got != 2*rounds-1 {
			t.Errorf("%d records of all", got)
		}
		if got := count("pay", set.Add(time.Nanosecond), time.Time{}); got != 0 {
			t.Errorf("%d records after it", got)
		}
		open()
	}
}

func TestEvidenceIsNeverOverwritten(t *testing.T) {
	c, err := Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	entry := evidence.Entry{Envelope: []byte("first"), Hashes: []evidence.Hash{{1}}, Act: evidence.ActAlive}
	if err := c.AppendEvidence([]byte("head"), []evidence.Entry{entry}); err != nil {
		t.Fatal(err)
	}
	entry.Envelope = []byte("second")
	if err := c.AppendEvidence([]byte("other head"), []evidence.Entry{entry}); err == nil {
		t.Error("a record was overwritten")
	}
	if err := c.ClearEvidence(); err == nil {
		t.Error("a log with a checkpoint was cleared")
	}
	head, err := c.EvidenceHead()
	if err != nil || !bytes.Equal(head, []byte("head")) {
		t.Errorf("head %q, %v: what failed left something behind", head, err)
	}
	page, err := c.EvidenceEnvelopes(0, 10)
	if err != nil || len(page) != 1 || string(page[0]) != "first" {
		t.Errorf("%q %v", page, err)
	}
}

func TestEvidenceOfAHalfTakenLogIsCleared(t *testing.T) {
	c, err := Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	entry := evidence.Entry{Envelope: []byte("first"), Hashes: []evidence.Hash{{1}}, Act: evidence.ActProof, Opens: true}
	if err := c.AppendEvidence(nil, []evidence.Entry{entry}); err != nil {
		t.Fatal(err)
	}
	if err := c.ClearEvidence(); err != nil {
		t.Fatal(err)
	}
	page, err1 := c.EvidenceEnvelopes(0, 10)
	open, err2 := c.UnfinishedEvidence()
	found, err3 := c.FindEvidence(evidence.ActProof, "", time.Time{}, time.Time{})
	if len(page)+len(open)+len(found) != 0 || err1 != nil || err2 != nil || err3 != nil {
		t.Error(page, open, found, err1, err2, err3)
	}
}

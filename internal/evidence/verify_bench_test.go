package evidence

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// BenchmarkVerify checks a bundle of 100,000 records: snapshots with intent and
// result, and a proof at L5 with thirty tables after each hundred of them. What
// it reports is the time of one bundle, and the processor time that it took.
func BenchmarkVerify(b *testing.B) {
	l := newLife(b)
	for l.Size() < 100_000 {
		for range 100 {
			l.snapshot(b, "payments")
		}
		p := goodProof()
		for range 29 {
			p.Tables = append(p.Tables, Table{Name: "payments.ledger", Rows: 1e6, Digest: digest, FoundRows: 1e6, FoundDigest: digest})
		}
		l.proof(b, Done, p)
	}
	bundle := bundleOf(b, l.Log, time.Time{}, time.Time{})
	o := VerifyOptions{Keys: []PublicKey{l.PublicKey()}}
	start := spent(b)
	for b.Loop() {
		v, err := Verify(b.Context(), bytes.NewReader(bundle), int64(len(bundle)), o)
		if err != nil || !v.OK {
			b.Fatal(v, err)
		}
	}
	b.ReportMetric((spent(b)-start).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(l.Size()), "records")
	b.ReportMetric(float64(len(bundle))/1e6, "MB")
}

// BenchmarkAppend is the cost of one record without a disk.
func BenchmarkAppend(b *testing.B) {
	l := newLife(b)
	start := spent(b)
	for b.Loop() {
		l.snapshot(b, "payments")
	}
	b.ReportMetric(float64((spent(b)-start).Microseconds())/float64(2*b.N), "cpu-µs/record")
}

// BenchmarkBundle writes a bundle of some thousand records.
func BenchmarkBundle(b *testing.B) {
	l := newLife(b)
	for range 2500 {
		l.snapshot(b, "payments")
	}
	for b.Loop() {
		if _, err := l.WriteBundle(io.Discard, time.Time{}, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}

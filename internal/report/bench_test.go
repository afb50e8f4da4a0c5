package report_test

import (
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
)

// memory is a store of a log that finds records as fast as a catalog does.
type memory struct {
	head      []byte
	envelopes [][]byte
	times     []time.Time
	hashes    map[int64]evidence.Hash
	by        map[string][]uint64
}

func (m *memory) EvidenceHead() ([]byte, error) { return m.head, nil }
func (m *memory) ClearEvidence() error          { return nil }

func (m *memory) AppendEvidence(head []byte, entries []evidence.Entry) error {
	for _, e := range entries {
		m.envelopes, m.times = append(m.envelopes, e.Envelope), append(m.times, e.Time)
		for i, h := range e.Hashes {
			m.hashes[e.HashIndex+int64(i)] = h
		}
		for _, f := range slices.Compact([]string{"", e.Function}) {
			m.by[string(e.Act)+"/"+f] = append(m.by[string(e.Act)+"/"+f], e.Sequence)
		}
	}
	m.head = head
	return nil
}

func (m *memory) EvidenceEnvelopes(from uint64, limit int) ([][]byte, error) {
	return m.envelopes[from:min(from+uint64(limit), uint64(len(m.envelopes)))], nil
}

func (m *memory) EvidenceHashes(indexes []int64) ([]evidence.Hash, error) {
	var out []evidence.Hash
	for _, i := range indexes {
		out = append(out, m.hashes[i])
	}
	return out, nil
}

func (m *memory) FindEvidence(act evidence.Act, function string, from, to time.Time) ([]uint64, error) {
	found := m.by[string(act)+"/"+function]
	place := func(at time.Time) int {
		i, _ := slices.BinarySearchFunc(found, at, func(n uint64, t time.Time) int { return m.times[n].Compare(t) })
		return i
	}
	first, next := 0, len(found)
	if !from.IsZero() {
		first = place(from)
	}
	if !to.IsZero() {
		next = place(to)
	}
	return found[first:max(first, next)], nil
}

func (m *memory) UnfinishedEvidence() ([]uint64, error) { return nil, nil }

// aYear is the log of a year of ten functions, each with a run every five minutes
// to two sites, of which one in five hundred fails, and a proof every six hours. A
// roll-up tells of each day. The records of the runs that were done are left
// out of it: nobody who makes a report of whole days reads them.
func aYear(b testing.TB) (*evidence.Log, report.Request) {
	b.Helper()
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := clock.NewFake(begin)
	origin, err := evidence.NewOrigin()
	if err != nil {
		b.Fatal(err)
	}
	signer, err := evidence.NewSigner(origin)
	if err != nil {
		b.Fatal(err)
	}
	log, err := evidence.Open(evidence.Options{Store: &memory{hashes: map[int64]evidence.Hash{}, by: map[string][]uint64{}}, Signer: signer, Clock: now, Program: "v1.0.0"})
	if err != nil {
		b.Fatal(err)
	}
	policy := &evidence.Policy{SHA256: strings.Repeat("1a", 32), Sites: []string{"onsite", "cloud"}, Functions: map[string]evidence.FunctionObjective{}}
	for i := range 10 {
		policy.Functions[fmt.Sprintf("function-%d", i)] = objectiveOf(7*time.Minute, time.Hour, "x")
	}
	put := func(r evidence.Record) uint64 {
		if r.Time.After(now.Now()) {
			now.Advance(r.Time.Sub(now.Now()))
		}
		n, err := log.Size(), write(log, r)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	put(evidence.Record{Act: evidence.ActPolicy, Phase: evidence.Event, Policy: policy})
	rnd := rand.New(rand.NewPCG(3, 9))
	next := uint64(0)
	for i := range 365 {
		days := aDay(b, begin.AddDate(0, 0, i), sortedNames(policy), rnd, put)
		first := next
		next = log.Size()
		for _, r := range days {
			r.Day.First, r.Day.Next = first, next
			put(r)
		}
	}
	return log, report.Request{From: begin, To: begin.AddDate(1, 0, 0)}
}

func sortedNames(p *evidence.Policy) (out []string) {
	for name := range p.Functions {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// aDay writes what of a day is read, and returns its roll-ups.
func aDay(b testing.TB, begin time.Time, functions []string, rnd *rand.Rand, put func(evidence.Record) uint64) []evidence.Record {
	var written []evidence.Record
	var days []evidence.Record
	for _, function := range functions {
		records := dayOfRuns(function, begin, rnd)
		d, err := evidence.DeriveDay(function, begin.Format(time.DateOnly), 0, uint64(len(records)), evidence.Sheaf(records).Records(0, uint64(len(records))))
		if err != nil {
			b.Fatal(err)
		}
		days = append(days, evidence.Record{Act: evidence.ActDay, Phase: evidence.Event, Function: function, Day: &d, Time: begin.AddDate(0, 0, 1)})
		for i, r := range records {
			if r.Act == evidence.ActProof || r.Outcome == evidence.Failed || i+1 < len(records) && records[i+1].Outcome == evidence.Failed {
				written = append(written, r)
			}
		}
	}
	slices.SortStableFunc(written, func(x, y evidence.Record) int { return cmp.Or(x.Time.Compare(y.Time), cmp.Compare(x.Function, y.Function)) })
	open := map[string]uint64{}
	for _, r := range written {
		key := r.Function + string(r.Act)
		if r.Phase == evidence.Intent {
			open[key] = put(r)
			continue
		}
		n := open[key] - 1 // write adds one
		r.Intent = &n
		put(r)
	}
	return days
}

func dayOfRuns(function string, begin time.Time, rnd *rand.Rand) []evidence.Record {
	b := &book{now: begin}
	for i := range 288 {
		t := begin.Add(time.Duration(i)*5*time.Minute + time.Duration(rnd.IntN(4000))*time.Millisecond)
		intent := b.to(t).begin(evidence.Record{Act: evidence.ActSnapshot, Function: function, By: "schedule"})
		took := 20*time.Second + time.Duration(rnd.IntN(20_000))*time.Millisecond
		if rnd.IntN(500) == 0 {
			b.to(t.Add(took)).end(intent, evidence.Record{Outcome: evidence.Failed, By: "schedule", Error: "source market: connection refused"})
			continue
		}
		s := &evidence.Snapshot{ID: fmt.Sprint(t.Unix()), RecoveryPoint: t.Add(200 * time.Millisecond), Started: t, Ended: t.Add(took), BytesRaw: 1 << 30,
			Durable: map[string]time.Time{"onsite": t.Add(took), "cloud": t.Add(took)}}
		b.to(t.Add(took)).end(intent, evidence.Record{Outcome: evidence.Done, Snapshot: s})
		if i%72 == 36 {
			asked := evidence.Proof{Snapshot: s.ID, RecoveryPoint: s.RecoveryPoint, Site: []string{"onsite", "cloud"}[i/72%2], Requested: "L5", Selection: evidence.Selection{Rule: "latest", Population: 300}}
			proof := b.begin(evidence.Record{Act: evidence.ActProof, Function: function, Proof: &asked})
			found := passedProof(asked, b.now, 2*time.Minute)
			b.to(b.now.Add(2*time.Minute)).end(proof, evidence.Record{Outcome: evidence.Done, Proof: &found})
		}
	}
	return b.records
}

// BenchmarkYear makes the report of a year of five-minute runs of ten functions,
// from a log whose records are signed envelopes.
func BenchmarkYear(b *testing.B) {
	log, req := aYear(b)
	checkpoint, err := log.Checkpoint()
	if err != nil {
		b.Fatal(err)
	}
	l := report.Log{Reader: log, Next: log.Size(), Checkpoint: string(checkpoint), Key: log.PublicKey().String()}
	for _, req.Format = range report.Formats {
		b.Run(req.Format, func(b *testing.B) {
			for b.Loop() {
				var size counting
				made, err := report.Write(b.Context(), l, req, report.Maker{Generated: req.To, Generator: "v1.0.0"}, &size)
				if err != nil || made.Failures == 0 || made.Proofs < 14_000 || len(made.Verdicts) != 10 {
					b.Fatalf("%+v, %v", made, err)
				}
				b.ReportMetric(float64(size), "bytes")
				b.ReportMetric(float64(made.Failures), "failures")
			}
		})
	}
}

type counting int64

func (c *counting) Write(p []byte) (int, error) {
	*c += counting(len(p))
	return io.Discard.Write(p)
}

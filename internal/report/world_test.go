package report_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
)

// book writes records as a program would that ran for a while.
type book struct {
	records []evidence.Record
	now     time.Time
}

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05", text)
	if err != nil {
		panic(err) // a test that is written wrong
	}
	return t
}

func (b *book) to(t time.Time) *book {
	if t.Before(b.now) {
		panic(fmt.Sprintf("%v is before %v", t, b.now))
	}
	b.now = t
	return b
}

func (b *book) add(r evidence.Record) uint64 {
	r.Sequence, r.Time, r.Program = uint64(len(b.records)), b.now, "v1.0.0"
	b.records = append(b.records, r)
	return r.Sequence
}

func (b *book) begin(r evidence.Record) uint64 {
	r.Phase = evidence.Intent
	return b.add(r)
}

func (b *book) end(intent uint64, r evidence.Record) uint64 {
	r.Phase, r.Intent = evidence.Result, &intent
	if r.Function == "" {
		r.Function = b.records[intent].Function
	}
	r.Act = b.records[intent].Act
	return b.add(r)
}

func (b *book) note(r evidence.Record) uint64 {
	r.Phase = evidence.Event
	return b.add(r)
}

// signedHead is a checkpoint over as many records as there are. Whoever gives
// records to a report has verified them; the signature matters to nobody here.
func (b *book) signedHead() string {
	return fmt.Sprintf("backupd/test-log\n%d\nqW3VQkF3kMz0yq1cGf0nUO6cQbJ2vOQ3o1tqJzv4qWk=\n\n— backupd/test-log 4f2c8a11AbCdEf==\n", len(b.records))
}

// log makes a log of the book.
func (b *book) log() report.Log {
	return report.FromRecords(b.records, b.signedHead(), "backupd/test-log+4f2c8a11+AeFq0W3VQkF3kMz0yq1cGf0nUO6cQbJ2vOQ3o1tqJzv4")
}

var verifyCommands = []string{
	"backupd audit bundle --from 2026-10-01 --to 2026-11-01 -o bundle.zip     # who runs backupd",
	"backupd-audit bundle.zip --key KEY                                       # anybody, offline",
}

func october() report.PeriodRequest {
	return report.PeriodRequest{
		From: at("2026-10-01 00:00:00"), To: at("2026-11-01 00:00:00"),
		Generated: at("2026-11-02 08:00:00"), Generator: "v1.0.0", Verify: verifyCommands,
	}
}

func objectiveOf(rpo, rto time.Duration, scope string) evidence.FunctionObjective {
	return evidence.FunctionObjective{
		RPOSeconds: rpo.Seconds(), RTOSeconds: rto.Seconds(), Priority: 1, Source: "market", Scope: []string{"schema " + scope},
		ProveEverySeconds: (6 * time.Hour).Seconds(), ProveLevel: "L5", Keep: map[string]int{"hourly": 24, "daily": 14, "monthly": 12},
		Checks: map[string]string{"ledger sums to zero": strings.Repeat("ab", 32)},
	}
}

// event is something that is still to be written.
type event struct {
	at time.Time
	do func(*book)
}

// plan is what happens in a world, in any order.
type plan struct {
	rnd    *rand.Rand
	events []event
	last   map[string]*evidence.Snapshot // newest recovery point by function
}

func (p *plan) at(t time.Time, do func(*book)) { p.events = append(p.events, event{t, do}) }

func (p *plan) run(from time.Time) *book {
	b := &book{now: from}
	for len(p.events) > 0 {
		slices.SortStableFunc(p.events, func(a, c event) int { return a.at.Compare(c.at) })
		events := p.events
		p.events = nil
		for i, e := range events {
			e.do(b.to(e.at))
			if len(p.events) > 0 { // it has planned something: take it in
				p.events = append(p.events, events[i+1:]...)
				break
			}
		}
	}
	return b
}

// snapshots plans the runs of a function; outcome tells how the one of that
// time ends.
func (p *plan) snapshots(function string, from, to time.Time, every time.Duration, outcome func(time.Time) evidence.Outcome) {
	for t := from; t.Before(to); t = t.Add(every) {
		took := 40*time.Second + time.Duration(p.rnd.IntN(40_000))*time.Millisecond
		how := outcome(t)
		id := fmt.Sprintf("%s-%d", function, t.Unix())
		var intent uint64
		p.events = append(p.events, event{t, func(b *book) {
			intent = b.begin(evidence.Record{Act: evidence.ActSnapshot, Function: function, By: "schedule"})
		}})
		if how == "" {
			continue // nothing tells of its end
		}
		p.events = append(p.events, event{t.Add(took), func(b *book) {
			p.ended(b, intent, function, id, t, took, how)
		}})
	}
}

func (p *plan) ended(b *book, intent uint64, function, id string, t time.Time, took time.Duration, how evidence.Outcome) {
	switch how {
	case evidence.Failed:
		b.end(intent, evidence.Record{Outcome: how, By: "schedule", Error: "source market: connect to db.internal: connection refused; is the database up?"})
		return
	case evidence.CutShort:
		b.end(intent, evidence.Record{Outcome: how, By: "schedule", Error: "the program ended before this did"})
		return
	}
	s := &evidence.Snapshot{
		ID: id, RecoveryPoint: t.Add(300 * time.Millisecond), Started: t, Ended: t.Add(took), DurableSeconds: took.Seconds() - 2,
		Rows: 1_250_000, BytesRaw: 3 << 30, BytesNew: 1 << 24, BytesStored: 1 << 22, Tables: 14, Commit: strings.Repeat("c0", 32),
		Durable: map[string]time.Time{"onsite": t.Add(took - 2*time.Second), "cloud": t.Add(took - time.Second)},
	}
	r := evidence.Record{Outcome: how, By: "schedule", Snapshot: s}
	if how == evidence.Degraded {
		delete(s.Durable, "cloud")
		r.Error = "site cloud: put p/ab/abc…: dial tcp 198.51.100.7:443: i/o timeout"
	}
	b.end(intent, r)
	p.last[function] = s
}

// proof plans a proof of the newest recovery point.
func (p *plan) proof(function, site string, t time.Time, change func(*evidence.Record)) {
	p.at(t, func(b *book) {
		s := p.last[function]
		if s == nil {
			panic("a proof of nothing")
		}
		asked := evidence.Proof{
			Snapshot: s.ID, RecoveryPoint: s.RecoveryPoint, Site: site, Requested: "L5",
			Selection: evidence.Selection{Rule: "latest", Population: 212, Proven: 40},
		}
		intent := b.begin(evidence.Record{Act: evidence.ActProof, Function: function, By: "schedule", Proof: &asked})
		took := 8*time.Minute + time.Duration(p.rnd.IntN(240))*time.Second
		found := passedProof(asked, t, took)
		r := evidence.Record{Outcome: evidence.Done, By: "schedule", Proof: &found}
		if change != nil {
			change(&r)
		}
		if r.Outcome == "" {
			return
		}
		p.at(t.Add(took), func(b *book) { b.end(intent, r) })
	})
}

func passedProof(asked evidence.Proof, t time.Time, took time.Duration) evidence.Proof {
	p := asked
	p.Level, p.Passed, p.Started, p.Ended, p.Seconds = "L5", true, t, t.Add(took), took.Seconds()
	p.Phases = map[string]float64{
		"provision": 3.2, "fetch": took.Seconds() * .4, "load": took.Seconds() * .55, "index": took.Seconds() * .2, "validate": took.Seconds() * .15, "clear": .4,
	}
	p.RPOSeconds, p.RTOSeconds, p.BytesRaw, p.Fetched, p.Commit = 900, 3600, 3<<30, 1<<30, strings.Repeat("c0", 32)
	for i, c := range []string{"objects are there", "stored digests", "decrypts and parses", "loads without error", "structure is whole", "content equals the source"} {
		p.Checks = append(p.Checks, evidence.Check{Name: c, Level: fmt.Sprintf("L%d", i), Status: evidence.Pass})
	}
	for _, name := range []string{"payments.transactions", "payments.refunds", "payments.payouts"} {
		d := strings.Repeat("5e", 32)
		p.Tables = append(p.Tables, evidence.Table{Name: name, Rows: 400_000, Digest: d, FoundRows: 400_000, FoundDigest: d})
	}
	p.Environment = evidence.Environment{Host: "backup1.internal", Processors: 8, Engine: "PostgreSQL 15.18, throwaway instance on this host", Catalog: "this host's", Key: "the daemon's"}
	p.NotProven = []string{"the application's own checks (L6)", "how long people take to notice, decide and switch over; phases are machine time"}
	return p
}

// between reports whether a time is in a stretch.
func between(t time.Time, from, to string) bool { return !t.Before(at(from)) && t.Before(at(to)) }

// autumn is a month and a half of three functions in which much goes wrong: a
// site is away, the source is, the program is killed, a proof finds a
// difference, a policy changes.
func autumn(t testing.TB) *book {
	t.Helper()
	p := &plan{rnd: rand.New(rand.NewPCG(2026, 10)), last: map[string]*evidence.Snapshot{}}
	promise := &evidence.Policy{
		SHA256: strings.Repeat("1a", 32), Sites: []string{"onsite", "cloud"},
		Functions: map[string]evidence.FunctionObjective{
			"payments": objectiveOf(15*time.Minute, time.Hour, "payments"),
			"accounts": objectiveOf(30*time.Minute, 2*time.Hour, "accounts"),
		},
	}
	p.at(at("2026-09-20 00:00:00"), func(b *book) {
		b.note(evidence.Record{Act: evidence.ActKey, By: "root", Key: &evidence.Key{Operation: "sign", Key: "4f2c8a11", Public: b.log().Key}})
		b.note(evidence.Record{Act: evidence.ActPolicy, By: "root", Policy: promise})
	})
	stricter := *promise
	stricter.SHA256 = strings.Repeat("2b", 32)
	stricter.Functions = map[string]evidence.FunctionObjective{
		"payments": objectiveOf(12*time.Minute, 45*time.Minute, "payments"),
		"accounts": promise.Functions["accounts"],
		"catalog":  objectiveOf(4*time.Hour, 8*time.Hour, "catalog"),
	}
	p.at(at("2026-10-12 09:30:00"), func(b *book) { b.note(evidence.Record{Act: evidence.ActPolicy, By: "nomsa", Policy: &stricter}) })
	from, to := at("2026-09-20 00:05:00"), at("2026-11-02 06:00:00")
	p.snapshots("payments", from, to, 10*time.Minute, func(t time.Time) evidence.Outcome {
		switch {
		case between(t, "2026-10-06 02:00:00", "2026-10-06 02:45:00"):
			return evidence.Failed
		case between(t, "2026-10-17 20:00:00", "2026-10-18 03:00:00"):
			return evidence.Degraded
		case between(t, "2026-10-21 11:25:00", "2026-10-21 11:30:00"):
			return ""
		}
		return evidence.Done
	})
	p.snapshots("accounts", from.Add(2*time.Minute), to, 25*time.Minute, func(t time.Time) evidence.Outcome {
		if between(t, "2026-10-17 20:00:00", "2026-10-18 03:00:00") {
			return evidence.Degraded
		}
		return evidence.Done
	})
	p.snapshots("catalog", at("2026-10-12 09:31:00"), to, 3*time.Hour, func(time.Time) evidence.Outcome { return evidence.Done })
	p.exercises()
	for i, t := 0, at("2026-09-20 06:03:00"); t.Before(at("2026-11-01 20:00:00")); i, t = i+1, t.Add(6*time.Hour) {
		p.proof("payments", []string{"onsite", "cloud"}[i%2], t, p.troubles(t))
		p.proof("accounts", []string{"cloud", "onsite"}[i%2], t.Add(time.Hour), nil)
	}
	b := p.run(from.Add(-time.Hour))
	return b.silent(at("2026-10-25 01:00:00"), at("2026-10-25 05:20:00"))
}

// troubles is what becomes of the proof of payments at that time.
func (p *plan) troubles(t time.Time) func(*evidence.Record) {
	switch t.Format("01-02 15") {
	case "10-09 06":
		return func(r *evidence.Record) {
			r.Outcome, r.Error = evidence.Different, "table payments.refunds differs"
			r.Proof.Passed, r.Proof.Difference, r.Proof.Level = false, true, "L4"
			r.Proof.Checks[5].Status, r.Proof.Checks[5].Detail = evidence.Fail, "1 of 3 tables differs: payments.refunds"
			r.Proof.Tables[1].FoundRows, r.Proof.Tables[1].FoundDigest = 399_999, strings.Repeat("6f", 32)
		}
	case "10-14 12":
		return func(r *evidence.Record) {
			r.Outcome, r.Error, r.Proof = evidence.Failed, "provision scratch: initdb: no space left on device", nil
		}
	case "10-19 00":
		return func(r *evidence.Record) { r.Outcome = "" }
	case "10-28 18":
		return func(r *evidence.Record) {
			r.Outcome, r.Error, r.Proof = evidence.CutShort, "the program ended before this did", nil
		}
	}
	return nil
}

// silent takes out what was written in a stretch of time, as if the program had
// not run, and renumbers the rest.
func (b *book) silent(from, to time.Time) *book {
	out := &book{}
	moved := map[uint64]uint64{}
	for _, r := range b.records {
		if !r.Time.Before(from) && r.Time.Before(to) {
			continue
		}
		if r.Intent != nil {
			n, ok := moved[*r.Intent]
			if !ok {
				continue
			}
			r.Intent = &n
		}
		moved[r.Sequence] = uint64(len(out.records))
		out.now = r.Time
		r.Sequence = uint64(len(out.records))
		out.records = append(out.records, r)
	}
	return out
}

// exercises plans restores, controls, drills, deletions, keys, suspects and
// anchors.
func (p *plan) exercises() {
	p.at(at("2026-10-08 14:00:00"), func(b *book) {
		s := p.last["accounts"]
		asked := evidence.Restore{Snapshot: s.ID, RecoveryPoint: &s.RecoveryPoint, Target: "db2.internal/accounts_check"}
		intent := b.begin(evidence.Record{Act: evidence.ActRestore, Function: "accounts", By: "thandi", Restore: &asked})
		p.at(b.now.Add(11*time.Minute), func(b *book) {
			done := asked
			done.Sites, done.Tables, done.Seconds, done.Phases = []string{"onsite"}, []string{"accounts.users"}, 660, map[string]float64{"fetch": 200, "load": 480, "index": 90}
			done.RPOSeconds, done.RTOSeconds, done.LostSeconds, done.Rows = 1800, 7200, 340, 88_000
			b.end(intent, evidence.Record{Outcome: evidence.Done, By: "thandi", Restore: &done})
		})
	})
	p.at(at("2026-10-10 03:00:00"), func(b *book) {
		intent := b.begin(evidence.Record{Act: evidence.ActControls, By: "schedule", Controls: &evidence.Controls{}})
		p.at(b.now.Add(9*time.Minute), func(b *book) {
			b.end(intent, evidence.Record{Outcome: evidence.Failed, Error: "1 planted fault was not caught", By: "schedule", Controls: &evidence.Controls{Faults: []evidence.Fault{
				{ID: "object-missing", Planted: "a pack was deleted at one site", Expected: "L0", Caught: "L0", Seconds: 2, Red: true},
				{ID: "bit-flip", Planted: "one bit of a stored pack was flipped", Expected: "L1", Caught: "L1", Seconds: 3, Red: true},
				{ID: "row-changed", Planted: "one row was changed, the counts stay equal", Expected: "L5", Caught: "L5", Seconds: 40, Red: true},
				{ID: "stale-point", Planted: "an old recovery point was served as the newest", Expected: "L5", Caught: "", Detail: "the proof passed", Seconds: 41},
			}}})
		})
	})
	p.drill()
	p.at(at("2026-10-20 04:00:00"), func(b *book) {
		intent := b.begin(evidence.Record{Act: evidence.ActDeletion, By: "schedule", Deletion: &evidence.Deletion{Kind: "sweep"}})
		b.now = b.now.Add(time.Second)
		b.end(intent, evidence.Record{Outcome: evidence.Done, By: "schedule", Deletion: &evidence.Deletion{
			Kind: "sweep", Objects: 4120, Bytes: 91 << 30, Snapshots: map[string]string{"payments-1758000000": "no rule keeps it"},
		}})
		b.note(evidence.Record{Act: evidence.ActDeletion, Function: "payments", By: "thandi", Deletion: &evidence.Deletion{Kind: "hold", Snapshots: map[string]string{"payments-1760000000": "dispute with the bank"}}})
	})
	p.at(at("2026-10-22 10:00:00"), func(b *book) {
		intent := b.begin(evidence.Record{Act: evidence.ActKey, By: "root", Key: &evidence.Key{Operation: "escrow-test"}})
		b.now = b.now.Add(2 * time.Second)
		b.end(intent, evidence.Record{Outcome: evidence.Done, By: "root", Key: &evidence.Key{Operation: "escrow-test", Key: "9d31", Site: "cloud"}})
		b.note(evidence.Record{Act: evidence.ActSuspect, Function: "catalog", Suspect: &evidence.Suspect{
			Snapshot: "catalog-1761120060", RecoveryPoint: at("2026-10-22 09:31:00"), LastClean: "catalog-1761109260",
			Signals: []evidence.Signal{{Kind: "rows collapsed", Table: "catalog.products", Before: 81_000, After: 410, Limit: .5, Detail: "81 000 rows became 410"}},
		}})
	})
	for _, t := range []string{"2026-10-05 00:00:00", "2026-10-15 00:00:00", "2026-10-25 00:00:00"} {
		p.at(at(t), func(b *book) {
			b.note(evidence.Record{Act: evidence.ActAnchor, Anchor: &evidence.Anchor{To: "site cloud", Size: uint64(len(b.records)), Root: "mC1dkx0W0K2n2U8z7ZB3mS6zX8iQmJ1Fq2w3tEr9v0A="}})
		})
	}
}

func (p *plan) drill() {
	p.at(at("2026-10-15 09:00:00"), func(b *book) {
		d := evidence.Drill{ID: "2026-q4-failover", Kind: "failover", Scenario: "on-site-fire.yaml", SHA256: strings.Repeat("dd", 32), Participants: []string{"operator on call", "head of payments"}}
		intent := b.begin(evidence.Record{Act: evidence.ActDrill, By: "thandi", Drill: &d})
		p.at(b.now.Add(95*time.Minute), func(b *book) {
			done := d
			done.Steps = []evidence.DrillStep{
				{ID: "1", Text: "restore payments from the cloud", Function: "payments", Site: "cloud", Expected: "within the RTO", Actual: "service validated", Seconds: 2400, LostSeconds: 420, RPOSeconds: 900, RTOSeconds: 3600, Status: evidence.Pass},
				{ID: "2", Text: "reach the person who holds the escrow", Expected: "within 15 minutes", Actual: "42 minutes", Seconds: 2520, Status: evidence.Fail},
				{ID: "3", Text: "tell the sellers", Expected: "a notice within the hour", Status: evidence.Skipped},
			}
			done.Observations = []evidence.Observation{{Kind: "strength", Text: "the cloud copy alone was enough"}, {Kind: "gap", Text: "one number for the escrow holder, and it was off"}}
			done.Actions = []evidence.Action{
				{ID: "a1", Text: "a second escrow holder with a number of their own", Owner: "head of operations", Due: "2026-10-25"},
				{ID: "a2", Text: "prove payments from the cloud every day", Owner: "thandi", Due: "2026-11-30"},
			}
			b.end(intent, evidence.Record{Outcome: evidence.Failed, Error: "1 of 3 steps failed", By: "thandi", Drill: &done})
		})
	})
}

// days plans the roll-ups of each day, written when the next one begins.
func (p *plan) days(from, to time.Time, functions ...string) {
	for t := from; t.Before(to); t = t.AddDate(0, 0, 1) {
		p.at(t.AddDate(0, 0, 1), func(b *book) {
			date := t.Format(time.DateOnly)
			first := slices.IndexFunc(b.records, func(r evidence.Record) bool { return !r.Time.Before(t) })
			if first < 0 {
				first = len(b.records)
			}
			next := uint64(len(b.records))
			for _, function := range functions {
				d, err := evidence.DeriveDay(function, date, uint64(first), next, evidence.Sheaf(b.records[:next]).Records(uint64(first), next))
				if err != nil {
					panic(err) // a test that is written wrong
				}
				b.note(evidence.Record{Act: evidence.ActDay, Function: function, Day: &d})
			}
		})
	}
}

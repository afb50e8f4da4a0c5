package report_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
)

// TestProgramme holds what was proven in the autumn against what was promised.
func TestProgramme(t *testing.T) {
	p := period(t, autumn(t).log(), october())
	by := map[[2]string]report.Programme{}
	for _, x := range p.Programme {
		by[[2]string{x.Function, x.Site}] = x
	}
	if len(by) != 6 {
		t.Fatalf("%d lines, want three functions at two sites: %+v", len(by), p.Programme)
	}
	// A proof every six hours, which takes turns over two sites: 62 in 31 days.
	for _, site := range []string{"onsite", "cloud"} {
		x := by[[2]string{"payments", site}]
		if x.Planned == nil || *x.Planned != 62 || x.Ended+x.Missed != 62 || x.Passed > x.Ended || x.Levels["L5"] != x.Passed || x.Sample.Rules["latest"] == 0 {
			t.Errorf("payments at %s: %+v", site, x)
		}
		c := by[[2]string{"catalog", site}]
		if c.Planned == nil || *c.Planned != 39 || c.Missed != 39 || c.Sample.AtMost != nil || c.Recovery != nil {
			t.Errorf("catalog at %s, from the 12th on and never proven: %+v", site, c)
		}
		r := by[[2]string{"accounts", site}].Recovery
		if r == nil || r.MedianSeconds < 480 || r.WorstSeconds > 720 || r.WorstSeconds < r.MedianSeconds || r.LastSeconds == 0 || r.BreaksAtBytes < r.BytesRaw {
			t.Errorf("recovery of accounts from %s: %+v", site, r)
		}
	}
	if x := by[[2]string{"payments", "onsite"}]; x.Sample.Bad != 1 || *x.Sample.AtMost < 1.0/float64(x.Sample.Points) {
		t.Errorf("one recovery point differed: %+v", x.Sample)
	}
}

// TestFixes: of each failure it is told what shows that it works again, or that
// nothing does.
func TestFixes(t *testing.T) {
	p := period(t, autumn(t).log(), october())
	fixed, open := map[evidence.Act]int{}, map[evidence.Act]int{}
	for _, f := range p.Failures {
		if f.Fix == nil {
			open[f.Act]++
			continue
		}
		fixed[f.Act]++
		if !f.Fix.At.After(f.Time) || f.Fix.Seconds <= 0 || f.Fix.Shown == "" || (f.Act == evidence.ActSnapshot) != (f.Fix.By == nil) {
			t.Errorf("%+v: %+v", f, f.Fix)
		}
		if f.Fix.By != nil && *f.Fix.By <= f.Sequence {
			t.Errorf("record %d is fixed by record %d", f.Sequence, *f.Fix.By)
		}
	}
	// Every failed snapshot had a later one, each proof that did not pass one that
	// did; the drill and the controls were not repeated.
	if fixed[evidence.ActSnapshot] == 0 || open[evidence.ActSnapshot] != 0 || fixed[evidence.ActProof] == 0 || open[evidence.ActProof] != 0 || open[evidence.ActDrill] != 1 {
		t.Errorf("fixed %v, open %v", fixed, open)
	}
	// The cloud was away from 20:00 to 03:00: that is fixed when it has caught up.
	for _, f := range p.Failures {
		if f.Outcome == evidence.Degraded && f.Fix.At.Before(at("2026-10-18 03:00:00")) {
			t.Errorf("the run of %v is fixed at %v, when the cloud was away", f.Time, f.Fix.At)
		}
	}
}

// TestInventory: what no function covers is told, with what changed, and that
// nothing is known when nothing is recorded.
func TestInventory(t *testing.T) {
	without := period(t, autumn(t).log(), october())
	if without.Inventory != nil || !strings.Contains(strings.Join(without.NotProven, "\n"), "That nothing was forgotten") {
		t.Errorf("without a record: %+v", without.Inventory)
	}
	b := &book{now: at("2026-10-01 00:00:00")}
	found := func(day string, uncovered map[string]int, databases ...string) {
		b.to(at(day)).note(evidence.Record{Act: evidence.ActFound, By: "schedule", Found: &evidence.Found{
			Sources: map[string]evidence.FoundSource{"market": {Database: "market", Version: "PostgreSQL 15.14", Covered: map[string]int{"payments": 3}, Uncovered: uncovered, Databases: databases}},
			Sites:   map[string]evidence.FoundSite{"cloud": {Objects: 10, Lock: "compliance", LockedUntil: at("2026-11-20 00:00:00"), OldestRead: at("2026-10-01 00:00:00")}},
		}})
	}
	found("2026-10-01 01:00:00", nil)
	found("2026-10-02 01:00:00", map[string]int{"marketing": 2}, "warehouse")
	found("2026-10-03 01:00:00", map[string]int{"marketing": 2})
	p := period(t, b.log(), october())
	want := []string{
		"2026-10-02: schema marketing of source market is there, and no function covers it",
		"2026-10-02: database warehouse of source market is there, and no function covers it",
		"2026-10-03: database warehouse of source market is covered now, or gone",
	}
	if p.Inventory == nil || p.Inventory.Looks != 3 || !slices.Equal(p.Inventory.Changes, want) {
		t.Errorf("%+v", p.Inventory)
	}
	page := text(t, written(t, func(w *bytes.Buffer) error { return p.HTML(w) }))
	for _, s := range []string{"2 tables in no function", "marketing: 2", "2026-11-20 00:00:00Z", "compliance"} {
		if !strings.Contains(page, s) {
			t.Errorf("the page lacks %q", s)
		}
	}
}

// TestProofHasItsContext: the policy in force then, how the recovery point was
// captured, and the proofs before it.
func TestProofHasItsContext(t *testing.T) {
	l := autumn(t).log()
	for _, x := range period(t, l, october()).Proofs {
		if x.Function != "payments" || x.Finding != report.Passed || x.Time.Before(at("2026-10-20 00:00:00")) {
			continue
		}
		p, err := report.ForProof(t.Context(), l, report.ProofRequest{Sequence: x.Sequence, Generated: october().Generated, Verify: verifyCommands})
		if err != nil {
			t.Fatal(err)
		}
		if p.Policy == nil || p.Policy.SHA256 != strings.Repeat("2b", 32) || len(p.Policy.Functions) != 1 || p.Policy.Functions["payments"].RPOSeconds != 720 {
			t.Errorf("the policy in force: %+v", p.Policy)
		}
		if c := p.Captured; c == nil || c.Rows != 1_250_000 || len(c.Durable) != 2 || !c.Started.Before(p.Started) {
			t.Errorf("captured: %+v", c)
		}
		if len(p.Before) != 2 || p.Before[0].Sequence >= p.Sequence || p.Before[0].AgeSeconds <= 0 || p.Before[0].AgeSeconds > p.Before[1].AgeSeconds {
			t.Errorf("before: %+v", p.Before)
		}
		return
	}
	t.Fatal("there was no such proof")
}

// TestPeopleCount: an exercise that the machine passed did not pass when the time
// of people, which is recorded later, does not fit into the RTO as well.
func TestPeopleCount(t *testing.T) {
	for took, want := range map[float64]evidence.Outcome{500: evidence.Done, 1500: evidence.Different} {
		p := &plan{rnd: rand.New(rand.NewPCG(1, 2)), last: map[string]*evidence.Snapshot{}}
		p.at(at("2026-10-15 09:00:00"), func(b *book) {
			d := evidence.Drill{ID: "full-scale-2026-10-15", Kind: "technical", Scenario: "full-scale", SHA256: strings.Repeat("dd", 32)}
			intent := b.begin(evidence.Record{Act: evidence.ActDrill, By: "thandi", Drill: &d})
			p.at(b.now.Add(time.Hour), func(b *book) {
				d.Steps = []evidence.DrillStep{{ID: "restore-payments", Kind: "restore", Function: "payments", Site: "cloud", Seconds: 2400, RTOSeconds: 3600, Status: evidence.Pass}}
				b.end(intent, evidence.Record{Outcome: evidence.Done, By: "thandi", Drill: &d})
			})
			p.at(b.now.Add(2*time.Hour), func(b *book) {
				d := d
				d.Steps = []evidence.DrillStep{{ID: "switch", Kind: "people", Seconds: took, Status: evidence.Pass}}
				b.note(evidence.Record{Act: evidence.ActDrill, By: "thandi", Drill: &d})
			})
		})
		x := period(t, p.run(at("2026-10-02 00:00:00")).log(), october())
		if len(x.Drills) != 1 || x.Drills[0].Outcome != want || (x.Drills[0].Steps[0].Status == evidence.Pass) != (want == evidence.Done) {
			t.Fatalf("people took %.0f s: %+v", took, x.Drills)
		}
		if missed := len(x.Failures) == 1; missed != (want == evidence.Different) {
			t.Errorf("people took %.0f s: failures %+v", took, x.Failures)
		}
		page := text(t, written(t, func(w *bytes.Buffer) error { return x.HTML(w) }))
		if told := strings.Contains(page, "exceed the RTO of 1h"); told != (want == evidence.Different) {
			t.Errorf("people took %.0f s: told %t", took, told)
		}
	}
}

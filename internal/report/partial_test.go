package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
)

// TestReportOfAPartOfTheLog: a bundle that begins in the middle says the same of
// its period as the whole log does: promise, exposure, violations, proofs.
func TestReportOfAPartOfTheLog(t *testing.T) {
	log := weekend().kept(t)
	for name, from := range map[string]time.Time{
		"in the middle of a day":           at("2026-10-31 20:30:00"),
		"at midnight":                      at("2026-11-01 00:00:00"),
		"while the promise is broken":      at("2026-10-31 11:30:00"),
		"just after a recovery point":      at("2026-10-31 13:02:30"),
		"where nothing has been proven":    at("2026-10-31 13:30:00"),
		"where nothing is but the promise": at("2026-10-31 00:00:30"),
	} {
		t.Run(name, func(t *testing.T) {
			to := weekendRequest().To
			var bundle bytes.Buffer
			about, err := log.WriteBundle(&bundle, from, to)
			if err != nil || about.From == 0 {
				t.Fatalf("%+v, %v", about, err)
			}
			part, err := report.OpenBundle(t.Context(), bytes.NewReader(bundle.Bytes()), int64(bundle.Len()), log.PublicKey())
			if err != nil {
				t.Fatal(err)
			}
			req := report.PeriodRequest{From: from, To: to, Generated: to, Generator: "v1.0.0", Verify: verifyCommands}
			whole, some := period(t, live(t, log), req), period(t, part, req)
			if len(some.Functions) != 1 || some.Functions[0].Verdict == report.Unknown || len(some.Policies) != 1 || !some.Policies[0].Before {
				t.Fatalf("of the part is known: %+v, %+v", some.Functions, some.Policies)
			}
			if a, b := figuresOf(t, whole), figuresOf(t, some); a != b {
				t.Errorf("the whole log says\n%s\nand the part\n%s", a, b)
			}
			if strings.Contains(strings.Join(some.NotProven, "\n"), wordAlone) {
				t.Error("it says that it does not know the newest promise, and every act that was begun names it")
			}
			for _, f := range some.Functions {
				for _, v := range f.Views {
					for _, x := range v.Violations {
						for _, c := range x.Causes {
							if c.From.Before(from) && c.Kind != "not known" {
								t.Errorf("it claims to know of %s: %+v", c.From, c)
							}
						}
					}
				}
			}
		})
	}
}

const wordAlone = "is the word of whoever made the bundle"

// Where nothing was begun in a part of the log, no record shows that the promise
// that came along is the newest.
func TestAPartInWhichNothingWasBegun(t *testing.T) {
	b := weekend()
	from := b.now.Add(time.Minute)
	for range 3 {
		b.to(b.now.Add(time.Hour)).note(evidence.Record{Act: evidence.ActAlive, Alive: &evidence.Alive{}})
	}
	log := b.kept(t)
	var bundle bytes.Buffer
	if _, err := log.WriteBundle(&bundle, from, b.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	part, err := report.OpenBundle(t.Context(), bytes.NewReader(bundle.Bytes()), int64(bundle.Len()), log.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	p := period(t, part, report.PeriodRequest{From: from, To: b.now, Generated: b.now, Generator: "v1.0.0", Verify: verifyCommands})
	if !strings.Contains(strings.Join(p.NotProven, "\n"), wordAlone) {
		t.Errorf("it does not say what a part cannot show: %q", p.NotProven)
	}
}

// figuresOf are what a report says of its functions, without the causes: those
// lie before a part as well.
func figuresOf(t *testing.T, p *report.Period) string {
	t.Helper()
	for i := range p.Functions {
		for j := range p.Functions[i].Views {
			for k := range p.Functions[i].Views[j].Violations {
				p.Functions[i].Views[j].Violations[k].Causes = nil
			}
		}
	}
	text, err := json.MarshalIndent(p.Functions, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestOpenActionsOfAPart: what an earlier exercise left to do is told by a part
// of the log, too.
func TestOpenActionsOfAPart(t *testing.T) {
	b := weekend()
	b.to(at("2026-11-01 23:30:00"))
	x := b.begin(evidence.Record{Act: evidence.ActDrill, By: "nomsa", Drill: &evidence.Drill{ID: "onsite-fire-2026-11-01", Kind: "tabletop", Scenario: "onsite-fire"}})
	b.end(x, evidence.Record{Outcome: evidence.Different, Error: "an inject was missed", Drill: &evidence.Drill{
		ID: "onsite-fire-2026-11-01", Kind: "tabletop", Scenario: "onsite-fire", Steps: []evidence.DrillStep{{ID: "alarm", Kind: "inject", Text: "Fire.", Status: evidence.Fail, Error: "missed"}},
		Actions: []evidence.Action{{ID: "a1", Text: "A second copy of the escrow", Owner: "operator", Due: "2026-11-02", Test: "backupd coldstart"}},
	}})
	b.to(at("2026-11-05 00:00:00")).note(evidence.Record{Act: evidence.ActAlive, Alive: &evidence.Alive{}})
	log := b.kept(t)
	var bundle bytes.Buffer
	if _, err := log.WriteBundle(&bundle, at("2026-11-04 00:00:00"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	part, err := report.OpenBundle(t.Context(), bytes.NewReader(bundle.Bytes()), int64(bundle.Len()), log.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	p := period(t, part, report.PeriodRequest{From: at("2026-11-04 00:00:00"), To: at("2026-11-06 00:00:00"), Generated: at("2026-11-06 00:00:00"), Verify: verifyCommands})
	if len(p.Actions) != 1 || p.Actions[0].State != "late" || p.Actions[0].Owner != "operator" {
		t.Errorf("actions: %+v", p.Actions)
	}
}

package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
)

// A function that has no recovery point yet is not called kept, though nothing is
// broken; once its time is over it is broken, for ever if none comes.
func TestANewFunctionIsNotCalledKept(t *testing.T) {
	b := &book{now: at("2026-10-05 12:00:00")}
	b.note(evidence.Record{Act: evidence.ActPolicy, By: "root", Policy: &evidence.Policy{
		Sites: []string{"onsite", "cloud"}, Functions: map[string]evidence.FunctionObjective{"payments": objectiveOf(2*time.Hour, time.Hour, "payments")},
	}})
	promised := b.now
	b.to(at("2026-10-05 16:00:00")).note(evidence.Record{Act: evidence.ActAlive})
	for until, want := range map[string]report.Verdict{"2026-10-05 13:00:00": report.Unknown, "2026-10-05 15:00:00": report.Broken} {
		req := october()
		req.To, req.Generated = at(until), at(until)
		p, err := report.ForPeriod(t.Context(), b.log(), req)
		if err != nil {
			t.Fatal(err)
		}
		f := p.Functions[0]
		text := strings.Join(f.Summary, " ")
		if f.Verdict != want || strings.Contains(text, "It is new") != (want == report.Unknown) || strings.Contains(text, "kept at every moment") {
			t.Errorf("until %s: %s: %s", until, f.Verdict, text)
		}
		for _, v := range f.Views {
			if v.Proven {
				continue
			}
			if !v.NewFrom.Equal(promised) || v.NewTo.After(at("2026-10-05 14:00:00")) || (v.BrokenSeconds > 0) != (want == report.Broken) || v.UnprotectedSeconds == 0 {
				t.Errorf("until %s: %+v", until, v)
			}
		}
	}
}

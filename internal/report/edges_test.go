package report_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/report"
)

// TestEdges: what is asked for at the edges gives a page that says so.
func TestEdges(t *testing.T) {
	l := autumn(t).log()
	for name, c := range map[string]struct {
		from, to string
		says     []string
		not      []string
	}{
		"the future":            {"2027-01-01 00:00:00", "2027-02-01 00:00:00", []string{"The log ends before the period begins", "not known", "There is no record in the period at all"}, []string{"● kept", "was kept at every moment"}},
		"before the log":        {"2025-01-01 00:00:00", "2025-02-01 00:00:00", []string{"The log begins after the period ends", "No policy is recorded"}, []string{"● kept", "was kept at every moment"}},
		"it began before":       {"2026-09-01 00:00:00", "2026-10-01 00:00:00", []string{"The log begins at 2026-09-20 00:00:00Z", "● kept"}, nil},
		"a moment":              {"2026-10-02 03:00:00", "2026-10-02 03:00:01", []string{"There is no record in the period at all"}, nil},
		"an hour without a run": {"2026-10-25 02:00:00", "2026-10-25 03:00:00", []string{"■ broken", "There is no record in the period at all"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			req := report.PeriodRequest{From: at(c.from), To: at(c.to), Generated: at("2026-11-03 00:00:00"), Generator: "v1.0.0", Verify: verifyCommands}
			p := period(t, l, req)
			page := text(t, written(t, func(w *bytes.Buffer) error { return p.HTML(w) }))
			for _, s := range c.says {
				if !strings.Contains(page, s) {
					t.Errorf("it does not say %q", s)
				}
			}
			for _, s := range c.not {
				if strings.Contains(page, s) {
					t.Errorf("it says %q", s)
				}
			}
			if pdf := written(t, func(w *bytes.Buffer) error { return p.PDF(w) }); !strings.HasPrefix(pdf, "%PDF") {
				t.Error("there is no PDF")
			}
		})
	}
	var out bytes.Buffer
	_, err := report.Write(t.Context(), l, report.Request{From: at("2026-10-01 00:00:00"), To: at("2026-11-01 00:00:00"), Function: "paymnets", Format: report.FormatHTML}, report.Maker{}, &out)
	if !errors.Is(err, report.ErrNotThere) || !strings.Contains(err.Error(), "accounts, catalog and payments") {
		t.Errorf("a function that there is not: %v", err)
	}
}

// TestAFunctionThatIsGone: once it is not promised any more, what was promised
// until then is judged, and that it ended is said.
func TestAFunctionThatIsGone(t *testing.T) {
	b := &book{now: at("2026-10-01 00:00:00")}
	promise := func(day string, functions ...string) {
		p := &evidence.Policy{SHA256: strings.Repeat("1a", 32), Sites: []string{"onsite"}, Functions: map[string]evidence.FunctionObjective{}}
		for _, f := range functions {
			p.Functions[f] = objectiveOf(time.Hour, time.Hour, f)
		}
		b.to(at(day)).note(evidence.Record{Act: evidence.ActPolicy, By: "root", Policy: p})
	}
	promise("2026-10-01 00:00:00", "payments", "vouchers")
	promise("2026-10-10 00:00:00", "payments")
	b.to(at("2026-10-20 00:00:00")).note(evidence.Record{Act: evidence.ActAlive, Alive: &evidence.Alive{}})
	p := period(t, b.log(), october())
	page := text(t, written(t, func(w *bytes.Buffer) error { return p.HTML(w) }))
	for _, s := range []string{"vouchers is no longer protected", "vouchers ■ broken"} {
		if !strings.Contains(page, s) {
			t.Errorf("it does not say %q", s)
		}
	}
	for _, f := range p.Functions {
		for _, v := range f.Views {
			if f.Function == "vouchers" && !v.Proven && v.Scope == "any" && v.JudgedSeconds > (9*24*time.Hour).Seconds() {
				t.Errorf("vouchers is judged for %v s, after it was given up", v.JudgedSeconds)
			}
		}
	}
}

// TestAHundredFunctions: and names that are as long as they can be.
func TestAHundredFunctions(t *testing.T) {
	b := &book{now: at("2026-10-01 00:00:00")}
	policy := &evidence.Policy{SHA256: strings.Repeat("1a", 32), Sites: []string{"onsite", strings.Repeat("cloud", 12)}, Functions: map[string]evidence.FunctionObjective{}}
	for i := range 100 {
		policy.Functions[fmt.Sprintf("function%02d%s", i, strings.Repeat("x", 50))] = objectiveOf(time.Hour, time.Hour, strings.Repeat("schema", 10))
	}
	b.note(evidence.Record{Act: evidence.ActPolicy, By: strings.Repeat("n", 60), Policy: policy})
	b.to(at("2026-10-20 00:00:00")).note(evidence.Record{Act: evidence.ActAlive, Alive: &evidence.Alive{}})
	p := period(t, b.log(), october())
	if len(p.Functions) != 100 || len(p.Programme) != 200 {
		t.Fatalf("%d functions, %d lines of the programme", len(p.Functions), len(p.Programme))
	}
	page := written(t, func(w *bytes.Buffer) error { return p.HTML(w) })
	for _, width := range []int{1200, 500} {
		if m := measure(t, page, width); m.Overflow > 1 || len(m.Wide) > 0 {
			t.Errorf("at %d pixels the page is %v too wide: %v", width, m.Overflow, m.Wide)
		}
	}
	if pdf := written(t, func(w *bytes.Buffer) error { return p.PDF(w) }); len(pdf) > 20<<20 {
		t.Errorf("a PDF of %d bytes", len(pdf))
	}
}

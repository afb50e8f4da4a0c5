package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/restore"
)

func TestFormOfAReport(t *testing.T) {
	for _, c := range []struct{ format, out, want string }{
		{"", "a.html", "html"},
		{"", "a.HTM", "html"},
		{"", "-", "html"},
		{"", "a.pdf", "pdf"},
		{"", "a.json", "json"},
		{"", "a.docx", ""},
		{"", "report", ""},
		{"pdf", "a.docx", "pdf"},
		{"docx", "a.html", ""},
	} {
		got, err := reportForm(reportFlags{format: c.format, output: c.out})
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q, %q: %q, %v", c.format, c.out, got, err)
		}
	}
}

// The bundle and the check of it say the same.
func TestWhatABundleHolds(t *testing.T) {
	const log = "github.com/saypro/backupd/log/0123abcd"
	if got, want := held(evidence.About{From: 0, To: 124, Size: 124, Origin: log}), "records 0 to 123 of 124 of "+log; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := held(evidence.About{From: 7, To: 7, Size: 124, Origin: log}); !strings.HasPrefix(got, "no records") {
		t.Errorf("an empty one: %q", got)
	}
}

func TestUpkeepIsPlannedByAService(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		serving bool
		next    time.Time
		want    string
	}{{false, time.Time{}, "when a service runs"}, {true, time.Time{}, "now"}, {true, now.Add(time.Hour), "in 1h"}} {
		if got := (&app{}).nextUpkeep(&engine.Upkeep{Next: c.next}, engine.Status{Serving: c.serving, Time: now}); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Each comparison after a restore is accounted for, however they are summed up.
func TestComparisonsOfARestore(t *testing.T) {
	r := restore.Result{Function: "payments", To: "db/payments", Checks: []restore.Check{{Name: "rows loaded", Level: "L3", Passed: true, Detail: "7 rows of 12 tables"}}}
	for i := range 11 {
		r.Checks = append(r.Checks, restore.Check{Name: restore.StructureCheck + fmt.Sprint(i), Level: "L4", Passed: true})
	}
	r.Checks = append(r.Checks, restore.Check{Name: "content", Level: "L5", Detail: "other rows"})
	out := printed(t, func(a *app) error { return a.showRestored(r, nil) })
	for _, want := range []string{"checked         rows loaded: 7 rows of 12 tables", "structure: 11 kinds of objects equal", "FAILED", "L5 content: other rows"} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
}

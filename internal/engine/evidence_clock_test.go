package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
)

// TestAClockYearsAheadIsSetBack: a host whose clock was years ahead for a while
// says so, is told that it is right again, and goes on as if nothing had been,
// but for what it cannot know.
func TestAClockYearsAheadIsSetBack(t *testing.T) {
	const years = 3 * 365 * 24 * time.Hour
	w := newWorld(t, extra{})
	w.take(t, "payments")
	if _, err := w.SetEvidenceClock(t.Context(), engine.ClockRequest{Reason: "for nothing"}); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("set back though it was right: %v", err)
	}
	w.clock.advance(years)
	w.CloseDays(t)
	w.take(t, "payments")
	if days := len(w.on(t, evidence.ActDay)); days > 3 {
		t.Errorf("%d days were closed, one had records", days)
	}
	w.clock.advance(-years)
	w.again(t)
	w.take(t, "payments")
	said := func() bool {
		s, err := w.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Degraded && strings.Contains(strings.Join(s.Reasons, "\n"), "audit clock")
	}
	if !said() {
		t.Error("nobody is told")
	}
	set, err := w.SetEvidenceClock(t.Context(), engine.ClockRequest{Reason: "a flat battery"})
	if err != nil || set.Was.Sub(set.Time) < years-time.Hour {
		t.Fatalf("%+v, %v", set, err)
	}
	if said() {
		t.Error("it is still said")
	}
	begin := w.clock.Now()
	w.take(t, "payments")
	f := w.promises(t, "payments")
	if v := viewOf(f, "site", "onsite"); f.Degraded || v.JudgedSeconds == 0 || v.MaximumSeconds > 300 {
		t.Errorf("after it was set back: %+v", v)
	}
	// The days to come are closed as ever.
	w.clock.advance(24 * time.Hour)
	w.CloseDays(t)
	days := w.on(t, evidence.ActDay)
	last := days[len(days)-1].Day
	if last.Date != begin.UTC().Format(time.DateOnly) || last.First != set.Record {
		t.Errorf("the last day closed is %s from record %d, it was set back in %d", last.Date, last.First, set.Record)
	}
	key, err := w.EvidenceKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v := w.check(t, key.Public)
	if len(v.Findings) != 1 || v.Findings[0].Kind != evidence.FoundClock || !strings.Contains(v.Findings[0].Text, "a flat battery") {
		t.Errorf("the audit says %+v", v.Findings)
	}
}

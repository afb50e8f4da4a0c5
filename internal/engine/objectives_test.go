package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
)

func (w *world) objectives(t *testing.T, req engine.ObjectivesRequest) engine.Objectives {
	t.Helper()
	o, err := w.Objectives(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (w *world) promises(t *testing.T, function string) engine.FunctionObjectives {
	t.Helper()
	return w.objectives(t, engine.ObjectivesRequest{Function: function}).Functions[0]
}

func viewOf(f engine.FunctionObjectives, scope, site string) engine.ExposureView {
	i := slices.IndexFunc(f.Views, func(v engine.ExposureView) bool { return v.Scope == scope && v.Site == site && !v.Proven })
	if i < 0 {
		return engine.ExposureView{}
	}
	return f.Views[i]
}

// TestObjectivesAreJudgedByWhatIsOnRecord takes snapshots in time and too late,
// and looks at what is said of it.
func TestObjectivesAreJudgedByWhatIsOnRecord(t *testing.T) {
	installed := clock.System.Now()
	w := newWorld(t, extra{})
	empty := w.promises(t, "payments")
	if !empty.Degraded || !strings.Contains(empty.Unjudged, "nothing can be judged") || len(empty.Views) > 0 {
		t.Errorf("before anything was done: %+v", empty)
	}
	begin := w.clock.Now()
	w.take(t, "payments")
	w.clock.advance(4 * time.Minute)
	w.take(t, "payments")
	w.clock.advance(12 * time.Minute)
	w.take(t, "payments")
	w.clock.advance(2 * time.Minute)

	all := w.objectives(t, engine.ObjectivesRequest{})
	if all.Functions[0].Function != "accounts" || !all.Functions[0].Degraded || !all.Degraded || all.Evidence.Before(installed) {
		t.Errorf("the function without recovery points is not the most endangered: %+v", all)
	}
	f := all.Functions[1]
	if f.Degraded || !f.Violated || f.Since.Before(begin) {
		t.Errorf("kept again: %+v", f)
	}
	for _, v := range []engine.ExposureView{viewOf(f, "site", "onsite"), viewOf(f, "site", "cloud"), viewOf(f, "any", "")} {
		// First it was new, for a moment; then came a gap of 12 minutes.
		if len(v.Violations) != 1 || v.NewFrom.Before(begin) || !v.NewTo.After(v.NewFrom) || v.UnprotectedSeconds == 0 {
			t.Fatalf("%s %s: %+v", v.Scope, v.Site, v)
		}
		gap := v.Violations[0]
		length := gap.End.Sub(gap.Start)
		if gap.Causes[0].Kind != "no records" || gap.PeakSeconds < 720 || gap.LimitSeconds != 300 || length < 7*time.Minute || length > 8*time.Minute {
			t.Errorf("%s %s: %+v", v.Scope, v.Site, gap)
		}
		if v.Attainment == nil || *v.Attainment < 0.3 || *v.Attainment > 0.65 || v.P99Seconds == nil && v.UnprotectedSeconds*100 < v.JudgedSeconds {
			t.Errorf("%s %s: %+v", v.Scope, v.Site, v)
		}
	}
	if f.Outlook.Restore[0].Measured || !strings.Contains(f.Outlook.Restore[0].Basis, "estimate") || !strings.Contains(f.Outlook.Interval, "= (RPO 5m0s − p99 ") {
		t.Errorf("%+v", f.Outlook)
	}
	before := w.objectives(t, engine.ObjectivesRequest{Function: "payments", From: begin.AddDate(0, -1, 0), To: begin})
	if g := before.Functions[0]; !g.Degraded || !strings.Contains(g.Unjudged, "no record before") {
		t.Errorf("of the time before: %+v", g)
	}
	for _, bad := range []engine.ObjectivesRequest{
		{Function: "nobody"}, {From: w.clock.Now(), To: begin}, {To: w.clock.Now().Add(time.Hour)},
	} {
		if _, err := w.Objectives(t.Context(), bad); !errors.Is(err, engine.ErrUsage) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestGrowthIsToldBeforeItBreaksAPromise records 20 days of runs that take
// longer every day, and proofs from one site.
func TestGrowthIsToldBeforeItBreaksAPromise(t *testing.T) {
	w := newWorld(t, extra{})
	w.take(t, "payments") // records the policy
	log := w.Evidence()
	for day := range 20 {
		for run := range 4 {
			w.clock.advance(6 * time.Hour)
			took := 20*time.Second + time.Duration(day)*3*time.Second + time.Duration(run)*time.Second
			w.record(t, evidence.Record{Act: evidence.ActSnapshot, Function: "payments", Outcome: evidence.Done, Snapshot: &evidence.Snapshot{
				ID: "s", RecoveryPoint: w.clock.Now(), Started: w.clock.Now(), Ended: w.clock.Now().Add(took), BytesRaw: 2000,
				Durable: map[string]time.Time{"onsite": w.clock.Now().Add(took), "cloud": w.clock.Now().Add(took + time.Second)},
			}})
		}
		w.record(t, evidence.Record{Act: evidence.ActProof, Function: "payments", Outcome: evidence.Done, Proof: &evidence.Proof{
			Site: "onsite", Level: "L5", Passed: true, RecoveryPoint: w.clock.Now(), Ended: w.clock.Now(), BytesRaw: 1000,
			Phases: map[string]float64{"provision": 2, "fetch": 1, "load": 10 + float64(day), "index": 5},
		}})
	}
	if log.Size() < 20*10 {
		t.Fatalf("%d records", log.Size())
	}
	f := w.promises(t, "payments")
	d := f.Outlook.Durable
	// 150 s less the spread is the longest that a run may take; it grows by 3 s
	// a day from 23 s on.
	breaks := w.clock.Now().AddDate(0, 0, int((d.LimitSeconds-80)/3))
	if d.Trend != "growing" || *d.SecondsPerDay < 2.8 || *d.SecondsPerDay > 3.2 || d.BreaksAt.Sub(breaks).Abs() > 72*time.Hour || d.Earliest.After(d.BreaksAt) || d.Latest.Before(d.BreaksAt) {
		t.Errorf("about %v: %+v", breaks, d)
	}
	onsite, cloud := f.Outlook.Restore[0], f.Outlook.Restore[1]
	if !onsite.Measured || onsite.Level != "L5" || onsite.Seconds != 2+2*(1+29+5) || onsite.Development.Trend != "growing" {
		t.Errorf("onsite: %+v", onsite)
	}
	if cloud.Measured || !strings.HasPrefix(cloud.Basis, "estimate: no proof from this site") || cloud.Development.Trend != "unknown" {
		t.Errorf("cloud: %+v", cloud)
	}
	status, err := w.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(status.Warnings, func(s string) bool {
		return strings.Contains(s, "function payments: growing by 3 s a day") && strings.Contains(s, "the RPO breaks at")
	}) {
		t.Errorf("warnings: %q", status.Warnings)
	}
}

// record puts the intent and the result of an act on record.
func (w *world) record(t *testing.T, r evidence.Record) {
	t.Helper()
	intent, err := w.Evidence().Begin(evidence.Record{Act: r.Act, Function: r.Function})
	if err == nil {
		err = w.Evidence().End(intent, r)
	}
	if err != nil {
		t.Fatal(err)
	}
}

package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
)

// drillWorld is a world whose functions are proven by restoring them, payments
// before accounts, with a recovery point of each at both sites.
func drillWorld(t *testing.T, change func(w *world)) *world {
	t.Helper()
	w := newWorld(t, extra{})
	for name, priority := range map[string]int{"payments": 1, "accounts": 2} {
		f := w.cfg.Functions[name]
		f.Prove.Level, f.Priority = "L5", priority
		w.cfg.Functions[name] = f
	}
	if change != nil {
		w.shut(t)
		change(w)
	}
	w.again(t)
	w.take(t, "payments")
	w.take(t, "accounts")
	w.sync(t)
	return w
}

func shipped(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := drill.ShippedFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// restores returns the steps of an exercise that restore, by function.
func restores(x *drill.Exercise) map[string]evidence.DrillStep {
	out := map[string]evidence.DrillStep{}
	for _, s := range x.Steps {
		if s.Kind == drill.StepRestore {
			out[s.Function] = s
		}
	}
	return out
}

// proofOf returns the record of the proof that a step rests on.
func (w *world) proofOf(t *testing.T, s evidence.DrillStep) evidence.Record {
	t.Helper()
	if s.Proof == nil {
		t.Fatalf("no record of its proof: %+v", s)
	}
	for r, err := range w.Evidence().Records(*s.Proof, *s.Proof+1) {
		if err != nil || r.Proof == nil {
			t.Fatalf("%+v, %v", r, err)
		}
		return r
	}
	t.Fatalf("no record %d", *s.Proof)
	return evidence.Record{}
}

func TestFullScale(t *testing.T) {
	w := drillWorld(t, nil)
	ctx := engine.By(t.Context(), "tester")
	if _, err := w.Verify(ctx, engine.VerifyRequest{Functions: []string{"payments"}, From: "cloud"}, nil); err != nil {
		t.Fatal(err)
	}
	x, err := w.RunDrill(ctx, engine.DrillRequest{Scenario: shipped(t, "full-scale"), From: "cloud", Participants: []string{"operator: N. N."}}, nil)
	if err != nil || x.State != drill.StatePassed || x.From != "cloud" || x.Outcome != evidence.Done {
		t.Fatalf("%+v, %v", x, err)
	}
	page, err := os.ReadFile(x.Review)
	if err != nil || !strings.Contains(string(page), "payments") || !strings.Contains(string(page), x.Title) {
		t.Errorf("the review in %s: %v", x.Review, err)
	}
	steps := restores(x)
	for function, beside := range map[string]string{"payments": "restore of accounts", "accounts": "restore of payments"} {
		s := steps[function]
		if s.Status != evidence.Pass || s.Level != "L5" || s.Site != "cloud" || s.LostSeconds <= 0 || s.LostSeconds > s.RPOSeconds || s.RPOSeconds != 300 ||
			s.Seconds <= 0 || s.WaitedSeconds < 0 || s.RTOSeconds != 3600 || s.Phases["load"] <= 0 || s.Snapshot == "" || s.RecoveryPoint.IsZero() {
			t.Errorf("%s: %+v", function, s)
		}
		if !slices.Equal(s.Concurrent, []string{beside}) {
			t.Errorf("%s ran beside %v", function, s.Concurrent)
		}
		p := w.proofOf(t, s)
		if p.Function != function || p.Outcome != evidence.Done || p.By != "tester" || p.Proof.Drill != x.ID || p.Proof.Snapshot != s.Snapshot || p.Proof.Selection.Rule != "latest" || p.Proof.Selection.Population != 1 ||
			!slices.Equal(p.Proof.Environment.Concurrent, []string{beside}) {
			t.Errorf("%s rests on record %+v, %+v", function, p, p.Proof)
		}
	}
	if steps["accounts"].Started.Before(steps["payments"].Started) {
		t.Error("accounts began before payments, whose priority is higher")
	}
	if a, b := *w.proofOf(t, steps["payments"]).Intent, *w.proofOf(t, steps["accounts"]).Intent; a > b {
		t.Errorf("on record accounts (%d) began before payments (%d)", b, a)
	}
	t.Logf("payments %.1f s, accounts %.1f s, waited %.2f s", steps["payments"].Seconds, steps["accounts"].Seconds, steps["accounts"].WaitedSeconds)
	left, err := filepath.Glob(filepath.Join(w.cfg.DataDir, "scratch", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in scratch: %v, %v", left, err)
	}
	// What people take is added afterwards, and may break what the machine kept.
	people := "steps: {notice: {took: 20m}, decide: {took: 20m}, switch: {took: 25m}}\n"
	x, err = w.RecordDrill(t.Context(), engine.DrillRecordRequest{Drill: "full-scale", Answers: []byte(people)})
	if !errors.Is(err, engine.ErrDifference) || x.State != drill.StateMissed || !strings.Contains(strings.Join(x.Reasons, " "), "by people exceed the RTO of 1h") {
		t.Errorf("%+v, %v", x, err)
	}
	if left, err := os.ReadFile(x.Review); err != nil || string(left) != string(page) {
		t.Errorf("the review was written over: %v", err)
	}
	if !x.ReviewStale {
		t.Error("it is not said that the draft of the review is older")
	}
	if _, err := w.RecordDrill(t.Context(), engine.DrillRecordRequest{Drill: "full-scale", Answers: []byte("steps: {restore-payments: {took: 1s}}\n")}); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("people changed what was measured: %v", err)
	}
	review, err := w.ReviewDrill(t.Context(), x.ID)
	if err != nil || len(review.Measured) != 2 || review.PeopleSeconds == nil || *review.PeopleSeconds != 65*60 {
		t.Fatalf("%+v, %v", review, err)
	}
	if len(review.Timeline) != 7 { // its beginning and end, two proofs, and what people took
		t.Errorf("timeline: %+v", review.Timeline)
	}
	if p := review.Predicted[0]; p.Function != "payments" || !p.Passed || p.ForecastSeconds <= 0 || p.ActualSeconds <= 0 {
		t.Errorf("payments: %+v", p)
	}
	if p := review.Predicted[1]; p.Function != "accounts" || p.Proof != nil {
		t.Errorf("accounts: %+v", p)
	}
}

func TestFullScaleMissesItsObjectives(t *testing.T) {
	w := drillWorld(t, nil)
	w.clock.advance(10 * time.Minute)
	w.take(t, "accounts")
	w.sync(t)
	x, err := w.RunDrill(t.Context(), engine.DrillRequest{Scenario: shipped(t, "full-scale"), From: "cloud"}, nil)
	if !errors.Is(err, engine.ErrDifference) || x.State != drill.StateMissed {
		t.Fatalf("%+v, %v", x, err)
	}
	steps := restores(x)
	if s := steps["payments"]; s.Status != evidence.Fail || s.LostSeconds < 600 || !strings.Contains(s.Error, "the RPO is 5m") {
		t.Errorf("payments: %+v", s)
	}
	if s := steps["accounts"]; s.Status != evidence.Pass {
		t.Errorf("accounts: %+v", s)
	}
}

func TestFullScaleOfDamagedCopies(t *testing.T) {
	w := drillWorld(t, nil)
	if w.remove(t, "cloud", func(name string) bool { return strings.HasPrefix(name, "p/") }) == 0 {
		t.Fatal("nothing was removed")
	}
	x, err := w.RunDrill(t.Context(), engine.DrillRequest{Scenario: shipped(t, "full-scale"), From: "cloud"}, nil)
	if !errors.Is(err, engine.ErrDifference) || x.State != drill.StateMissed || x.Outcome != evidence.Different {
		t.Fatalf("%+v, %v", x, err)
	}
	if s := restores(x)["payments"]; s.Status != evidence.Fail || !strings.Contains(s.Error, "missing") {
		t.Errorf("payments: %+v", s)
	}
}

func TestFullScaleThatCannotBeCarriedOutShowsNothing(t *testing.T) {
	w := drillWorld(t, nil)
	w.links["cloud"].Cut()
	x, err := w.RunDrill(t.Context(), engine.DrillRequest{Scenario: shipped(t, "full-scale"), From: "cloud"}, nil)
	w.links["cloud"].Restore()
	if err == nil || errors.Is(err, engine.ErrDifference) || x.State != drill.StateInconclusive || x.Outcome != evidence.Failed {
		t.Fatalf("%+v, %v", x, err)
	}
	for function, s := range restores(x) {
		if s.Status != evidence.Inconclusive || s.Error == "" {
			t.Errorf("%s: %+v", function, s)
		}
	}
}

func TestFunctionWithoutAPointIsLost(t *testing.T) {
	w := newWorld(t, extra{})
	w.take(t, "payments")
	w.sync(t)
	x, err := w.RunDrill(t.Context(), engine.DrillRequest{Scenario: shipped(t, "full-scale"), From: "cloud"}, nil)
	if !errors.Is(err, engine.ErrDifference) {
		t.Fatalf("%+v, %v", x, err)
	}
	steps := restores(x)
	if s := steps["accounts"]; s.Status != evidence.Fail || !strings.Contains(s.Error, "all of it would be lost") {
		t.Errorf("accounts: %+v", s)
	}
	// The functions of this world are proven to L2, which restores nothing.
	if s := steps["payments"]; s.Status != evidence.Inconclusive || !strings.Contains(s.Error, "restores nothing") {
		t.Errorf("payments: %+v", s)
	}
}

func TestFailover(t *testing.T) {
	w := drillWorld(t, nil)
	before := w.links["onsite"].Accepted()
	x, err := w.RunDrill(t.Context(), engine.DrillRequest{Scenario: shipped(t, "cloud-failover")}, nil)
	if err != nil || x.State != drill.StatePassed || x.From != "cloud" {
		t.Fatalf("%+v, %v", x, err)
	}
	if n := w.links["onsite"].Accepted() - before; n != 0 {
		t.Errorf("%d connections were made to the site that was refused", n)
	}
	if len(x.Refused) != 1 || x.Refused[0].Site != "onsite" || x.Refused[0].Attempts < 4 || x.Refused[0].Passed != 0 || x.Refused[0].Place != w.links["onsite"].URL() {
		t.Errorf("refused: %+v", x.Refused)
	}
	for _, s := range x.Steps {
		if (s.Kind == drill.StepRefuse || s.Kind == drill.StepCompare) && (s.Status != evidence.Pass || !strings.Contains(s.Actual, "refused")) {
			t.Errorf("%+v", s)
		}
	}
	for function, s := range restores(x) {
		if s.Status != evidence.Pass || s.Level != "L5" || s.Site != "cloud" {
			t.Errorf("%s: %+v", function, s)
		}
	}
	// The refusal ends with the exercise, and was of its own reading only.
	if _, err := w.Verify(t.Context(), engine.VerifyRequest{Functions: []string{"payments"}, From: "onsite", Level: "L1"}, nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestCapturesGoOnDuringAFailover(t *testing.T) {
	w := drillWorld(t, nil)
	taken := make(chan error, 1)
	var once sync.Once
	report := func(e progress.Event) {
		if e.Phase != "load" {
			return
		}
		once.Do(func() {
			r, err := w.Snapshot(t.Context(), []string{"payments"}, nil)
			if err == nil && r[0].Sites["onsite"].State != "durable" {
				err = errors.New("onsite did not take it: " + r[0].Sites["onsite"].State)
			}
			taken <- err
		})
	}
	scenario := strings.Replace(string(shipped(t, "cloud-failover")), "at_once: 2", "at_once: 1", 1)
	x, err := w.RunDrill(t.Context(), engine.DrillRequest{Scenario: []byte(scenario)}, report)
	if err != nil || x.State != drill.StatePassed {
		t.Fatalf("%+v, %v", x, err)
	}
	select {
	case err := <-taken:
		if err != nil {
			t.Error(err)
		}
	default:
		t.Error("nothing was captured meanwhile")
	}
	// One at a time: the second function waited for the first.
	steps := restores(x)
	if steps["accounts"].WaitedSeconds < steps["payments"].Seconds {
		t.Errorf("accounts waited %.2f s, payments took %.2f s", steps["accounts"].WaitedSeconds, steps["payments"].Seconds)
	}
}

func TestFailoverFromAFolder(t *testing.T) {
	w := drillWorld(t, func(w *world) {
		disk := filepath.Join(w.cfg.DataDir, "..", "disk")
		if err := os.MkdirAll(disk, 0o700); err != nil {
			t.Fatal(err)
		}
		w.cfg.Sites["onsite"] = config.Site{Kind: "dir", Path: disk}
		if _, err := engine.Init(t.Context(), w.cfg, w.options()); err != nil {
			t.Fatal(err)
		}
	})
	x, err := w.RunDrill(t.Context(), engine.DrillRequest{Scenario: shipped(t, "cloud-failover")}, nil)
	if err != nil || x.State != drill.StatePassed || x.Refused[0].Attempts < 4 || x.Refused[0].Passed != 0 {
		t.Fatalf("%+v, %v", x, err)
	}
	// And the other way round.
	x, err = w.RunDrill(t.Context(), engine.DrillRequest{Scenario: shipped(t, "cloud-failover"), From: "onsite"}, nil)
	if err != nil || x.State != drill.StatePassed || x.Refused[0].Site != "cloud" || x.Refused[0].Attempts < 4 {
		t.Fatalf("%+v, %v", x, err)
	}
}

func TestDrillRefusesWhatMakesNoSense(t *testing.T) {
	w := newWorld(t, extra{})
	for _, req := range []engine.DrillRequest{
		{Scenario: []byte("name: x")},
		{Scenario: shipped(t, "full-scale")},
		{Scenario: shipped(t, "full-scale"), From: "moon"},
		{Scenario: shipped(t, "onsite-fire"), From: "cloud"},
	} {
		if x, err := w.RunDrill(t.Context(), req, nil); !errors.Is(err, engine.ErrUsage) {
			t.Errorf("%.20s from %q: %+v, %v", req.Scenario, req.From, x, err)
		}
	}
	if all, err := w.Drills(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("on record: %v, %v", all, err)
	}
}

func TestOpenActionsAreInTheStatus(t *testing.T) {
	w := newWorld(t, extra{})
	if _, err := w.RunDrill(t.Context(), engine.DrillRequest{Scenario: shipped(t, "key-lost")}, nil); err != nil {
		t.Fatal(err)
	}
	due := w.clock.Now().UTC().Add(48 * time.Hour).Format(time.DateOnly)
	answers := "actions: [{text: test the escrow, owner: keeper, due: " + due + ", test: a cold start}]\n"
	x, err := w.RecordDrill(t.Context(), engine.DrillRecordRequest{Drill: "key-lost", Answers: []byte(answers)})
	if err == nil || errors.Is(err, engine.ErrDifference) || x.State != drill.StateInconclusive {
		t.Errorf("nothing was answered: %+v, %v", x, err)
	}
	for _, want := range []string{"is open", "is late"} {
		s, err := w.Status(t.Context())
		if err != nil || !strings.Contains(strings.Join(s.Warnings, "\n"), `"test the escrow", of keeper, due `+due+", "+want) {
			t.Errorf("warnings: %q, %v; want %q", s.Warnings, err, want)
		}
		w.clock.advance(72 * time.Hour)
	}
	w.again(t) // what was recorded is not in memory alone
	if all, err := w.Drills(t.Context()); err != nil || len(all) != 1 || len(all[0].Actions) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

// Restores begin in the order of priority, whatever the scheduler of the
// processors makes of it.
func TestRestoresBeginInOrder(t *testing.T) {
	for _, atOnce := range []int{1, 3, 100} {
		var mu sync.Mutex
		var began []int
		running, most := 0, 0
		err := engine.InOrder(t.Context(), 100, atOnce, func(i int, begun func()) {
			mu.Lock()
			running++
			most = max(most, running)
			began = append(began, i)
			mu.Unlock()
			if i%7 != 0 { // some end without having begun
				begun()
			}
			runtime.Gosched()
			mu.Lock()
			running--
			mu.Unlock()
		})
		if err != nil || !slices.IsSorted(began) || len(began) != 100 || most > atOnce {
			t.Errorf("%d at once: %v, began %v, %d together", atOnce, err, began, most)
		}
	}
}

// A scenario at a table is told with what is promised here, and names no promise
// of its own.
func TestTablesTellTheConfiguredPromises(t *testing.T) {
	w := newWorld(t, extra{})
	x, err := w.RunDrill(t.Context(), engine.DrillRequest{Scenario: shipped(t, "onsite-fire")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Promised of payments: RPO 5m, RTO 1h", "Promised of accounts: RPO 5m, RTO 1h"} {
		if !slices.Contains(x.Objectives, want) {
			t.Errorf("%q is not told: %q", want, x.Objectives)
		}
	}
	all, err := drill.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	figure := regexp.MustCompile(`(?i)\b(RPO|RTO)\b[^.;]* (of|is) (\d+|one|two|five) (hour|minute)`)
	for _, s := range all {
		if found := figure.FindString(string(shipped(t, s.Name))); found != "" {
			t.Errorf("%s names a promise of its own: %q", s.Name, found)
		}
	}
}

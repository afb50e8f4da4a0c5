package drill_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/evidence"
)

// carryOut writes an exercise on systems into the log: payments passes in 90 s,
// accounts does not, and catalog could not be restored.
func (d *desk) carryOut(t *testing.T, accounts evidence.Outcome) *drill.Exercise {
	t.Helper()
	s := shipped(t, "cloud-failover")
	plan := s.Plan("cloud", []drill.Target{{"payments", 300, 3600}, {"accounts", 900, 7200}, {"catalog", 900, 7200}})
	x, err := d.Begin(s, "cloud", plan, nil, "tester")
	if err != nil {
		t.Fatal(err)
	}
	steps := x.Steps
	for i := range steps {
		step := &steps[i]
		switch {
		case step.Kind == drill.StepRefuse, step.Kind == drill.StepCompare:
			step.Status, step.Actual = evidence.Pass, "site onsite: refused"
		case step.Function == "catalog":
			step.Error = "scratch is full"
		case step.Kind == drill.StepRestore:
			p := proof(step.Function, "cloud", "L5", "L5")
			p.Proof.Seconds, p.Proof.BytesRaw, p.Proof.Drill = 90, 2<<20, x.ID
			if step.Function == "accounts" {
				p.Outcome, p.Proof.Level, p.Proof.Passed = accounts, "L3", accounts == evidence.Done
			}
			sequence := d.result(t, p)
			step.Snapshot, step.RecoveryPoint, step.LostSeconds = "3f9c2ab1", x.Begun.Add(-4*time.Minute), 240
			step.Level, step.Seconds, step.WaitedSeconds, step.Proof = p.Proof.Level, 90, 2, &sequence
			step.Phases, step.Concurrent = map[string]float64{"fetch": 10, "load": 60.5}, []string{"restore of catalog"}
			if drill.JudgeRestore(step); p.Outcome != evidence.Done {
				step.Status, step.Error = evidence.Fail, "L4: constraints: one is not valid"
			}
		}
	}
	x, err = d.End(x, steps, []evidence.Refusal{{Site: "onsite", Place: "http://10.0.0.5:9000", Attempts: 8}}, "tester")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestReviewOfAFailover(t *testing.T) {
	d := newDesk(t)
	d.result(t, proof("payments", "cloud", "L5", "L5")) // 60 s for half the size
	failed := proof("accounts", "cloud", "L5", "L2")
	failed.Outcome, failed.Error, failed.Proof.Passed = evidence.Failed, "no scratch", false
	d.result(t, failed)
	d.clock.Advance(24 * time.Hour)
	x := d.carryOut(t, evidence.Different)
	if x.State != drill.StateMissed || x.Outcome != evidence.Different {
		t.Fatalf("%+v", x)
	}
	d.clock.Advance(time.Hour)
	d.record(t, x.ID, "steps: {notice: {took: 10m, note: by telephone}, decide: {took: 5m}}\nobservations: [{kind: strength, text: nobody hurried}]\n")
	v, err := d.Review(x.ID)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "failover.md", v.Markdown())
	predicted := map[string]drill.Prediction{}
	for _, p := range v.Predicted {
		predicted[p.Function] = p
	}
	if p := predicted["payments"]; p.ForecastSeconds != 120 || p.ActualSeconds != 90 || !p.Passed || p.Level != "L5" {
		t.Errorf("payments: 60 s for 1 MiB forecast 120 s for 2 MiB: %+v", p)
	}
	if p := predicted["accounts"]; p.Passed || !strings.Contains(p.Says, "no scratch") {
		t.Errorf("accounts: %+v", p)
	}
	if p := predicted["catalog"]; p.Proof != nil || !strings.Contains(p.Says, "nothing predicted it") {
		t.Errorf("catalog: %+v", p)
	}
}

func TestReviewSaysWhatTheProofsDidNotPredict(t *testing.T) {
	d := newDesk(t)
	d.result(t, proof("accounts", "cloud", "L5", "L5"))
	v, err := d.Review(d.carryOut(t, evidence.Different).ID)
	if err != nil {
		t.Fatal(err)
	}
	if says := v.Predicted[1].Says; !strings.Contains(says, "did not predict") {
		t.Errorf("%q", says)
	}
}

func TestPeopleCanBreakAnObjectiveThatTheMachineKept(t *testing.T) {
	steps := []evidence.DrillStep{
		{ID: "decide", Kind: drill.StepPeople, Status: evidence.Skipped},
		{ID: "restore-payments", Kind: drill.StepRestore, Status: evidence.Pass, WaitedSeconds: 10, Seconds: 90, RTOSeconds: 3600},
	}
	if state, reasons := drill.Judge(steps); state != drill.StatePassed {
		t.Errorf("without people: %s, %v", state, reasons)
	}
	steps[0].Status = evidence.Pass
	for seconds, want := range map[float64]string{3500: drill.StatePassed, 3501: drill.StateMissed} {
		steps[0].Seconds = seconds
		if state, reasons := drill.Judge(steps); state != want {
			t.Errorf("people took %v s: %s, %v", seconds, state, reasons)
		}
	}
	steps[1].Status = evidence.Inconclusive
	if state, _ := drill.Judge(steps); state != drill.StateInconclusive {
		t.Errorf("what could not run: %s", state)
	}
	if state, _ := drill.Judge(nil); state == drill.StatePassed {
		t.Error("nothing was carried out, and it passed")
	}
}

func TestJudgeRestore(t *testing.T) {
	for _, c := range []struct {
		lost, rpo, waited, took, rto float64
		want                         evidence.Status
		says                         string
	}{
		{300, 300, 0, 3600, 3600, evidence.Pass, ""},
		{301, 300, 0, 1, 3600, evidence.Fail, "the RPO is 5m"},
		{1, 300, 600, 3001, 3600, evidence.Fail, "the RTO is 1h"},
		{301, 300, 0, 3601, 3600, evidence.Fail, "the RTO is 1h"},
		{-1, 300, 0, 1, 3600, evidence.Inconclusive, "ahead of the clock"},
	} {
		s := evidence.DrillStep{LostSeconds: c.lost, RPOSeconds: c.rpo, WaitedSeconds: c.waited, Seconds: c.took, RTOSeconds: c.rto}
		drill.JudgeRestore(&s)
		if s.Status != c.want || !strings.Contains(s.Error, c.says) {
			t.Errorf("%+v: %s, %q", c, s.Status, s.Error)
		}
	}
}

func TestExerciseThatPeopleBrokeClosesNothing(t *testing.T) {
	d := newDesk(t)
	d.begin(t, scenario(t, good))
	d.record(t, "leak", "actions: [{text: x, owner: y, due: 2026-12-31, test: z}]\n")
	s := shipped(t, "full-scale")
	x, err := d.Begin(s, "cloud", s.Plan("cloud", []drill.Target{{"payments", 300, 3600}}), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.Steps {
		if x.Steps[i].Kind == drill.StepRestore {
			x.Steps[i].LostSeconds, x.Steps[i].Seconds = 10, 60
			drill.JudgeRestore(&x.Steps[i])
		}
	}
	if x, err = d.End(x, x.Steps, nil, ""); err != nil || x.State != drill.StatePassed {
		t.Fatalf("%+v, %v", x, err)
	}
	d.record(t, x.ID, "steps: {decide: {took: 2h}}\n")
	if _, err := d.Close("leak", "a1", *x.Result, ""); !errors.Is(err, drill.ErrRefused) || !strings.Contains(err.Error(), "recorded of it since") {
		t.Errorf("closed by an exercise that missed its objective: %v", err)
	}
}

// What people took counts in the table of a review as it does in its verdict.
func TestReviewCountsThePeople(t *testing.T) {
	d := newDesk(t)
	s := shipped(t, "full-scale")
	targets := []drill.Target{{"payments", 300, 3600}, {"accounts", 300, 7200}}
	x, err := d.Begin(s, "cloud", s.Plan("cloud", targets), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	steps := slices.Clone(x.Steps)
	for i := range steps {
		if steps[i].Restores() {
			steps[i].RecoveryPoint, steps[i].Level, steps[i].Seconds = start, "L5", 1800
			drill.JudgeRestore(&steps[i])
		}
	}
	if x, err = d.End(x, steps, nil, ""); err != nil || x.State != drill.StatePassed {
		t.Fatalf("%+v, %v", x, err)
	}
	if x = d.record(t, x.ID, "steps: {switch: {took: 40m}}\n"); x.State != drill.StateMissed || len(x.Reasons) != 1 {
		t.Fatalf("%+v", x)
	}
	v, err := d.Review(x.ID)
	if err != nil {
		t.Fatal(err)
	}
	if v.Measured[0].Status != evidence.Fail || v.Measured[1].Status != evidence.Pass {
		t.Errorf("%+v", v.Measured)
	}
	page, err := v.HTML()
	for _, text := range []string{string(page), string(v.Markdown())} {
		if n := strings.Count(text, "30m by machine and 40m by people exceed the RTO of 1h"); err != nil || n < 1 {
			t.Errorf("told %d times, %v", n, err)
		}
	}
}

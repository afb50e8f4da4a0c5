package server_test

import (
	"context"
	"errors"
	"testing"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
)

// exerciser answers what concerns exercises.
type exerciser struct {
	x      *drill.Exercise
	review *drill.Review
	asked  map[string]any
}

func (e *exerciser) Drills(context.Context) ([]*drill.Exercise, error) {
	return []*drill.Exercise{e.x}, nil
}

func (e *exerciser) RunDrill(_ context.Context, req engine.DrillRequest, r progress.Reporter) (*drill.Exercise, error) {
	e.asked["run"] = req
	r.Report(progress.Event{Phase: "fetch"})
	return e.x, engine.ErrDifference
}

func (e *exerciser) RecordDrill(_ context.Context, req engine.DrillRecordRequest) (*drill.Exercise, error) {
	e.asked["record"] = req
	return e.x, nil
}

func (e *exerciser) CloseAction(_ context.Context, req engine.DrillCloseRequest) (*drill.Exercise, error) {
	e.asked["close"] = req
	return nil, engine.ErrUsage
}

func (e *exerciser) ReviewDrill(_ context.Context, name string) (*drill.Review, error) {
	e.asked["review"] = name
	return e.review, nil
}

func TestExercisesArriveWhole(t *testing.T) {
	seven := uint64(7)
	x := &drill.Exercise{
		ID: "full-scale-2026-11-25", Kind: drill.FullScale, State: drill.StateMissed, Reasons: []string{"<&>"}, Begun: moment, Result: &seven,
		Refused: []evidence.Refusal{{Site: "onsite", Attempts: 3}}, Outcome: evidence.Different,
		Steps:   []evidence.DrillStep{{ID: "restore-payments", Function: "payments", LostSeconds: 3.5, Phases: map[string]float64{"load": 1}, Status: evidence.Fail, Proof: &seven}},
		Actions: []drill.Action{{ID: "a1", State: drill.ActionClosed, Closed: &seven, ClosedAt: moment, Recorded: moment}},
	}
	e := &exerciser{x: x, review: &drill.Review{Drafted: moment, Exercise: x, Timeline: []drill.Moment{{Time: moment, Sequence: 7, What: "x"}}}, asked: map[string]any{}}
	c := dial(t, serve(t, fake{DrillOperations: e}).dir)
	ctx := t.Context()
	all, err := c.Drills(ctx)
	if err != nil {
		t.Error(err)
	}
	same(t, "the list", all, []*drill.Exercise{x})
	running := engine.DrillRequest{Scenario: []byte("name: \xff"), From: "cloud", Participants: []string{"lead"}}
	got, err := c.RunDrill(ctx, running, nil)
	if !errors.Is(err, engine.ErrDifference) {
		t.Errorf("run: %v", err)
	}
	same(t, "the exercise", got, x)
	recording := engine.DrillRecordRequest{Drill: "x", Scenario: []byte("s"), Answers: []byte("a")}
	if got, err = c.RecordDrill(ctx, recording); err != nil {
		t.Error(err)
	}
	same(t, "what was recorded", got, x)
	closing := engine.DrillCloseRequest{Drill: "x", Action: "a1", Sequence: 1 << 60}
	if got, err = c.CloseAction(ctx, closing); !errors.Is(err, engine.ErrUsage) || got != nil {
		t.Errorf("close: %v, %v", got, err)
	}
	review, err := c.ReviewDrill(ctx, "a b&c")
	if err != nil {
		t.Error(err)
	}
	same(t, "the review", review, e.review)
	same(t, "what the service was asked", e.asked, map[string]any{"run": running, "record": recording, "close": closing, "review": "a b&c"})
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
)

// Drills returns the exercises that were ever begun, the first one first.
func (e *Engine) Drills(context.Context) ([]*drill.Exercise, error) {
	all, err := e.drills.Exercises()
	return all, asDrillUsage(err)
}

// RunDrill carries an exercise out, or begins one at a table. The error matches
// [ErrDifference] when a difference was found or an objective missed.
func (e *Engine) RunDrill(ctx context.Context, req DrillRequest, report progress.Reporter) (*drill.Exercise, error) {
	s, err := drill.Parse(req.Scenario)
	if err != nil {
		return nil, asDrillUsage(err)
	}
	if req.Technical {
		if s, err = s.AsTechnical(); err != nil {
			return nil, asDrillUsage(err)
		}
	}
	if s.Kind != drill.Tabletop {
		return e.carryOut(ctx, s, req, report)
	}
	if req.From != "" {
		return nil, fmt.Errorf("%w: exercise %s is talked through at a table: it reads from no site", ErrUsage, s.Name)
	}
	return e.beginDrill(ctx, s, "", s.Plan("", nil), req.Participants)
}

// beginDrill writes down that an exercise begins.
func (e *Engine) beginDrill(ctx context.Context, s *drill.Scenario, from string, plan []evidence.DrillStep, participants []string) (*drill.Exercise, error) {
	if err := e.tellPolicy(ctx); err != nil {
		return nil, err
	}
	if s.Kind == drill.Tabletop {
		// A scenario is about any company: what is promised here is told with it.
		fitted := *s
		fitted.Objectives = slices.Concat(s.Objectives, e.promises())
		s = &fitted
	}
	x, err := e.drills.Begin(s, from, plan, participants, e.actor(ctx))
	if err != nil {
		return nil, asDrillUsage(err)
	}
	e.toldDrill()
	return x, nil
}

// promises are what is configured of each function, a sentence each.
func (e *Engine) promises() (out []string) {
	for _, name := range e.cfg.FunctionOrder {
		f := e.cfg.Functions[name]
		out = append(out, fmt.Sprintf("Promised of %s: RPO %s, RTO %s", name, drill.Span(f.RPO), drill.Span(f.RTO)))
	}
	return out
}

// toldDrill hurries the publishing of what is on record of an exercise.
func (e *Engine) toldDrill() { e.told(evidence.Record{Act: evidence.ActDrill}) }

// RecordDrill writes down the answers at a table, or what else people say of an
// exercise. The error is as that of RunDrill when an answer was not what was
// expected.
func (e *Engine) RecordDrill(ctx context.Context, req DrillRecordRequest) (*drill.Exercise, error) {
	answers, err := drill.ParseAnswers(req.Answers)
	if err != nil {
		return nil, asDrillUsage(err)
	}
	if err := e.beginUnlessHeld(ctx, req); err != nil {
		return nil, asDrillUsage(err)
	}
	x, err := e.drills.Record(req.Drill, answers, e.actor(ctx))
	if err != nil {
		return nil, asDrillUsage(err)
	}
	e.toldDrill()
	return x, errors.Join(drillOutcome(x), e.draftReview(x))
}

// beginUnlessHeld begins an exercise at a table of which there was none: it was
// held without this program, and is written down now.
func (e *Engine) beginUnlessHeld(ctx context.Context, req DrillRecordRequest) error {
	_, err := e.drills.Exercise(req.Drill)
	if len(req.Scenario) == 0 || !errors.Is(err, drill.ErrRequest) {
		return err
	}
	s, err := drill.Parse(req.Scenario)
	switch {
	case err != nil:
		return err
	case s.Kind != drill.Tabletop:
		return fmt.Errorf("%w: exercise %s was not carried out yet: 'backupd drill run %s'", drill.ErrRequest, s.Name, s.Name)
	}
	_, err = e.beginDrill(ctx, s, "", s.Plan("", nil), nil)
	return err
}

// CloseAction closes an action of an exercise by a later test that passed.
func (e *Engine) CloseAction(ctx context.Context, req DrillCloseRequest) (*drill.Exercise, error) {
	x, err := e.drills.Close(req.Drill, req.Action, req.Sequence, e.actor(ctx))
	if err != nil {
		return nil, asDrillUsage(err)
	}
	e.toldDrill()
	return x, nil
}

// ReviewDrill drafts the review of an exercise from the evidence.
func (e *Engine) ReviewDrill(_ context.Context, name string) (*drill.Review, error) {
	v, err := e.drills.Review(name)
	return v, asDrillUsage(err)
}

// drillWarnings says which actions of exercises are open, for the status.
func (e *Engine) drillWarnings() ([]string, error) {
	all, err := e.drills.Exercises()
	return drill.Warnings(all), err
}

// asDrillUsage marks errors that say that what was asked for was wrong in
// itself.
func asDrillUsage(err error) error {
	for _, sentinel := range []error{drill.ErrRequest, drill.ErrScenario, drill.ErrAnswers, drill.ErrUnknown} {
		if errors.Is(err, sentinel) {
			return usageError{err}
		}
	}
	return err
}

// drillOutcome is the error that an exercise comes to.
func drillOutcome(x *drill.Exercise) error {
	why := strings.Join(x.Reasons, "; ")
	switch x.State {
	case drill.StatePassed, drill.StateOpen:
		return nil
	case drill.StateMissed:
		return fmt.Errorf("exercise %s: %w, or an objective was missed: %s", x.ID, ErrDifference, why)
	default:
		return fmt.Errorf("exercise %s is inconclusive: %s", x.ID, why)
	}
}

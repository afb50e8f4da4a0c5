package drill

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
)

// Log is what a book needs of the evidence log.
type Log interface {
	Begin(r evidence.Record) (seq uint64, err error)
	End(intent uint64, r evidence.Record) error
	Note(r evidence.Record) (seq uint64, err error)
	Size() uint64
	Records(from, to uint64) iter.Seq2[evidence.Record, error]
	Find(act evidence.Act, function string, from, to time.Time) iter.Seq2[evidence.Record, error]
}

// Book writes exercises into the log and reads them from it.
type Book struct {
	Log   Log
	Clock clock.Clock

	mu sync.Mutex // an exercise is named and begun by one at a time
}

// Exercises returns all that were ever begun, the first one first.
func (b *Book) Exercises() ([]*Exercise, error) {
	return Fold(b.Log.Find(evidence.ActDrill, "", time.Time{}, time.Time{}), b.Clock.Now())
}

// Exercise returns the one of that id, or the newest of that scenario.
func (b *Book) Exercise(name string) (*Exercise, error) {
	all, err := b.Exercises()
	if err != nil {
		return nil, err
	}
	return Find(all, name)
}

// Begin writes down that an exercise begins, and what is planned.
func (b *Book) Begin(s *Scenario, from string, plan []evidence.DrillStep, participants []string, by string) (*Exercise, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, err := b.Exercises()
	if err != nil {
		return nil, err
	}
	body := evidence.Drill{
		ID: b.name(s.Name, all), Kind: s.Kind, Scenario: s.Name, SHA256: s.Digest(), Title: s.Title, Objectives: s.Objectives,
		From: from, NotShown: s.NotShown, Participants: participants, Steps: plan,
	}
	if _, err := b.Log.Begin(evidence.Record{Act: evidence.ActDrill, By: by, Drill: &body}); err != nil {
		return nil, fmt.Errorf("write down that exercise %s begins: %w", body.ID, err)
	}
	return b.Exercise(body.ID)
}

// name makes an id that no exercise has yet.
func (b *Book) name(scenario string, all []*Exercise) string {
	day := scenario + "-" + b.Clock.Now().UTC().Format(time.DateOnly)
	id := day
	for n := 2; slices.ContainsFunc(all, func(x *Exercise) bool { return x.ID == id }); n++ {
		id = fmt.Sprintf("%s-%d", day, n)
	}
	return id
}

// End writes down what became of an exercise that touched systems. Its state
// follows from the steps.
func (b *Book) End(x *Exercise, steps []evidence.DrillStep, refused []evidence.Refusal, by string) (*Exercise, error) {
	body := evidence.Drill{
		ID: x.ID, Kind: x.Kind, Scenario: x.Scenario, SHA256: x.SHA256, From: x.From, Refused: refused, Steps: steps,
	}
	return b.end(x, x.Intent, body, steps, by)
}

func (b *Book) end(x *Exercise, intent uint64, body evidence.Drill, steps []evidence.DrillStep, by string) (*Exercise, error) {
	state, reasons := Judge(steps)
	r := evidence.Record{Act: evidence.ActDrill, Outcome: Outcome(state), Error: strings.Join(reasons, "; "), By: by, Drill: &body}
	if err := b.Log.End(intent, r); err != nil {
		return nil, fmt.Errorf("write down the result of exercise %s: %w", x.ID, err)
	}
	return b.Exercise(x.ID)
}

// Record writes down what people say of an exercise: the answers at a table,
// which end it, or what is added to one that has ended.
func (b *Book) Record(name string, a *Answers, by string) (*Exercise, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x, err := b.Exercise(name)
	if err != nil {
		return nil, err
	}
	if a.Scenario != "" && a.Scenario != x.Scenario {
		return nil, fmt.Errorf("%w: they are of scenario %s, exercise %s is of %s", ErrAnswers, a.Scenario, x.ID, x.Scenario)
	}
	if x.Kind != Tabletop && x.Result == nil {
		return nil, fmt.Errorf("%w: exercise %s has not ended yet", ErrRequest, x.ID)
	}
	steps, err := a.Apply(x.Steps)
	if err != nil {
		return nil, err
	}
	body := evidence.Drill{ID: x.ID, Kind: x.Kind, Scenario: x.Scenario, SHA256: x.SHA256, Participants: a.Participants, Steps: steps}
	body.Observations, body.Actions, err = a.observed(len(x.Actions)+1, b.Clock.Now())
	switch {
	case err != nil:
		return nil, err
	case len(steps)+len(body.Observations)+len(body.Actions)+len(body.Participants) == 0:
		return nil, fmt.Errorf("%w: there is nothing in them", ErrAnswers)
	case x.Kind == Tabletop && x.State == StateOpen:
		return b.answer(x, body, by)
	}
	if _, err := b.Log.Note(evidence.Record{Act: evidence.ActDrill, By: by, Drill: &body}); err != nil {
		return nil, fmt.Errorf("write down what was observed of exercise %s: %w", x.ID, err)
	}
	return b.Exercise(x.ID)
}

// answer ends an exercise at a table. The intent that was written when it began
// may have been given up for lost since; the answers then have one of their own.
func (b *Book) answer(x *Exercise, body evidence.Drill, by string) (*Exercise, error) {
	body.Steps = merged(x.Steps, body.Steps)
	intent := x.Intent
	if x.Result != nil {
		var err error
		again := evidence.Drill{ID: x.ID, Kind: x.Kind, Scenario: x.Scenario, SHA256: x.SHA256}
		if intent, err = b.Log.Begin(evidence.Record{Act: evidence.ActDrill, By: by, Drill: &again}); err != nil {
			return nil, fmt.Errorf("write down that exercise %s is answered: %w", x.ID, err)
		}
	}
	return b.end(x, intent, body, body.Steps, by)
}

// merged returns steps with those of answered in their places.
func merged(steps, answered []evidence.DrillStep) []evidence.DrillStep {
	out := slices.Clone(steps)
	for i, s := range out {
		for _, a := range answered {
			if a.ID == s.ID {
				out[i] = a
			}
		}
	}
	return out
}

// Close closes an action by the record of a test that passed after it.
func (b *Book) Close(name, action string, sequence uint64, by string) (*Exercise, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x, err := b.Exercise(name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(x.Actions, func(a Action) bool { return a.ID == action })
	if i < 0 {
		return nil, fmt.Errorf("%w: exercise %s has no action %q", ErrRequest, x.ID, action)
	}
	a := x.Actions[i]
	r, err := b.record(sequence)
	if err != nil {
		return nil, err
	}
	if err := Closes(a, r); err != nil {
		return nil, err
	}
	if err := b.stillPassed(r); err != nil {
		return nil, err
	}
	closed := evidence.Action{ID: a.ID, Text: a.Text, Owner: a.Owner, Due: a.Due, Test: a.Test, Closed: &sequence}
	body := evidence.Drill{ID: x.ID, Kind: x.Kind, Scenario: x.Scenario, SHA256: x.SHA256, Actions: []evidence.Action{closed}}
	if _, err := b.Log.Note(evidence.Record{Act: evidence.ActDrill, By: by, Drill: &body}); err != nil {
		return nil, fmt.Errorf("write down that action %s of exercise %s is closed: %w", a.ID, x.ID, err)
	}
	return b.Exercise(x.ID)
}

// stillPassed refuses an exercise that what was recorded of it later has made
// fail: people took longer than the objective allows.
func (b *Book) stillPassed(r evidence.Record) error {
	if r.Act != evidence.ActDrill {
		return nil
	}
	x, err := b.Exercise(r.Drill.ID)
	if err != nil {
		return err
	}
	if x.State != StatePassed {
		return fmt.Errorf("%w: exercise %s of record %d is %s by what was recorded of it since", ErrRefused, x.ID, r.Sequence, x.State)
	}
	return nil
}

// record reads one record of the log.
func (b *Book) record(sequence uint64) (evidence.Record, error) {
	if size := b.Log.Size(); sequence >= size {
		return evidence.Record{}, fmt.Errorf("%w: the log has no record %d; it has %d, counted from 0", ErrRequest, sequence, size)
	}
	for r, err := range b.Log.Records(sequence, sequence+1) {
		if err != nil {
			return r, fmt.Errorf("read record %d of the log: %w", sequence, err)
		}
		return r, nil
	}
	return evidence.Record{}, fmt.Errorf("%w: the log does not give its record %d", ErrRequest, sequence)
}

// Warnings says which actions are open, a sentence each, the late ones first.
func Warnings(all []*Exercise) []string {
	var late, open []string
	for _, x := range all {
		for _, a := range x.Actions {
			text := fmt.Sprintf("action %s of exercise %s, %q, of %s, due %s", a.ID, x.ID, a.Text, a.Owner, a.Due)
			switch a.State {
			case ActionLate:
				late = append(late, text+", is late: a passing test after it closes it ('backupd drill close')")
			case ActionOpen:
				open = append(open, text+", is open")
			}
		}
	}
	return append(late, open...)
}

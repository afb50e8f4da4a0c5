package drill

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// The states of an exercise. Only passed is good.
const (
	// StateOpen: begun; at a table its answers are not recorded yet.
	StateOpen = "open"
	// StatePassed: everything was carried out and held.
	StatePassed = "passed"
	// StateMissed: a difference was found, an objective missed, or an answer
	// was not what was expected.
	StateMissed = "missed"
	// StateInconclusive: something could not be carried out or was not
	// answered, so that nothing is shown.
	StateInconclusive = "inconclusive"
)

// The states of an action.
const (
	ActionOpen   = "open"
	ActionLate   = "late"
	ActionClosed = "closed"
)

// Exercise is one exercise, as its records in the log tell it.
type Exercise struct {
	// ID names it: the scenario, the day and, from the second of a day on, a
	// number.
	ID       string `json:"id"`
	Scenario string `json:"scenario"`
	Kind     string `json:"kind"`
	Title    string `json:"title"`
	// SHA256 is of the scenario's file.
	SHA256 string `json:"sha256"`
	// State is "open", "passed", "missed" or "inconclusive", and Reasons says
	// why it is not passed, a sentence each.
	State   string   `json:"state"`
	Reasons []string `json:"reasons,omitempty"`
	// Begun is when it began, for one that touches systems the moment of the
	// disaster, Ended when its result was recorded, UTC.
	Begun time.Time `json:"begun"`
	Ended time.Time `json:"ended,omitzero"`
	// Intent and Result are the sequences of its records in the log; Result is
	// nil while there is none.
	Intent uint64  `json:"intent"`
	Result *uint64 `json:"result"`
	// Error says why it could not be carried out.
	Error        string                 `json:"error,omitempty"`
	Objectives   []string               `json:"objectives,omitempty"`
	Participants []string               `json:"participants,omitempty"`
	From         string                 `json:"from,omitempty"`
	Refused      []evidence.Refusal     `json:"refused,omitempty"`
	Steps        []evidence.DrillStep   `json:"steps,omitempty"`
	Observations []evidence.Observation `json:"observations,omitempty"`
	Actions      []Action               `json:"actions,omitempty"`
	NotShown     []string               `json:"not_shown,omitempty"`
	// Outcome is what was recorded of its end; State also counts what was
	// recorded later.
	Outcome evidence.Outcome `json:"outcome,omitempty"`
	// Review is the file with the draft of the review, in the answer to what made
	// it.
	Review string `json:"review,omitempty"`
	// ReviewStale: it was drafted before what was just recorded, and is not
	// written over, since people fill it in.
	ReviewStale bool `json:"review_stale,omitempty"`
}

// Action is something that is to be done after an exercise.
type Action struct {
	ID    string `json:"id"`
	Text  string `json:"text"`
	Owner string `json:"owner"`
	// Due is a UTC day, Test says which test is to show that it was done.
	Due  string `json:"due"`
	Test string `json:"test,omitempty"`
	// State is "open", "late" or "closed".
	State string `json:"state"`
	// Recorded is when it was, at the sequence Sequence of the log.
	Recorded time.Time `json:"recorded"`
	Sequence uint64    `json:"sequence"`
	// Closed is the sequence of the result that closed it, ClosedAt when that
	// was recorded.
	Closed   *uint64   `json:"closed,omitempty"`
	ClosedAt time.Time `json:"closed_at,omitzero"`
}

// Fold makes exercises of the records of the log that are about them, the
// first one first. What is late is so at now.
func Fold(records iter.Seq2[evidence.Record, error], now time.Time) ([]*Exercise, error) {
	byID := map[string]*Exercise{}
	var out []*Exercise
	for r, err := range records {
		if err != nil {
			return nil, fmt.Errorf("read the exercises in the log: %w", err)
		}
		if r.Act != evidence.ActDrill {
			continue
		}
		x := exerciseOf(r, byID)
		if x == nil {
			continue
		}
		if byID[x.ID] == nil {
			byID[x.ID] = x
			out = append(out, x)
		}
		x.take(r)
	}
	for _, x := range out {
		x.conclude(now)
	}
	return out, nil
}

// exerciseOf returns the exercise that a record is about, a new one when it is
// the first; nil for a record that names none.
func exerciseOf(r evidence.Record, known map[string]*Exercise) *Exercise {
	if r.Drill != nil {
		if x := known[r.Drill.ID]; x != nil {
			return x
		}
		return &Exercise{ID: r.Drill.ID, Begun: r.Time, Intent: r.Sequence}
	}
	// A result without a body: what was cut short.
	for _, x := range known {
		if r.Intent != nil && x.Intent == *r.Intent {
			return x
		}
	}
	return nil
}

// take adds what one more record tells.
func (x *Exercise) take(r evidence.Record) {
	switch r.Phase {
	case evidence.Intent:
		x.Intent = r.Sequence
		x.Result, x.Ended, x.Outcome, x.Error = nil, time.Time{}, "", ""
	case evidence.Result:
		at := r.Sequence
		x.Result, x.Ended, x.Outcome, x.Error = &at, r.Time, r.Outcome, r.Error
	}
	if r.Drill != nil {
		x.add(r.Drill, r)
	}
}

func (x *Exercise) add(d *evidence.Drill, r evidence.Record) {
	for into, text := range map[*string]string{
		&x.Kind: d.Kind, &x.Scenario: d.Scenario, &x.Title: d.Title, &x.SHA256: d.SHA256, &x.From: d.From,
	} {
		if text != "" {
			*into = text
		}
	}
	for into, list := range map[*[]string][]string{
		&x.Objectives: d.Objectives, &x.Participants: d.Participants, &x.NotShown: d.NotShown,
	} {
		if len(list) > 0 {
			*into = list
		}
	}
	if len(d.Refused) > 0 {
		x.Refused = d.Refused
	}
	for _, step := range d.Steps {
		if i := slices.IndexFunc(x.Steps, func(s evidence.DrillStep) bool { return s.ID == step.ID }); i >= 0 {
			x.Steps[i] = step
		} else {
			x.Steps = append(x.Steps, step)
		}
	}
	x.Observations = append(x.Observations, d.Observations...)
	for _, a := range d.Actions {
		x.addAction(a, r)
	}
}

func (x *Exercise) addAction(a evidence.Action, r evidence.Record) {
	i := slices.IndexFunc(x.Actions, func(have Action) bool { return have.ID == a.ID })
	if i < 0 {
		x.Actions = append(x.Actions, Action{
			ID: a.ID, Text: a.Text, Owner: a.Owner, Due: a.Due, Test: a.Test, Recorded: r.Time, Sequence: r.Sequence,
		})
		i = len(x.Actions) - 1
	}
	if a.Closed != nil {
		x.Actions[i].Closed, x.Actions[i].ClosedAt = a.Closed, r.Time
	}
}

// conclude says what it all comes to.
func (x *Exercise) conclude(now time.Time) {
	for i := range x.Actions {
		x.Actions[i].State = x.Actions[i].stateAt(now)
	}
	// The end of the program cuts nothing short that is talked through at a table.
	if x.Result == nil || x.Kind == Tabletop && x.Outcome == evidence.CutShort {
		x.State = StateOpen
		return
	}
	x.State, x.Reasons = Judge(x.Steps)
	switch {
	case x.Outcome == evidence.Different && x.State != StateMissed:
		x.State, x.Reasons = StateMissed, append(x.Reasons, orElse(x.Error, "it was recorded as missed"))
	case x.Outcome != evidence.Done && x.State == StatePassed:
		x.State, x.Reasons = StateInconclusive, append(x.Reasons, orElse(x.Error, "it was recorded as "+string(x.Outcome)))
	}
}

func orElse(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

func (a Action) stateAt(now time.Time) string {
	due, err := time.Parse(time.DateOnly, a.Due)
	switch {
	case a.Closed != nil:
		return ActionClosed
	case err != nil || !now.Before(due.Add(24*time.Hour)): // the day itself is in time
		return ActionLate
	default:
		return ActionOpen
	}
}

// Find returns the exercise of that id, or the newest of the scenario of that
// name. Its error matches [ErrRequest] when there is none.
func Find(all []*Exercise, name string) (*Exercise, error) {
	for _, x := range slices.Backward(all) {
		if x.ID == name || x.Scenario == name {
			return x, nil
		}
	}
	var ids []string
	for _, x := range all {
		ids = append(ids, x.ID)
	}
	known := "there was none yet"
	if len(ids) > 0 {
		known = "there were " + strings.Join(ids, ", ")
	}
	return nil, fmt.Errorf("%w: no exercise %q; %s", ErrRequest, name, known)
}

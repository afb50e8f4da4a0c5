package drill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// Answers is what people write down of an exercise, as a file in YAML or JSON.
type Answers struct {
	// Scenario is the one that was exercised.
	Scenario string `yaml:"scenario"`
	// Participants are roles with names.
	Participants []string `yaml:"participants"`
	// Injects, Messages and Steps go by the names that the scenario gives them.
	Injects      map[string]Answer `yaml:"injects"`
	Messages     map[string]Sent   `yaml:"messages"`
	Steps        map[string]Took   `yaml:"steps"`
	Observations []Observation     `yaml:"observations"`
	Actions      []NewAction       `yaml:"actions"`
}

// Answer is what was said to an inject.
type Answer struct {
	Answer string `yaml:"answer"`
	// Verdict compares it with what was expected: "met", "partly" or "missed".
	Verdict string `yaml:"verdict"`
}

// Sent says when a message would have been out.
type Sent struct {
	// After is the time from the start, "25m", or "never".
	After string `yaml:"after"`
	Note  string `yaml:"note"`
}

// Took says how long people took for a step.
type Took struct {
	Took string `yaml:"took"`
	Note string `yaml:"note"`
}

// Observation is something noticed: a "strength" or a "gap".
type Observation struct {
	Kind string `yaml:"kind"`
	Text string `yaml:"text"`
}

// NewAction is something to be done.
type NewAction struct {
	Text  string `yaml:"text"`
	Owner string `yaml:"owner"`
	Due   string `yaml:"due"` // 2006-01-02
	// Test says which test is to show that it was done.
	Test string `yaml:"test"`
}

// The verdicts on an answer.
const (
	met    = "met"
	partly = "partly"
	missed = "missed"
	never  = "never"
)

// ParseAnswers reads answers, strictly. Its errors match [ErrAnswers].
func ParseAnswers(raw []byte) (*Answers, error) {
	var a Answers
	if err := strictly(raw, &a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswers, err)
	}
	return &a, nil
}

// Apply returns the steps of plan that are answered, with their verdicts. What
// is not answered is left out. The error names every problem.
func (a *Answers) Apply(plan []evidence.DrillStep) ([]evidence.DrillStep, error) {
	c := &checker{ids: map[string]bool{}}
	var out []evidence.DrillStep
	for _, step := range plan {
		c.ids[step.Kind+" "+step.ID] = true
		var answered bool
		was := step.Status
		switch step.Kind {
		case StepInject:
			answered = a.Injects[step.ID].judge(&step, c)
		case StepMessage:
			answered = a.Messages[step.ID].judge(&step, c)
		case StepPeople:
			answered = a.Steps[step.ID].judge(&step, c)
		}
		if !answered {
			continue
		}
		if was != evidence.Inconclusive && was != evidence.Skipped {
			c.add("%s %s: it is answered already, and no answer is changed afterwards", step.Kind, step.ID)
		}
		out = append(out, step)
	}
	unknown(c, StepInject, a.Injects)
	unknown(c, StepMessage, a.Messages)
	unknown(c, StepPeople, a.Steps)
	if len(c.found) > 0 {
		slices.Sort(c.found)
		return nil, fmt.Errorf("%w: %s", ErrAnswers, strings.Join(c.found, "; "))
	}
	return out, nil
}

func unknown[T any](c *checker, kind string, given map[string]T) {
	for id := range given {
		if !c.ids[kind+" "+id] {
			c.add("%s %q: the exercise has none of that name", kind, id)
		}
	}
}

func (a Answer) judge(step *evidence.DrillStep, c *checker) bool {
	text := strings.TrimSpace(a.Answer)
	if text == "" && a.Verdict == "" {
		return false
	}
	if text == "" {
		c.add("inject %s: a verdict without an answer", step.ID)
	}
	step.Actual = text
	switch a.Verdict {
	case met:
		step.Status = evidence.Pass
	case partly, missed:
		step.Status, step.Error = evidence.Fail, "what was expected was "+a.Verdict
		if a.Verdict == partly {
			step.Error += " met"
		}
	case "":
		step.Error = "answered, but nobody compared it with what was expected"
	default:
		c.add("inject %s: verdict %q: it is %s, %s or %s", step.ID, a.Verdict, met, partly, missed)
	}
	return true
}

func (s Sent) judge(step *evidence.DrillStep, c *checker) bool {
	if s.After == "" {
		if s.Note != "" {
			c.add("message %s: a note, but not after what time it was out", step.ID)
		}
		return false
	}
	by, err := time.ParseDuration(step.At)
	if err != nil {
		c.add("message %s: by %q: %v", step.ID, step.At, err)
		return true
	}
	step.Actual = strings.TrimSpace(s.Note)
	if s.After == never {
		step.Status, step.Error = evidence.Fail, "it did not go out"
		return true
	}
	after, err := time.ParseDuration(s.After)
	if err != nil || after < 0 {
		c.add("message %s: after %q: a time from the start such as 25m, or %s", step.ID, s.After, never)
		return true
	}
	step.Seconds, step.Status = after.Seconds(), evidence.Pass
	if after > by {
		step.Status, step.Error = evidence.Fail, "out after "+Span(after)+", "+Span(after-by)+" late"
	}
	return true
}

func (t Took) judge(step *evidence.DrillStep, c *checker) bool {
	if t.Took == "" {
		if t.Note != "" {
			c.add("step %s: a note, but not how long it took", step.ID)
		}
		return false
	}
	took, err := time.ParseDuration(t.Took)
	if err != nil || took < 0 {
		c.add("step %s: took %q: a duration such as 12m", step.ID, t.Took)
		return true
	}
	step.Seconds, step.Actual, step.Status = took.Seconds(), strings.TrimSpace(t.Note), evidence.Pass
	return true
}

// observed returns the observations and actions for the log. Actions are
// numbered from first on.
func (a *Answers) observed(first int, today time.Time) ([]evidence.Observation, []evidence.Action, error) {
	c := &checker{}
	var observations []evidence.Observation
	for i, o := range a.Observations {
		what := fmt.Sprintf("observations[%d]", i)
		if o.Kind != strength && o.Kind != gap {
			c.add("%s: kind %q: it is %s or %s", what, o.Kind, strength, gap)
		}
		c.given(what+".text", o.Text)
		observations = append(observations, evidence.Observation(o))
	}
	var actions []evidence.Action
	for i, n := range a.Actions {
		what := fmt.Sprintf("actions[%d]", i)
		c.given(what+".text", n.Text)
		c.given(what+".owner", n.Owner)
		c.given(what+".test", n.Test)
		due, err := time.Parse(time.DateOnly, n.Due)
		switch {
		case err != nil:
			c.add("%s: due %q: a day such as 2026-12-31", what, n.Due)
		case due.Before(today.UTC().Truncate(24 * time.Hour)):
			c.add("%s: due %s: that day is over", what, n.Due)
		}
		actions = append(actions, evidence.Action{
			ID: fmt.Sprintf("a%d", first+i), Text: n.Text, Owner: n.Owner, Due: n.Due, Test: n.Test,
		})
	}
	if len(c.found) > 0 {
		return nil, nil, fmt.Errorf("%w: %s", ErrAnswers, strings.Join(c.found, "; "))
	}
	return observations, actions, nil
}

// The kinds of observations.
const (
	strength = "strength"
	gap      = "gap"
)

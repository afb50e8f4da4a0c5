package drill

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

var nameForm = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// checker collects what is wrong with a scenario.
type checker struct {
	found []string
	ids   map[string]bool
}

func (c *checker) add(format string, values ...any) {
	c.found = append(c.found, fmt.Sprintf(format, values...))
}

func (c *checker) given(what, text string) {
	if strings.TrimSpace(text) == "" {
		c.add("%s is missing", what)
	}
}

// id checks the name of a step: answers call it by that.
func (c *checker) id(what, id string) {
	switch {
	case !nameForm.MatchString(id):
		c.add("%s: id %q: small letters, digits and - between them", what, id)
	case c.ids[id]:
		c.add("%s: id %q is there twice", what, id)
	}
	c.ids[id] = true
}

func (c *checker) texts(what string, list []string) {
	if len(list) == 0 {
		c.add("%s: there is none", what)
	}
	for i, text := range list {
		c.given(fmt.Sprintf("%s[%d]", what, i), text)
	}
}

// problems says, a phrase each, what keeps a scenario from being used.
func (s *Scenario) problems() []string {
	c := &checker{ids: map[string]bool{}}
	if !nameForm.MatchString(s.Name) {
		c.add("name %q: small letters, digits and - between them", s.Name)
	}
	c.given("title", s.Title)
	c.texts("objectives", s.Objectives)
	c.texts("not_shown", s.NotShown)
	if len(s.Roles) == 0 {
		c.add("roles: somebody must take part")
	}
	for i, r := range s.Roles {
		c.given(fmt.Sprintf("roles[%d].role", i), r.Role)
		c.given(fmt.Sprintf("roles[%d].does", i), r.Does)
	}
	switch s.Kind {
	case FullScale, Failover, Technical:
		s.checkSteps(c)
	case Tabletop:
		s.checkTable(c)
	default:
		c.add("kind %q: it is %s, %s, %s or %s", s.Kind, FullScale, Failover, Technical, Tabletop)
	}
	return c.found
}

// machine are the steps of the program in each kind of exercise, in the order
// in which they must stand; besides are those that may be there as well.
var (
	machine = map[string][]string{
		FullScale: {StepRestore},
		Failover:  {StepRefuse, StepRestore, StepCompare},
		Technical: nil,
	}
	besides = map[string][]string{
		FullScale: {StepCold, StepObjectives, StepAudit},
		Failover:  {StepObjectives, StepAudit},
		Technical: {StepCold, StepObjectives, StepAudit},
	}
)

func (s *Scenario) checkSteps(c *checker) {
	if len(s.Injects)+len(s.Messages) > 0 || s.Situation != "" || s.Length != 0 || s.Technical != nil {
		c.add("length, situation, injects, messages and technical are for kind %s", Tabletop)
	}
	if s.AtOnce < 0 {
		c.add("at_once: it cannot be negative")
	}
	checkStepsOf(c, "steps", s.Kind, s.Steps)
}

// checkStepsOf checks the steps of a kind of exercise.
func checkStepsOf(c *checker, where, kind string, steps []Step) {
	var does []string
	more := 0
	for i, step := range steps {
		what := fmt.Sprintf("%s[%d]", where, i)
		c.id(what, step.ID)
		c.given(what+".text", step.Text)
		switch {
		case step.Does == StepPeople:
		case slices.Contains(besides[kind], step.Does):
			more++
		case slices.Contains([]string{StepRefuse, StepRestore, StepCompare}, step.Does):
			does = append(does, step.Does)
		default:
			c.add("%s: does %q: in kind %s it is one of %v", what, step.Does, kind, slices.Concat(machine[kind], besides[kind], []string{StepPeople}))
		}
	}
	if !slices.Equal(does, machine[kind]) {
		c.add("%s: kind %s has the steps %v in this order, and those of people among them; here are %v", where, kind, machine[kind], does)
	}
	if kind == Technical && more == 0 {
		c.add("%s: kind %s has at least one of %v", where, kind, besides[kind])
	}
}

func (s *Scenario) checkTable(c *checker) {
	if len(s.Steps) > 0 || s.From != "" || s.AtOnce != 0 {
		c.add("steps, from and at_once are not for kind %s: it touches no system", Tabletop)
	}
	c.given("situation", s.Situation)
	if s.Length <= 0 {
		c.add("length is missing")
	}
	if len(s.Injects) == 0 {
		c.add("injects: there is none")
	}
	last := time.Duration(0)
	for i, in := range s.Injects {
		what := fmt.Sprintf("injects[%d]", i)
		c.id(what, in.ID)
		c.given(what+".text", in.Text)
		c.given(what+".question", in.Question)
		c.texts(what+".expected", in.Expected)
		if in.At < last {
			c.add("%s: at %s: it comes before the inject above it", what, Span(in.At))
		}
		last = in.At
	}
	if s.Length > 0 && last > s.Length {
		c.add("length %s: the last inject comes at %s", Span(s.Length), Span(last))
	}
	s.checkMessages(c)
	if s.Technical != nil {
		c.texts("technical.not_shown", s.Technical.NotShown)
		checkStepsOf(c, "technical.steps", Technical, s.Technical.Steps)
	}
}

func (s *Scenario) checkMessages(c *checker) {
	for i, m := range s.Messages {
		what := fmt.Sprintf("messages[%d]", i)
		c.id(what, m.ID)
		c.given(what+".to", m.To)
		c.given(what+".channel", m.Channel)
		c.given(what+".says", m.Says)
		if m.By <= 0 {
			c.add("%s: by is missing: when must it be out, from the start?", what)
		}
		if !slices.ContainsFunc(s.Roles, func(r Role) bool { return r.Role == m.From }) {
			c.add("%s: from %q is no role of this exercise", what, m.From)
		}
	}
}

// Package drill holds exercises of the continuity plan: their scenarios, what
// becomes of an exercise as the log tells it, how it is judged, by what an
// action that came of it may be closed, and the review that is drafted from
// the evidence afterwards.
package drill

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// ErrScenario marks a scenario that cannot be worked with, ErrAnswers a file of
// answers.
var (
	ErrScenario = errors.New("wrong scenario")
	ErrAnswers  = errors.New("wrong answers")
)

// The kinds of exercises.
const (
	// FullScale restores every function at once, from one site.
	FullScale = "full-scale"
	// Failover restores every function from one site while all others are
	// refused at the level of the network.
	Failover = "failover"
	// Tabletop is talked through; no system is touched.
	Tabletop = "tabletop"
	// Technical carries out single steps: cold starts, and checks of what is
	// promised and of the evidence. Scenarios of a table may have such a part.
	Technical = "technical"
)

// What a step of an exercise is.
const (
	StepRefuse  = "refuse"  // the other sites are refused, and that is tried
	StepRestore = "restore" // a function is restored and proven
	StepCompare = "compare" // nothing came from the sites that were refused
	// StepCold restores and proves each function as if this host were lost: an
	// empty one, without a catalog, with the escrow's identity, from one site.
	StepCold = "cold"
	// StepObjectives looks whether every promise is kept now, StepAudit checks
	// all of the evidence as an auditor does.
	StepObjectives = "objectives"
	StepAudit      = "audit"
	StepPeople     = "people"  // somebody does it; it is recorded afterwards
	StepInject     = "inject"  // a turn of events, with a question
	StepMessage    = "message" // somebody must be told, by a time
)

// Scenario is one exercise as it is planned.
type Scenario struct {
	// Name is what the command line calls it, Title what it is about.
	Name  string `yaml:"name" json:"name"`
	Kind  string `yaml:"kind" json:"kind"`
	Title string `yaml:"title" json:"title"`
	// Objectives are those of the continuity plan that it exercises.
	Objectives []string `yaml:"objectives" json:"objectives"`
	// Roles take part.
	Roles []Role `yaml:"roles" json:"roles"`
	// NotShown says, a sentence each, what it does not show.
	NotShown []string `yaml:"not_shown" json:"not_shown"`

	// From is the site that everything is read from, unless another is named.
	From string `yaml:"from" json:"from,omitempty"`
	// AtOnce is how many functions are restored at the same time; 0: all.
	AtOnce int `yaml:"at_once" json:"at_once,omitempty"`
	// Steps are those of an exercise that touches systems.
	Steps []Step `yaml:"steps" json:"steps,omitempty"`

	// Length is how long to plan for, Situation what is known at the start.
	Length    time.Duration `yaml:"length" json:"-"`
	Situation string        `yaml:"situation" json:"situation,omitempty"`
	Injects   []Inject      `yaml:"injects" json:"injects,omitempty"`
	// Messages are what must go out, to whom and by when.
	Messages []Message `yaml:"messages" json:"messages,omitempty"`
	// Technical is the part of a scenario of a table that can be carried out.
	Technical *TechnicalPart `yaml:"technical" json:"technical,omitempty"`

	digest string
}

// TechnicalPart is what of a scenario of a table can be carried out.
type TechnicalPart struct {
	// From is the site that everything is read from, unless another is named.
	From string `yaml:"from" json:"from,omitempty"`
	// NotShown says, a sentence each, what it does not show.
	NotShown []string `yaml:"not_shown" json:"not_shown"`
	Steps    []Step   `yaml:"steps" json:"steps"`
}

// AsTechnical returns the scenario of the technical part of one of a table. Its
// error matches [ErrScenario] when there is no such part.
func (s *Scenario) AsTechnical() (*Scenario, error) {
	if s.Kind == Technical {
		return s, nil
	}
	if s.Technical == nil {
		return nil, fmt.Errorf("%w: %s has no technical part that could be carried out", ErrScenario, s.Name)
	}
	return &Scenario{
		Name: s.Name + "-" + Technical, Kind: Technical, Title: s.Title + ", carried out", Objectives: s.Objectives, Roles: s.Roles,
		NotShown: s.Technical.NotShown, From: s.Technical.From, Steps: s.Technical.Steps, digest: s.digest,
	}, nil
}

// Role is one part in an exercise.
type Role struct {
	Role string `yaml:"role" json:"role"`
	Does string `yaml:"does" json:"does"`
}

// Step is something that is done.
type Step struct {
	ID string `yaml:"id" json:"id"`
	// Does is "refuse", "restore", "compare", "cold", "objectives", "audit" or
	// "people".
	Does     string   `yaml:"does" json:"does"`
	Text     string   `yaml:"text" json:"text"`
	Expected []string `yaml:"expected" json:"expected,omitempty"`
}

// Inject is a turn of events that is told to those at the table.
type Inject struct {
	ID       string        `yaml:"id" json:"id"`
	At       time.Duration `yaml:"at" json:"-"` // from the start
	Text     string        `yaml:"text" json:"text"`
	Question string        `yaml:"question" json:"question"`
	// Expected is what a good answer contains.
	Expected []string `yaml:"expected" json:"expected"`
}

// Message is something that must be said to somebody.
type Message struct {
	ID      string        `yaml:"id" json:"id"`
	From    string        `yaml:"from" json:"from"` // a role
	To      string        `yaml:"to" json:"to"`
	By      time.Duration `yaml:"by" json:"-"` // from the start
	Channel string        `yaml:"channel" json:"channel"`
	Says    string        `yaml:"says" json:"says"`
}

// Digest is the SHA-256 of the file that the scenario was read from.
func (s *Scenario) Digest() string { return s.digest }

// Parse reads a scenario. Its errors match [ErrScenario], and name every
// problem with the place in the file where there is one.
func Parse(raw []byte) (*Scenario, error) {
	var s Scenario
	if err := strictly(raw, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrScenario, err)
	}
	sum := sha256.Sum256(raw)
	s.digest = hex.EncodeToString(sum[:])
	if problems := s.problems(); len(problems) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrScenario, strings.Join(problems, "; "))
	}
	return &s, nil
}

// strictly reads one YAML document, which may be JSON, and nothing besides.
func strictly(raw []byte, into any) error {
	dec := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict())
	if err := dec.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("the file is empty")
		}
		return errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

// Span writes a duration as people do: "1h30m", "20m", "0m".
func Span(d time.Duration) string {
	if d == 0 {
		return "0m"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

package drill

import (
	"strings"

	"github.com/saypro/backupd/internal/evidence"
)

// Target is a function that an exercise restores.
type Target struct {
	Function               string
	RPOSeconds, RTOSeconds float64
}

// Plan returns the steps of an exercise before it begins: none of them is
// known to be anything yet. A step that restores is there once per function.
func (s *Scenario) Plan(from string, targets []Target) []evidence.DrillStep {
	var out []evidence.DrillStep
	for _, step := range s.Steps {
		planned := evidence.DrillStep{
			ID: step.ID, Kind: step.Does, Text: step.Text, Expected: lines(step.Expected), Status: evidence.Inconclusive,
		}
		switch step.Does {
		case StepRestore, StepCold:
			for _, t := range targets {
				one := planned
				one.ID = step.ID + "-" + t.Function
				one.Function, one.Site, one.RPOSeconds, one.RTOSeconds = t.Function, from, t.RPOSeconds, t.RTOSeconds
				out = append(out, one)
			}
			continue
		case StepPeople:
			planned.Status = evidence.Skipped
			planned.Error = "people do this; 'backupd drill record' takes how long"
		}
		out = append(out, planned)
	}
	for _, in := range s.Injects {
		out = append(out, evidence.DrillStep{
			ID: in.ID, Kind: StepInject, At: Span(in.At), Text: in.Text, Question: in.Question,
			Expected: lines(in.Expected), Status: evidence.Inconclusive,
		})
	}
	for _, m := range s.Messages {
		out = append(out, evidence.DrillStep{
			ID: m.ID, Kind: StepMessage, At: Span(m.By),
			Text: m.From + " to " + m.To + ", by " + m.Channel, Expected: m.Says, Status: evidence.Inconclusive,
		})
	}
	return out
}

// lines joins what is expected, one a line.
func lines(list []string) string {
	clean := make([]string, len(list))
	for i, text := range list {
		clean[i] = strings.TrimSpace(text)
	}
	return strings.Join(clean, "\n")
}

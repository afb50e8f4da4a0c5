package drill

import (
	"fmt"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
)

// Template returns a file of answers to a scenario, to be filled in, with the
// questions and what was expected beside them as comments.
func (s *Scenario) Template() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n# Fill in and hand over: backupd drill record %s --answers FILE\n", s.Name, s.Title, s.Name)
	fmt.Fprintf(&b, "scenario: %s\nparticipants: []  # such as %q\n", s.Name, s.Roles[0].Role+": N. N.")
	for _, r := range s.Roles {
		comment(&b, "", r.Role+": "+r.Does)
	}
	plan := s.Plan("", nil)
	section(&b, "injects", plan, StepInject, func(step evidence.DrillStep) {
		fmt.Fprintf(&b, "  %s:\n    answer: \"\"\n    verdict: \"\"  # %s, %s or %s\n", step.ID, met, partly, missed)
	})
	section(&b, "messages", plan, StepMessage, func(step evidence.DrillStep) {
		fmt.Fprintf(&b, "  %s:\n    after: \"\"  # from the start, such as 25m, or %s; due by %s\n    note: \"\"\n", step.ID, never, step.At)
	})
	section(&b, "steps", plan, StepPeople, func(step evidence.DrillStep) {
		fmt.Fprintf(&b, "  %s:\n    took: \"\"  # such as 12m\n    note: \"\"\n", step.ID)
	})
	b.WriteString("\n# What was noticed: a strength or a gap.\nobservations: []\n#  - {kind: gap, text: \"\"}\n")
	b.WriteString("\n# What is to be done. A test that passes later closes it.\nactions: []\n#  - {text: \"\", owner: \"\", due: 2026-12-31, test: \"\"}\n")
	return []byte(b.String())
}

func section(b *strings.Builder, name string, plan []evidence.DrillStep, kind string, one func(evidence.DrillStep)) {
	first := true
	for _, step := range plan {
		if step.Kind != kind {
			continue
		}
		if first {
			fmt.Fprintf(b, "\n%s:\n", name)
			first = false
		}
		if step.At != "" {
			comment(b, "  ", "+"+step.At+"  "+step.Text)
		} else {
			comment(b, "  ", step.Text)
		}
		comment(b, "  ", step.Question)
		for _, line := range strings.Split(step.Expected, "\n") {
			if line != "" {
				comment(b, "  ", "  expected: "+line)
			}
		}
		one(step)
	}
}

func comment(b *strings.Builder, indent, text string) {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if line = strings.TrimRight(line, " "); line != "" {
			fmt.Fprintf(b, "%s# %s\n", indent, line)
		}
	}
}

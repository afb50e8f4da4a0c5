package main

import (
	"fmt"
	"strings"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/evidence"
)

// showRun shows what came of an exercise, or what to tell at a table.
func (a *app) showRun(s *drill.Scenario, x *drill.Exercise) error {
	if x == nil {
		return nil // there was no answer
	}
	if x.Kind != drill.Tabletop {
		return a.showExercise(x)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", a.style.Bold(s.Title), strings.TrimSpace(s.Situation))
	for _, objective := range x.Objectives {
		fmt.Fprintf(&b, "  %s\n", objective)
	}
	if len(x.Objectives) > 0 {
		b.WriteByte('\n')
	}
	for _, r := range s.Roles {
		fmt.Fprintf(&b, "  %s %s\n", a.style.Bold(r.Role), r.Does)
	}
	for _, in := range s.Injects {
		fmt.Fprintf(&b, "\n%s  %s\n  %s\n", a.style.Bold("+"+drill.Span(in.At)), in.Text, in.Question)
		for _, e := range in.Expected {
			fmt.Fprintf(&b, "  %s\n", a.style.Dim("- "+e))
		}
	}
	b.WriteString("\nMessages that must go out:\n")
	for _, m := range s.Messages {
		fmt.Fprintf(&b, "  by +%s  %s to %s, by %s: %s\n", drill.Span(m.By), m.From, m.To, m.Channel, m.Says)
	}
	fmt.Fprintf(&b, "\nExercise %s is begun. Afterwards: backupd drill template %s > answers.yaml, fill it in, then\n  backupd drill record %s --answers answers.yaml\n",
		a.style.Bold(x.ID), x.Scenario, x.ID)
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// showExercise shows what came of an exercise.
func (a *app) showExercise(x *drill.Exercise) error {
	if x == nil {
		return nil // there was no answer
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", a.style.Bold(x.ID), a.drillState(x.State))
	table := show.Table{Head: []string{"  FUNCTION", "LEVEL", ">LOST", ">RPO", ">WAITED", ">RESTORED AND PROVEN", ">RTO", "VERDICT"}}
	for _, s := range drill.Judged(x.Steps) {
		if s.Restores() {
			table.Row("  "+s.Function, s.Level, show.Taken(s.LostSeconds), show.Seconds(s.RPOSeconds), show.Taken(s.WaitedSeconds),
				show.Taken(s.Seconds), show.Seconds(s.RTOSeconds), a.stepStatus(s.Status))
		}
	}
	if !table.Empty() {
		// Writing into memory does not fail.
		_ = table.Write(&b, a.style)
	}
	for _, s := range x.Steps {
		if s.Kind == drill.StepObjectives || s.Kind == drill.StepAudit {
			fmt.Fprintf(&b, "  %s %s\n", a.stepStatus(s.Status), show.Text(s.Text+" "+s.Actual))
		}
	}
	for _, r := range x.Refused {
		fmt.Fprintf(&b, "  site %s (%s): %s\n", r.Site, r.Place, drill.Refused(r))
	}
	for _, reason := range x.Reasons {
		fmt.Fprintf(&b, "  %s %s\n", a.style.Bad("!"), show.Text(reason))
	}
	switch people := evidence.PeopleSeconds(x.Steps); {
	case x.Kind == drill.Tabletop:
	case people == 0:
		fmt.Fprintf(&b, "  %s\n", a.style.Dim("Machine time only: what people take is not in it. 'backupd drill record' adds it."))
	default:
		fmt.Fprintf(&b, "  people took %s besides; what is over its RTO together with that is a failure\n", show.Taken(people))
	}
	for _, text := range x.NotShown {
		fmt.Fprintf(&b, "  %s\n", a.style.Dim("not shown: "+text))
	}
	if x.Review != "" {
		fmt.Fprintf(&b, "  review, to be completed by people: %s\n", x.Review)
	}
	if x.ReviewStale {
		fmt.Fprintf(&b, "  %s\n", a.style.Warn("That draft is older than what is recorded now, and is left alone: 'backupd drill report "+x.ID+" -o FILE' drafts it anew."))
	}
	if _, err := fmt.Fprint(a.stdout, b.String()); err != nil {
		return err
	}
	return a.showActions(x)
}

func (a *app) stepStatus(status evidence.Status) string {
	if status == evidence.Pass {
		return a.style.Good(string(status))
	}
	return a.style.Bad(string(status))
}

// showActions shows what is to be done after an exercise.
func (a *app) showActions(x *drill.Exercise) error {
	if x == nil || len(x.Actions) == 0 {
		return nil
	}
	table := show.Table{Head: []string{"ACTION", "STATE", "DUE", "OWNER", "WHAT"}}
	for _, action := range x.Actions {
		state := a.style.Warn(action.State)
		switch {
		case action.State == drill.ActionLate:
			state = a.style.Bad(action.State)
		case action.Closed != nil:
			state = a.style.Good(fmt.Sprintf("closed by %d", *action.Closed))
		}
		table.Row(action.ID, state, action.Due, action.Owner, show.Text(action.Text))
	}
	return table.Write(a.stdout, a.style)
}

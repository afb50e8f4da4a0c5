package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/drill"
)

// drillList is what "backupd drill list" prints with --json.
type drillList struct {
	Scenarios []drillScenario   `json:"scenarios"`
	Exercises []*drill.Exercise `json:"exercises"`
}

func newDrillList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List scenarios, and the exercises that were held",
		Long: `List shows the scenarios that come with the program, and every exercise that was
ever begun, as the evidence log tells: what came of it, and how many of its
actions are open.`,
		Example: `  backupd drill list`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := drillList{Scenarios: []drillScenario{}, Exercises: []*drill.Exercise{}}
			all, err := drill.Shipped()
			for _, s := range all {
				list.Scenarios = append(list.Scenarios, drillScenario{s.Name, s.Kind, s.Title, s.Objectives})
			}
			if err == nil {
				err = a.using(cmd.Context(), func(ops operations) error {
					held, err := ops.Drills(cmd.Context())
					list.Exercises = append(list.Exercises, held...)
					return err
				})
			}
			return a.answer(list, err, func() error { return a.showDrills(list, err == nil) })
		},
	}
}

func (a *app) showDrills(list drillList, known bool) error {
	var b strings.Builder
	scenarios := show.Table{Head: []string{"SCENARIO", "KIND", "ABOUT"}}
	for _, s := range list.Scenarios {
		scenarios.Row(s.Name, s.Kind, s.Title)
	}
	// Writing into memory does not fail.
	_ = scenarios.Write(&b, a.style)
	b.WriteByte('\n')
	held := show.Table{Head: []string{"EXERCISE", "BEGUN", "STATE", ">OPEN ACTIONS", ">LATE"}}
	for _, x := range list.Exercises {
		open, late := 0, 0
		for _, action := range x.Actions {
			switch action.State {
			case drill.ActionLate:
				late++
			case drill.ActionOpen:
				open++
			}
		}
		held.Row(x.ID, show.Time(x.Begun), a.drillState(x.State), fmt.Sprint(open), fmt.Sprint(late))
	}
	switch {
	case !held.Empty():
		_ = held.Write(&b, a.style)
	case known:
		b.WriteString(a.style.Warn("No exercise was held yet.") + "\n")
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) drillState(state string) string {
	switch state {
	case drill.StatePassed:
		return a.style.Good(state)
	case drill.StateOpen:
		return a.style.Warn(state)
	default:
		return a.style.Bad(state)
	}
}

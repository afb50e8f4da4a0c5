package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/engine"
)

func newDrillTemplate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "template SCENARIO",
		Short: "Print a file of answers to be filled in",
		Long: `Template prints an empty file of answers to a scenario, with the questions and
what was expected beside them. It needs neither configuration nor service.`,
		Example:           `  backupd drill template onsite-fire > answers.yaml`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: scenarioNames,
		RunE: func(_ *cobra.Command, given []string) error {
			s, _, err := scenario(given[0])
			if err != nil {
				return err
			}
			text := string(s.Template())
			return a.answer(drillTemplate{s.Name, text}, nil, func() error {
				_, err := a.stdout.WriteString(text)
				return err
			})
		},
	}
}

// drillTemplate is what "backupd drill template" prints with --json.
type drillTemplate struct {
	Scenario string `json:"scenario"`
	Answers  string `json:"answers"`
}

func newDrillRecord(a *app) *cobra.Command {
	var req engine.DrillRecordRequest
	var file string
	cmd := &cobra.Command{
		Use:   "record SCENARIO|EXERCISE --answers FILE",
		Short: "Write down what people said and noticed",
		Long: `Record takes a file of answers ('backupd drill template' prints one to fill in):
answers to injects and when messages were out, which end an exercise at a table;
how long people took, observations and actions, for every exercise. A scenario
stands for the newest exercise of it; one at a table that was not begun before is
begun and ended now.

What is recorded stays: answers are not changed afterwards, and each action is
closed only by 'backupd drill close'. Exit status 4 when an answer was not what
was expected, a message late, or an objective missed; 1 when something was not
answered.`,
		Example: `  backupd drill record onsite-fire --answers answers.yaml
  backupd drill record full-scale-2026-11-25 --answers people.yaml`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: scenarioNames,
		RunE: func(cmd *cobra.Command, given []string) error {
			var err error
			if file == "" {
				return usageError(cmd, errors.New("--answers is the file with what is to be recorded"))
			}
			if req.Answers, err = a.readInput("answers", file); err != nil {
				return err
			}
			if req.Drill, req.Scenario, err = exerciseOrScenario(given[0]); err != nil {
				return err
			}
			var x *drill.Exercise
			err = a.using(cmd.Context(), func(ops operations) (err error) {
				x, err = ops.RecordDrill(cmd.Context(), req)
				return err
			})
			err = drillOutcome(x, err)
			return a.answer(orNil(x), err, func() error { return a.showExercise(x) })
		},
	}
	cmd.Flags().StringVar(&file, "answers", "", "a `FILE` of answers in YAML or JSON; - is standard input")
	_ = cmd.MarkFlagFilename("answers", "yaml", "yml", "json")
	return cmd
}

// exerciseOrScenario returns what the log calls an exercise by, and the content
// of its scenario when that is what was named.
func exerciseOrScenario(name string) (string, []byte, error) {
	_, err := drill.ShippedFile(name)
	if err != nil && !isFile(name) {
		return name, nil, nil //nolint:nilerr // it is the name of an exercise
	}
	s, raw, err := scenario(name)
	if err != nil {
		return "", nil, err
	}
	return s.Name, raw, nil
}

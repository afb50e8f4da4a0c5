package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/engine"
)

func newDrillClose(a *app) *cobra.Command {
	var req engine.DrillCloseRequest
	cmd := &cobra.Command{
		Use:   "close EXERCISE ACTION --by SEQUENCE",
		Short: "Close an action by a later test that passed",
		Long: `Close closes an action by the record, in the evidence log, of a test that passed
after the action was recorded: a proof, a round of controls or an exercise. Any
other record is refused, with the reason. That the test is the right one is for
people to judge: the review shows the test that the action named beside it.`,
		Example:           `  backupd drill close onsite-fire-2026-11-25 a1 --by 4711`,
		Args:              args(cobra.ExactArgs(2)),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, given []string) error {
			if !cmd.Flags().Changed("by") {
				return usageError(cmd, errors.New("--by is the sequence, in the evidence log, of the result of a test that passed"))
			}
			req.Drill, req.Action = given[0], given[1]
			var x *drill.Exercise
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				x, err = ops.CloseAction(cmd.Context(), req)
				return err
			})
			return a.answer(orNil(x), err, func() error { return a.showActions(x) })
		},
	}
	cmd.Flags().Uint64Var(&req.Sequence, "by", 0, "`SEQUENCE` of the record of the test that passed")
	complete(cmd, "by")
	return cmd
}

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
)

func newHold(a *app) *cobra.Command {
	var req engine.HoldRequest
	cmd := &cobra.Command{
		Use:     "hold SNAPSHOT --reason TEXT",
		Short:   "Keep a recovery point whatever the rules say",
		GroupID: groupSpace,
		Long: `Hold keeps a snapshot until 'backupd release', whatever the rules of keep say.
One that was given up and is not being deleted yet is kept after all. The reason
stands beside it in every list, and is told to every site: write who wants it
kept, and until when.`,
		Example:           `  backupd hold 3f9c2ab1 --reason "auditors, until March"`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, given []string) error {
			if req.Snapshot = given[0]; req.Reason == "" {
				return usageError(cmd, errors.New("--reason says why it is held"))
			}
			return a.hold(cmd, req)
		},
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why it is kept, as `TEXT`")
	complete(cmd, "reason")
	return cmd
}

func newRelease(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "release SNAPSHOT",
		Short:   "Let go of a recovery point that is held",
		GroupID: groupSpace,
		Long: `Release ends a hold: from now on the rules of keep decide about the snapshot
again.`,
		Example:           `  backupd release 3f9c2ab1`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, given []string) error {
			return a.hold(cmd, engine.HoldRequest{Snapshot: given[0]})
		},
	}
}

func (a *app) hold(cmd *cobra.Command, req engine.HoldRequest) error {
	var point engine.RecoveryPoint
	var document any
	err := a.using(cmd.Context(), func(ops operations) (err error) {
		point, err = ops.Hold(cmd.Context(), req)
		return err
	})
	if err == nil {
		document = point
	}
	return a.answer(document, err, func() error {
		if err != nil {
			return nil
		}
		what := "is not held: the rules decide"
		if point.Held != "" {
			what = "is held: " + point.Held
		}
		_, err := fmt.Fprintf(a.stdout, "%s of %s, snapshot %s, %s\n", a.style.Bold(point.Function), show.Time(point.RecoveryPoint), point.Snapshot, what)
		return err
	})
}

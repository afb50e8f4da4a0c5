package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/engine"
)

func newAuditClock(a *app) *cobra.Command {
	var req engine.ClockRequest
	cmd := &cobra.Command{
		Use:   "clock --reason TEXT",
		Short: "Say that the clock was ahead, and is right now",
		Long: `Clock is for a host whose clock was ahead while records were written. They come
in the order of their times, so until the clock has caught up everything bears the
time of the newest, and 'backupd status' says so. This command records that the
clock is right now: records go on with its time, and those that are dated later
count as written now, since nobody knows when they were. Every audit shows it with
the reason, as a finding.

Look at the clock first: when it is behind, put it right instead.`,
		Example: `  backupd audit clock --reason "the host came back two years ahead; see incident 31"`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if req.Reason == "" {
				return usageError(cmd, errors.New("--reason says what happened to the clock"))
			}
			var set engine.ClockSet
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				set, err = ops.SetEvidenceClock(cmd.Context(), req)
				return err
			})
			return a.answer(something(set, err == nil), err, func() error {
				if err != nil {
					return nil
				}
				_, err := fmt.Fprintf(a.stdout, "record %d: the evidence goes on at %s; it was at %s\n",
					set.Record, set.Time.Format(time.RFC3339), set.Was.Format(time.RFC3339))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "what happened to the clock, as `TEXT`")
	complete(cmd, "reason")
	return cmd
}

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/engine"
)

func newStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Say how well the promises are being kept now",
		GroupID: groupDaily,
		Long: `Status says for every function how old its newest recovery point is, at each
site and against its RPO, when the next run is due, and how far it was last
proven. Ages count from the moment that the data is of, not from the end of
the job.

Exit status 3 when anything is not as it should be, which makes it a check for
monitoring.`,
		Example: `  backupd status
  watch -c backupd status
  backupd status --json | jq '.functions[] | {function, margin_seconds}'`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var status engine.Status
			var document any
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				status, err = ops.Status(cmd.Context())
				return err
			})
			if err == nil {
				document = status
				err = statusOutcome(status)
			}
			return a.answer(document, err, func() error { return a.showStatus(status) })
		},
	}
}

// statusOutcome is an error when anything is not as it should be.
func statusOutcome(s engine.Status) error {
	var bad []string
	for _, f := range s.Functions {
		if f.Degraded || f.State != engine.StateGood {
			bad = append(bad, f.Function)
		}
	}
	switch len(bad) {
	case 0:
	case 1:
		return fmt.Errorf("%w: function %s", engine.ErrDegraded, bad[0])
	default:
		return fmt.Errorf("%w: functions %s", engine.ErrDegraded, strings.Join(bad, ", "))
	}
	if len(s.Reasons) > 0 {
		return fmt.Errorf("%w: %s", engine.ErrDegraded, strings.Join(s.Reasons, "; "))
	}
	if s.Degraded {
		return engine.ErrDegraded
	}
	return nil
}

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/engine"
)

func newObjectives(a *app) *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:     "objectives [FUNCTION]",
		Short:   "Say how well the promises were kept in a period, and will be",
		GroupID: groupDaily,
		Long: `Objectives says for every function, the most endangered first, how old the
newest recovery point ever was in a period, for how much of the time the promise
held, and when it did not and why: at each site, at any and at every one, for
what is durable and for what is proven. Each moment is judged by the policy that
was in force then. All of it comes from the evidence log; nothing is judged
before its first record, and what cannot be judged is not good.

Then it says what to expect: the interval that the planner derives, with its
numbers; how the time to durable and the time of a restore develop, and when
that breaks the RPO or the RTO. The time of a restore is machine time: people
notice, decide and switch over besides.

The period is the last 30 days. Times are UTC; a day alone means its begin, and
--to itself is not in the period.

Exit status 3 when a promise is broken at the end of a period that ends now,
cannot be kept as things are, or cannot be judged. A promise that was broken and
is kept again is told of, and leaves the status 0: it is history.`,
		Example: `  backupd objectives
  backupd objectives payments --from 2026-10-01 --to 2026-11-01
  backupd objectives --json | jq '.functions[] | {function, violated, views}'`,
		Args:              args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: a.functions(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			req, err := objectivesRequest(names, from, to)
			if err != nil {
				return usageError(cmd, err)
			}
			var objectives engine.Objectives
			var document any
			err = a.using(cmd.Context(), func(ops operations) (err error) {
				objectives, err = ops.Objectives(cmd.Context(), req)
				return err
			})
			if err == nil {
				document = objectives
				err = objectivesOutcome(objectives)
			}
			return a.answer(document, err, func() error { return a.showObjectives(objectives) })
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the `TIME` at which the period begins (default 30 days before its end)")
	cmd.Flags().StringVar(&to, "to", "", "the `TIME` at which it ends (default now)")
	return cmd
}

func objectivesRequest(names []string, from, to string) (req engine.ObjectivesRequest, err error) {
	if len(names) > 0 {
		req.Function = names[0]
	}
	if req.From, err = boundary("--from", from); err != nil {
		return req, err
	}
	req.To, err = boundary("--to", to)
	return req, err
}

// objectivesOutcome is an error when a promise is not being kept, cannot be, or
// nothing can be said.
func objectivesOutcome(o engine.Objectives) error {
	var bad []string
	for _, f := range o.Functions {
		if f.Degraded {
			bad = append(bad, f.Function)
		}
	}
	switch {
	case len(bad) == 1:
		return fmt.Errorf("%w: function %s", engine.ErrDegraded, bad[0])
	case len(bad) > 1:
		return fmt.Errorf("%w: functions %s", engine.ErrDegraded, strings.Join(bad, ", "))
	case o.Degraded:
		return engine.ErrDegraded
	}
	return nil
}

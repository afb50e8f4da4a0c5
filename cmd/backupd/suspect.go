package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
)

func newSuspect(a *app) *cobra.Command {
	cmd := newSuspectList(a)
	cmd.Use = "suspect [FUNCTION]"
	cmd.GroupID = groupDaily
	cmd.Example = `  backupd suspect
  backupd suspect list payments --all
  backupd suspect clear 3f9c2ab1 --reason "the archive job of November, ticket 4711"`
	cmd.AddCommand(newSuspectList(a), newSuspectClear(a))
	return cmd
}

func newSuspectList(a *app) *cobra.Command {
	var req engine.SuspectRequest
	cmd := &cobra.Command{
		Use:   "list [FUNCTION]",
		Short: "List the recovery points that look wrong",
		Long: `Every recovery point is compared with the one before. It is suspect when a table
lost most of its rows, when most of them changed at once, when a table or a
column is gone, or when a canary was altered. It is made all the same; the last
clean one is kept until somebody has judged.

List shows those that nobody has judged, with the reasons and the last clean
recovery point. Exit status 3 when there is any.`,
		Example:           `  backupd suspect list payments --all`,
		Args:              args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: a.functions(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) > 0 {
				req.Function = names[0]
			}
			return a.suspects(cmd, req)
		},
	}
	cmd.Flags().BoolVar(&req.All, "all", false, "show also those that somebody has judged to be fine")
	return cmd
}

func (a *app) suspects(cmd *cobra.Command, req engine.SuspectRequest) error {
	var points []engine.SuspectPoint
	var unwatched []string
	err := a.using(cmd.Context(), func(ops operations) (err error) {
		points, err = ops.Suspects(cmd.Context(), req)
		if err == nil && !a.json {
			unwatched, err = stillUnwatched(cmd.Context(), ops, req.Function)
		}
		return err
	})
	complete := err == nil
	if complete {
		err = suspectOutcome(points)
	}
	return a.answer(list(points, err), err, func() error { return a.showSuspects(points, unwatched, complete) })
}

// stillUnwatched says, a sentence each, what could not be suspect yet.
func stillUnwatched(ctx context.Context, ops operations, function string) (out []string, err error) {
	s, err := ops.Status(ctx)
	for _, f := range s.Functions {
		for _, what := range f.Unwatched {
			if function == "" || function == f.Function {
				out = append(out, f.Function+": "+what)
			}
		}
	}
	return out, err
}

// suspectOutcome is an error when nobody has judged some of them.
func suspectOutcome(points []engine.SuspectPoint) error {
	open := 0
	for _, p := range points {
		if p.Cleared == "" {
			open++
		}
	}
	if open == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s that nobody has judged", engine.ErrDegraded, show.Plural(open, "suspect recovery point"))
}

func (a *app) showSuspects(points []engine.SuspectPoint, unwatched []string, complete bool) error {
	if !complete && len(points) == 0 {
		return nil
	}
	none := "No recovery point is suspect."
	if len(unwatched) > 0 {
		none = "No recovery point is suspect, as far as that is known:"
	}
	if len(points) == 0 {
		if _, err := fmt.Fprintln(a.stdout, none); err != nil {
			return err
		}
	}
	for _, what := range unwatched {
		if _, err := fmt.Fprintf(a.stdout, "  %s %s\n", a.style.Warn("not known yet"), show.Text(what)); err != nil {
			return err
		}
	}
	for _, p := range points {
		if err := a.showSuspect(p); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) showSuspect(p engine.SuspectPoint) error {
	if _, err := fmt.Fprintf(a.stdout, "%s of %s, snapshot %s\n", a.style.Bold(p.Function), show.TimeAgo(p.RecoveryPoint, a.clock.Now()), p.Snapshot); err != nil {
		return err
	}
	for _, s := range p.Signals {
		if _, err := fmt.Fprintf(a.stdout, "  %s %s\n", a.style.Bad("!"), show.Text(s.Detail)); err != nil {
			return err
		}
	}
	var err error
	switch {
	case p.Cleared != "":
		_, err = fmt.Fprintf(a.stdout, "  judged to be fine: %s\n", show.Text(p.Cleared))
	case p.LastClean != "":
		_, err = fmt.Fprintf(a.stdout, "  last clean: snapshot %s of %s, which is kept\n", a.style.Bold(p.LastClean), show.TimeAgo(p.LastCleanPoint, a.clock.Now()))
	default:
		_, err = fmt.Fprintln(a.stdout, "  there is no clean recovery point before it")
	}
	return err
}

func newSuspectClear(a *app) *cobra.Command {
	var req engine.ClearRequest
	cmd := &cobra.Command{
		Use:   "clear SNAPSHOT --reason TEXT",
		Short: "Say that what looked wrong in a recovery point is fine",
		Long: `Clear ends the alarm about one recovery point, and lets go of the last clean one
that was kept because of it. The reason stands in the evidence and is told to
every site: write who looked, and what came of it. The next recovery point that
looks wrong raises the alarm again, also for the same reason.`,
		Example:           `  backupd suspect clear 3f9c2ab1 --reason "the archive job of November, ticket 4711"`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, given []string) error {
			if req.Snapshot = given[0]; req.Reason == "" {
				return usageError(cmd, errors.New("--reason says why it is fine"))
			}
			return a.clearSuspect(cmd, req)
		},
	}
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why it is fine, as `TEXT`")
	complete(cmd, "reason")
	return cmd
}

func (a *app) clearSuspect(cmd *cobra.Command, req engine.ClearRequest) error {
	var point engine.SuspectPoint
	var document any
	err := a.using(cmd.Context(), func(ops operations) (err error) {
		point, err = ops.ClearSuspect(cmd.Context(), req)
		return err
	})
	if err == nil {
		document = point
	}
	return a.answer(document, err, func() error {
		if err != nil {
			return nil
		}
		return a.showSuspect(point)
	})
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/restore"
)

// restoreFlags are the flags of restore that are not in the request as they
// are.
type restoreFlags struct {
	at   string
	plan bool
	yes  bool
}

func newRestore(a *app) *cobra.Command {
	var req restore.Request
	var flags restoreFlags
	cmd := &cobra.Command{
		Use:     "restore FUNCTION --to URL",
		Short:   "Bring a function back into a database",
		GroupID: groupNight,
		Long: `Restore loads a recovery point into a new or an empty database: the newest one,
or with --at the newest that is not later. With --plan it says what it would
do, what would be lost and how long it should take, and stops.

A database that holds something is refused, unless --replace is given: then
the restore happens in a new database beside it, is checked, and takes its
place by rename; the old one is kept under another name. A restore that is
interrupted leaves nothing that looks finished.

Every object is read from the first site that gives the right bytes; what had
to come from another one is said.

A password does not belong on a command line, which others on the host can
read: leave it out of the URL and set PGPASSWORD.`,
		Example: `  backupd restore payments --to postgres://restore@db2.internal/payments --plan
  backupd restore payments --to postgres://restore@db2.internal/payments --at "2026-11-23 10:42"
  backupd restore payments --to postgres://restore@db2.internal/payments --from cloud
  backupd restore catalog --to postgres://restore@db2.internal/scratch --table catalog.products
  backupd restore payments --to postgres://restore@db.internal/payments --replace`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: a.functions(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			req.Function = names[0]
			return a.restore(cmd.Context(), req, flags)
		},
	}
	addRestoreFlags(a, cmd, &req, &flags)
	return cmd
}

func addRestoreFlags(a *app, cmd *cobra.Command, req *restore.Request, flags *restoreFlags) {
	f := cmd.Flags()
	f.StringVar(&req.To, "to", "", "`URL` of the database to restore into, postgres://user@host/database")
	f.StringVar(&flags.at, "at", "", "the newest recovery point not later than `TIME`: \"2006-01-02 15:04[:05]\" UTC, or RFC 3339")
	f.StringVar(&req.Snapshot, "snapshot", "", "this snapshot, by its `ID` or the beginning of it")
	f.StringVar(&req.From, "from", "", "read from this `SITE` only")
	f.StringArrayVar(&req.Tables, "table", nil, "restore only this table, `SCHEMA.NAME`; may be repeated")
	f.BoolVar(&req.Replace, "replace", false, "take the place of a database that is not empty, which is kept under another name")
	f.BoolVar(&req.NoOwner, "no-owner", false, "leave out owners, grants and the roles that they need")
	f.IntVar(&req.Jobs, "jobs", 0, "load over this many connections at once (default chosen)")
	f.BoolVar(&flags.plan, "plan", false, "say what would be done, and stop")
	f.BoolVarP(&flags.yes, "yes", "y", false, "do not ask before a database is replaced")
	a.completeFromConfig(cmd, "from", siteNames)
	for _, name := range []string{"to", "at", "snapshot", "table", "jobs"} {
		complete(cmd, name)
	}
}

// restore carries out one command line.
func (a *app) restore(ctx context.Context, req restore.Request, flags restoreFlags) error {
	if err := completeRequest(&req, flags, a.clock.Now()); err != nil {
		return err
	}
	if flags.plan {
		return a.plan(ctx, req)
	}
	var document any // nil until something was begun
	var result restore.Result
	err := a.using(ctx, func(ops operations) (err error) {
		if err := a.confirm(ctx, ops, req, flags); err != nil {
			return err
		}
		result, err = ops.Restore(ctx, req, a.screen.Report)
		if err == nil && result.Error != "" {
			err = fmt.Errorf("restore %s: %s", req.Function, result.Error)
		}
		return err
	})
	if result.Function != "" {
		document = result
	}
	return a.answer(document, err, func() error { return a.showRestored(result, err) })
}

func (a *app) plan(ctx context.Context, req restore.Request) error {
	var document any
	var plan restore.Plan
	err := a.using(ctx, func(ops operations) (err error) {
		plan, err = ops.Plan(ctx, req)
		return err
	})
	planned := err == nil
	if planned {
		document, err = plan, refusal(plan)
	}
	return a.answer(document, err, func() error {
		if !planned {
			return nil
		}
		return a.showPlan(a.stdout, plan, req)
	})
}

// refusal is an error when the restore that a plan is of would be refused. The
// plan says why.
func refusal(plan restore.Plan) error {
	if plan.Refused == "" {
		return nil
	}
	return &marked{fmt.Errorf("restore %s: it would be refused", plan.Function), engine.ErrUsage}
}

// errNotConfirmed ends a restore that the user did not want after all.
var errNotConfirmed = errors.New("not confirmed; nothing was done")

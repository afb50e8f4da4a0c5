package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/server"
)

func newSync(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "sync [SITE...]",
		Short:   "Bring sites in step now",
		GroupID: groupSpace,
		Long: `Sync sends the named sites what waits for them, all of them when none is named,
and then compares the name and size of every object there with what the site
must hold. What is missing is sent again; snapshots that only the site knows
are taken in and copied to the others. It waits until that is done.

The service does the same by itself whenever a site returns, and once a day.

Exit status 3 when a site is not in step then: it does not answer, or something
there can not be put right.`,
		Example: `  backupd sync
  backupd sync cloud
  backupd sync --json | jq '.[] | select(.in_step | not)'`,
		ValidArgsFunction: a.sites(),
		RunE: func(cmd *cobra.Command, sites []string) error {
			var results []engine.SyncResult
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				results, err = ops.Sync(cmd.Context(), engine.SyncRequest{Sites: sites}, a.screen.Report)
				return err
			})
			err = syncOutcome(results, err)
			return a.answer(list(results, err), err, func() error { return a.showSync(results) })
		},
	}
}

// syncOutcome returns the error that results and err come to together.
func syncOutcome(results []engine.SyncResult, err error) error {
	for _, r := range results {
		if !r.InStep && err == nil {
			err = fmt.Errorf("site %s: %w: %s", r.Site, engine.ErrDegraded, r.Error)
		}
	}
	if server.KindOf(err) == server.KindDegraded && len(results) == 0 {
		err = errors.New(err.Error()) // nothing was done
	}
	return err
}

func (a *app) showSync(results []engine.SyncResult) error {
	table := show.Table{Head: []string{"SITE", "STATE", ">OBJECTS", ">MISSING", ">WRONG", ">ADOPTED", ">FAULTS LEFT", "WAITING"}}
	for _, r := range results {
		row := []string{a.style.Bold(r.Site), a.style.Good("in step")}
		if !r.InStep {
			row[1] = a.style.Bad("not in step")
		}
		counts := []int64{r.Listed, r.Missing, r.Wrong, r.Adopted}
		for _, n := range counts {
			text := show.Count(n)
			if r.ComparedAt.IsZero() {
				text = show.None
			}
			row = append(row, text)
		}
		table.Row(append(row, show.Count(int64(r.FaultCount)), waiting(engine.SiteReport{WaitingObjects: r.WaitingObjects, WaitingBytes: r.WaitingBytes}))...)
	}
	if table.Empty() {
		return nil
	}
	if err := table.Write(a.stdout, a.style); err != nil {
		return err
	}
	var b strings.Builder
	for _, r := range results {
		for _, p := range r.Problems {
			fmt.Fprintf(&b, "%s: not taken in: %s\n", r.Site, p)
		}
		for _, f := range r.Faults[:min(len(r.Faults), shownFaults)] {
			fmt.Fprintf(&b, "%s: %s: %s\n", r.Site, f.Object, show.Text(f.Detail))
		}
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

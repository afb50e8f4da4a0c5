package main

import (
	"fmt"
	"maps"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/snapshot"
)

func newSnapshot(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "snapshot [FUNCTION...]",
		Short:   "Make recovery points now",
		GroupID: groupDaily,
		Long: `Snapshot captures the named functions now, all of them when none is named, and
waits until every site holds what was captured.

Exit status 3 when a recovery point was made, but a site lacks it: it is kept
here and sent as soon as the site takes it while the service runs.`,
		Example: `  backupd snapshot
  backupd snapshot payments accounts
  backupd snapshot payments --json | jq '.[0].recovery_point'`,
		ValidArgsFunction: a.functions(0),
		RunE: func(cmd *cobra.Command, functions []string) error {
			var results []snapshot.Result
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				results, err = ops.Snapshot(cmd.Context(), functions, a.screen.Report)
				return err
			})
			err = snapshotOutcome(results, err)
			return a.answer(list(results, err), err, func() error { return a.showSnapshotResults(results) })
		},
	}
}

func (a *app) showSnapshotResults(results []snapshot.Result) error {
	sites := map[string]bool{}
	for _, r := range results {
		for site := range r.Sites {
			sites[site] = true
		}
	}
	names := a.inOrder(maps.Keys(sites))
	table := show.Table{Head: append([]string{"FUNCTION", "SNAPSHOT", "RECOVERY POINT", ">TABLES", ">ROWS", ">RAW", ">NEW", ">STORED", ">TOOK"}, names...)}
	for _, r := range results {
		if r.Snapshot == "" {
			continue
		}
		row := []string{
			a.style.Bold(r.Function), r.Snapshot, show.TimeAgo(r.RecoveryPoint, a.clock.Now()),
			show.Count(int64(len(r.Tables))), show.Count(r.Rows),
			show.Bytes(r.BytesRaw), show.Bytes(r.BytesNew), show.Bytes(r.BytesStored), show.Seconds(r.DurationSeconds),
		}
		for _, site := range names {
			row = append(row, a.style.State(r.Sites[site].State))
		}
		table.Row(row...)
	}
	if !table.Empty() {
		if err := table.Write(a.stdout, a.style); err != nil {
			return err
		}
	}
	return a.showSnapshotNotes(results)
}

func (a *app) showSnapshotNotes(results []snapshot.Result) error {
	for _, r := range results {
		for _, s := range r.Suspect {
			if _, err := fmt.Fprintf(a.stdout, "%s: %s %s; see 'backupd suspect %s'\n", a.style.Bold(r.Function), a.style.Bad("suspect:"), show.Text(s.Detail), r.Function); err != nil {
				return err
			}
		}
		for _, note := range r.Notes {
			if _, err := fmt.Fprintf(a.stdout, "%s: %s\n", r.Function, note); err != nil {
				return err
			}
		}
		if r.Snapshot != "" {
			continue
		}
		// Why, the error says.
		if _, err := fmt.Fprintf(a.stdout, "%s: %s\n", a.style.Bold(r.Function), a.style.Bad("no recovery point was made")); err != nil {
			return err
		}
	}
	return nil
}

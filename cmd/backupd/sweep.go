package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/repository"
)

func newSweep(a *app) *cobra.Command {
	var req engine.SweepRequest
	var rewrite string
	cmd := &cobra.Command{
		Use:     "sweep",
		Short:   "Delete what nobody needs",
		GroupID: groupSpace,
		Long: `Sweep deletes, at every site, the recovery points that were given up longer ago
than the time of grace (sweep.grace), and the packs that no recovery point
needs. Packs of which little is still needed are written anew.

Every site must be in step: when one is away or lacks something, nothing is
deleted anywhere. What a site protects (lock) stays until it is free.

The service does the same by itself, after pruning, every sweep.every.`,
		Example: `  backupd sweep --dry-run
  backupd sweep
  backupd sweep --max-rewrite 20GiB`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("max-rewrite") {
				size, err := config.ParseSize(rewrite)
				if err != nil {
					return usageError(cmd, fmt.Errorf("--max-rewrite %q: %w", rewrite, err))
				}
				bytes := int64(size)
				req.MaxRewrite = &bytes
			}
			var result engine.SweepResult
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				result, err = ops.Sweep(cmd.Context(), req, a.screen.Report)
				return err
			})
			var document any
			if !result.Time.IsZero() {
				document = result
			}
			return a.answer(document, err, func() error { return a.showSwept(result, err) })
		},
	}
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "say what would be done, and stop")
	cmd.Flags().StringVar(&rewrite, "max-rewrite", "", "write at most `SIZE` anew, 0 for nothing (default sweep.max_rewrite)")
	complete(cmd, "max-rewrite")
	return cmd
}

func (a *app) showSwept(r engine.SweepResult, failed error) error {
	nothing := repository.Amount{}
	if failed != nil && r.DeletedCommits == nothing && r.DeletedPacks == nothing {
		return nil // the error says it all
	}
	if r.Time.IsZero() {
		return nil
	}
	table := show.Table{Head: []string{"", ">OBJECTS", ">SIZE", ""}}
	row := func(what string, n repository.Amount, note string) {
		table.Row(what, show.Count(int64(n.Objects)), show.Bytes(n.Bytes), note)
	}
	row("commits deleted", r.DeletedCommits, "of snapshots that were given up, or replaced by newer ones")
	row("packs deleted", r.DeletedPacks, "")
	row("packs needed no more", r.Condemned, "deleted by a sweep after "+show.Seconds(r.GraceSeconds))
	row("packs written anew", r.Rewritten, "of which "+show.Bytes(r.Moved.Bytes)+" was still needed")
	var b strings.Builder
	_ = table.Write(&b, a.style) // writing into memory does not fail
	if r.WaitingSnapshots > 0 {
		fmt.Fprintf(&b, "%s given up and kept for now, the first until %s\n", show.Plural(r.WaitingSnapshots, "snapshot"), show.Time(r.WaitingUntil))
	}
	if r.Locked > 0 {
		fmt.Fprintf(&b, "%s still protected by a site, the last until %s\n", show.Plural(r.Locked, "object"), show.Time(r.LockedUntil))
	}
	if r.DryRun {
		fmt.Fprintln(&b, "This was a dry run: nothing was deleted.")
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

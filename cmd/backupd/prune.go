package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
)

func newPrune(a *app) *cobra.Command {
	var req engine.PruneRequest
	var verbose bool
	cmd := &cobra.Command{
		Use:     "prune [FUNCTION...]",
		Short:   "Give up the recovery points that no rule keeps",
		GroupID: groupSpace,
		Long: `Prune decides which recovery points of the named functions, of all of them when
none is named, the rules of keep ask for, and gives up the others. Each decision
comes with its reason. What is given up stays where it is until its time of
grace is over (sweep.grace) and a sweep deletes it; until then 'backupd hold'
keeps it.

Whatever the rules say, the newest that each site holds, the newest proven,
those that are held and those on their way to a site are kept.

The service does the same by itself every day.

With --lost it gives up, instead, the recovery points that no site and no spool
can give back whole, and says which of their tables are lost. Every site is
asked once more for what is missing: one that cannot be asked keeps them all, and
the exit status is 3. One that is held is kept. The service never does this.`,
		Example: `  backupd prune --dry-run
  backupd prune payments --dry-run --verbose
  backupd prune payments
  backupd prune --lost --dry-run`,
		ValidArgsFunction: a.functions(0),
		RunE: func(cmd *cobra.Command, functions []string) error {
			req.Functions = functions
			var result engine.PruneResult
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				result, err = ops.Prune(cmd.Context(), req, a.screen.Report)
				return err
			})
			var document any
			if err == nil || len(result.Functions) > 0 {
				document = result
			}
			return a.answer(document, err, func() error { return a.showPruned(result, verbose) })
		},
	}
	cmd.Flags().BoolVar(&req.DryRun, "dry-run", false, "say what would be given up, and stop")
	cmd.Flags().BoolVar(&req.Lost, "lost", false, "give up what is lost for good, and nothing else")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "show also what is kept, and why")
	return cmd
}

func (a *app) showPruned(r engine.PruneResult, verbose bool) error {
	var b strings.Builder
	dropped := 0
	for _, f := range r.Functions {
		if r.Lost {
			a.showLostOf(&b, f)
		} else {
			a.showPrunedFunction(&b, r, f, verbose)
		}
		dropped += f.Dropped
	}
	if r.Lost && len(r.Functions) == 0 {
		b.WriteString("No recovery point is lost.\n")
	}
	switch {
	case dropped == 0:
	case r.DryRun:
		fmt.Fprintf(&b, "\nThis was a dry run: nothing was given up.\n")
	default:
		fmt.Fprintf(&b, "\nA sweep deletes them from %s on; until then 'backupd hold' keeps one.\n", show.Time(r.GoesAt))
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// showLostOf shows what is lost of each lost recovery point, and why one is kept
// all the same.
func (a *app) showLostOf(b *strings.Builder, f engine.PrunedFunction) {
	for _, d := range f.Decisions {
		if d.Lost != nil {
			a.showLost(b, *d.Lost)
		}
		if d.Keep {
			fmt.Fprintf(b, "  %-14s %s\n", a.style.Good("kept"), show.Text(strings.Join(d.Reasons, "; ")))
		}
	}
}

func (a *app) showPrunedFunction(b *strings.Builder, r engine.PruneResult, f engine.PrunedFunction, verbose bool) {
	goes := "given up now"
	if r.DryRun {
		goes = "would be given up"
	}
	fmt.Fprintf(b, "%s  %s: %d kept, %d %s", a.style.Bold(f.Function), rules(f), f.Kept, f.Dropped, goes)
	if f.Waiting > 0 {
		fmt.Fprintf(b, ", %d given up earlier", f.Waiting)
	}
	b.WriteByte('\n')
	table := show.Table{Head: []string{"  ", "SNAPSHOT", "RECOVERY POINT", ">AGE", "WHY"}}
	for _, d := range f.Decisions {
		mark := a.style.Good("keep")
		if !d.Keep {
			mark = a.style.Warn("drop")
		}
		if !d.Keep || verbose {
			table.Row("  "+mark, d.Snapshot, show.Time(d.RecoveryPoint), show.Duration(r.Time.Sub(d.RecoveryPoint)), strings.Join(d.Reasons, "; "))
		}
	}
	if !table.Empty() {
		// Writing into memory does not fail.
		_ = table.Write(b, a.style)
	}
}

func rules(f engine.PrunedFunction) string {
	if f.Rules == "" {
		return "no rules, everything is kept"
	}
	return "keep " + f.Rules
}

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/snapshot"
)

func newSnapshots(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "snapshots [FUNCTION]",
		Short:   "List the recovery points",
		GroupID: groupDaily,
		Long: `Snapshots lists the recovery points of a function, of all functions when none
is named, newest first: the moment that each one holds, its size as the source
gave it, what of it was new, what that takes at each site, and for every site
whether it is there and how far it was proven from there. A note says which are
held, and which go when, and why.`,
		Example: `  backupd snapshots
  backupd snapshots payments
  backupd snapshots payments --json | jq -r '.[0].snapshot'`,
		Args:              args(cobra.MaximumNArgs(1)),
		ValidArgsFunction: a.functions(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			function := ""
			if len(names) > 0 {
				function = names[0]
			}
			var points []engine.RecoveryPoint
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				points, err = ops.Snapshots(cmd.Context(), function)
				return err
			})
			return a.answer(list(points, err), err, func() error { return a.showPoints(points, err == nil) })
		},
	}
}

func (a *app) showPoints(points []engine.RecoveryPoint, complete bool) error {
	if len(points) == 0 {
		if !complete {
			return nil
		}
		_, err := fmt.Fprintln(a.stdout, "There is no recovery point yet.")
		return err
	}
	sites := map[string]bool{}
	for _, p := range points {
		for site := range p.Sites {
			sites[site] = true
		}
	}
	names := a.inOrder(maps.Keys(sites))
	head := append([]string{"FUNCTION", "SNAPSHOT", "RECOVERY POINT", ">AGE", ">ROWS", ">RAW", ">NEW", ">STORED"}, names...)
	table := show.Table{Head: head}
	proven := levelsSeen{}
	notes := slices.ContainsFunc(points, func(p engine.RecoveryPoint) bool { return note(p) != "" })
	if notes {
		table.Head = append(table.Head, "NOTE")
	}
	for _, p := range points {
		row := []string{
			a.style.Bold(p.Function), p.Snapshot, show.Time(p.RecoveryPoint), show.Seconds(p.AgeSeconds),
			show.Count(p.Rows), show.Bytes(p.BytesRaw), show.Bytes(p.BytesNew), show.Bytes(p.BytesStored),
		}
		for _, site := range names {
			row = append(row, a.pointAtSite(p.Sites[site], proven))
		}
		if notes {
			row = append(row, a.style.Warn(note(p)))
		}
		table.Row(row...)
	}
	if err := table.Write(a.stdout, a.style); err != nil {
		return err
	}
	if err := a.showShares(points, names); err != nil {
		return err
	}
	return proven.explain(a.stdout, a.style)
}

// showShares says for each function how many of its recovery points that are
// kept were proven from each site, and which is the oldest that never was from
// any.
func (a *app) showShares(points []engine.RecoveryPoint, sites []string) error {
	var b strings.Builder
	for len(points) > 0 {
		function := points[0].Function
		end := slices.IndexFunc(points, func(p engine.RecoveryPoint) bool { return p.Function != function })
		if end < 0 {
			end = len(points)
		}
		b.WriteString("\n" + share(points[:end], sites, a.clock.Now()))
		points = points[end:]
	}
	b.WriteByte('\n')
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// share says it for the points of one function, the newest first.
func share(points []engine.RecoveryPoint, sites []string, now time.Time) string {
	var parts []string
	for _, site := range sites {
		kept, proven := 0, 0
		for _, p := range points {
			if p.Condemned.IsZero() && p.Sites[site].State == snapshot.StateDurable {
				kept++
				if p.Sites[site].Proven {
					proven++
				}
			}
		}
		parts = append(parts, fmt.Sprintf("%d of %d proven from %s", proven, kept, site))
	}
	text := points[0].Function + ": " + strings.Join(parts, ", ")
	for _, p := range slices.Backward(points) {
		unproven := p.Condemned.IsZero()
		for _, at := range p.Sites {
			unproven = unproven && !at.Proven
		}
		if unproven {
			return text + "; the oldest that was proven from none is of " + show.TimeAgo(p.RecoveryPoint, now)
		}
	}
	return text
}

// note says what is decided about a recovery point.
func note(p engine.RecoveryPoint) string {
	fate, doubt := fate(p), doubtOf(p)
	if fate != "" && doubt != "" {
		return doubt + "; " + fate
	}
	return doubt + fate
}

// doubtOf says whether a recovery point looks wrong, or was taken after one that
// does.
func doubtOf(p engine.RecoveryPoint) string {
	switch {
	case p.Cleared != "":
		return "was suspect, judged to be fine: " + p.Cleared
	case len(p.Suspect) > 0:
		var what []string
		for _, s := range p.Suspect {
			what = append(what, s.Detail)
		}
		return "SUSPECT: " + show.Text(strings.Join(what, "; "))
	case p.DoubtfulSince != "":
		return "in doubt since " + p.DoubtfulSince
	default:
		return ""
	}
}

func fate(p engine.RecoveryPoint) string {
	switch {
	case p.Held != "":
		return "held: " + p.Held
	case !p.Condemned.IsZero():
		return "goes on " + show.Time(p.GoesAt) + ": " + p.Reason
	default:
		return ""
	}
}

// pointAtSite shows the state at a site, and how far it was proven there:
// "durable, L5 2h ago".
func (a *app) pointAtSite(p engine.PointAtSite, proven levelsSeen) string {
	if p.State == "" {
		return a.style.Bad("missing")
	}
	text := a.style.State(p.State)
	if p.State == "spooled" && p.Error != "" {
		text += " " + a.style.Bad("(site fails)")
	}
	if p.Proof == nil {
		return text
	}
	proven.add(p.Proof.Level)
	ago := show.Duration(time.Duration(p.Proof.AgeSeconds*float64(time.Second))) + " ago"
	if !p.Proof.Passed {
		return text + ", " + a.style.Bad("proof FAILED") + " " + ago
	}
	return text + ", " + a.style.Good(p.Proof.Level) + " " + ago
}

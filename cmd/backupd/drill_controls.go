package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/controls"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
)

func newDrillControls(a *app) *cobra.Command {
	var req engine.ControlsRequest
	var page bool
	cmd := &cobra.Command{
		Use:   "controls",
		Short: "Plant faults and see whether the verifier turns red",
		Long: `Controls makes a small database of its own on this host and copies of it below a
prefix of a site, which are removed afterwards. The copy is proven first; then
each fault is planted on a fresh copy, and the code that proves recovery points
has to find it at the level that is there for it. Nothing of the repository and
nothing of a source is touched. Where a site lets nothing be removed, a folder of
this host stands in for it, and the result says so.

The service makes a round every drills.controls_every; the last one shows in
'backupd status'.

Exit status 0 only when every planted fault was found where it must be; 1 when
one was missed or the round could not be carried out.

These are the faults; docs/detection.md says what each of them is:

` + controls.Listed(),
		Example: `  backupd drill controls
  backupd drill controls --from cloud --only bit-flip,row-changed
  backupd drill controls --json | jq '.faults[] | select(.red | not)'`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if page && a.json {
				return usageError(cmd, errors.New("--markdown and --json exclude each other"))
			}
			var out evidence.Controls
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				out, err = ops.Controls(cmd.Context(), req, a.screen.Report)
				return err
			})
			err = controlsOutcome(out, err)
			return a.answer(something(out, out.Site != ""), err, func() error {
				if page {
					_, err := fmt.Fprint(a.stdout, controls.Page(out))
					return err
				}
				return a.showControls(out)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.From, "from", "", "put the disposable copies at this `SITE` (default the first one)")
	f.StringSliceVar(&req.Only, "only", nil, "plant these faults alone, by their `ID`s (default all)")
	f.BoolVar(&page, "markdown", false, "print the table of faults as a page, without what changes from round to round")
	a.completeFromConfig(cmd, "from", siteNames)
	complete(cmd, "only", faultIDs()...)
	return cmd
}

func faultIDs() []string {
	var ids []string
	for _, f := range controls.Faults() {
		ids = append(ids, f.ID)
	}
	return ids
}

// controlsOutcome makes sure that a round in which something was missed never
// ends well.
func controlsOutcome(out evidence.Controls, err error) error {
	if err != nil {
		return err
	}
	for _, f := range out.Faults {
		if !f.Red {
			return fmt.Errorf("%w: %s", controls.ErrMissed, f.ID)
		}
	}
	if out.Clean == "" || len(out.Faults) == 0 {
		return controls.ErrVoid
	}
	return nil
}

func (a *app) showControls(c evidence.Controls) error {
	if c.Site == "" {
		return nil
	}
	where := "site " + a.style.Bold(c.Site)
	if c.StandIn != "" {
		where = "a folder of this host, standing in for site " + a.style.Bold(c.Site) + ": " + c.StandIn
	}
	clean := a.style.Bad("NOT PROVEN, so the round says nothing")
	if c.Clean != "" {
		clean = a.style.Good("proven to " + c.Clean)
	}
	if _, err := fmt.Fprintf(a.stdout, "copies at %s\nclean copy %s\n\n", where, clean); err != nil {
		return err
	}
	table := show.Table{Head: []string{"FAULT", "MUST BE CAUGHT AT", "CAUGHT AT", ">TIME"}}
	red := 0
	for _, f := range c.Faults {
		caught := a.style.Bad("MISSED")
		switch {
		case f.Red:
			caught = a.style.Good(f.Caught)
			red++
		case f.Caught != "":
			caught = a.style.Bad(f.Caught)
		}
		table.Row(f.ID, f.Expected, caught, show.Seconds(f.Seconds))
	}
	if err := table.Write(a.stdout, a.style); err != nil {
		return err
	}
	var b strings.Builder
	for _, f := range c.Faults {
		if !f.Red {
			fmt.Fprintf(&b, "%s %s: planted: %s; %s\n", a.style.Bad("MISSED"), f.ID, f.Planted, show.Text(f.Detail))
		}
	}
	for _, n := range c.NotApplicable {
		fmt.Fprintf(&b, "%s\n", a.style.Dim("not planted: "+n.ID+": "+n.Why))
	}
	fmt.Fprintf(&b, "\n%d of %s found where they must be, in %s\n", red, show.Plural(len(c.Faults), "planted fault"), show.Seconds(c.Seconds))
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

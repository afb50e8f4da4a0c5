package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/engine"
)

func newDrillRun(a *app) *cobra.Command {
	var req engine.DrillRequest
	var review string
	var identity string
	cmd := &cobra.Command{
		Use:   "run SCENARIO",
		Short: "Carry out an exercise, or begin one at a table",
		Long: `Run carries out a scenario: one that comes with the program ('backupd drill
list'), or one in a file of your own.

Full-scale restores every function into scratch and proves it, all of them at
once, from one site, begun in the order of their priority. A failover does so
while every other site is refused at the level of the network, in this process
and for what the exercise reads; captures go on. Loss is the age of the recovery
point when the exercise begins, against the RPO; time is of the machine alone,
against the RTO. An exercise at a table touches no system: it is written down as
begun, and told on the screen; 'backupd drill record' takes the answers.

With --technical the part of a scenario of a table is carried out that can be:
a cold start of each function from one site with the escrow's identity, a check
of every promise, an audit of the evidence. A cold start needs another key than
this host's (--identity, or keys.drill_identity_file), and checks of their own
in the functions; else it does not reach L7 and shows nothing.

Everything goes into the evidence log, before and after, and the draft of a review
into data_dir/reviews; --review writes it to a file of your choice, too. Exit status 4 when a
difference was found or an objective missed, 1 when something could not be
carried out, which shows nothing.`,
		Example: `  backupd drill run full-scale --from onsite
  backupd drill run cloud-failover --participants "exercise lead: N. N."
  backupd drill run onsite-fire
  backupd drill run onsite-fire --technical --identity /media/usb/escrow.txt`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: scenarioNames,
		RunE: func(cmd *cobra.Command, given []string) error {
			s, raw, err := scenario(given[0])
			if err != nil {
				return err
			}
			if s.Kind == drill.Tabletop && !req.Technical && review != "" {
				return usageError(cmd, errors.New("--review: an exercise at a table has none before 'backupd drill record' takes the answers"))
			}
			if review != "" {
				if _, err := reviewFormat("", review); err != nil {
					return usageError(cmd, fmt.Errorf("--review %w", err))
				}
			}
			req.Scenario = raw
			if identity != "" {
				if req.Identity, _, err = a.identitiesOf(identity); err != nil {
					return err
				}
			}
			var x *drill.Exercise
			err = a.using(cmd.Context(), func(ops operations) (err error) {
				x, err = ops.RunDrill(cmd.Context(), req, a.screen.Report)
				return err
			})
			if x != nil && review != "" {
				err = errors.Join(err, a.writeReview(cmd.Context(), x, review))
			}
			err = drillOutcome(x, err)
			return a.answer(orNil(x), err, func() error { return a.showRun(s, x) })
		},
	}
	cmd.Flags().StringVar(&req.From, "from", "", "restore everything from this `SITE` alone (default the scenario's)")
	cmd.Flags().BoolVar(&req.Technical, "technical", false, "carry out the technical part of a scenario of a table")
	cmd.Flags().StringVar(&identity, "identity", "", "for cold starts: the escrow's identity `FILE`, - for standard input")
	_ = cmd.MarkFlagFilename("identity")
	cmd.Flags().StringSliceVar(&req.Participants, "participants", nil, "who takes part, as `ROLE` or 'role: name'; several with commas between")
	a.completeFromConfig(cmd, "from", siteNames)
	cmd.Flags().StringVar(&review, "review", "", "write the draft of the review into this `FILE`, too: .html, .md or .json")
	complete(cmd, "participants")
	return cmd
}

// writeReview writes the draft of the review of an exercise into a file.
func (a *app) writeReview(ctx context.Context, x *drill.Exercise, path string) error {
	var v *drill.Review
	err := a.using(ctx, func(ops operations) (err error) {
		v, err = ops.ReviewDrill(ctx, x.ID)
		return err
	})
	if err != nil {
		return err
	}
	form, err := reviewFormat("", path)
	if err != nil {
		return err
	}
	text, err := render(v, form)
	if err == nil {
		err = writeReport(path, text)
	}
	if err == nil {
		x.Review = path
	}
	return err
}

// drillOutcome returns the error that an exercise and err come to together.
func drillOutcome(x *drill.Exercise, err error) error {
	if err != nil || x == nil {
		return err
	}
	switch x.State {
	case drill.StateMissed:
		return fmt.Errorf("exercise %s: %w", x.ID, engine.ErrDifference)
	case drill.StateInconclusive:
		return fmt.Errorf("exercise %s is inconclusive", x.ID)
	}
	return nil
}

// orNil keeps an exercise that is not there out of a document.
func orNil(x *drill.Exercise) any {
	if x == nil {
		return nil
	}
	return x
}

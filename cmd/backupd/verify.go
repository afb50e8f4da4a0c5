package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/selection"
	"github.com/saypro/backupd/internal/verify"
)

func newVerify(a *app) *cobra.Command {
	var req engine.VerifyRequest
	var identity string
	cmd := &cobra.Command{
		Use:     "verify [FUNCTION...]",
		Short:   "Prove recovery points now",
		GroupID: groupDaily,
		Long: `Verify proves a recovery point of the named functions, of all of them when none
is named: the newest, or another by --select or --snapshot. It reads it from one
site alone, restores it into scratch, and checks what comes out. Each level
includes those before it:

` + levelHelp() + `
With --cold a process of its own does all of it with nothing but the site and
the given identity: it rebuilds the catalog, restores and checks, and must be
done within the RTO. That is level L7. Without --identity it takes the one of
keys.drill_identity_file; where there is none, the daemon's own, which cannot
reach L7: that is said at once.

Exit status 4 when a proof found a difference, 1 when one could not be carried
out.`,
		Example: `  backupd verify
  backupd verify payments --from cloud --level L5
  backupd verify payments --select random --from onsite
  backupd verify --snapshot 3f9c2ab1 --level L2
  backupd verify payments --cold --from cloud --identity /media/usb/escrow.txt`,
		ValidArgsFunction: a.functions(0),
		RunE: func(cmd *cobra.Command, functions []string) error {
			req.Functions, req.Level = functions, strings.ToUpper(req.Level)
			if identity != "" {
				var err error
				if req.Identity, _, err = a.identitiesOf(identity); err != nil {
					return err
				}
			}
			var results []verify.Result
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				results, err = ops.Verify(cmd.Context(), req, a.screen.Report)
				return err
			})
			err = verifyOutcome(results, err)
			return a.answer(list(results, err), err, func() error { return a.showProofs(results) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.Snapshot, "snapshot", "", "prove this snapshot, by its `ID` or the beginning of it (default the newest)")
	f.StringVar(&req.Select, "select", "", "choose by this `RULE`: latest, oldest, random or rotation (default latest)")
	f.StringVar(&req.Seed, "seed", "", "of a random choice, to make the same one `TEXT` again (default a new one, which is shown)")
	f.StringVar(&req.From, "from", "", "prove from this `SITE` (default every site, one after the other)")
	f.BoolVar(&req.Cold, "cold", false, "prove as if this host were lost: empty, no catalog, another key")
	f.StringVar(&identity, "identity", "", "with --cold: the escrow's identity `FILE`, - for standard input")
	f.StringVar(&req.Level, "level", "", "how far to go, `L0` to L6; L7 is --cold (default what is configured for the function)")
	a.completeFromConfig(cmd, "from", siteNames)
	complete(cmd, "snapshot")
	complete(cmd, "seed")
	complete(cmd, "select", selectionRules()...)
	complete(cmd, "level", levels()...)
	return cmd
}

func levelHelp() string {
	var b strings.Builder
	for _, level := range verify.Levels {
		fmt.Fprintf(&b, "  %s  %s\n", level, verify.Meaning(level))
	}
	return b.String()
}

func (a *app) showProofs(results []verify.Result) error {
	var b strings.Builder
	for i, r := range results {
		if i > 0 {
			b.WriteByte('\n')
		}
		a.showProof(&b, r)
	}
	left := notProven(results)
	if len(left) > 0 {
		b.WriteByte('\n')
	}
	for _, sentence := range left {
		fmt.Fprintf(&b, "%s\n", a.style.Dim("not proven: "+sentence))
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// notProven lists what the proofs together do not show, each once. That one
// says nothing about other sites goes without saying where several were read.
func notProven(results []verify.Result) []string {
	var left []string
	sites := map[string]bool{}
	for _, r := range results {
		sites[r.Site] = true
	}
	for _, r := range results {
		for _, sentence := range r.NotProven {
			others := strings.HasPrefix(sentence, "any site but ") && len(sites) > 1
			if !others && !slices.Contains(left, sentence) {
				left = append(left, sentence)
			}
		}
	}
	return left
}

func (a *app) showProof(b *strings.Builder, r verify.Result) {
	verdict := a.style.Good(r.Level + " passed")
	switch {
	case r.OwnCheckFailed():
		verdict = a.style.Bad("CHECK FAILED") + " on a copy that is whole, " + reached(r)
	case r.Difference:
		verdict = a.style.Bad("DIFFERENT") + ", " + reached(r)
	case !r.Passed:
		verdict = a.style.Bad("NOT PROVEN") + ", " + reached(r)
	}
	fmt.Fprintf(b, "%s from %s: %s in %s\n", a.style.Bold(r.Function), r.Site, verdict, show.Taken(r.DurationSeconds))
	if r.Snapshot != "" {
		fmt.Fprintf(b, "  recovery point   %s, snapshot %s\n", show.TimeAgo(r.RecoveryPoint, a.clock.Now()), r.Snapshot)
	}
	if r.Key != "" && r.Key != verify.TheDaemons {
		fmt.Fprintf(b, "  cold start       catalog %s, key %s\n", r.Catalog, r.Key)
	}
	if s := r.Selection; s.Population > 0 {
		fmt.Fprintf(b, "  chosen           %s\n", chosen(s))
	}
	if r.Level != "" {
		fmt.Fprintf(b, "  what holds       %s\n", verify.Meaning(r.Level))
	}
	if r.Rows > 0 {
		fmt.Fprintf(b, "  restored         %s rows, %s, into %s\n", show.Count(r.Rows), show.Bytes(r.RestoredBytes), r.Scratch)
	}
	if len(r.Phases) > 0 {
		fmt.Fprintf(b, "  time             %s\n", phases(r.Phases))
	}
	a.showChecks(b, r)
	if r.Error != "" {
		fmt.Fprintf(b, "  %s    %s\n", a.style.Bad("error"), show.Text(r.Error))
	}
}

// chosen says why a recovery point was proven.
func chosen(s verify.Selection) string {
	text := fmt.Sprintf("by the rule %s, of %d, %d of them proven from there before", s.Rule, s.Population, s.Proven)
	if s.Rule == string(selection.Named) {
		text = "by its ID"
	}
	if s.Seed != "" {
		text += ", seed " + s.Seed
	}
	return text
}

func selectionRules() []string {
	var out []string
	for _, rule := range selection.Rules {
		out = append(out, string(rule))
	}
	return out
}

// showChecks shows what is not as it should be, and all of the function's own
// checks.
func (a *app) showChecks(b *strings.Builder, r verify.Result) {
	for _, c := range r.Checks {
		switch {
		case c.Status == verify.Fail:
			fmt.Fprintf(b, "  %s   %s %s: %s\n", a.style.Bad("FAILED"), c.Level, c.Name, show.Text(c.Detail))
		case c.Status == verify.Inconclusive:
			fmt.Fprintf(b, "  %s   %s %s: %s\n", a.style.Bad("OPEN"), c.Level, c.Name, show.Text(c.Detail))
		case c.Status == verify.Skipped:
			fmt.Fprintf(b, "  %s  %s %s: %s\n", a.style.Warn("skipped"), c.Level, c.Name, show.Text(c.Detail))
		case c.Definition != "":
			fmt.Fprintf(b, "  check            %s: %s\n", c.Name, show.Text(c.Detail))
		}
	}
}

func reached(r verify.Result) string {
	if r.Level == "" {
		return "nothing is proven, " + r.RequestedLevel + " was asked for"
	}
	return "reached " + r.Level + " of " + r.RequestedLevel
}

// phases shows where time went, the longest first.
func phases(seconds map[string]float64) string {
	names := slices.SortedFunc(maps.Keys(seconds), func(x, y string) int {
		return cmp.Or(cmp.Compare(seconds[y], seconds[x]), cmp.Compare(x, y))
	})
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = name + " " + show.Taken(seconds[name])
	}
	return strings.Join(parts, ", ")
}

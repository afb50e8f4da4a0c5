package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/repository"
)

func newCatalog(a *app) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:     "catalog",
		Short:   "Bring back a lost catalog",
		Long:    "The catalog is what this host knows of the recovery points. The sites know it too.",
		Example: `  backupd catalog rebuild --from cloud`,
		GroupID: groupSetup,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&from, "from", "", "the `SITE` to rebuild from")
	a.completeFromConfig(cmd, "from", siteNames)
	cmd.AddCommand(newCatalogRebuild(a, &from))
	return cmd
}

func newCatalogRebuild(a *app, from *string) *cobra.Command {
	var req engine.RebuildRequest
	cmd := &cobra.Command{
		Use:   "rebuild --from SITE",
		Short: "Make the catalog of an empty host from what one site holds",
		Long: `Rebuild makes the catalog of a new data_dir from what one site holds: its
commits, and what its packs say of themselves. Neither the old catalog nor
another site is needed, only an identity that opens the repository: the
daemon's or the escrow's, in keys.identity_file.

Recovery points that the site cannot give back whole are named, with the tables
that are lost and those that are not; then the exit status is 3. They are kept
as damaged ones, of which whole tables can be restored. The other sites are
compared object by object when the service runs next: what they lack is copied
to them, and what only they have is taken over.

The evidence goes on where it ended at the sites. Which end of it is this host's
is told by evidence.key_file, so put that back first. Where nothing tells, since
the key is lost and the log has another key after it or lies there twice, say so
with --evidence-key.`,
		Example: `  backupd catalog rebuild --from cloud`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if *from == "" {
				return fmt.Errorf("%w: --from names the site to rebuild from", engine.ErrUsage)
			}
			cfg, err := a.config()
			if err != nil {
				return err
			}
			req.From = *from
			out, err := engine.RebuildAs(cmd.Context(), cfg, req, a.engineOptions(), a.screen.Report)
			return a.answer(out, err, func() error { return a.showRebuilt(out) })
		},
	}
	cmd.Flags().StringVar(&req.EvidenceKey, "evidence-key", "", "the `PUBLIC-KEY` by which you say which evidence is this host's, where nothing else tells")
	complete(cmd, "evidence-key")
	return cmd
}

func (a *app) showRebuilt(r *repository.Rebuilt) error {
	if r == nil {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s in %s are known again, in %s", show.Plural(r.Snapshots, "recovery point"), show.Plural(r.Packs, "pack"), show.Seconds(r.Seconds))
	if q := r.Requests; q != nil {
		fmt.Fprintf(&b, " with %s reads and %s writes, %s received", show.Count(q.Reads), show.Count(q.Writes), show.Bytes(q.Received))
	}
	if r.Evidence > 0 {
		fmt.Fprintf(&b, ", and %s of evidence", show.Plural(r.Evidence, "object"))
	}
	b.WriteByte('\n')
	if r.Records > 0 {
		fmt.Fprintf(&b, "the evidence log goes on behind its %s\n", show.Plural(int(r.Records), "record"))
	}
	for _, l := range r.Lost {
		a.showLost(&b, l)
	}
	for _, p := range r.Damaged {
		fmt.Fprintf(&b, "%s %s\n", a.style.Bad("damaged:"), show.Text(p.String()))
	}
	for _, p := range r.Unasked {
		fmt.Fprintf(&b, "%s site %s could not be asked for what is missing: %s\n", a.style.Warn("!"), p.Object, show.Text(p.Detail))
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// showLost says what of a recovery point is lost, what is whole and who has the
// rest.
func (a *app) showLost(b *strings.Builder, l repository.LostSnapshot) {
	fmt.Fprintf(b, "%s snapshot %s of %s, %s\n", a.style.Bad("lost:"), l.Snapshot, l.Function, show.Time(l.RecoveryPoint))
	line := func(name string, values []string) {
		if len(values) > 0 {
			fmt.Fprintf(b, "  %-14s %s\n", name, strings.Join(values, ", "))
		}
	}
	line("lost tables", l.LostTables)
	line("whole tables", l.WholeTables)
	line("also lost", l.LostStreams)
	line("missing", l.Missing)
	if len(l.Elsewhere) > 0 {
		fmt.Fprintf(b, "  %-14s %s: it comes back when the service runs\n", "all of it at", strings.Join(l.Elsewhere, ", "))
	}
}

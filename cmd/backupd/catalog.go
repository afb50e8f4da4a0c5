package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

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
	cmd := &cobra.Command{
		Use:   "rebuild --from SITE",
		Short: "Make the catalog of an empty host from what one site holds",
		Long: `Rebuild makes the catalog of a new data_dir from what one site holds: its
commits, and what its packs say of themselves. Neither the old catalog nor
another site is needed, only an identity that opens the repository: the
daemon's or the escrow's, in keys.identity_file.

Recovery points that the site cannot give back whole are named and left out;
then the exit status is 3. The other sites are compared object by object when
the service runs next, and what they lack is copied to them.`,
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
			out, err := engine.Rebuild(cmd.Context(), cfg, *from, a.engineOptions(), a.screen.Report)
			return a.answer(out, err, func() error { return a.showRebuilt(out) })
		},
	}
	return cmd
}

func (a *app) showRebuilt(r *repository.Rebuilt) error {
	if r == nil {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d recovery points in %d packs are known again\n", r.Snapshots, r.Packs)
	for _, l := range r.Lost {
		fmt.Fprintf(&b, "lost: snapshot %s of %s needs what the site lacks: %s\n", l.Snapshot, l.Function, strings.Join(l.Missing, ", "))
	}
	for _, p := range r.Damaged {
		fmt.Fprintf(&b, "damaged: %s\n", p)
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/internal/engine"
)

func newSites(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "sites",
		Short:   "Say how every site fares",
		GroupID: groupDaily,
		Long: `Sites says for every site whether it takes its copies, what waits for it, how
far it is behind the others, when all that it holds was last compared, what is
known to be missing or wrong there, and what the requests of this month cost.

Exit status 3 when anything is not as it should be. Without a running service
nobody is in contact with the sites, and what only a contact tells is shown as
unknown.`,
		Example: `  backupd sites
  backupd sites --json | jq '.sites[] | {site, state, waiting_bytes, lag_seconds}'`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var sites engine.Sites
			var document any
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				sites, err = ops.Sites(cmd.Context())
				return err
			})
			if err == nil {
				document = sites
				err = sitesOutcome(sites)
			}
			return a.answer(document, err, func() error { return a.showSites(sites) })
		},
	}
}

// sitesOutcome is an error when a site is not as it should be.
func sitesOutcome(s engine.Sites) error {
	var bad []error
	for _, site := range s.Sites {
		if site.Degraded {
			bad = append(bad, fmt.Errorf("site %s: %s", site.Site, strings.Join(site.Reasons, "; ")))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", engine.ErrDegraded, errors.Join(bad...))
}

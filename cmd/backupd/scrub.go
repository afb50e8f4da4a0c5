package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/engine"
)

func newScrub(a *app) *cobra.Command {
	var req engine.ScrubRequest
	var budget string
	cmd := &cobra.Command{
		Use:     "scrub [SITE...]",
		Short:   "Read what the sites hold, and put right what is wrong",
		GroupID: groupSpace,
		Long: `Scrub reads objects at the named sites, at all of them when none is named, and
compares every byte with what it must be. Without a flag it reads what has not
been read for scrub.every. What is missing or wrong is copied from another site
and read again.

The service does the same by itself, bit by bit, so that each object is read
once within scrub.every.

Exit status 4 when something is wrong and could not be put right, 1 when a site
could not be read, 3 when something was wrong and has been put right.`,
		Example: `  backupd scrub
  backupd scrub cloud --budget 10GiB
  backupd scrub --all --json | jq '.[] | .wrong[]?'`,
		ValidArgsFunction: a.sites(),
		RunE: func(cmd *cobra.Command, sites []string) error {
			if cmd.Flags().Changed("budget") {
				if req.All {
					return usageError(cmd, errors.New("--all and --budget exclude each other"))
				}
				size, err := config.ParseSize(budget)
				if err != nil || size == 0 {
					return usageError(cmd, fmt.Errorf("--budget %q: it is a size such as 10GiB", budget))
				}
				req.Budget = int64(size)
			}
			req.Sites = sites
			var results []engine.ScrubResult
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				results, err = ops.Scrub(cmd.Context(), req, a.screen.Report)
				return err
			})
			return a.answer(list(results, err), err, func() error { return a.showScrubbed(results) })
		},
	}
	cmd.Flags().BoolVar(&req.All, "all", false, "read everything, due or not")
	cmd.Flags().StringVar(&budget, "budget", "", "read at most `SIZE` at each site, what was not read for longest first, due or not")
	complete(cmd, "budget")
	return cmd
}

func (a *app) showScrubbed(results []engine.ScrubResult) error {
	table := show.Table{Head: []string{"SITE", "STATE", ">READ", ">SIZE", ">BAD", ">MISSING", ">PUT RIGHT", ">STILL WRONG", "OLDEST UNREAD"}}
	for _, r := range results {
		table.Row(a.style.Bold(r.Site), a.scrubState(r), show.Count(int64(r.Objects)), show.Bytes(r.Bytes),
			show.Count(int64(r.Bad)), show.Count(int64(r.Missing)), show.Count(int64(r.Mended)), show.Count(int64(len(r.Wrong))),
			a.unread(r.Unread, a.clock.Now()))
	}
	if table.Empty() {
		return nil
	}
	if err := table.Write(a.stdout, a.style); err != nil {
		return err
	}
	var b strings.Builder
	for _, r := range results {
		for _, w := range r.Wrong {
			lost := ""
			if w.Lost {
				lost = a.style.Bad("LOST") + " "
			}
			fmt.Fprintf(&b, "%s: %s%s: %s\n", r.Site, lost, w.Object, show.Text(w.Detail))
			if len(w.Snapshots) > 0 {
				fmt.Fprintf(&b, "    needed by %s\n", strings.Join(w.Snapshots, ", "))
			}
		}
		if r.Error != "" {
			fmt.Fprintf(&b, "%s: %s\n", r.Site, show.Text(r.Error))
		}
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) scrubState(r engine.ScrubResult) string {
	switch {
	case len(r.Wrong) > 0:
		return a.style.Bad("WRONG")
	case r.Error != "":
		return a.style.Bad("not read")
	case r.Mended > 0:
		return a.style.Warn("put right")
	default:
		return a.style.Good("good")
	}
}

// unread says for how long some of what a site holds has not been read.
func (a *app) unread(u engine.SiteUnread, now time.Time) string {
	if u.Oldest.IsZero() {
		return show.None
	}
	text := show.TimeAgo(u.Oldest, now)
	if u.BoundSeconds > 0 {
		text += ", bound " + show.Seconds(u.BoundSeconds)
	}
	if u.Never > 0 {
		text += ", " + show.Plural(u.Never, "object") + " never"
	}
	return text
}

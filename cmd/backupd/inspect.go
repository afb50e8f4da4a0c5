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
	"github.com/saypro/backupd/internal/repository"
)

func newRepository(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "repository",
		Short:   "Look at a single object of the repository",
		Long:    "For a person with a problem: docs/format.md says what the objects are.",
		Example: `  backupd repository inspect p/f4/f4cc9fa4fe2781546c7af728817aad7e1a830a125aa147df33be458b0fc29791`,
		GroupID: groupNight,
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newInspect(a))
	return cmd
}

func newInspect(a *app) *cobra.Command {
	var req engine.InspectRequest
	cmd := &cobra.Command{
		Use:   "inspect OBJECT",
		Short: "Say what an object is, and how its copies are",
		Long: `Inspect reads an object from every site, or the one named, and says what it is,
whether its bytes are right, which key it is sealed with and whether that opens
here, and what it says: of a pack what is in it and which recovery points need
it; of a commit its recovery point with its tables, and the packs that a site
lacks. It shows no key and nothing of anybody's rows, and changes nothing.

OBJECT is the name of an object as errors tell it, the beginning of a pack's
digest, or the ID of a snapshot or the beginning of it.

Exit status 3 when a copy is missing or wrong.`,
		Example: `  backupd repository inspect 24c0a6a1ef79
  backupd repository inspect f4cc9fa4 --from cloud
  backupd repository inspect repo.json --json`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, given []string) error {
			req.Object = given[0]
			var out *repository.Inspection
			err := a.using(cmd.Context(), func(ops operations) (err error) {
				out, err = ops.Inspect(cmd.Context(), req, a.screen.Report)
				return err
			})
			return a.answer(something(out, out != nil), err, func() error {
				if out == nil {
					return nil
				}
				return a.showInspection(out)
			})
		},
	}
	cmd.Flags().StringVar(&req.From, "from", "", "look at this `SITE` only")
	a.completeFromConfig(cmd, "from", siteNames)
	return cmd
}

func (a *app) showInspection(i *repository.Inspection) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s", a.style.Bold(i.Object), i.Kind)
	if !i.Known {
		b.WriteString(", which the catalog does not know")
	}
	if i.SHA256 != "" {
		fmt.Fprintf(&b, "\n  must be %s", i.SHA256)
	}
	if i.Size > 0 {
		fmt.Fprintf(&b, ", %d bytes", i.Size)
	}
	b.WriteByte('\n')
	for _, name := range a.inOrder(maps.Keys(i.Sites)) {
		a.showCopy(&b, name, i.Sites[name], i.SHA256)
	}
	if i.SealedWith != "" {
		opens := a.style.Good("opens here")
		if !i.Opens {
			opens = a.style.Bad("does not open here")
		}
		fmt.Fprintf(&b, "  sealed with key %s, which %s\n", i.SealedWith, opens)
	}
	switch {
	case i.Pack != nil:
		a.showPack(&b, i.Pack, i.From != "")
	case i.Commit != nil:
		a.showCommit(&b, i.Commit)
	case i.Mark != nil:
		showMark(&b, i.Mark)
	case i.Evidence != nil:
		fmt.Fprintf(&b, "  records %d to %d of the log of evidence %s, in the clear\n", i.Evidence.First, i.Evidence.Last, i.Evidence.Log)
	case i.Wrapped != nil:
		a.showWrapped(&b, i)
	case i.Repository != nil:
		showConfig(&b, i.Repository)
	}
	if i.Problem != "" {
		fmt.Fprintf(&b, "%s %s\n", a.style.Bad("!"), show.Text(i.Problem))
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) showCopy(b *strings.Builder, site string, c repository.InspectedCopy, want string) {
	state := c.State
	switch {
	case c.State == repository.CopyRight:
		state = a.style.Good(state)
	case !c.Good():
		state = a.style.Bad(state)
	}
	fmt.Fprintf(b, "  site %s: %s", site, state)
	if c.Size > 0 {
		fmt.Fprintf(b, ", %d bytes", c.Size)
	}
	if c.SHA256 != want && c.SHA256 != "" {
		fmt.Fprintf(b, " with the digest %s", c.SHA256)
	}
	if c.Waiting {
		b.WriteString(", waits to be sent there")
	}
	if !c.Read.IsZero() {
		fmt.Fprintf(b, ", last known to be right %s", show.Time(c.Read))
	}
	if !c.LockedUntil.IsZero() {
		fmt.Fprintf(b, ", protected until %s", show.Time(c.LockedUntil))
	}
	for _, more := range []string{c.Fault, c.Error} {
		if more != "" {
			fmt.Fprintf(b, ": %s", show.Text(more))
		}
	}
	b.WriteByte('\n')
}

func (a *app) showPack(b *strings.Builder, p *repository.InspectedPack, found bool) {
	for _, c := range p.Chunks {
		fmt.Fprintf(b, "  %s chunks of %s, %s as stored (%.1f to 1): %s\n",
			show.Count(int64(c.Count)), show.Bytes(c.Raw), show.Bytes(c.Stored), float64(c.Raw)/float64(max(c.Stored, 1)), c.Kind)
	}
	switch {
	case p.Lost && found: // since a rebuild from another site, or put back by hand
		b.WriteString("  counts as lost, and is there: 'backupd sync' takes it in again\n")
	case p.Lost:
		fmt.Fprintf(b, "  %s: no site and no spool has it\n", a.style.Bad("lost"))
	case p.Deleting:
		fmt.Fprintf(b, "  is being deleted; nobody needs it since %s\n", show.Time(p.Condemned))
	case !p.Condemned.IsZero():
		fmt.Fprintf(b, "  nobody needs it since %s; a sweep deletes it\n", show.Time(p.Condemned))
	}
	if len(p.Snapshots) == 0 {
		b.WriteString("  no recovery point needs it\n")
	}
	for _, s := range p.Snapshots {
		fmt.Fprintf(b, "  needed by %s of %s, snapshot %s\n", s.Function, show.Time(s.RecoveryPoint), s.Snapshot)
	}
}

func (a *app) showCommit(b *strings.Builder, c *repository.InspectedCommit) {
	fmt.Fprintf(b, "  number %d of writer %s, %s", c.Sequence, c.Writer, show.Time(c.Time))
	if c.Previous != "" {
		fmt.Fprintf(b, ", after %s", c.Previous)
	}
	b.WriteByte('\n')
	for _, s := range c.Snapshots {
		fmt.Fprintf(b, "\n%s of %s, snapshot %s (%s): %s rows, %s in %d packs of %s\n", a.style.Bold(s.Function), show.Time(s.RecoveryPoint),
			s.Snapshot, s.Engine, show.Count(s.Rows), show.Bytes(s.BytesRaw), s.Packs, show.Bytes(s.PackBytes))
		if s.ReplacedBy != "" {
			fmt.Fprintf(b, "  another commit has taken its place: %s\n", s.ReplacedBy)
		}
		table := show.Table{Head: []string{"  TABLE", ">ROWS", ">SIZE", "DIGEST"}}
		for _, t := range s.Tables {
			table.Row("  "+t.Name, show.Count(t.Rows), show.Bytes(t.Bytes), t.Digest)
		}
		for _, name := range slices.Sorted(maps.Keys(s.Streams)) {
			table.Row("  ("+name+")", "", show.Bytes(s.Streams[name]), "")
		}
		// Writing into memory does not fail.
		_ = table.Write(b, a.style)
		a.showMissing(b, s)
	}
}

// showMissing shows which packs of a snapshot sites lack; of many the first.
func (a *app) showMissing(b *strings.Builder, s repository.InspectedSnapshot) {
	const most = 20
	for _, site := range a.inOrder(maps.Keys(s.Missing)) {
		missing := s.Missing[site]
		if len(missing) == 0 {
			fmt.Fprintf(b, "  site %s: %s\n", site, a.style.Good("every pack is there, in the right size"))
			continue
		}
		fmt.Fprintf(b, "  site %s: %s\n", site, a.style.Bad(fmt.Sprintf("%d of %d packs are missing or of another size", len(missing), s.Packs)))
		for n, name := range missing {
			if n == most {
				fmt.Fprintf(b, "    and %d more\n", len(missing)-most)
				break
			}
			fmt.Fprintf(b, "    %s\n", name)
		}
	}
	for _, site := range a.inOrder(maps.Keys(s.Unasked)) {
		fmt.Fprintf(b, "  site %s: %s\n", site, a.style.Bad(show.Text(s.Unasked[site])))
	}
}

func showMark(b *strings.Builder, m *repository.InspectedMark) {
	fmt.Fprintf(b, "  number %d of writer %s, %s\n", m.Sequence, m.Writer, show.Time(m.Time))
	if m.Hold != "" {
		fmt.Fprintf(b, "  snapshot %s is %s\n", m.Hold, cmp.Or(prefixed("held: ", show.Text(m.Reason)), "let go of"))
	}
	if m.Key != "" {
		fmt.Fprintf(b, "  key %s is in use from then on\n", m.Key)
	}
	for _, id := range slices.Sorted(maps.Keys(m.Snapshots)) {
		fmt.Fprintf(b, "  snapshot %s is given up: %s\n", id, show.Text(m.Snapshots[id]))
	}
	for _, name := range m.Commits {
		fmt.Fprintf(b, "  %s is replaced by another\n", name)
	}
	for _, name := range m.Packs {
		fmt.Fprintf(b, "  nobody needs %s\n", name)
	}
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func (a *app) showWrapped(b *strings.Builder, i *repository.Inspection) {
	k := i.Wrapped
	fmt.Fprintf(b, "  key %s, wrapped for %d recipients", k.ID, k.Recipients)
	if k.Current {
		b.WriteString("; what is new is sealed with it")
	}
	if k.Names {
		b.WriteString("; it names chunks")
	}
	b.WriteByte('\n')
	for _, r := range k.OpenedBy {
		fmt.Fprintf(b, "  opened by %s of this host\n", r)
	}
	if len(k.OpenedBy) == 0 {
		fmt.Fprintf(b, "  %s\n", a.style.Warn("no identity of this host opens this copy of it"))
	}
}

func showConfig(b *strings.Builder, c *repository.InspectedConfig) {
	fmt.Fprintf(b, "  repository %s of format %d, made %s, chunks by %s, rows by %s, named with key %s\n",
		c.ID, c.Format, show.Time(c.Created), c.Chunking, c.RowHash, c.Key)
	if !c.Ours {
		b.WriteString("  it is not the repository that the catalog knows\n")
	}
	for what, names := range map[string][]string{"write": c.Write, "delete": c.Delete, "check": c.Check} {
		if len(names) > 0 {
			fmt.Fprintf(b, "  to %s a program must know %s\n", what, strings.Join(names, ", "))
		}
	}
}

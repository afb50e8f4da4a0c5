package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/repository"
)

func (a *app) showKeys(list engine.KeyList) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Repository %s\n\n", a.style.Bold(list.Repository))
	table := show.Table{Head: []string{"KEY", "STATE", "SINCE", ">PACKS", ">SIZE", ">RECIPIENTS", "OPENED BY"}}
	for _, k := range list.Keys {
		table.Row(a.style.Bold(k.ID), a.keyState(k), since(k.Since), show.Count(int64(k.Packs)), show.Bytes(k.Bytes),
			show.Count(int64(k.Recipients())), a.openers(k, list))
	}
	// Writing into memory does not fail.
	_ = table.Write(&b, a.style)
	fmt.Fprintf(&b, "\n  this host  %s (%s)\n", strings.Join(list.Daemon, ", "), list.IdentityFile)
	for _, r := range list.Escrow {
		fmt.Fprintf(&b, "  escrow     %s\n", r)
	}
	for _, t := range list.EscrowTests {
		outcome := a.style.Good("opened everything")
		if failed := slices.ContainsFunc(slices.Collect(maps.Values(t.Sites)), func(s repository.EscrowSite) bool { return !s.Passed }); failed {
			outcome = a.style.Bad("did NOT open everything")
		} else if len(t.Untested) > 0 {
			outcome = a.style.Warn("opened everything at " + strings.Join(a.inOrder(maps.Keys(t.Sites)), ", ") + ", never tried at " + strings.Join(t.Untested, ", "))
		}
		fmt.Fprintf(&b, "  tested     %s %s: %s\n", show.Time(t.At), strings.Join(t.Recipients, ", "), outcome)
	}
	b.WriteByte('\n')
	for _, w := range list.Warnings {
		fmt.Fprintf(&b, "%s %s\n", a.style.Warn("!"), show.Text(w))
	}
	fmt.Fprintf(&b, "%s\n", a.style.Bold(sentence(list.IfLost)))
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// sentence makes a sentence of a clause.
func sentence(clause string) string {
	if clause == "" {
		return ""
	}
	return strings.ToUpper(clause[:1]) + clause[1:] + "."
}

func since(t time.Time) string {
	if t.IsZero() {
		return "never used"
	}
	return show.Time(t)
}

func (a *app) keyState(k repository.KeyInfo) string {
	var parts []string
	if k.Current {
		parts = append(parts, a.style.Good("current"))
	}
	if k.Names {
		parts = append(parts, "names chunks")
	}
	if !k.Opens {
		parts = append(parts, a.style.Bad("CLOSED"))
	}
	if len(parts) == 0 {
		return "reads what is older"
	}
	return strings.Join(parts, ", ")
}

// openers names who of this host's identities opens a key.
func (a *app) openers(k repository.KeyInfo, list engine.KeyList) string {
	var out []string
	seen := map[string]bool{}
	for _, w := range k.Wraps {
		for _, r := range w.OpenedBy {
			if seen[r] {
				continue
			}
			seen[r] = true
			name := r
			for _, own := range list.Daemon {
				if own == r {
					name = "this host"
				}
			}
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return a.style.Bad("nobody here")
	}
	return strings.Join(out, ", ")
}

func (a *app) showKeyAdded(out engine.KeyAddResult) error {
	var b strings.Builder
	for _, name := range out.Objects {
		fmt.Fprintf(&b, "wrapped for %s: %s\n", strings.Join(out.Recipients, ", "), name)
	}
	return a.showAtSites(&b, out.Sites, out.Notes)
}

func (a *app) showKeyRotated(out engine.KeyRotateResult) error {
	var b strings.Builder
	switch out.Key {
	case "":
		return nil
	case out.Before:
		fmt.Fprintf(&b, "key %s stays in use\n", a.style.Bold(out.Key))
	default:
		fmt.Fprintf(&b, "key %s is in use from now on; it was %s\n", a.style.Bold(out.Key), out.Before)
	}
	return a.showAtSites(&b, out.Sites, out.Notes)
}

// showAtSites ends an answer with who has the wrapped keys, and what else to
// know.
func (a *app) showAtSites(b *strings.Builder, sites map[string]engine.PointAtSite, notes []string) error {
	for _, name := range a.inOrder(maps.Keys(sites)) {
		s := sites[name]
		fmt.Fprintf(b, "  site %s: %s", name, a.style.State(s.State))
		if s.Error != "" {
			fmt.Fprintf(b, ": %s", show.Text(s.Error))
		}
		b.WriteByte('\n')
	}
	for _, n := range notes {
		fmt.Fprintf(b, "%s %s\n", a.style.Warn("!"), show.Text(n))
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) showEscrowTest(out repository.EscrowTest) error {
	var b strings.Builder
	for _, name := range a.inOrder(maps.Keys(out.Sites)) {
		s := out.Sites[name]
		if !s.Passed {
			fmt.Fprintf(&b, "%s  site %s: %s\n", a.style.Bad("FAILED"), name, show.Text(s.Error))
			continue
		}
		what := fmt.Sprintf("%d keys, the newest recovery point (%s), %d chunks", len(s.Keys), s.Snapshot, s.Chunks)
		if s.Note != "" {
			what = s.Note
		}
		fmt.Fprintf(&b, "%s  site %s: it opens %s\n", a.style.Good("ok    "), name, what)
	}
	if len(out.Sites) > 0 {
		b.WriteString("Now take the file away from this host again.\n")
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

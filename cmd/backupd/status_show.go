package main

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/schedule"
)

func (a *app) showStatus(s engine.Status) error {
	if s.Time.IsZero() {
		return nil // there was no answer
	}
	var b strings.Builder
	if !s.Serving {
		fmt.Fprintf(&b, "%s: nothing is captured until 'backupd serve' runs.\n\n", a.style.Bad("No service is running"))
	}
	proven := levelsSeen{}
	for _, f := range s.Functions {
		a.showFunction(&b, s, f, proven)
	}
	for _, site := range s.Sites {
		a.showSite(&b, s, site)
	}
	a.showRest(&b, s)
	for _, w := range s.Warnings {
		fmt.Fprintf(&b, "%s %s\n", a.style.Warn("!"), show.Text(w))
	}
	if err := proven.explain(&b, a.style); err != nil {
		return err
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// showRest shows what belongs to no function and to no one site.
func (a *app) showRest(b *strings.Builder, s engine.Status) {
	fmt.Fprintf(b, "spool  %s\n", a.spool(s.Spool))
	if u := s.Upkeep; u != nil {
		fmt.Fprintf(b, "last prune %s, last sweep %s, next of both %s\n", a.lastRun(u.LastPrune, s), a.lastRun(u.LastSweep, s), a.nextUpkeep(u, s))
	}
	fmt.Fprintf(b, "negative controls  %s\n", a.controlled(s.Controls))
	fmt.Fprintf(b, "evidence anchored  %s\n", a.anchored(s.Anchors))
	for _, reason := range s.Reasons {
		fmt.Fprintf(b, "%s %s\n", a.style.Bad("!"), show.Text(reason))
	}
}

// nextUpkeep says when the service prunes and sweeps next.
func (a *app) nextUpkeep(u *engine.Upkeep, s engine.Status) string {
	switch {
	case !s.Serving:
		return "when a service runs"
	case u.Next.IsZero():
		return "now"
	default:
		return a.due(u.Next, s)
	}
}

// anchored says when the evidence was last anchored, by to whom.
func (a *app) anchored(all []engine.AnchorStatus) string {
	var out []string
	for _, to := range all {
		when := show.Seconds(to.AgeSeconds) + " ago"
		switch to.State {
		case engine.StateLate:
			when = a.style.Bad(when)
		case engine.StateUnknown:
			when = a.style.Warn("never")
		}
		out = append(out, show.Text(to.To)+" "+when)
	}
	return strings.Join(out, ", ")
}

// controlled says what the last round of negative controls says of the verifier.
func (a *app) controlled(c engine.ControlsStatus) string {
	found := fmt.Sprintf("%d of %d planted faults found %s", c.Red, c.Planted, show.Seconds(c.AgeSeconds)+" ago")
	switch c.State {
	case engine.StateGood:
		return a.style.Good("good") + ", " + found
	case engine.StateMissed:
		return a.style.Bad("MISSED") + ", " + found
	case engine.StateFailed:
		return a.style.Bad("FAILED") + " " + show.Seconds(c.AgeSeconds) + " ago"
	case engine.StateLate:
		return a.style.Warn("late") + ", " + found
	default:
		return a.style.Warn("never made")
	}
}

// whyProof says why the next proof comes when it is not its turn.
func whyProof(f engine.FunctionStatus) string {
	if f.NextProofReason != schedule.DueSchema {
		return ""
	}
	return " (definitions changed that no proof has restored)"
}

func (a *app) lastRun(r *engine.Run, s engine.Status) string {
	switch {
	case r == nil:
		return "never"
	case r.Error != "":
		return a.style.Bad("FAILED") + " " + show.Ago(r.Started, s.Time)
	default:
		return show.Ago(r.Started, s.Time)
	}
}

func (a *app) showFunction(b *strings.Builder, s engine.Status, f engine.FunctionStatus, proven levelsSeen) {
	state := a.style.State(f.State)
	if f.State == engine.StateGood && f.Degraded {
		state = a.style.Warn("degraded")
	}
	fmt.Fprintf(b, "%s  %s: %s\n", a.style.Bold(f.Function), state, a.exposure(f))
	table := show.Table{Head: []string{"  SITE", "STATE", ">EXPOSURE", "RECOVERY POINT", "PROVEN", ">PROVEN EXPOSURE"}}
	for _, name := range a.inOrder(maps.Keys(f.Sites)) {
		at := f.Sites[name]
		table.Row("  "+name, a.style.State(at.State), show.OptionalSeconds(at.ExposureSeconds),
			show.Time(at.RecoveryPoint), a.proof(at.Proof, proven), show.OptionalSeconds(at.ProvenExposureSeconds))
	}
	// Writing into memory does not fail.
	_ = table.Write(b, a.style)
	fmt.Fprintf(b, "  next run %s, next proof %s%s\n", a.due(f.NextRun, s), a.due(f.NextProof, s), whyProof(f))
	fmt.Fprintf(b, "  %s\n", a.provenShare(f, s))
	for _, name := range a.inOrder(maps.Keys(f.Sites)) {
		if cold := f.Sites[name].ColdStart; cold != nil {
			fmt.Fprintf(b, "  last cold start from %s: %s\n", name, a.cold(cold, proven))
		}
	}
	if f.Running != "" {
		fmt.Fprintf(b, "  a snapshot is running: %s\n", f.Running)
	}
	for _, what := range f.Unwatched {
		fmt.Fprintf(b, "  suspicion %s: %s\n", a.style.Warn("not known yet"), show.Text(what))
	}
	for _, reason := range f.Reasons {
		fmt.Fprintf(b, "  %s %s\n", a.style.Bad("!"), show.Text(reason))
	}
	for _, warning := range f.Warnings {
		fmt.Fprintf(b, "  %s %s\n", a.style.Warn("!"), show.Text(warning))
	}
	b.WriteByte('\n')
}

// exposure says how old the newest recovery point is, and how long the promise
// still holds.
func (a *app) exposure(f engine.FunctionStatus) string {
	rpo := "RPO " + show.Seconds(f.RPOSeconds)
	if f.ExposureAnySeconds == nil || f.MarginSeconds == nil {
		return "no recovery point, " + rpo
	}
	margin := show.Seconds(*f.MarginSeconds) + " left"
	if *f.MarginSeconds < 0 {
		margin = a.style.Bad("exceeded by " + show.Seconds(-*f.MarginSeconds))
	}
	return show.Seconds(*f.ExposureAnySeconds) + " of " + rpo + ", " + margin
}

// provenShare says how many of the recovery points that are kept were proven.
func (a *app) provenShare(f engine.FunctionStatus, s engine.Status) string {
	text := fmt.Sprintf("%d of %s proven from some site", f.ProvenPoints, show.Plural(f.KeptPoints, "recovery point"))
	if !f.OldestUnproven.IsZero() {
		text += ", the oldest that never was is " + show.TimeAgo(f.OldestUnproven, s.Time)
	}
	return text
}

// proof shows the last proof in a few words: its level and its age.
func (a *app) proof(p *engine.Proof, proven levelsSeen) string {
	if p == nil {
		return a.style.Warn("never")
	}
	proven.add(p.Level)
	ago := show.Seconds(p.AgeSeconds) + " ago"
	if !p.Passed {
		return a.style.Bad("FAILED") + " " + ago
	}
	return a.style.Good(p.Level) + " " + ago
}

// cold shows the last cold start. One that did not reach L7 may have come far.
func (a *app) cold(p *engine.Proof, proven levelsSeen) string {
	if p.Passed || p.Level == "" {
		return a.proof(p, proven)
	}
	proven.add(p.Level)
	return a.style.Warn("reached "+p.Level) + " " + show.Seconds(p.AgeSeconds) + " ago"
}

// due says when something is planned; one that is overdue waits for its turn.
func (a *app) due(t time.Time, s engine.Status) string {
	switch {
	case t.IsZero():
		return "not planned"
	case t.Before(s.Time):
		return "due"
	default:
		return show.Ago(t, s.Time)
	}
}

func (a *app) showSite(b *strings.Builder, s engine.Status, site engine.SiteStatus) {
	state := a.style.Warn("no contact yet")
	if site.Reachable != nil && *site.Reachable {
		state = a.style.Good("reachable")
	} else if site.Reachable != nil {
		state = a.style.Bad("NOT REACHABLE")
	}
	fmt.Fprintf(b, "site %s (%s)  %s", a.style.Bold(site.Site), site.Kind, state)
	if site.QueuedObjects > 0 {
		fmt.Fprintf(b, ", %s waiting, %s", show.Plural(int(site.QueuedObjects), "object"), show.Bytes(site.QueuedBytes))
	}
	if site.LagSeconds == nil {
		fmt.Fprintf(b, ", no recovery point of %s", site.LagFunction)
	} else if *site.LagSeconds > 0 {
		fmt.Fprintf(b, ", %s behind in %s", show.Seconds(*site.LagSeconds), site.LagFunction)
	}
	if site.FaultCount > 0 {
		fmt.Fprintf(b, ", %s", a.style.Bad(show.Plural(site.FaultCount, "object")+" missing or wrong"))
	}
	if site.Error != "" {
		fmt.Fprintf(b, ": %s", show.Text(site.Error))
	}
	if !site.LastContact.IsZero() && site.Error != "" {
		fmt.Fprintf(b, "; last contact %s", show.TimeAgo(site.LastContact, s.Time))
	}
	b.WriteByte('\n')
}

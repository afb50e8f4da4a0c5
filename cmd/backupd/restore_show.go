package main

import (
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/restore"
)

// showPlan writes a plan to w.
func (a *app) showPlan(w io.Writer, p restore.Plan, req restore.Request) error {
	var b strings.Builder
	since := "now"
	if !req.At.IsZero() {
		since = "the time asked for, " + show.Time(req.At)
	}
	fmt.Fprintf(&b, "Restore %s into %s\n\n", a.style.Bold(p.Function), a.style.Bold(p.To))
	if p.Refused != "" {
		fmt.Fprintf(&b, "  %s         %s\n\n", a.style.Bad("REFUSED"), p.Refused)
	}
	fmt.Fprintf(&b, "  recovery point  %s, snapshot %s\n", show.TimeAgo(p.RecoveryPoint, a.clock.Now()), p.Snapshot)
	fmt.Fprintf(&b, "  expected loss   %s: what was written between the recovery point and %s\n", a.style.Bold(show.Taken(p.ExpectedLossSeconds)), since)
	fmt.Fprintf(&b, "  expected time   %s\n", a.expectedTime(p))
	fmt.Fprintf(&b, "  data            %s, %s rows, %s; %s to fetch\n",
		show.Plural(len(p.Tables), "table"), show.Count(p.Rows), show.Bytes(p.BytesRaw), show.Bytes(p.BytesToFetch))
	fmt.Fprintf(&b, "  sites           %s\n", strings.Join(p.SiteOrder, ", then "))
	proof := p.Proof
	if proof == "" {
		proof = a.style.Warn("never proven")
	}
	fmt.Fprintf(&b, "  proof           %s\n", proof)
	if len(p.Steps) > 0 {
		b.WriteString("\nSteps\n")
	}
	for i, step := range p.Steps {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, step)
	}
	if len(p.Notes) > 0 {
		b.WriteString("\nTo know before\n")
	}
	for _, note := range p.Notes {
		fmt.Fprintf(&b, "  - %s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// expectedTime says how long a restore should take, and how anybody knows.
func (a *app) expectedTime(p restore.Plan) string {
	span, basis := show.Seconds(p.ExpectedDurationSeconds), p.DurationBasis
	if p.ExpectedDurationSeconds == 0 {
		span = a.style.Warn("unknown")
	}
	if basis == "" && p.DurationMeasured {
		basis = "measured"
	}
	if basis == "" {
		basis = "a guess"
	}
	if !p.DurationMeasured {
		basis = a.style.Warn(basis)
	}
	return span + ", " + basis
}

// showRestored says what a restore has done, or how far it came. One that is not
// on record was done all the same.
func (a *app) showRestored(r restore.Result, err error) error {
	if r.Function == "" {
		return nil // nothing was begun
	}
	var b strings.Builder
	done := err == nil || r.Unrecorded != "" && exitStatus(err) == statusDegraded
	if done {
		fmt.Fprintf(&b, "%s is restored into %s in %s\n\n", a.style.Bold(r.Function), a.style.Bold(r.To), show.Taken(r.DurationSeconds))
	} else {
		fmt.Fprintf(&b, "%s was %s restored", a.style.Bold(r.Function), a.style.Bad("NOT"))
		if r.To != "" {
			fmt.Fprintf(&b, " into %s", r.To)
		}
		b.WriteString("\n\n")
	}
	if r.Snapshot != "" {
		fmt.Fprintf(&b, "  recovery point  %s, snapshot %s\n", show.TimeAgo(r.RecoveryPoint, a.clock.Now()), r.Snapshot)
	}
	if r.Snapshot != "" && done {
		fmt.Fprintf(&b, "  lost            what was written in the %s after it\n", show.Taken(r.LossSeconds))
	}
	if done || r.Rows > 0 {
		fmt.Fprintf(&b, "  data            %s, %s rows, %s; %s fetched\n",
			show.Plural(len(r.Tables), "table"), show.Count(r.Rows), show.Bytes(r.BytesRaw), show.Bytes(r.BytesFetched))
	}
	for _, site := range a.inOrder(maps.Keys(r.Sites)) {
		fmt.Fprintf(&b, "  from %-10s %s\n", site, show.Bytes(r.Sites[site].Bytes))
	}
	if len(r.Phases) > 0 {
		fmt.Fprintf(&b, "  time            %s\n", phases(r.Phases))
	}
	if r.KeptDatabase != "" {
		fmt.Fprintf(&b, "  kept            the database that was replaced, as %s; drop it when it is no longer needed\n", a.style.Bold(r.KeptDatabase))
	}
	a.showRestoredDetails(&b, r)
	if done && r.Unrecorded != "" {
		fmt.Fprintf(&b, "  %s   the database is complete and can be used, but nothing says yet, for an auditor to check, that it was restored;\n"+
			"                  that is put on record as soon as something can be. Why, and what to do, is said below\n", a.style.Warn("NOT ON RECORD"))
	}
	_, err = fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) showRestoredDetails(b *strings.Builder, r restore.Result) {
	var equal []string
	structure := 0
	for _, c := range r.Checks {
		switch {
		case !c.Passed:
			fmt.Fprintf(b, "  %s          %s %s: %s\n", a.style.Bad("FAILED"), c.Level, c.Name, c.Detail)
		case strings.HasPrefix(c.Name, restore.StructureCheck):
			structure++
		default:
			equal = append(equal, c.Name+": "+c.Detail)
		}
	}
	if structure > 0 {
		equal = append(equal, "structure: "+show.Plural(structure, "kind")+" of objects equal")
	}
	for i, text := range equal {
		fmt.Fprintf(b, "  %-15s %s\n", []string{"checked", ""}[min(i, 1)], text)
	}
	for _, f := range r.FallThroughs {
		b.WriteString(a.fallThrough(f))
	}
	for _, reference := range r.OutsideReferences {
		fmt.Fprintf(b, "  %s    %s\n", a.style.Warn("not restored"), reference)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(b, "  note            %s\n", note)
	}
}

// fallThrough says what a site could not give, and where it came from instead.
func (a *app) fallThrough(f restore.FallThrough) string {
	then := "no other site was left to ask"
	if f.Then != "" {
		then = "asked " + f.Then + " instead"
	}
	if f.Unreachable {
		return fmt.Sprintf("  %s   site %s: %s; %s\n", a.style.Warn("not reachable"), f.Site, f.Reason, then)
	}
	return fmt.Sprintf("  %s         %s at %s: %s; %s\n", a.style.Warn("damaged"), f.Object, f.Site, f.Reason, then)
}

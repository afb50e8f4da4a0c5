package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
)

// shownViolations is how many violations of a function are shown; --json has
// all.
const shownViolations = 4

func (a *app) showObjectives(o engine.Objectives) error {
	if o.Time.IsZero() {
		return nil // there was no answer
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s", show.Time(o.From), show.Time(o.To))
	switch {
	case o.Evidence.IsZero():
		fmt.Fprintf(&b, "; %s\n\n", a.style.Bad("the evidence log has no record"))
	case o.Evidence.After(o.From):
		fmt.Fprintf(&b, "; %s\n\n", a.style.Warn("no record before "+show.Time(o.Evidence)))
	default:
		b.WriteString("\n\n")
	}
	for _, f := range o.Functions {
		a.showPromises(&b, f)
		a.showOutlook(&b, f.Outlook, o.Time)
		for _, reason := range f.Reasons {
			fmt.Fprintf(&b, "  %s %s\n", a.style.Bad("!"), show.Text(reason))
		}
		b.WriteByte('\n')
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) showPromises(b *strings.Builder, f engine.FunctionObjectives) {
	fmt.Fprintf(b, "%s  %s\n", a.style.Bold(f.Function), a.kept(f))
	for i, p := range f.Policies {
		if i == 0 && len(f.Policies) == 1 {
			fmt.Fprintf(b, "  %s\n", promise(p))
			continue
		}
		fmt.Fprintf(b, "  from %s: %s\n", show.Time(p.From), promise(p))
	}
	if len(f.Views) == 0 {
		return
	}
	table := show.Table{Head: []string{"  EXPOSURE", ">KEPT", ">MAXIMUM", ">P99", ">BROKEN FOR", ">VIOLATIONS"}}
	for _, v := range f.Views {
		table.Row("  "+viewName(v), a.share(v), a.maximum(v), optionalP99(v), brokenFor(v), fmt.Sprint(len(v.Violations)))
	}
	// Writing into memory does not fail.
	_ = table.Write(b, a.style)
	for _, v := range f.Views {
		if v.Scope == "all" && !v.NewTo.IsZero() {
			fmt.Fprintf(b, "  %s new: no recovery point at every site until %s, judged from %s on\n", a.style.Warn("!"), show.Time(v.NewTo), show.Time(v.NewFrom))
		}
	}
	a.showViolations(b, f)
}

// kept says in a word or two what became of the promises about what is durable.
func (a *app) kept(f engine.FunctionObjectives) string {
	switch {
	case f.Since.IsZero():
		return a.style.Bad("NOT JUDGED") + ": " + show.Text(f.Unjudged)
	case f.Violated:
		return a.style.Bad("VIOLATED") + " in this period"
	case !slices.ContainsFunc(f.Views, func(v engine.ExposureView) bool { return !v.Proven && v.MaximumSeconds > 0 }):
		return a.style.Warn("new") + ": no recovery point yet"
	default:
		return a.style.Good("kept") + " since " + show.Time(f.Since)
	}
}

func promise(p engine.PolicyInForce) string {
	text := "RPO " + show.Seconds(p.RPOSeconds) + ", RTO " + show.Seconds(p.RTOSeconds)
	if p.ProveEverySeconds > 0 {
		text += ", a proof every " + show.Seconds(p.ProveEverySeconds)
	}
	return text + ", at " + strings.Join(p.Sites, " and ")
}

func viewName(v engine.ExposureView) string {
	name := map[string]string{"site": "site " + v.Site, "any": "any site", "all": "every site"}[v.Scope]
	if v.Proven {
		return "proven, " + name
	}
	return name
}

// share shows an attainment. It is cut and not rounded: 100 % is all of it.
func (a *app) share(v engine.ExposureView) string {
	if v.Attainment == nil {
		return "no promise"
	}
	if v.BrokenSeconds == 0 && v.MaximumSeconds == 0 && v.UnprotectedSeconds > 0 {
		return a.style.Warn("not due yet") // nothing was ever there
	}
	text := fmt.Sprintf("%.4f %%", math.Floor(*v.Attainment*1e6)/1e4)
	if v.BrokenSeconds > 0 {
		return a.style.Bad(text)
	}
	return a.style.Good("100 %")
}

func (a *app) maximum(v engine.ExposureView) string {
	if v.UnprotectedSeconds > 0 && v.MaximumSeconds == 0 {
		return a.style.Bad("none")
	}
	if v.UnprotectedSeconds > 0 {
		return show.Taken(v.MaximumSeconds) + a.style.Bad(", none for "+show.Taken(v.UnprotectedSeconds))
	}
	return show.Taken(v.MaximumSeconds)
}

func optionalP99(v engine.ExposureView) string {
	if v.P99Seconds == nil {
		return "no bound"
	}
	return show.Taken(*v.P99Seconds)
}

func brokenFor(v engine.ExposureView) string {
	if v.BrokenSeconds == 0 {
		return show.None
	}
	return show.Taken(v.BrokenSeconds)
}

// showViolations shows when not every site kept the promise, the newest first:
// that includes all that befell any of them. What is about proofs comes last.
func (a *app) showViolations(b *strings.Builder, f engine.FunctionObjectives) {
	shown, hidden := 0, 0
	for _, v := range f.Views {
		if v.Scope != "all" {
			continue
		}
		for _, broken := range slices.Backward(v.Violations) {
			if shown == shownViolations {
				hidden++
				continue
			}
			shown++
			peak := "peak " + show.Taken(broken.PeakSeconds)
			if broken.Unprotected {
				peak = "no recovery point"
			}
			fmt.Fprintf(b, "  %s %s for %s, %s, %s of %s\n", a.style.Bad("x"), show.Time(broken.Start),
				show.Taken(broken.End.Sub(broken.Start).Seconds()), viewName(v), peak, show.Seconds(broken.LimitSeconds))
			for _, c := range broken.Causes {
				fmt.Fprintf(b, "      %s: %s\n", c.Kind, show.Text(c.Detail))
			}
		}
	}
	if hidden > 0 {
		fmt.Fprintf(b, "    and %s before; --json has all\n", show.Plural(hidden, "violation"))
	}
}

func (a *app) showOutlook(b *strings.Builder, o engine.Outlook, now time.Time) {
	if o.Interval == "" {
		return
	}
	fmt.Fprintf(b, "  plan     %s\n", show.Text(o.Interval))
	fmt.Fprintf(b, "  durable  %s\n", a.development(o.Durable))
	for _, r := range o.Restore {
		if r.Unknown {
			fmt.Fprintf(b, "  restore  from %s: %s: %s\n", r.Site, a.style.Warn("unknown"), r.Basis)
			continue
		}
		how := "measured: " + r.Basis + ", " + show.Ago(r.At, now)
		if !r.Measured {
			how = r.Basis
		}
		left := ""
		if r.LeftSeconds != nil && *r.LeftSeconds >= 0 {
			left = fmt.Sprintf(" of machine time, which leaves people %s of an RTO of %s", show.Seconds(*r.LeftSeconds), show.Seconds(r.RTOSeconds))
		}
		fmt.Fprintf(b, "  restore  from %s: %s in %s%s (%s)\n", r.Site, show.Bytes(r.Bytes), show.Taken(r.Seconds), left, how)
		if r.Development.Trend == "growing" || r.Development.Trend == "falling" {
			fmt.Fprintf(b, "           %s\n", a.development(r.Development))
		}
	}
}

func (a *app) development(d engine.Development) string {
	if !d.BreaksAt.IsZero() {
		return a.style.Warn(show.Text(d.Detail))
	}
	return show.Text(d.Detail)
}

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/saypro/backupd/cmd/backupd/internal/show"
	"github.com/saypro/backupd/internal/engine"
)

// shownFaults is how many faults of a site are shown to people.
const shownFaults = 10

func (a *app) showSites(s engine.Sites) error {
	if s.Time.IsZero() {
		return nil // there was no answer
	}
	var b strings.Builder
	for _, site := range s.Sites {
		a.showSiteReport(&b, s, site)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "spool  %s\n", a.spool(s.Spool))
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) showSiteReport(b *strings.Builder, s engine.Sites, site engine.SiteReport) {
	state := a.style.State(site.State)
	if !site.AwaySince.IsZero() {
		state = a.style.Bad(site.State) + " since " + show.TimeAgo(site.AwaySince, s.Time)
	}
	fmt.Fprintf(b, "%s (%s)  %s\n", a.style.Bold(site.Site), site.Kind, state)
	line := func(name, text string) { fmt.Fprintf(b, "  %-16s %s\n", name, text) }
	line("waiting", waiting(site))
	line("lag", a.lag(site))
	line("last contact", unknownOr(show.TimeAgo(site.LastContact, s.Time)))
	line("last comparison", unknownOr(show.TimeAgo(site.LastComparison, s.Time)))
	if u := site.Unread; u != nil {
		line("oldest unread", a.unread(*u, s.Time))
	}
	if l := site.Lock; l != nil {
		line("lock", a.lock(*l, s))
	}
	if t := site.Traffic; t != nil {
		line("this month", traffic(*t))
		line("cost of it", cost(*t))
	}
	for _, reason := range site.Reasons {
		fmt.Fprintf(b, "  %s %s\n", a.style.Bad("!"), show.Text(reason))
	}
	a.showFaults(b, site.Faults, site.FaultCount, s)
}

func (a *app) showFaults(b *strings.Builder, faults []engine.SiteFault, count int, s engine.Sites) {
	for _, f := range faults[:min(len(faults), shownFaults)] {
		lost := ""
		if f.Lost {
			lost = a.style.Bad("LOST") + " "
		}
		fmt.Fprintf(b, "    %s%s: %s (%s, %s)\n", lost, f.Object, show.Text(f.Detail), f.Found, show.Ago(f.Since, s.Time))
	}
	if more := count - shownFaults; more > 0 {
		fmt.Fprintf(b, "    and %d more\n", more)
	}
}

func waiting(site engine.SiteReport) string {
	if site.WaitingObjects == 0 {
		return "nothing"
	}
	text := show.Plural(int(site.WaitingObjects), "object") + ", " + show.Bytes(site.WaitingBytes)
	if n := site.WaitingSnapshots; n > 0 {
		text += ", " + show.Plural(int(n), "snapshot")
	}
	if n := site.WaitingEvidence; n > 0 {
		text += ", " + show.Plural(int(n), "object") + " of evidence"
	}
	return text
}

func (a *app) lag(site engine.SiteReport) string {
	switch {
	case site.LagSeconds == nil:
		return a.style.Bad("it holds no recovery point of " + site.LagFunction)
	case *site.LagSeconds == 0:
		return "none"
	default:
		return show.Seconds(*site.LagSeconds) + " behind, in " + site.LagFunction
	}
}

func (a *app) lock(l engine.SiteLock, s engine.Sites) string {
	if l.Unprotected > 0 {
		return a.style.Bad(fmt.Sprintf("%d of %d objects are not protected", l.Unprotected, l.Objects)) + " (" + l.Mode + ")"
	}
	return fmt.Sprintf("%s protected until %s (%s)", show.Plural(l.Objects, "object"), show.TimeAgo(l.Horizon, s.Time), l.Mode)
}

// spool shows how much waits and how much may.
func (a *app) spool(s engine.Spool) string {
	if s.MaxBytes == 0 {
		return show.Bytes(s.UsedBytes) + ", no bound"
	}
	return fmt.Sprintf("%s of %s", show.Bytes(s.UsedBytes), show.Bytes(s.MaxBytes))
}

func traffic(t engine.SiteTraffic) string {
	return fmt.Sprintf("%s writes, %s reads, %s deletes; %s sent, %s received; counted since %s",
		show.Count(t.Writes), show.Count(t.Reads), show.Count(t.Deletes),
		show.Bytes(t.SentBytes), show.Bytes(t.ReceivedBytes), show.Time(t.Since))
}

func cost(t engine.SiteTraffic) string {
	if t.Cost == nil {
		return "unknown: the site has no request_prices"
	}
	text := money(*t.Cost) + " for requests so far"
	if t.EstimatedMonthCost == nil {
		return text + "; too early to estimate the month"
	}
	return text + "; estimate for the whole month: " + money(*t.EstimatedMonthCost)
}

// money shows an amount without its currency, which nobody has told us.
func money(amount float64) string { return strconv.FormatFloat(amount, 'f', 2, 64) }

// unknownOr shows what is not known as such.
func unknownOr(text string) string {
	if text == show.None {
		return "unknown"
	}
	return text
}

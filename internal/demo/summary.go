package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/market"
)

// measured is what the steps leave for the summary.
type measured struct {
	firstDurable time.Duration
	alarm        time.Duration
	without      recoveryPoint // taken while onsite was away
	catchUp      time.Duration
	mistake      time.Time
	lost         refunds
	restore      restoreResult
	restoreTime  time.Duration
	missing      int // refunds written after the recovery point
	proofs       []proof
	points       []recoveryPoint
	status       status
	suspects     []suspect
	counts       market.Counts
	ended        time.Time // of the protection
}

// finish takes the last readings and ends the service as an init system does.
func (w *world) finish(ctx context.Context) error {
	w.title("Stop the service")
	var err error
	if w.measured.points, err = w.points(ctx); err != nil {
		return err
	}
	if _, err := w.operator.ask(ctx, &w.measured.status, []int{0, 3}, "status"); err != nil {
		return err
	}
	w.measured.ended = w.clock.Now()
	service := w.service
	w.service = nil
	w.command("kill -TERM %backupd")
	if err := service.stop(25 * time.Second); err != nil {
		return err
	}
	if w.measured.counts, err = w.traffic.Stop(); err != nil {
		return err
	}
	w.good("ended cleanly; the customers made %d writes meanwhile, %d were refused after the mistake", w.measured.counts.Writes(), w.measured.counts.Refused)
	return nil
}

// exposure returns the longest time for which the newest recovery point of a
// function, durable at any of the sites, was older than that: the achieved
// RPO between the first durable moment and end.
func exposure(points []recoveryPoint, function string, end time.Time, sites ...string) time.Duration {
	type event struct{ durable, point time.Time }
	var events []event
	for _, p := range points {
		if p.Function != function {
			continue
		}
		e := event{point: p.RecoveryPoint}
		for _, site := range sites {
			if at := p.Sites[site]; at.State == "durable" && (e.durable.IsZero() || at.DurableAt.Before(e.durable)) {
				e.durable = at.DurableAt
			}
		}
		if !e.durable.IsZero() {
			events = append(events, e)
		}
	}
	slices.SortFunc(events, func(a, b event) int { return a.durable.Compare(b.durable) })
	worst := time.Duration(0)
	best := time.Time{}
	for _, e := range append(events, event{durable: end, point: end}) {
		if !best.IsZero() {
			worst = max(worst, e.durable.Sub(best))
		}
		if e.point.After(best) {
			best = e.point
		}
	}
	return worst
}

// timeToDurable returns the middle and the longest time from the consistency
// point to the commit at the site.
func timeToDurable(points []recoveryPoint, site string) (median, longest time.Duration) {
	var all []time.Duration
	for _, p := range points {
		if at := p.Sites[site]; at.State == "durable" {
			all = append(all, at.DurableAt.Sub(p.RecoveryPoint))
		}
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)/2], all[len(all)-1]
}

// row is one line of the summary.
type row struct {
	what, measured, promised string
	holds                    bool
}

// summary shows what was promised and what was measured. It is an error when
// they do not agree.
func (w *world) summary() error {
	w.write("")
	w.write(w.style("1", "    What was promised, and what was measured"))
	m := &w.measured
	rows := []row{{"first recovery points at both sites", seconds(m.firstDurable), "", true}}
	rto := 0.0
	for _, f := range m.status.Functions {
		if f.Function == "payments" {
			rto = f.RTOSeconds
		}
		worst := exposure(m.points, f.Function, m.ended, "onsite", "cloud")
		rows = append(rows, row{
			"data at risk, " + f.Function + " (RPO)", "at most " + seconds(worst),
			fmt.Sprintf("%.0f s", f.RPOSeconds), worst.Seconds() <= f.RPOSeconds,
		})
	}
	median, longest := timeToDurable(m.points, "cloud")
	raw, stored := int64(0), int64(0)
	for _, p := range m.points {
		raw += p.BytesRaw
		stored += p.BytesStored
	}
	_, held := w.sites["cloud"].Held()
	rows = append(rows,
		row{"from consistent to durable at cloud", fmt.Sprintf("%s, longest %s", seconds(median), seconds(longest)), "", longest > 0},
		row{"recovery points; what they hold", fmt.Sprintf("%d; %s", len(m.points), size(raw)), "", len(m.points) > len(functions)},
		row{"stored at each site", fmt.Sprintf("%s (%.0f to 1)", size(held), float64(raw)/float64(max(held, 1))), "", stored > 0 && held > 0},
		row{"alarm after a site was lost", seconds(m.alarm), "", true},
		row{"site caught up after its return", seconds(m.catchUp), "", true},
		w.alarms(),
		row{"payments restored (RTO)", seconds(m.restoreTime), fmt.Sprintf("%.0f s", rto), m.restoreTime.Seconds() <= rto},
	)
	for _, p := range m.proofs {
		rows = append(rows, row{"proof from " + p.Site + " alone", p.Level, "L5", p.Passed})
	}
	var broken []error
	for _, r := range rows {
		line := fmt.Sprintf("%-38s %-28s %s", r.what, r.measured, r.promised)
		if r.holds {
			w.good("%s", line)
			continue
		}
		w.problem("%s", line)
		broken = append(broken, fmt.Errorf("%s: %s, promised %s", r.what, r.measured, r.promised))
	}
	w.say("")
	w.say("All of it took %s.", seconds(w.clock.Now().Sub(w.began)))
	return errors.Join(broken...)
}

package engine

import (
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/objective"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/schedule"
)

const (
	// trendPeriod is how far back trends look.
	trendPeriod = 180 * 24 * time.Hour
	// outlookAge is how old an outlook may be that a status shows: it takes time
	// to read months, and a status is asked for often.
	outlookAge = time.Hour
	// soon is how far ahead a status warns.
	soon = 90 * 24 * time.Hour
)

// growth is what the records tell of how a function grows.
type growth struct {
	at       time.Time
	durable  objective.Trend
	restored []objective.Restored
	bytes    int64
	// nothing: there is no recovery point, so how much there is is not known.
	nothing bool
}

func (e *Engine) readGrowth(function string, now time.Time) (growth, error) {
	h, err := evidence.History(e.evidence, function, now.Add(-trendPeriod), now)
	if err != nil {
		return growth{}, fmt.Errorf("function %s: %w", function, err)
	}
	restored, err := evidence.Restores(e.evidence, function, now.Add(-trendPeriod), time.Time{})
	if err != nil {
		return growth{}, fmt.Errorf("function %s: %w", function, err)
	}
	g := growth{at: now, durable: objective.DurableTrend(h.Runs), restored: restored, bytes: objective.Size(h.Runs)}
	if g.bytes == 0 {
		// What was captured before there was a log.
		newest, err := e.newestPoints(function)
		if err != nil {
			return g, err
		}
		if g.nothing = newest.anySite == nil; !g.nothing {
			g.bytes = newest.anySite.BytesRaw
		}
	}
	return g, nil
}

// recentGrowth is one that was read within outlookAge.
func (e *Engine) recentGrowth(function string, now time.Time) (growth, error) {
	e.mu.Lock()
	g, ok := e.grown[function]
	e.mu.Unlock()
	if ok && now.Sub(g.at) < outlookAge {
		return g, nil
	}
	g, err := e.readGrowth(function, now)
	if err == nil {
		e.mu.Lock()
		e.grown[function] = g
		e.mu.Unlock()
	}
	return g, err
}

// outlookWarnings say what growth will break soon.
func (e *Engine) outlookWarnings(function string, now time.Time) ([]string, error) {
	g, err := e.recentGrowth(function, now)
	if err != nil {
		return nil, err
	}
	plan, err := e.planOf(function)
	if err != nil {
		return nil, err
	}
	return outlookOf(e.cfg.Functions[function], e.cfg.SiteOrder, plan, g, now).warnings(function, now), nil
}

func (e *Engine) outlook(function string, now time.Time) (Outlook, error) {
	g, err := e.readGrowth(function, now)
	if err != nil {
		return Outlook{}, err
	}
	plan, err := e.planOf(function)
	if err != nil {
		return Outlook{}, err
	}
	return outlookOf(e.cfg.Functions[function], e.cfg.SiteOrder, plan, g, now), nil
}

// planOf asks the planner, or one that is made for that when none is at work.
func (e *Engine) planOf(function string) (schedule.Plan, error) {
	e.mu.Lock()
	p := e.planner
	e.mu.Unlock()
	if p == nil {
		s, err := schedule.New(schedule.Options{
			Jobs: e.jobs(), Sites: e.cfg.SiteOrder, Runner: newDuty(e), History: history{e}, Clock: e.clock, Log: e.log,
			Slots: e.cfg.ParallelSnapshots,
		})
		if err != nil {
			return schedule.Plan{}, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		p = s
	}
	return p.Plan(function), nil
}

func outlookOf(f config.Function, sites []string, plan schedule.Plan, g growth, now time.Time) Outlook {
	out := Outlook{Interval: formula(plan), Problem: plan.Problem, Restore: []RestoreOutlook{}}
	longest := objective.LongestRun(f.RPO, plan.Jitter+plan.Wait, f.TolerateFailedRuns)
	if f.Cron != "" {
		longest = max(f.RPO-plan.Wait-plan.Interval*time.Duration(1+f.TolerateFailedRuns), 0)
	}
	out.Durable = develop(g.durable, "the p99 of each day's time to durable", "the RPO", longest, now)
	for _, site := range sites {
		out.Restore = append(out.Restore, restoreOutlook(f, site, g, now))
	}
	return out
}

// formula is the planner's, with its numbers.
func formula(p schedule.Plan) string {
	if p.Reason == "" {
		return ""
	}
	return fmt.Sprintf("interval %v = %s", p.Interval.Round(time.Second), p.Reason)
}

func restoreOutlook(f config.Function, site string, g growth, now time.Time) RestoreOutlook {
	if g.nothing {
		return RestoreOutlook{
			Site: site, Unknown: true, RTOSeconds: f.RTO.Seconds(), Basis: "there is no recovery point yet, so how much there is to restore is not known",
			Development: develop(objective.RestoreTrend(site, g.restored), "", "", f.RTO, now),
		}
	}
	forecast := objective.Forecast(site, g.bytes, g.restored, restore.Guess(g.bytes))
	out := RestoreOutlook{
		Site: site, Seconds: forecast.Took.Seconds(), Bytes: g.bytes, Measured: forecast.Measured,
		At: inUTC(forecast.At), Level: forecast.Level, Basis: forecast.Basis, RTOSeconds: f.RTO.Seconds(),
	}
	if f.RTO > 0 {
		out.LeftSeconds = pointer((f.RTO - forecast.Took).Seconds())
	}
	out.Development = develop(objective.RestoreTrend(site, g.restored), "the median of each day's restores from site "+site+" by proofs", "the RTO, by machine time alone,", f.RTO, now)
	return out
}

// develop tells a trend, and when it exceeds a limit.
func develop(t objective.Trend, what, promise string, limit time.Duration, now time.Time) Development {
	d := Development{Days: t.Days, From: inUTC(t.From), To: inUTC(t.To), LimitSeconds: limit.Seconds()}
	if t.TooFew != "" {
		d.Trend, d.Detail = "unknown", "no trend is known yet: "+t.TooFew
		return d
	}
	d.SecondsPerDay, d.SecondsPerDayLow, d.SecondsPerDayHigh = &t.PerDay, &t.PerDayLow, &t.PerDayHigh
	method := fmt.Sprintf("%s, %d days, Theil-Sen", what, t.Days)
	switch {
	case !t.Significant:
		d.Trend, d.Detail = "no trend", fmt.Sprintf("no trend (%s): %+.3g s a day, which may be 0", method, t.PerDay)
		return d
	case t.PerDay < 0:
		d.Trend, d.Detail = "falling", fmt.Sprintf("falling by %.3g s a day (%s)", -t.PerDay, method)
		return d
	}
	d.Trend, d.Detail = "growing", fmt.Sprintf("growing by %.3g s a day (%s)", t.PerDay, method)
	if limit <= 0 {
		return d
	}
	c, ok := t.Crosses(limit.Seconds(), now)
	if !ok {
		d.Detail += fmt.Sprintf("; %v, where %s breaks, is more than ten years away", limit.Round(time.Second), promise)
		return d
	}
	d.BreaksAt, d.Earliest, d.Latest = c.At.UTC(), c.Earliest.UTC(), inUTC(c.Latest)
	d.Detail += fmt.Sprintf("; %s breaks at %v, which is reached about %s, %s", promise, limit.Round(time.Second), c.At.UTC().Format(time.DateOnly), d.between())
	return d
}

// between is the interval of the date, in words.
func (d Development) between() string {
	if d.Latest.IsZero() {
		return fmt.Sprintf("not before %s (99 %%)", d.Earliest.Format(time.DateOnly))
	}
	return fmt.Sprintf("between %s and %s (99 %%)", d.Earliest.Format(time.DateOnly), d.Latest.Format(time.DateOnly))
}

// reasons says what cannot be kept as things are.
func (o Outlook) reasons() (out []string) {
	if o.Problem != "" {
		out = append(out, o.Problem)
	}
	for _, r := range o.Restore {
		if r.LeftSeconds != nil && *r.LeftSeconds < 0 {
			out = append(out, fmt.Sprintf("a restore from site %s takes %v by machine time alone, and the RTO is %v: %s",
				r.Site, seconds(r.Seconds), seconds(r.RTOSeconds), r.Basis))
		}
	}
	return out
}

// breaks is when growth breaks the first promise; far away when none.
func (o Outlook) breaks() time.Time {
	first := time.Unix(1<<40, 0)
	for _, d := range o.developments() {
		if !d.BreaksAt.IsZero() && d.BreaksAt.Before(first) {
			first = d.BreaksAt
		}
	}
	return first
}

func (o Outlook) developments() []Development {
	out := []Development{o.Durable}
	for _, r := range o.Restore {
		out = append(out, r.Development)
	}
	return out
}

// warnings say what growth will break soon.
func (o Outlook) warnings(function string, now time.Time) (out []string) {
	for _, d := range o.developments() {
		if !d.BreaksAt.IsZero() && d.Earliest.Before(now.Add(soon)) {
			out = append(out, fmt.Sprintf("function %s: %s", function, d.Detail))
		}
	}
	return out
}

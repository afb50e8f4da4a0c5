package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/repository"
)

// maxFaults is how many faults of a site are told; there may be as many as it
// must hold objects.
const maxFaults = 100

// Sites says how every site fares. It reads the catalog and waits for no site.
func (e *Engine) Sites(ctx context.Context) (Sites, error) {
	out := Sites{Time: e.clock.Now().UTC(), Serving: e.serving(), Spool: e.spool(), Sites: []SiteReport{}}
	newest, err := e.allNewest()
	if err != nil {
		return out, err
	}
	if out.Sites, err = e.reports(out.Time, newest, 0); err != nil {
		return out, err
	}
	for _, s := range out.Sites {
		out.Degraded = out.Degraded || s.Degraded
	}
	return out, ctx.Err()
}

// reports tells of every site. What takes a look at each of its objects may be
// as old as maxAge.
func (e *Engine) reports(now time.Time, newest map[string]points, maxAge time.Duration) ([]SiteReport, error) {
	out := []SiteReport{}
	health, err := e.repository.Health()
	if err != nil {
		return out, err
	}
	lags := e.lags(newest)
	traffic, err := e.meter.month()
	if err != nil {
		return out, err
	}
	for _, name := range e.cfg.SiteOrder {
		s := e.describeSite(name, health[name], lags[name])
		if t, ok := traffic[name]; ok {
			s.Traffic = describeTraffic(t, e.cfg.Sites[name].RequestPrices, now)
		}
		s.Reasons = e.siteReasons(s, now)
		scan, err := e.scan(name, now, maxAge)
		if err != nil {
			return out, err
		}
		e.describeLock(&s, scan.locks, now)
		e.describeScrub(&s, scan.unread, now)
		s.Degraded = len(s.Reasons) > 0
		out = append(out, s)
	}
	return out, nil
}

// scan is what a look at everything that a site must hold has told.
type scan struct {
	at     time.Time
	locks  repository.Locks
	unread repository.Unread
}

// scan looks at everything that a site must hold, unless that was done no longer
// than maxAge ago.
func (e *Engine) scan(site string, now time.Time, maxAge time.Duration) (scan, error) {
	e.mu.Lock()
	known, ok := e.scans[site]
	e.mu.Unlock()
	if age := now.Sub(known.at); ok && age >= 0 && age < maxAge {
		return known, nil
	}
	fresh := scan{at: now}
	var err error
	if fresh.unread, err = e.repository.Unread(site); err != nil {
		return fresh, err
	}
	if e.cfg.Sites[site].Lock != nil {
		if fresh.locks, err = e.repository.Locks(site); err != nil {
			return fresh, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.scans[site] = fresh
	return fresh, nil
}

func (e *Engine) spool() Spool {
	used, most := e.repository.Spool()
	return Spool{UsedBytes: used, MaxBytes: most}
}

func (e *Engine) serving() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.planner != nil
}

func (e *Engine) describeSite(name string, h repository.SiteHealth, l lag) SiteReport {
	s := SiteReport{
		Site: name, Kind: e.cfg.Sites[name].Kind, State: h.State, AwaySince: inUTC(h.Since), Error: h.Error,
		LastContact: inUTC(h.LastContact), LastComparison: inUTC(h.Compared),
		WaitingObjects: int64(h.Objects), WaitingBytes: h.Bytes, WaitingSnapshots: int64(h.Commits), WaitingEvidence: int64(h.Evidence),
		LagSeconds: l.seconds, LagFunction: l.function, FaultCount: len(h.Faults),
	}
	if s.State != repository.SiteAway && s.State != repository.SiteHeldUp {
		s.AwaySince, s.Error = time.Time{}, "" // it is as good as back
	}
	for _, f := range h.Faults {
		if f.Lost {
			s.LostCount++
		}
		if f.Lost && e.givenUp(f.Name) {
			s.GivenUpCount++
		}
		if len(s.Faults) < maxFaults {
			s.Faults = append(s.Faults, SiteFault{Object: f.Name, Since: f.Since.UTC(), Found: f.Found, Detail: f.Detail, Lost: f.Lost})
		}
	}
	return s
}

// givenUp reports whether all that needs an object was given up. When that cannot
// be told somebody needs it.
func (e *Engine) givenUp(object string) bool {
	is, err := e.catalog.GivenUp(object)
	return err == nil && is
}

// inUTC returns t as it is told; the zero time stays what is left out.
func inUTC(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// lag is how far a site is behind the newest recovery points.
type lag struct {
	seconds  *float64 // nil: it holds none of the function
	function string
}

// lags returns, by site, how much older its newest recovery point is than the
// newest at any site, of the function for which that is most.
func (e *Engine) lags(newest map[string]points) map[string]lag {
	out := map[string]lag{}
	for _, site := range e.cfg.SiteOrder {
		out[site] = lag{seconds: new(float64)}
	}
	for _, function := range slices.Sorted(maps.Keys(newest)) {
		of := newest[function]
		if of.anySite == nil {
			continue // there is nothing to lag behind
		}
		for _, site := range e.cfg.SiteOrder {
			out[site] = out[site].worse(function, of.anySite, of.at[site])
		}
	}
	return out
}

// worse returns the lag with another function taken into account.
func (l lag) worse(function string, anywhere, here *repository.SnapshotInfo) lag {
	if l.seconds == nil {
		return l
	}
	if here == nil {
		return lag{function: function}
	}
	behind := anywhere.RecoveryPoint.Sub(here.RecoveryPoint).Seconds()
	if behind <= *l.seconds {
		return l
	}
	return lag{seconds: &behind, function: function}
}

// comparedWithin is the longest that a site should go without a comparison;
// one is made every day while it answers.
const comparedWithin = 72 * time.Hour

// siteReasons says, a sentence each, what is not as it should be with a site.
func (e *Engine) siteReasons(s SiteReport, now time.Time) []string {
	var out []string
	switch s.State {
	case repository.SiteAway:
		out = append(out, fmt.Sprintf("it takes no copies since %s: %s", s.AwaySince.Format(time.RFC3339), s.Error))
	case repository.SiteHeldUp:
		out = append(out, fmt.Sprintf("this host cannot give it its copies since %s, and they wait here: %s", s.AwaySince.Format(time.RFC3339), s.Error))
	case repository.SiteUnknown:
		out = append(out, "nobody is in contact with it")
	}
	if mend := s.FaultCount - s.LostCount; mend > 0 {
		out = append(out, fmt.Sprintf("%s missing or wrong there: they are put right as soon as they can be", objects(mend)))
	}
	if lost := s.LostCount - s.GivenUpCount; lost > 0 {
		out = append(out, fmt.Sprintf("%s lost at every site: recovery points that need them cannot be restored whole; "+
			"'backupd prune --lost --dry-run' says which", objects(lost)))
	}
	if since := now.Sub(s.LastComparison); !s.LastComparison.IsZero() && since > comparedWithin {
		out = append(out, fmt.Sprintf("what it holds was last compared %s ago; that should be every day", since.Round(time.Hour)))
	}
	return out
}

func objects(n int) string {
	if n == 1 {
		return "1 object is"
	}
	return fmt.Sprintf("%d objects are", n)
}

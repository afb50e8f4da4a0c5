package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/schedule"
)

// planner is what the status asks the scheduler for.
type planner interface {
	Next(function string) time.Time
	NextProof(function string) (at time.Time, site, why string)
	Plan(function string) schedule.Plan
}

// Status says how well the promises are kept now: it reads the catalog and
// waits for no site.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	e.mu.Lock()
	plan := e.planner
	e.mu.Unlock()
	s := Status{Time: e.clock.Now().UTC(), Version: e.version, Serving: plan != nil, Functions: []FunctionStatus{}, Sites: []SiteStatus{}}
	newest, err := e.allNewest()
	if err != nil {
		return s, err
	}
	if err := e.statusOfRest(&s, newest); err != nil {
		return s, err
	}
	keys, err := e.Keys(ctx)
	if err != nil {
		return s, err
	}
	actions, err := e.drillWarnings()
	if err = s.damaged(err); err != nil {
		return s, err
	}
	s.Warnings = slices.Concat(keys.Warnings, actions, switchedOffForAll(e.cfg))
	if exposed := exposedKey(e.cfg.Evidence.KeyFile); exposed != "" {
		s.Warnings = append(s.Warnings, exposed)
	}
	if err := e.statusOfControls(&s); err != nil {
		return s, err
	}
	proofs, err := e.newestProofs()
	if err != nil {
		return s, err
	}
	runs, err := e.newestRuns()
	if err != nil {
		return s, err
	}
	for _, name := range slices.Sorted(slices.Values(e.cfg.FunctionOrder)) {
		f, err := e.functionStatus(e.cfg.Functions[name], s.Time, newest[name], proofs, runs[name], plan)
		if err != nil {
			return s, err
		}
		for _, site := range s.Sites {
			switch {
			case site.Error == "":
			case site.State == repository.SiteHeldUp:
				f.Reasons = append(f.Reasons, fmt.Sprintf("copies for site %s wait on this host: %s", site.Site, site.Error))
			default:
				f.Reasons = append(f.Reasons, fmt.Sprintf("site %s does not take copies: %s", site.Site, site.Error))
			}
		}
		warnings, err := e.outlookWarnings(name, s.Time)
		if err = s.damaged(err); err != nil {
			return s, err
		}
		s.Warnings = append(s.Warnings, warnings...)
		f.Degraded = len(f.Reasons) > 0
		s.Degraded = s.Degraded || f.Degraded
		s.Functions = append(s.Functions, f)
	}
	return s, nil
}

// damaged takes an error that says that a record of the evidence is damaged for a
// reason, so that the rest is told all the same; it returns any other.
func (s *Status) damaged(err error) error {
	if !errors.Is(err, evidence.ErrDamaged) {
		return err
	}
	s.Degraded = true
	if !slices.Contains(s.Reasons, err.Error()) {
		s.Reasons = append(s.Reasons, err.Error())
	}
	return nil
}

// newestRuns returns the newest run of each function that is not running.
func (e *Engine) newestRuns() (map[string]*catalog.Run, error) {
	out := map[string]*catalog.Run{}
	err := e.catalog.Runs(func(r *catalog.Run) bool {
		if r.Kind == catalog.RunSnapshot && !r.Ended.IsZero() && out[r.Function] == nil {
			out[r.Function] = r
		}
		return len(out) < len(e.cfg.Functions)
	})
	return out, err
}

func (e *Engine) functionStatus(f config.Function, now time.Time, newest points, proofs proofs, run *catalog.Run, plan planner) (FunctionStatus, error) {
	out := FunctionStatus{
		Function: f.Name, Source: f.Source, RPOSeconds: f.RPO.Seconds(), RTOSeconds: f.RTO.Seconds(),
		Cron: f.Cron, Sites: map[string]FunctionAtSite{},
	}
	oldest, found, err := e.catalog.Oldest(f.Name)
	if err != nil {
		return out, err
	}
	for _, site := range e.cfg.SiteOrder {
		out.Sites[site] = e.functionAtSite(f, now, site, newest.at[site], proofs)
		if p := out.Sites[site].Proof; p != nil && (out.LastProof == nil || p.At.After(out.LastProof.At)) {
			out.LastProof = p
		}
	}
	out.ExposureAnySeconds, out.ExposureAllSeconds = exposure(now, newest.anySite), exposure(now, newest.allSites)
	out.MarginSeconds = margin(f.RPO, out.ExposureAnySeconds)
	out.State = stateOf(out.MarginSeconds)
	out.LastRun = e.describeRun(run)
	e.mu.Lock()
	out.Running = e.running[f.Name]
	e.mu.Unlock()
	out.Reasons = reasons(f, out, e.cfg.SiteOrder, now)
	wrong, err := e.doubts(f.Name)
	if err != nil {
		return out, err
	}
	out.Reasons = append(out.Reasons, wrong...)
	if out.Unwatched, err = e.unwatched(f); err != nil {
		return out, err
	}
	if err := e.describeProven(&out, f, proofs, now); err != nil {
		return out, err
	}
	out.Warnings = append(out.Warnings, switchedOff(f)...)
	if found {
		out.Reasons = append(out.Reasons, overdue(f, proofs, e.cfg.SiteOrder, oldest, now)...)
	}
	if plan == nil {
		out.Reasons = append(out.Reasons, "no service is running: nothing is captured on schedule")
	} else {
		p := plan.Plan(f.Name)
		out.IntervalSeconds, out.NextRun = p.Interval.Seconds(), plan.Next(f.Name).UTC()
		out.Planned = formula(p)
		e.nextProof(&out, plan)
		if p.Problem != "" {
			out.Reasons = append(out.Reasons, p.Problem)
		}
	}
	return out, nil
}

// points are the newest recovery points of a function.
type points struct {
	at       map[string]*repository.SnapshotInfo // by site
	anySite  *repository.SnapshotInfo
	allSites *repository.SnapshotInfo
}

// allNewest returns the newest recovery points of every function.
func (e *Engine) allNewest() (map[string]points, error) {
	out := map[string]points{}
	for _, function := range e.cfg.FunctionOrder {
		newest, err := e.newestPoints(function)
		if err != nil {
			return nil, err
		}
		out[function] = newest
	}
	return out, nil
}

func (e *Engine) newestPoints(function string) (points, error) {
	out := points{at: map[string]*repository.SnapshotInfo{}}
	find := func(holds func(repository.SnapshotInfo) bool) (*repository.SnapshotInfo, error) {
		s, ok, err := e.repository.Newest(function, holds)
		if !ok {
			return nil, err
		}
		return &s, err
	}
	var err error
	for _, site := range e.cfg.SiteOrder {
		out.at[site], err = find(func(s repository.SnapshotInfo) bool { return s.Sites[site].State == repository.StateDurable })
		if err != nil {
			return out, err
		}
	}
	if out.anySite, err = find(func(s repository.SnapshotInfo) bool { return s.Holders() > 0 }); err != nil {
		return out, err
	}
	out.allSites, err = find(func(s repository.SnapshotInfo) bool { return s.Holders() == len(e.cfg.SiteOrder) })
	return out, err
}

func (e *Engine) functionAtSite(f config.Function, now time.Time, site string, newest *repository.SnapshotInfo, proofs proofs) FunctionAtSite {
	key := proofKey{function: f.Name, site: site}
	out := FunctionAtSite{Proof: e.describe(proofs.of[key]), ColdStart: e.describe(proofs.cold[key]), ExposureSeconds: exposure(now, newest)}
	out.MarginSeconds = margin(f.RPO, out.ExposureSeconds)
	out.State = stateOf(out.MarginSeconds)
	if newest != nil {
		out.Snapshot, out.RecoveryPoint = newest.ID, newest.RecoveryPoint.UTC()
	}
	// The newest that was restored, whenever that was: the proof of an older
	// one that came later makes nothing better or worse.
	proven, ok, err := e.repository.Newest(f.Name, func(s repository.SnapshotInfo) bool {
		return s.Sites[site].State == repository.StateDurable && proofs.restored(s.ID, site)
	})
	if err == nil && ok {
		out.ProvenExposureSeconds = exposure(now, &proven)
	}
	if p := proofs.of[key]; p != nil && p.OwnCheckFailed() {
		out.State = StateUnsound
	} else if p != nil && p.Difference {
		out.State = StateDamaged
	}
	return out
}

func exposure(now time.Time, s *repository.SnapshotInfo) *float64 {
	if s == nil {
		return nil
	}
	v := now.Sub(s.RecoveryPoint).Seconds()
	return &v
}

func margin(rpo time.Duration, exposure *float64) *float64 {
	if exposure == nil {
		return nil
	}
	v := rpo.Seconds() - *exposure
	return &v
}

func stateOf(margin *float64) string {
	switch {
	case margin == nil:
		return StateUnknown
	case *margin < 0:
		return StateLate
	default:
		return StateGood
	}
}

func (e *Engine) describeRun(r *catalog.Run) *Run {
	if r == nil {
		return nil
	}
	if s, err := e.repository.Info(r.Snapshot); err == nil && s.Holders() >= e.cfg.MinSites {
		r.Error = "" // the sites took it after the run had given up on them
	}
	return &Run{Snapshot: r.Snapshot, Started: r.Started.UTC(), DurationSeconds: r.Ended.Sub(r.Started).Seconds(), Error: r.Error}
}

// reasons says, a sentence each, what is not as it should be.
func reasons(f config.Function, s FunctionStatus, sites []string, now time.Time) []string {
	var out []string
	for _, name := range sites {
		at := s.Sites[name]
		switch at.State {
		case StateUnknown:
			out = append(out, fmt.Sprintf("site %s holds no recovery point", name))
		case StateLate:
			out = append(out, fmt.Sprintf("site %s: the newest recovery point is %s old, the RPO is %s",
				name, seconds(*at.ExposureSeconds), f.RPO))
		}
		if at.RecoveryPoint.After(now) {
			out = append(out, fmt.Sprintf("site %s: the recovery point of %s lies ahead of the clock, so its age is not known",
				name, at.RecoveryPoint.Format(time.RFC3339)))
		}
		switch p := at.Proof; at.State {
		case StateUnsound:
			out = append(out, fmt.Sprintf("a check of the function's own failed on snapshot %s, restored from site %s: %s; the copy is whole (%s) and can be restored: "+
				"the data in the source does not hold, or the check is wrong, as docs/operations.md says", p.Snapshot, name, p.Error, p.Level))
		case StateDamaged:
			out = append(out, fmt.Sprintf("site %s is damaged: a proof found a difference in snapshot %s: %s; restore from another site, "+
				"and mend this one as docs/operations.md says", name, p.Snapshot, p.Error))
		}
	}
	if s.LastRun != nil && s.LastRun.Error != "" {
		out = append(out, "the last run failed: "+s.LastRun.Error)
	}
	return out
}

// overdue says which sites have not been proven for twice as long as they
// should have been; sites take turns, so each is due every so many times.
func overdue(f config.Function, proofs proofs, sites []string, oldest, now time.Time) []string {
	if f.Prove.Every <= 0 {
		return nil
	}
	allowed := 2 * f.Prove.Every * time.Duration(len(sites))
	var out []string
	for _, site := range sites {
		p := proofs.of[proofKey{function: f.Name, site: site}]
		switch {
		case p == nil && now.Sub(oldest) > allowed:
			out = append(out, fmt.Sprintf("site %s has never been proven to %s", site, f.Prove.Level))
		case p != nil && now.Sub(p.Ended) > allowed:
			out = append(out, fmt.Sprintf("site %s: the last proof to %s is %s old, one is due every %s",
				site, f.Prove.Level, now.Sub(p.Ended).Round(time.Second), f.Prove.Every))
		}
	}
	return out
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Second)
}

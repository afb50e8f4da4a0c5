package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/schedule"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/verify"
)

// Serve takes snapshots and proves them on schedule, and sends what waits to
// the sites, until ctx ends. A capture that runs then is abandoned: it leaves
// nothing that could be listed, and its packs serve the next one.
func (e *Engine) Serve(ctx context.Context) error {
	ctx = By(ctx, bySchedule)
	if err := e.voice(); err != nil { // what is asked for by a command says so itself
		e.log.Error("snapshots and restores go on without being on record, and nothing else does", "error", err)
	}
	e.sweepScratch(ctx)
	e.reportCutShort()
	e.pinAll(By(ctx, bySchedule))
	e.startUploads(ctx)
	var others errgroup.Group
	defer func() { _ = others.Wait() }() // none returns an error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	others.Go(func() error {
		e.probeSites(ctx)
		return nil
	})
	others.Go(func() error {
		e.keepLocked(ctx)
		return nil
	})
	others.Go(func() error {
		e.keepEvidence(ctx)
		return nil
	})
	others.Go(func() error {
		e.keepAlive(ctx)
		return nil
	})
	others.Go(func() error {
		e.keepFound(ctx)
		return nil
	})
	others.Go(func() error {
		e.keepAnchored(ctx)
		return nil
	})
	others.Go(func() error {
		e.keepHouse(ctx)
		return nil
	})
	others.Go(func() error {
		e.keepScrubbed(ctx)
		return nil
	})
	others.Go(func() error {
		e.keepControlled(ctx)
		return nil
	})
	others.Go(func() error {
		e.keepCold(ctx)
		return nil
	})
	s, err := schedule.New(schedule.Options{
		Jobs: e.jobs(), Sites: e.cfg.SiteOrder, Runner: newDuty(e), History: history{e}, Clock: e.clock, Log: e.log,
		Slots: e.cfg.ParallelSnapshots,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	e.setPlanner(s)
	defer e.setPlanner(nil)
	return s.Run(ctx)
}

// probeSites finds out, rather than assumes, what each site supports, and says
// so.
func (e *Engine) probeSites(ctx context.Context) {
	for _, name := range e.cfg.SiteOrder {
		can, err := probe(ctx, name, e.cfg.Sites[name], e.clock, e.meter.traffic[name])
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			e.log.Warn("site could not be probed", "site", name, "error", err)
		case !can.ConditionalPut:
			e.log.Error("site overwrites objects: nothing there is safe from a mistake", "site", name, "notes", can.Notes)
		default:
			e.log.Info("site probed", "site", name, "conditional_put", can.ConditionalPut, "checksums", can.Checksum,
				"ranged_get", can.RangedGet, "delete", can.Delete, "object_lock", can.ObjectLock, "notes", can.Notes)
		}
	}
}

func (e *Engine) setPlanner(p planner) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.planner = p
}

func (e *Engine) jobs() []schedule.Job {
	var out []schedule.Job
	for _, name := range e.cfg.FunctionOrder {
		f := e.cfg.Functions[name]
		out = append(out, schedule.Job{
			Function: name, RPO: f.RPO, Tolerate: f.TolerateFailedRuns, Cron: f.Cron, Priority: f.Priority,
			ProveEvery: f.Prove.Every,
		})
	}
	return out
}

// reportCutShort marks runs and proofs that a crash of ours cut short, so that
// none looks as if it were still running.
func (e *Engine) reportCutShort() {
	const cut = "cut short: backupd ended before it did"
	var runs []*catalog.Run
	var proofs []*catalog.Proof
	err := errors.Join(
		e.catalog.Runs(func(r *catalog.Run) bool {
			if r.Ended.IsZero() {
				runs = append(runs, r)
			}
			return true
		}),
		e.catalog.Proofs(func(p *catalog.Proof) bool {
			if p.Ended.IsZero() {
				proofs = append(proofs, p)
			}
			return true
		}))
	for _, r := range runs {
		r.Ended, r.Error = e.clock.Now(), cut
		e.log.Warn("an earlier run was cut short", "kind", r.Kind, "function", r.Function, "started", r.Started)
		err = errors.Join(err, e.catalog.PutRun(r))
	}
	for _, p := range proofs {
		p.Ended, p.Error = e.clock.Now(), cut
		e.log.Warn("an earlier proof was cut short", "function", p.Function, "site", p.Site, "started", p.Started)
		err = errors.Join(err, e.catalog.PutProof(p))
	}
	if err != nil {
		e.log.Error("the record of earlier runs could not be read", "error", err)
	}
}

// duty is the engine as the scheduler uses it. Its captures do not wait for
// slow sites.
type duty struct {
	*Engine
	taker snapshot.Taker
}

func newDuty(e *Engine) duty {
	d := duty{e, *e.taker}
	d.taker.Lag = uploadPatience
	return d
}

// Snapshot takes one snapshot. A site that lacks it does not make the run a
// failure: the recovery point exists, and the site is reported for itself.
func (d duty) Snapshot(ctx context.Context, function string) error {
	r, err := d.capture(ctx, &d.taker, d.cfg.Functions[function], nil)
	if errors.Is(err, errUnrecorded) {
		// The recovery point exists; status says that records are missing.
		d.log.Error("a snapshot is not on record", "function", function, "snapshot", r.Snapshot, "error", err)
		err = nil
	}
	if err != nil {
		return err
	}
	log := d.log.Info
	if r.Degraded {
		log = d.log.Warn
	}
	var sites []any
	for _, name := range d.cfg.SiteOrder {
		sites = append(sites, slog.String(name, r.Sites[name].State))
	}
	log("snapshot taken", "function", function, "snapshot", r.Snapshot, "recovery_point", r.RecoveryPoint,
		"seconds", r.DurationSeconds, "bytes_raw", r.BytesRaw, "bytes_new", r.BytesNew, slog.Group("sites", sites...))
	return nil
}

// Prove proves the recovery point of a function whose turn it is at a site.
func (d duty) Prove(ctx context.Context, function, site string) error {
	f := d.cfg.Functions[function]
	snapshot, why, err := d.pick(f, site, "", "")
	if err != nil {
		return err
	}
	return d.proveOnSchedule(ctx, verify.Request{Function: function, Snapshot: snapshot, From: site, Selection: why})
}

// proveOnSchedule makes a proof that nobody asked for, to the level that is
// configured.
func (d duty) proveOnSchedule(ctx context.Context, req verify.Request) error {
	if err := d.apart(ctx, aColdStart); err != nil {
		return err
	}
	req.Level, req.Lower, req.Scheduled = d.cfg.Functions[req.Function].Prove.Level, true, true
	var quiet progress.Reporter
	r, err := d.prove(ctx, req, quiet)
	if err != nil {
		return err
	}
	d.log.Info("recovery point proven", "function", req.Function, "site", req.From, "snapshot", r.Snapshot, "rule", req.Selection.Rule,
		"level", r.Level, "meaning", verify.Meaning(r.Level), "seconds", r.DurationSeconds)
	return nil
}

// history is what the scheduler plans from.
type history struct{ *Engine }

// enoughRuns is how many runs the planner's percentile is taken of.
const enoughRuns = 100

// Durations returns how long the last runs took from their start until as many
// sites as asked for held the result, newest first.
func (h history) Durations(function string) []time.Duration {
	var out []time.Duration
	err := h.catalog.Runs(func(r *catalog.Run) bool {
		if r.Kind == catalog.RunSnapshot && r.Function == function && r.DurableSeconds > 0 {
			out = append(out, time.Duration(r.DurableSeconds*float64(time.Second)))
		}
		return len(out) < enoughRuns
	})
	if err != nil {
		h.log.Error("the record of runs could not be read", "function", function, "error", err)
	}
	return out
}

// LastPoint returns the consistency point of the newest snapshot that enough
// sites hold.
func (h history) LastPoint(function string) (time.Time, bool) {
	s, ok, err := h.repository.Newest(function, func(s repository.SnapshotInfo) bool { return s.Holders() >= h.cfg.MinSites })
	if err != nil {
		h.log.Error("the snapshots could not be read", "function", function, "error", err)
	}
	return s.RecoveryPoint, ok
}

// LastProof returns when a proof of a function from a site last came to a
// verdict: passed to the level that is configured, or found a difference. One
// that could not be carried out, or did not reach as far, leaves the proof due, and
// so does one beside the turns, which moves none of them.
func (h history) LastProof(function, site string) (at time.Time, ok bool) {
	err := h.catalog.Proofs(func(p *catalog.Proof) bool {
		if p.Function == function && p.Site == site && !p.Extra && verdict(h.cfg.Functions[function], p) {
			at, ok = p.Ended, true
		}
		return !ok
	})
	if err != nil {
		h.log.Error("the record of proofs could not be read", "function", function, "error", err)
	}
	return at, ok
}

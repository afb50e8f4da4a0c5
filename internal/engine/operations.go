package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/selection"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/verify"
)

// function returns the configured function of that name.
func (e *Engine) function(name string) (config.Function, error) {
	f, ok := e.cfg.Functions[name]
	if !ok {
		return f, fmt.Errorf("%w: function %q is not configured; there are %v", ErrUsage, name, e.cfg.FunctionOrder)
	}
	return f, nil
}

// chosen returns the named functions, or all in the order of their priority
// when none is named.
func (e *Engine) chosen(names []string) ([]config.Function, error) {
	if len(names) == 0 {
		names = e.cfg.FunctionOrder
	}
	var out []config.Function
	for _, name := range names {
		f, err := e.function(name)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b config.Function) int { return a.Priority - b.Priority })
	return out, nil
}

// Snapshot captures the named functions now, all of them when none is named.
// One that fails does not keep the others from being captured. The error
// matches [ErrDegraded] when everything was done but not at every site.
func (e *Engine) Snapshot(ctx context.Context, functions []string, report progress.Reporter) ([]snapshot.Result, error) {
	chosen, err := e.chosen(functions)
	if err != nil {
		return nil, err
	}
	e.startUploads(ctx)
	var results []snapshot.Result
	var failed, degraded []error
	for _, f := range chosen {
		r, err := e.capture(ctx, e.taker, f, report)
		results = append(results, r)
		switch {
		case errors.Is(err, errUnrecorded):
			degraded = append(degraded, fmt.Errorf("function %s: snapshot %s: %w", f.Name, r.Snapshot, err))
		case err != nil:
			failed = append(failed, err)
		case r.Degraded:
			degraded = append(degraded, fmt.Errorf("function %s: %s", f.Name, lacking(r)))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if len(failed) == 0 && len(degraded) > 0 {
		return results, fmt.Errorf("%w: %w", ErrDegraded, errors.Join(degraded...))
	}
	return results, errors.Join(append(failed, degraded...)...)
}

func lacking(r snapshot.Result) string {
	var out string
	for _, name := range slices.Sorted(maps.Keys(r.Sites)) {
		if s := r.Sites[name]; s.State != snapshot.StateDurable {
			out += fmt.Sprintf("site %s does not hold snapshot %s yet (%s); ", name, r.Snapshot, s.State)
		}
	}
	return out + "it is sent by the service, or by the next command, when the site takes it"
}

// capture takes one snapshot; a function is never captured twice at once.
func (e *Engine) capture(ctx context.Context, taker *snapshot.Taker, f config.Function, report progress.Reporter) (snapshot.Result, error) {
	token := e.busy[f.Name]
	select {
	case token <- struct{}{}:
	default:
		report.Report(progress.Event{Function: f.Name, Phase: "wait", Message: "a snapshot of " + f.Name + " is running; waiting for it to end"})
		select {
		case token <- struct{}{}:
		case <-ctx.Done():
			return snapshot.Result{Function: f.Name}, ctx.Err()
		}
	}
	defer func() { <-token }()
	defer e.setPhase(f.Name, "")
	result, err := e.take(ctx, taker, f, func(ev progress.Event) {
		e.setPhase(f.Name, ev.Phase)
		report.Report(ev)
	})
	e.raise(ctx, result)
	return result, err
}

func (e *Engine) setPhase(function, phase string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if phase == "" {
		delete(e.running, function)
		return
	}
	e.running[function] = phase
}

func (e *Engine) startUploads(ctx context.Context) {
	e.uploads.start(ctx, e.repository.Upload)
}

// Plan says what Restore would do, and touches nothing.
func (e *Engine) Plan(ctx context.Context, req restore.Request) (restore.Plan, error) {
	if _, err := e.function(req.Function); err != nil {
		return restore.Plan{}, err
	}
	plan, err := e.restorer.Plan(ctx, req)
	return plan, asUsage(err)
}

// Restore brings a recovery point back into a database.
func (e *Engine) Restore(ctx context.Context, req restore.Request, report progress.Reporter) (restore.Result, error) {
	if _, err := e.function(req.Function); err != nil {
		return restore.Result{}, err
	}
	result, err := e.restoreOnRecord(ctx, req, report)
	if errors.Is(err, errUnrecorded) {
		result.Unrecorded = err.Error()
	}
	return result, asUsage(err)
}

// asUsage marks errors that say that the request itself was wrong.
func asUsage(err error) error {
	if errors.Is(err, restore.ErrRequest) || errors.Is(err, verify.ErrRequest) || errors.Is(err, catalog.ErrNotFound) {
		return usageError{err}
	}
	return err
}

// usageError is an error that says already what was wrong with the request.
type usageError struct{ error }

func (e usageError) Unwrap() []error { return []error{e.error, ErrUsage} }

// Verify proves recovery points: of each function asked for, from each site
// asked for, the one named or the newest that the site holds. A proof that
// finds a difference makes the error match [ErrDifference]; one that cannot be
// carried out is a plain failure.
func (e *Engine) Verify(ctx context.Context, req VerifyRequest, report progress.Reporter) ([]verify.Result, error) {
	chosen, sites, err := e.toProve(&req)
	if err != nil {
		return nil, err
	}
	if err := e.voice(); err != nil {
		return nil, fmt.Errorf("nothing is proven without being on record: %w", err)
	}
	e.sweepScratch(ctx)
	var results []verify.Result
	var errs []error
	for _, f := range chosen {
		for _, site := range sites {
			r, err := e.verify(ctx, f, site, req, report)
			results = append(results, r)
			errs = append(errs, err)
			if ctx.Err() != nil {
				return results, errors.Join(errs...)
			}
		}
	}
	return results, errors.Join(errs...)
}

// verify proves what a request asks for of one function from one site.
func (e *Engine) verify(ctx context.Context, f config.Function, site string, req VerifyRequest, report progress.Reporter) (verify.Result, error) {
	if req.Cold {
		key, err := e.coldKey(req.Identity)
		if err != nil {
			return verify.Result{Function: f.Name, Site: site, Error: err.Error()}, err
		}
		return e.coldStart(ctx, f, site, key, false, report)
	}
	to := verify.Request{Function: f.Name, Snapshot: req.Snapshot, From: site, Level: req.Level, Lower: req.Level == ""}
	if to.Level == "" {
		to.Level = f.Prove.Level
	}
	if to.Snapshot == "" {
		rule := selection.Latest
		if req.Select != "" {
			rule = selection.Rule(req.Select)
		}
		var err error
		if to.Snapshot, to.Selection, err = e.pick(f, site, rule, req.Seed); err != nil {
			return verify.Result{Function: f.Name, Site: site, Error: err.Error()}, err
		}
	}
	return e.prove(ctx, to, report)
}

// sweepScratch removes, once, what a crash left of earlier proofs.
func (e *Engine) sweepScratch(ctx context.Context) {
	e.swept.Do(func() {
		if err := errors.Join(e.verifier.SweepScratch(ctx), e.sweepCold(ctx)); err != nil {
			e.log.Warn("what a crash left of earlier proofs could not be removed", "error", err)
		}
	})
}

// toProve resolves what a request leaves open. A snapshot belongs to one
// function, which then need not be named.
func (e *Engine) toProve(req *VerifyRequest) ([]config.Function, []string, error) {
	if req.Snapshot != "" {
		info, err := e.repository.Info(req.Snapshot)
		if err != nil {
			return nil, nil, asUsage(err)
		}
		if len(req.Functions) > 0 && !slices.Equal(req.Functions, []string{info.Function}) {
			return nil, nil, fmt.Errorf("%w: snapshot %s belongs to function %s", ErrUsage, info.ID, info.Function)
		}
		req.Snapshot, req.Functions = info.ID, []string{info.Function}
	}
	if err := req.checkSelect(); err != nil {
		return nil, nil, err
	}
	if err := req.checkLevel(); err != nil {
		return nil, nil, err
	}
	chosen, err := e.chosen(req.Functions)
	if err != nil {
		return nil, nil, err
	}
	if req.From == "" {
		return chosen, e.cfg.SiteOrder, nil
	}
	if _, err := e.repository.Site(req.From); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return chosen, []string{req.From}, nil
}

// prove carries out one proof and turns what it found into an error.
func (e *Engine) prove(ctx context.Context, req verify.Request, report progress.Reporter) (verify.Result, error) {
	r, err := e.proveOnRecord(ctx, req, report)
	return r, e.proofOutcome(r, err)
}

// proofOutcome turns what a proof found into an error.
func (e *Engine) proofOutcome(r verify.Result, err error) error {
	switch {
	case err != nil:
		return asUsage(err)
	case r.OwnCheckFailed():
		return fmt.Errorf("function %s at site %s: %w: snapshot %s is restored whole to %s, and a check of the function's own failed on it: %s",
			r.Function, r.Site, ErrDifference, r.Snapshot, r.Level, r.Unmet())
	case r.Difference:
		return fmt.Errorf("function %s at site %s: %w: snapshot %s reached %s of %s: %s",
			r.Function, r.Site, ErrDifference, r.Snapshot, orNone(r.Level), r.RequestedLevel, r.Unmet())
	case !r.Passed:
		return fmt.Errorf("function %s at site %s: not proven: snapshot %s reached %s of %s: %s",
			r.Function, r.Site, r.Snapshot, orNone(r.Level), r.RequestedLevel, r.Unmet())
	}
	return nil
}

func orNone(level string) string {
	if level == "" {
		return "no level"
	}
	return level
}

// Snapshots lists the recovery points of a function, of all when function is
// empty, by the names of functions,
// newest first within a function.
func (e *Engine) Snapshots(_ context.Context, function string) ([]RecoveryPoint, error) {
	if function != "" {
		if _, err := e.function(function); err != nil {
			return nil, err
		}
	}
	proofs, err := e.newestProofs()
	if err != nil {
		return nil, err
	}
	points := []RecoveryPoint{}
	doubts := map[string]repository.Doubt{}
	for _, name := range e.cfg.FunctionOrder {
		if doubts[name], err = e.repository.Doubt(name); err != nil {
			return nil, err
		}
	}
	err = e.repository.Snapshots(function, func(s repository.SnapshotInfo) bool {
		p := e.describePoint(s, proofs)
		withDoubt(&p, s, doubts[s.Function])
		points = append(points, p)
		return true
	})
	slices.SortStableFunc(points, func(a, b RecoveryPoint) int { return strings.Compare(a.Function, b.Function) })
	return points, err
}

func (e *Engine) describePoint(s repository.SnapshotInfo, proofs proofs) RecoveryPoint {
	p := RecoveryPoint{
		Function: s.Function, Snapshot: s.ID, RecoveryPoint: s.RecoveryPoint.UTC(),
		AgeSeconds: e.clock.Now().Sub(s.RecoveryPoint).Seconds(), DurationSeconds: s.Ended.Sub(s.Started).Seconds(),
		Rows: s.Rows, BytesRaw: s.BytesRaw, BytesNew: s.BytesNew, BytesStored: s.BytesStored,
		Sites: map[string]PointAtSite{}, Held: s.Held,
	}
	if !s.Condemned.IsZero() {
		p.Condemned, p.GoesAt, p.Reason = s.Condemned.UTC(), s.Condemned.Add(e.cfg.Sweep.Grace).UTC(), s.Reason
	}
	for name, st := range s.Sites {
		p.Sites[name] = PointAtSite{
			State: st.State, DurableAt: st.Durable, Error: st.Error,
			Proof:  e.describe(proofs.of[proofKey{snapshot: s.ID, site: name}]),
			Proven: proofs.proven(s.ID, name),
		}
	}
	return p
}

package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/source/postgres"
)

// Prove restores one snapshot from one site into scratch and checks what comes
// out, level by level, up to the first level that does not hold. The proof is
// recorded before it begins and again when it ends, so that none can vanish.
//
// A proof that found a difference returns no error: Result.Difference tells.
// An error says that the proof could not be carried out to its end, which
// proves nothing, neither good nor bad; it matches [ErrRequest] when asking
// again unchanged cannot help.
func (v *Verifier) Prove(ctx context.Context, req Request, report progress.Reporter) (Result, error) {
	started := v.Clock.Now()
	p := &proof{
		Verifier: v, Repository: v.Repository, req: req, report: report, phases: progress.NewPhases(v.Clock),
		result: Result{Function: req.Function, Site: req.From, Started: started.UTC()},
	}
	if req.Through != nil {
		p.Repository = req.Through
	}
	if err := p.prepare(ctx); err != nil {
		p.result.Error = err.Error()
		return p.result, err
	}
	record := catalog.Proof{Function: req.Function, Snapshot: p.snap.ID, Site: req.From, Started: started}
	if err := v.Catalog.PutProof(&record); err != nil {
		return p.result, p.wrap(fmt.Errorf("record the intent: %w", err))
	}
	err := p.run(ctx)
	if err != nil {
		err = p.wrap(err)
		p.result.Error = err.Error()
	}
	ended := v.Clock.Now()
	p.result.Phases = p.phases.Seconds()
	p.result.DurationSeconds = ended.Sub(started).Seconds()
	p.conclude()
	record.Ended = ended
	if recordErr := v.record(&record, p.result); recordErr != nil {
		return p.result, errors.Join(err, p.wrap(fmt.Errorf("record the result: %w", recordErr)))
	}
	return p.result, err
}

func (v *Verifier) record(record *catalog.Proof, result Result) (err error) {
	record.Level, record.Passed, record.Difference, record.Error = result.Level, result.Passed, result.Difference, result.Error
	if record.Error == "" {
		record.Error = firstDifference(result.Checks)
	}
	if record.Result, err = json.Marshal(result); err != nil {
		return err
	}
	return v.Catalog.PutProof(record)
}

// firstDifference tells of the first check that did not hold; nothing when all
// did.
func firstDifference(checks []Check) string {
	for _, c := range checks {
		if !c.Passed {
			return fmt.Sprintf("%s: %s: %s", c.Level, c.Name, c.Detail)
		}
	}
	return ""
}

// proof is one run of Prove.
type proof struct {
	*Verifier
	// Repository is the verifier's own, or as the request reads it.
	Repository *repository.Repository

	req    Request
	report progress.Reporter
	phases *progress.Phases
	result Result

	snap  *repository.Snapshot
	place *workplace
	load  *restore.Loader
	to    *postgres.Target // nil below L3
	url   string           // of the scratch database
	left  []string         // what was not compared, and why
}

// prepare checks the request and finds the snapshot.
func (p *proof) prepare(ctx context.Context) error {
	if p.req.Level == "" {
		p.req.Level = Levels[len(Levels)-1]
	}
	p.result.RequestedLevel = p.req.Level
	switch {
	case p.req.Function == "":
		return fmt.Errorf("%w: no function is named", ErrRequest)
	case !slices.Contains(Levels, p.req.Level):
		return fmt.Errorf("%w: level %q; there are %v", ErrRequest, p.req.Level, Levels)
	}
	if _, err := p.Repository.Site(p.req.From); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	id, err := p.choose()
	if err != nil {
		return err
	}
	p.snap, err = p.Repository.Snapshot(ctx, id)
	if err != nil {
		return err
	}
	p.result.Snapshot, p.result.RecoveryPoint = p.snap.ID, p.snap.RecoveryPoint
	p.result.BytesRaw = p.snap.BytesRaw
	return nil
}

// choose returns the id of the snapshot to prove: the one asked for, or the
// newest that the site holds.
func (p *proof) choose() (id string, err error) {
	held := func(s repository.SnapshotInfo) bool {
		return s.Sites[p.req.From].State == repository.StateDurable
	}
	if p.req.Snapshot == "" {
		s, ok, err := p.Repository.Newest(p.req.Function, held)
		if err == nil && !ok {
			err = fmt.Errorf("%w: site %s holds no recovery point of %s", ErrRequest, p.req.From, p.req.Function)
		}
		return s.ID, err
	}
	s, err := p.Repository.Info(p.req.Snapshot)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return "", fmt.Errorf("%w: %w", ErrRequest, err)
	case err != nil:
		return "", err
	case s.Function != p.req.Function:
		return "", fmt.Errorf("%w: snapshot %s belongs to function %s, not to %s", ErrRequest, s.ID, s.Function, p.req.Function)
	case !held(s):
		return "", fmt.Errorf("%w: site %s does not hold snapshot %s of %s: %w there",
			ErrRequest, p.req.From, s.ID, s.Function, repository.ErrNotDurable)
	}
	return s.ID, nil
}

// wrap says which proof an error is about.
func (p *proof) wrap(err error) error {
	return fmt.Errorf("proof of %s, snapshot %s, from site %s: %w", p.req.Function, p.snap.ID, p.req.From, err)
}

// run goes through the levels and clears up after itself, whatever happens.
func (p *proof) run(ctx context.Context) (err error) {
	crash.Point(crash.ProofIntended)
	if p.place, err = p.workplace(); err != nil {
		return err
	}
	crash.Point(crash.ProofPlaced)
	defer func() { err = errors.Join(err, p.clear(ctx)) }()
	steps := []func(context.Context) ([]Check, error){
		p.present, p.intact, p.readable, p.loadable, p.whole, p.equal,
	}
	for i, level := range Levels {
		if p.before != nil {
			p.before(p, level)
		}
		checks, err := steps[i](ctx)
		for j := range checks {
			checks[j].Level = level
		}
		if err != nil {
			checks = append(checks, Check{Name: "could not be checked", Level: level, Detail: err.Error()})
		}
		p.result.Checks = append(p.result.Checks, checks...)
		if err != nil {
			return fmt.Errorf("%s: %w", level, err)
		}
		if slices.ContainsFunc(checks, func(c Check) bool { return !c.Passed }) {
			p.result.Difference = true
			return nil
		}
		p.result.Level = level
		if level == p.req.Level {
			break
		}
	}
	return nil
}

// conclude sums up what was reached.
func (p *proof) conclude() {
	p.result.Passed = p.result.Level == p.req.Level && p.result.Error == ""
	p.result.NotProven = p.notProven()
}

// notProven says what this proof does not show.
func (p *proof) notProven() []string {
	var out []string
	if reached := slices.Index(Levels, p.result.Level); reached < len(Levels)-1 {
		for _, level := range Levels[reached+1:] {
			out = append(out, fmt.Sprintf("%s: that %s", level, Meaning(level)))
		}
	}
	out = append(out,
		"L6: that the application's own checks pass on the restored data",
		"L7: a cold start: this proof used the catalog and the key of this host, not an empty one with the escrowed key",
		"any site but "+p.req.From+": nothing was read from another",
		"how long people take to notice, decide and switch over; phases are machine time",
		"that a production server is as fast as the scratch one",
		"passwords of roles, which are never captured, and what lies outside of the database: configuration, files, jobs",
		"content of materialized views, which are computed anew",
	)
	return append(out, p.left...)
}

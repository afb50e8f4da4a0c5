package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
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
	return v.prove(ctx, req, nil, report)
}

func (v *Verifier) prove(ctx context.Context, req Request, spoil Spoil, report progress.Reporter) (Result, error) {
	started := v.Clock.Now()
	p := &proof{
		Verifier: v, Repository: v.Repository, req: req, spoil: spoil, report: report, phases: progress.NewPhases(v.Clock),
		result: Result{Function: req.Function, Site: req.From, Started: started.UTC(), Selection: req.Selection, Catalog: ThisHosts, Key: TheDaemons},
	}
	if req.Through != nil {
		p.Repository = req.Through
	}
	if err := p.prepare(ctx); err != nil {
		p.result.Error = err.Error()
		return p.result, err
	}
	record := catalog.Proof{Function: req.Function, Snapshot: p.snap.ID, Site: req.From, Started: started, Rule: p.result.Selection.Rule, Scheduled: req.Scheduled, Extra: req.Extra}
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
	record.Lowered = result.Lowered
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
		if c.Status == Fail || c.Status == Inconclusive {
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
	spoil  Spoil // nil but in a negative control
	report progress.Reporter
	phases *progress.Phases
	result Result

	snap  *repository.Snapshot
	place *workplace
	load  *restore.Loader
	to    *postgres.Target // nil below L3
	url   string           // of the scratch database
	left  []string         // what was not compared, and why

	checks []config.Check // of the function
}

// prepare checks the request and finds the snapshot.
func (p *proof) prepare(ctx context.Context) error {
	p.checks = p.Checks[p.req.Function]
	if s := &p.result.Selection; s.Rule == "" {
		s.Rule, s.Population = "named", 1
		if p.req.Snapshot == "" {
			s.Rule, s.Population = "latest", 0 // it was not counted
		}
	}
	p.result.RequestedLevel = p.req.Level
	switch {
	case p.req.Function == "":
		return fmt.Errorf("%w: no function is named", ErrRequest)
	case p.req.Level == levelCold:
		return fmt.Errorf("%w: %s needs a host with nothing on it: 'backupd verify --cold --from %s' makes one", ErrRequest, levelCold, p.req.From)
	case p.req.Level != "" && !slices.Contains(Levels, p.req.Level):
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
	p.settleLevel()
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
		p.present, p.intact, p.readable, p.loadable, p.whole, p.equal, p.ownChecks,
	}
	for i, step := range steps {
		level := Levels[i]
		if p.before != nil {
			p.before(p, level)
		}
		if err := p.spoilt(ctx, level); err != nil {
			return err
		}
		checks, err := step(ctx)
		if err != nil {
			checks = append(checks, Check{Name: "could not be checked", Status: Inconclusive, Detail: err.Error()})
		}
		reached := p.take(level, checks)
		if err != nil {
			return fmt.Errorf("%s: %w", level, err)
		}
		if !reached || level == p.req.Level {
			return nil
		}
	}
	return nil
}

// take adds the checks of a level to the result, and reports whether they reach
// it: at least one passed, and all others did or were skipped.
func (p *proof) take(level string, checks []Check) bool {
	passed, open := 0, 0
	for i := range checks {
		c := &checks[i]
		c.Level = level
		if c.Status == "" {
			c.Status = Fail
			if c.Passed {
				c.Status = Pass
			}
		}
		switch c.Passed = c.Status == Pass; c.Status {
		case Pass:
			passed++
		case Fail:
			p.result.Difference = true
			open++
		case Inconclusive:
			open++
		case Skipped:
		}
	}
	p.result.Checks = append(p.result.Checks, checks...)
	if passed == 0 || open > 0 {
		return false
	}
	p.result.Level = level
	return true
}

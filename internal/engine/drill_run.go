package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/selection"
	"github.com/saypro/backupd/internal/verify"
)

// exercise is one that touches systems, while it is carried out.
type exercise struct {
	*Engine
	scenario  *drill.Scenario
	from      string
	identity  string            // of cold starts, as asked for
	functions []config.Function // the first to restore first
	report    progress.Reporter

	id       string
	disaster time.Time
	points   map[string]chosenPoint // by function, as they were at the disaster
	unknown  map[string]error       // by function, why it is not known what there is
	through  *repository.Repository // nil: as always
	away     []*awaySite
	fetched  int64

	mu      sync.Mutex
	began   map[string]time.Time // by function
	ended   map[string]time.Time
	capture map[string]bool // what was captured meanwhile
}

// carryOut carries out an exercise that touches systems.
func (e *Engine) carryOut(ctx context.Context, s *drill.Scenario, req DrillRequest, report progress.Reporter) (*drill.Exercise, error) {
	run, err := e.prepareDrill(s, req, report)
	if err != nil {
		return nil, err
	}
	if !e.drilling.TryLock() {
		return nil, errors.New("another exercise is being carried out: two at once would measure one another; wait for it to end")
	}
	defer e.drilling.Unlock()
	e.sweepScratch(ctx)
	if s.Kind == drill.Failover {
		if err := run.cut(); err != nil {
			return nil, err
		}
	}
	x, err := e.beginDrill(ctx, s, run.from, s.Plan(run.from, run.targets()), req.Participants)
	if err != nil {
		return nil, err
	}
	run.id = x.ID
	steps := run.carryOut(ctx, x.Steps)
	if x, err = e.drills.End(x, steps, run.refusals(), e.actor(ctx)); err != nil {
		return nil, err
	}
	e.toldDrill()
	return x, errors.Join(ctx.Err(), drillOutcome(x), e.draftReview(x))
}

// prepareDrill resolves what an exercise works on.
func (e *Engine) prepareDrill(s *drill.Scenario, req DrillRequest, report progress.Reporter) (*exercise, error) {
	run := &exercise{
		Engine: e, scenario: s, from: req.From, identity: req.Identity, report: report, points: map[string]chosenPoint{}, unknown: map[string]error{},
		began: map[string]time.Time{}, ended: map[string]time.Time{}, capture: map[string]bool{},
	}
	if run.from == "" {
		run.from = s.From
	}
	if run.from == "" {
		return nil, fmt.Errorf("%w: exercise %s restores everything from one site: --from, one of %v", ErrUsage, s.Name, e.cfg.SiteOrder)
	}
	if _, err := e.repository.Site(run.from); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if s.Kind == drill.Failover && len(e.cfg.SiteOrder) < 2 {
		return nil, fmt.Errorf("%w: exercise %s needs another site than %s, to be refused", ErrUsage, s.Name, run.from)
	}
	var err error
	run.functions, err = e.chosen(nil)
	return run, err
}

func (run *exercise) targets() (out []drill.Target) {
	for _, f := range run.functions {
		out = append(out, drill.Target{Function: f.Name, RPOSeconds: f.RPO.Seconds(), RTOSeconds: f.RTO.Seconds()})
	}
	return out
}

// carryOut goes through the planned steps and returns what became of each.
func (run *exercise) carryOut(ctx context.Context, plan []evidence.DrillStep) []evidence.DrillStep {
	run.choose()
	run.disaster = run.clock.Now()
	steps := slices.Clone(plan)
	var restored sync.Once
	for i := range steps {
		step := &steps[i]
		switch step.Kind {
		case drill.StepRefuse:
			run.measure(step, func() { run.refuse(ctx, step) })
		case drill.StepRestore:
			// Their steps follow one another, and are carried out together.
			restored.Do(func() { run.restoreAll(ctx, steps) })
		case drill.StepCompare:
			run.measure(step, func() { run.compare(ctx, step) })
		case drill.StepCold:
			run.measure(step, func() { run.coldStep(ctx, step) })
		case drill.StepObjectives:
			run.measure(step, func() { run.keptNow(ctx, step) })
		case drill.StepAudit:
			run.measure(step, func() { run.audit(ctx, step) })
		}
	}
	return steps
}

func (run *exercise) measure(step *evidence.DrillStep, do func()) {
	began := run.clock.Now()
	step.Started = began.UTC()
	do()
	step.Seconds = run.clock.Now().Sub(began).Seconds()
}

// restoreAll restores every function. They begin, on record too, in the order of
// their priority, as many at a time as the scenario says.
func (run *exercise) restoreAll(ctx context.Context, steps []evidence.DrillStep) {
	mine := map[string]*evidence.DrillStep{}
	for i := range steps {
		if steps[i].Kind == drill.StepRestore {
			mine[steps[i].Function] = &steps[i]
		}
	}
	line := queue{slots: make(chan struct{}, run.atOnce())}
	for _, f := range run.functions {
		step := mine[f.Name]
		if err := run.unknown[f.Name]; err != nil {
			step.Error = err.Error()
			continue
		}
		if err := line.wait(ctx); err != nil {
			step.Error = "not begun: " + err.Error()
			continue
		}
		began := run.clock.Now() // here, where the order is theirs
		step.Started, step.WaitedSeconds = began.UTC(), began.Sub(run.disaster).Seconds()
		line.start(func(begun func()) { run.restore(whenBegun(ctx, begun), f, step, began) })
	}
	line.work.Wait()
	for _, f := range run.functions {
		mine[f.Name].Concurrent = run.beside(f.Name)
	}
	run.citeProofs(mine)
}

func (run *exercise) atOnce() int {
	if n := run.scenario.AtOnce; n > 0 {
		return n
	}
	return max(1, len(run.functions))
}

// choose fixes what is restored: the newest recovery points that the site holds
// when the disaster strikes. What is captured afterwards does not count.
func (run *exercise) choose() {
	for _, f := range run.functions {
		id, why, err := run.pick(f, run.from, selection.Latest, "")
		if err != nil || id == "" {
			run.unknown[f.Name] = err
			continue
		}
		info, err := run.repository.Info(id)
		if err != nil {
			run.unknown[f.Name] = err
			continue
		}
		run.points[f.Name] = chosenPoint{info, why}
	}
}

// chosenPoint is a recovery point, and why it was chosen.
type chosenPoint struct {
	repository.SnapshotInfo
	why verify.Selection
}

// restore restores one function into scratch and proves it.
func (run *exercise) restore(ctx context.Context, f config.Function, step *evidence.DrillStep, began time.Time) {
	point, ok := run.points[f.Name]
	if !ok {
		step.Status = evidence.Fail
		step.Error = fmt.Sprintf("site %s holds no recovery point of %s: all of it would be lost", run.from, f.Name)
		return
	}
	run.begin(f.Name, began)
	result, err := run.prove(run.context(ctx), verify.Request{
		Function: f.Name, Snapshot: point.ID, Selection: point.why, From: run.from, Level: f.Prove.Level, Lower: true, Through: run.through,
	}, run.report)
	run.end(f.Name, result.BytesFetched)
	step.Snapshot, step.RecoveryPoint, step.Level = point.ID, point.RecoveryPoint.UTC(), result.Level
	step.LostSeconds = run.disaster.Sub(point.RecoveryPoint).Seconds()
	step.Seconds, step.Phases = run.clock.Now().Sub(began).Seconds(), result.Phases
	judgeProof(step, result, err)
}

// judgeProof fills in the verdict on a function by the proof of what was
// restored. What could not be carried out shows nothing.
func judgeProof(step *evidence.DrillStep, result verify.Result, err error) {
	switch {
	case result.Difference:
		step.Status, step.Error = evidence.Fail, result.Unmet()
	case err != nil:
		step.Error = err.Error()
	case !result.Passed:
		step.Error = orNone(result.Level) + " of " + result.RequestedLevel + " was reached"
	case result.Level < restoring:
		step.Error = fmt.Sprintf("a proof to %s restores nothing: prove.level of the function must be %s or higher", result.Level, restoring)
	default:
		drill.JudgeRestore(step)
	}
}

func (run *exercise) begin(function string, at time.Time) {
	run.mu.Lock()
	defer run.mu.Unlock()
	run.began[function] = at
	run.noteCaptures()
}

func (run *exercise) end(function string, fetched int64) {
	run.mu.Lock()
	defer run.mu.Unlock()
	run.ended[function] = run.clock.Now()
	run.fetched += fetched
	run.noteCaptures()
}

// noteCaptures notes which functions are being captured. The caller holds mu.
func (run *exercise) noteCaptures() {
	run.Engine.mu.Lock()
	defer run.Engine.mu.Unlock()
	for function := range run.running {
		run.capture[function] = true
	}
}

// beside says what ran at the same time as the restore of a function.
func (run *exercise) beside(function string) []string {
	run.mu.Lock()
	defer run.mu.Unlock()
	began, ok := run.began[function]
	if !ok {
		return nil
	}
	over := func(name string) time.Time {
		if end, ok := run.ended[name]; ok {
			return end
		}
		return run.clock.Now()
	}
	var out []string
	for name, at := range run.began {
		if name != function && at.Before(over(function)) && began.Before(over(name)) {
			out = append(out, "restore of "+name)
		}
	}
	for name := range run.capture {
		out = append(out, "snapshot of "+name)
	}
	slices.Sort(out)
	return out
}

// citeProofs notes the records of the proofs that the steps rest on.
func (run *exercise) citeProofs(steps map[string]*evidence.DrillStep) {
	for r, err := range run.evidence.Find(evidence.ActProof, "", run.disaster.Add(-time.Second), time.Time{}) {
		if err != nil {
			run.log.Error("the records of an exercise's proofs could not be read", "exercise", run.id, "error", err)
			return
		}
		if r.Phase == evidence.Result && r.Proof != nil && r.Proof.Drill == run.id && steps[r.Function] != nil {
			sequence := r.Sequence
			steps[r.Function].Proof = &sequence
		}
	}
}

// drillKey is where a context carries the exercise that its work belongs to.
type drillKey struct{}

func (run *exercise) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, drillKey{}, run)
}

// markDrill notes in the record of a proof which exercise it is part of, and
// what runs beside it.
func markDrill(ctx context.Context, r evidence.Record) {
	run, ok := ctx.Value(drillKey{}).(*exercise)
	if !ok {
		return
	}
	r.Proof.Drill = run.id
	if r.Proof.Level != "" {
		r.Proof.Environment.Concurrent = run.beside(r.Function)
	}
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/evidence"
)

// coldStep restores and proves one function as if this host were lost. What
// does not reach L7, as with the daemon's own key, shows nothing.
func (run *exercise) coldStep(ctx context.Context, step *evidence.DrillStep) {
	began := run.clock.Now()
	step.WaitedSeconds = began.Sub(run.disaster).Seconds()
	key, err := run.coldKey(run.identity)
	if err != nil {
		step.Error = err.Error()
		return
	}
	f := run.cfg.Functions[step.Function]
	f.Name = step.Function
	run.begin(step.Function, began)
	r, err := run.coldStart(run.context(ctx), f, run.from, key, false, run.report)
	run.end(step.Function, r.BytesFetched)
	step.Snapshot, step.Level, step.Phases = r.Snapshot, r.Level, r.Phases
	if !r.RecoveryPoint.IsZero() {
		step.RecoveryPoint = r.RecoveryPoint.UTC()
		step.LostSeconds = run.disaster.Sub(r.RecoveryPoint).Seconds()
	}
	step.Seconds = run.clock.Now().Sub(began).Seconds()
	step.Actual = fmt.Sprintf("with %s key, on an empty host, from site %s alone", key.whose, run.from)
	switch {
	case r.Difference:
		step.Status, step.Error = evidence.Fail, r.Unmet()
	case err != nil || !r.Passed:
		step.Error = r.Unmet()
		if step.Error == "" && err != nil {
			step.Error = err.Error()
		}
	default:
		drill.JudgeRestore(step)
	}
	run.citeProof(step)
}

// citeProof notes the record of the newest proof of a step's function that the
// exercise made.
func (run *exercise) citeProof(step *evidence.DrillStep) {
	for r, err := range run.evidence.Find(evidence.ActProof, step.Function, step.Started.Add(-time.Second), time.Time{}) {
		if err != nil {
			run.log.Error("the record of an exercise's proof could not be read", "exercise", run.id, "error", err)
			return
		}
		if r.Phase == evidence.Result && r.Proof != nil && r.Proof.Drill == run.id {
			sequence := r.Sequence
			step.Proof = &sequence
		}
	}
}

// keptNow looks whether every promise is kept at this moment.
func (run *exercise) keptNow(ctx context.Context, step *evidence.DrillStep) {
	kept, err := run.Objectives(ctx, ObjectivesRequest{})
	if err != nil {
		step.Error = err.Error()
		return
	}
	var broken, unknown []string
	for _, f := range kept.Functions {
		switch {
		case f.Unjudged != "":
			unknown = append(unknown, f.Function+": "+f.Unjudged)
		case f.Degraded:
			broken = append(broken, f.Function+": "+strings.Join(f.Reasons, ", "))
		}
	}
	switch {
	case len(broken) > 0:
		step.Status, step.Error = evidence.Fail, strings.Join(broken, "; ")
	case len(unknown) > 0:
		step.Error = strings.Join(unknown, "; ")
	case len(kept.Functions) == 0:
		step.Error = "nothing is promised of any function"
	default:
		step.Status = evidence.Pass
		step.Actual = fmt.Sprintf("of %d functions every promise is kept now, and can be", len(kept.Functions))
	}
}

// audit makes a bundle of all records and checks it as an auditor does, but for
// the key, which is this host's own.
func (run *exercise) audit(ctx context.Context, step *evidence.DrillStep) {
	v, err := run.auditAll(ctx)
	switch {
	case err != nil:
		step.Error = err.Error()
	case !v.OK:
		f := v.Findings[0]
		step.Status = evidence.Fail
		step.Error = fmt.Sprintf("%d findings, the first: %s: %s", len(v.Findings)+v.More, f.Kind, f.Text)
	default:
		step.Status = evidence.Pass
		step.Actual = fmt.Sprintf("%d records in order, root %s; checked with this host's own key, an auditor has one from elsewhere", v.To-v.From, v.Root)
	}
}

func (run *exercise) auditAll(ctx context.Context) (v *evidence.Verification, err error) {
	file, err := os.CreateTemp(run.cfg.DataDir, ".audit-*.zip")
	if err != nil {
		return nil, fmt.Errorf("audit the evidence: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	if err := run.WriteEvidence(ctx, BundleRequest{}, file); err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("audit the evidence: %w", err)
	}
	return evidence.Verify(ctx, file, info.Size(), evidence.VerifyOptions{Keys: []evidence.PublicKey{run.Engine.evidence.PublicKey()}})
}

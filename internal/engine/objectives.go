package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/objective"
)

// defaultPeriod is what is judged when nobody says from when on.
const defaultPeriod = 30 * 24 * time.Hour

// Objectives says how well the objectives were kept in a period, by what the
// evidence log tells, and what can be expected of them.
func (e *Engine) Objectives(_ context.Context, req ObjectivesRequest) (Objectives, error) {
	now := e.clock.Now().UTC()
	out, err := period(req, now)
	if err != nil {
		return Objectives{}, err
	}
	for r, err := range e.evidence.Records(0, 1) {
		if err != nil {
			return Objectives{}, err
		}
		out.Evidence = r.Time.UTC()
	}
	functions, err := e.promised(req.Function, out.To)
	if err != nil {
		return Objectives{}, err
	}
	for _, name := range functions {
		f, err := e.functionObjectives(name, out)
		if err != nil {
			return Objectives{}, err
		}
		out.Degraded = out.Degraded || f.Degraded
		out.Functions = append(out.Functions, f)
	}
	slices.SortStableFunc(out.Functions, endangered)
	return out, nil
}

func period(req ObjectivesRequest, now time.Time) (Objectives, error) {
	out := Objectives{Time: now, From: req.From.UTC(), To: req.To.UTC(), Functions: []FunctionObjectives{}}
	if req.To.IsZero() {
		out.To = now
	}
	if req.From.IsZero() {
		out.From = out.To.Add(-defaultPeriod)
	}
	if out.To.After(now) {
		return out, fmt.Errorf("%w: the period ends at %s, and it is %s now", ErrUsage, out.To.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	if !out.From.Before(out.To) {
		return out, fmt.Errorf("%w: the period begins at %s and ends at %s", ErrUsage, out.From.Format(time.RFC3339), out.To.Format(time.RFC3339))
	}
	return out, nil
}

// promised returns the function of a name, or all that are configured or were
// promised something once, by name. One that is configured no more has a past.
func (e *Engine) promised(name string, to time.Time) ([]string, error) {
	names := slices.Clone(e.cfg.FunctionOrder)
	for r, err := range e.evidence.Find(evidence.ActPolicy, "", time.Time{}, to) {
		if err != nil {
			return nil, err
		}
		if r.Policy != nil {
			names = slices.AppendSeq(names, maps.Keys(r.Policy.Functions))
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if name == "" {
		return names, nil
	}
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("%w: function %q is not configured, and never was; there are %v", ErrUsage, name, names)
	}
	return []string{name}, nil
}

func (e *Engine) functionObjectives(name string, o Objectives) (FunctionObjectives, error) {
	out := FunctionObjectives{Function: name, Policies: []PolicyInForce{}, Views: []ExposureView{}}
	h, err := evidence.History(e.evidence, name, o.From, o.To)
	if err != nil {
		return out, fmt.Errorf("function %s: %w", name, err)
	}
	a := objective.Assess(h, o.From, o.To)
	out.Since = inUTC(a.Since)
	for _, p := range a.Parts {
		out.Policies = append(out.Policies, PolicyInForce{
			From: p.From.UTC(), To: p.To.UTC(), RPOSeconds: p.Policy.RPO.Seconds(), RTOSeconds: p.Policy.RTO.Seconds(),
			ProveEverySeconds: p.Policy.ProveEvery.Seconds(), Sites: p.Policy.Sites,
		})
	}
	for _, f := range a.Views {
		out.Views = append(out.Views, describeFigures(f))
		out.Violated = out.Violated || !f.Proven && f.Broken > 0
	}
	if a.Since.IsZero() {
		out.Unjudged = unjudged(h, o)
		out.Reasons = append(out.Reasons, out.Unjudged)
	}
	if _, configured := e.cfg.Functions[name]; configured {
		out.Outlook, err = e.outlook(name, o.Time)
		if err != nil {
			return out, err
		}
		out.Reasons = append(out.Reasons, out.Outlook.reasons()...)
	}
	if o.To.Equal(o.Time) {
		out.Reasons = append(out.Reasons, brokenNow(a)...)
	}
	out.Degraded = len(out.Reasons) > 0
	return out, nil
}

// unjudged says why nothing can be judged.
func unjudged(h objective.History, o Objectives) string {
	switch {
	case o.Evidence.IsZero():
		return "nothing can be judged: the evidence log has no record"
	case !o.Evidence.Before(o.To):
		return fmt.Sprintf("nothing can be judged: there is no record before %s", o.Evidence.Format(time.RFC3339))
	case len(h.Policies) > 0:
		return "nothing can be judged: nothing was promised of the function in the period"
	default:
		return fmt.Sprintf("nothing can be judged: no record before %s promises anything of the function", o.To.Format(time.RFC3339))
	}
}

// brokenNow says which promises are broken at the end of the period, and which
// cannot be said to be kept.
func brokenNow(a objective.Assessment) (out []string) {
	for _, f := range a.Views {
		if f.Scope == objective.ScopeAll {
			continue // every site says it for itself
		}
		if f.New.To.Equal(a.To) { // that breaks nothing, and is not good
			out = append(out, fmt.Sprintf("%v: new: no recovery point yet, judged from %s on", f.View, f.New.From.UTC().Format(time.RFC3339)))
		}
		if len(f.Violations) == 0 {
			continue
		}
		last := f.Violations[len(f.Violations)-1]
		if last.End.Equal(a.To) {
			out = append(out, fmt.Sprintf("%v: broken since %s: %s", f.View, last.Start.UTC().Format(time.RFC3339), last.Causes[0].Detail))
		}
	}
	return out
}

// endangered orders functions by how much their promises are in danger: those
// that are not kept or not known, those that were kept for the least time,
// those that growth breaks first.
func endangered(a, b FunctionObjectives) int {
	if a.Degraded != b.Degraded {
		if a.Degraded {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.attainment(), b.attainment()), a.Outlook.breaks().Compare(b.Outlook.breaks()), cmp.Compare(a.Function, b.Function))
}

// attainment is the least of what is durable.
func (f FunctionObjectives) attainment() float64 {
	least := 1.0
	for _, v := range f.Views {
		if !v.Proven && v.Attainment != nil {
			least = min(least, *v.Attainment)
		}
	}
	return least
}

func describeFigures(f objective.Figures) ExposureView {
	v := ExposureView{
		Scope: f.Scope, Site: f.Site, Proven: f.Proven,
		MaximumSeconds: f.Maximum.Seconds(), UnprotectedSeconds: f.Unprotected.Seconds(),
		JudgedSeconds: f.Judged.Seconds(), BrokenSeconds: f.Broken.Seconds(), Violations: []ObjectiveViolation{},
		NewFrom: inUTC(f.New.From), NewTo: inUTC(f.New.To),
	}
	if !f.Unbounded {
		v.P99Seconds = pointer(f.P99.Seconds())
	}
	if f.Judged > 0 {
		v.Attainment = &f.Attainment
	}
	for _, broken := range f.Violations {
		o := ObjectiveViolation{
			Start: broken.Start.UTC(), End: broken.End.UTC(), PeakSeconds: broken.Peak.Seconds(), LimitSeconds: broken.Limit.Seconds(), Unprotected: broken.Unprotected,
		}
		for _, c := range broken.Causes {
			o.Causes = append(o.Causes, ViolationCause{Kind: c.Kind, From: inUTC(c.From), To: inUTC(c.To), Site: c.Site, Count: c.Count, Detail: c.Detail})
		}
		v.Violations = append(v.Violations, o)
	}
	return v
}

func pointer(v float64) *float64 { return &v }

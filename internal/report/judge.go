package report

import (
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/objective"
)

// judge measures the exposure of a function and holds it against the policy
// that was in force at each moment.
func (p *Period) judge(l Log, f *Function) (objective.History, error) {
	h, err := evidence.History(l, f.Function, p.From, p.readTo)
	if err != nil {
		return h, fmt.Errorf("read the history of %s in the evidence log: %w", f.Function, err)
	}
	a := objective.Assess(h, p.From, p.JudgedTo)
	for _, figures := range a.Views {
		f.Views = append(f.Views, p.view(figures, a.Parts))
	}
	f.Verdict = verdict(f.Views)
	for _, scope := range []string{objective.ScopeAny, objective.ScopeAll} {
		if c, ok := p.chartOf(h, a, scope); ok {
			f.charts = append(f.charts, c)
		}
	}
	return h, nil
}

func (p *Period) view(f objective.Figures, parts []objective.Part) View {
	v := View{
		Name: viewName(f.View), Scope: f.Scope, Proven: f.Proven,
		JudgedSeconds: f.Judged.Seconds(), MeasuredSeconds: f.Measured.Seconds(),
		UnprotectedSeconds: f.Unprotected.Seconds(), BrokenSeconds: f.Broken.Seconds(), Violations: []Violation{},
	}
	if !f.New.To.IsZero() {
		v.NewFrom, v.NewTo = f.New.From.UTC(), f.New.To.UTC()
	}
	if limit, ok := parts[len(parts)-1].Policy.Limit(f.View); ok {
		v.LimitSeconds = seconds(limit)
	}
	if f.Measured > f.Unprotected {
		v.MaxSeconds = seconds(f.Maximum)
	}
	if f.Measured > 0 && !f.Unbounded {
		v.P99Seconds = seconds(f.P99)
	}
	if f.Judged > 0 {
		v.Attainment = &f.Attainment
	}
	for _, x := range f.Violations {
		v.Violations = append(v.Violations, p.violation(x))
	}
	return v
}

func viewName(v objective.View) string {
	if v.Scope == objective.ScopeSite {
		return v.Site
	}
	v.Proven = false
	return v.String()
}

func (p *Period) violation(x objective.Violation) Violation {
	v := Violation{
		Start: x.Start.UTC(), End: x.End.UTC(), Seconds: x.End.Sub(x.Start).Seconds(),
		PeakSeconds: x.Peak.Seconds(), Unprotected: x.Unprotected, LimitSeconds: x.Limit.Seconds(),
		Open: !x.End.Before(p.JudgedTo), Causes: []Cause{},
	}
	for _, c := range x.Causes {
		if c.From.Before(p.begins) {
			v.Causes = []Cause{{Kind: "not known", From: c.From.UTC(), To: c.To.UTC(), Site: c.Site, Detail: fmt.Sprintf(
				"it began before %s, and the records of what went on then are not in this bundle", when(p.begins))}}
			break
		}
		v.Causes = append(v.Causes, Cause{Kind: c.Kind, From: c.From.UTC(), To: c.To.UTC(), Site: c.Site, Runs: c.Count, Detail: c.Detail})
	}
	return v
}

// verdict is about the recovery points that were durable. A site of which
// nothing is known makes it no better than that.
func verdict(views []View) Verdict {
	kept := map[string]bool{}
	judged := false
	for _, v := range views {
		if v.Proven || v.Scope == objective.ScopeSite || v.Attainment == nil {
			continue
		}
		if v.MaxSeconds == nil && v.BrokenSeconds == 0 {
			continue // it is new, and nothing was ever there
		}
		judged = true
		kept[v.Scope] = v.BrokenSeconds == 0
	}
	switch {
	case !judged:
		return Unknown
	case kept[objective.ScopeAny] && kept[objective.ScopeAll]:
		return Kept
	case kept[objective.ScopeAny]:
		return Partly
	default:
		return Broken
	}
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

// summarize says in plain words how a function fared.
func (p *Period) summarize(f *Function) {
	f.Summary = append(f.Summary, exposureSentence(f))
	f.Summary = append(f.Summary, proofSentence(f), runSentence(f.Runs))
	if s := p.recoverySentence(f); s != "" {
		f.Summary = append(f.Summary, s)
	}
}

func exposureSentence(f *Function) string {
	anyone, every := f.durable(objective.ScopeAny), f.durable(objective.ScopeAll)
	switch f.Verdict {
	case Kept:
		return fmt.Sprintf("The RPO of %s was kept at every moment and at every site; the worst exposure at any one of them was %s.",
			span(*f.RPOSeconds), spanOr(every.MaxSeconds, "unknown"))
	case Partly:
		return fmt.Sprintf("The RPO of %s was kept at every moment by one site or another, but not by every site: %s, together %s; the worst exposure at one of them was %s.",
			span(*f.RPOSeconds), plural(len(every.Violations), "violation"), span(every.BrokenSeconds), every.worst())
	case Broken:
		return fmt.Sprintf("The RPO of %s was broken: %s seen from any site, together %s; the worst exposure was %s. It was kept for %s of the time by any site and for %s by every site.",
			span(*f.RPOSeconds), plural(len(anyone.Violations), "violation"), span(anyone.BrokenSeconds), anyone.worst(), percentOr(anyone.Attainment, "none"), percentOr(every.Attainment, "none"))
	case Unknown:
		if !every.NewTo.IsZero() {
			return fmt.Sprintf("It is new: there is no recovery point yet, and its exposure is judged from %s on.", when(every.NewFrom))
		}
		fallthrough
	default:
		return "Nothing is known of its exposure: no policy that promises anything of it was in force in the judged time."
	}
}

// worst is the greatest exposure of a view in words.
func (v *View) worst() string {
	switch {
	case v.MaxSeconds == nil:
		return "without bound: there was no recovery point"
	case v.UnprotectedSeconds > 0:
		return fmt.Sprintf("without bound for %s, when there was no recovery point, and else %s", span(v.UnprotectedSeconds), span(*v.MaxSeconds))
	default:
		return span(*v.MaxSeconds)
	}
}

// durable returns the view of what was durable in a scope; an empty one when
// there is none.
func (f *Function) durable(scope string) *View {
	for i := range f.Views {
		if v := &f.Views[i]; v.Scope == scope && !v.Proven {
			return v
		}
	}
	return &View{}
}

func proofSentence(f *Function) string {
	n := f.ProofCounts
	if n.Ended == 0 && n.Unanswered == 0 {
		return "No proof ended in the period: that it can be restored is not shown."
	}
	s := fmt.Sprintf("%s ended: %s passed, %s found a difference, %s could not be carried out", plural(n.Ended, "proof"),
		count(n.Passed), count(n.Differences), count(n.Inconclusive+n.CutShort))
	if n.Unanswered > 0 {
		s += fmt.Sprintf("; of %s that began no record tells the end", plural(n.Unanswered, "proof"))
	}
	return s + "."
}

func runSentence(n Runs) string {
	if n.Begun == 0 {
		return "No snapshot was begun in the period."
	}
	s := fmt.Sprintf("%s: %s done", plural(n.Begun, "snapshot"), count(n.Done))
	for _, x := range []struct {
		n    int
		what string
	}{{n.Degraded, "at some sites only"}, {n.Failed, "failed"}, {n.CutShort, "cut short"}, {n.Unanswered, "without an end in the log"}} {
		if x.n > 0 {
			s += fmt.Sprintf(", %s %s", count(x.n), x.what)
		}
	}
	return s + "."
}

// recoverySentence holds the slowest full restore of a passed proof against the
// RTO.
func (p *Period) recoverySentence(f *Function) string {
	var slowest *ProofLine
	for i := range p.Proofs {
		x := &p.Proofs[i]
		if x.Function == f.Function && x.Finding == Passed && x.Level >= "L3" && (slowest == nil || x.Seconds > slowest.Seconds) {
			slowest = x
		}
	}
	if slowest == nil {
		return ""
	}
	s := fmt.Sprintf("The slowest full restore of a passed proof took %s of machine time, from %s (record %d)", span(slowest.Seconds), slowest.Site, slowest.Sequence)
	if f.RTOSeconds != nil && *f.RTOSeconds > 0 {
		s += fmt.Sprintf("; the RTO of %s has to hold the time of people as well", span(*f.RTOSeconds))
	}
	return s + "."
}

// attained is the share of the judged time within the limit, in words. Only all
// of it is 100 %.
func (v *View) attained() string {
	if v.BrokenSeconds == 0 {
		return percent(1)
	}
	return percent(min(*v.Attainment, 0.999999999))
}

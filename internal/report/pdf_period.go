package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// pdfProofs is how many proofs the PDF, which is the shorter form, tells one by
// one. What did not pass is always told so.
const pdfProofs = 60

// PDF writes the report as a PDF: the same in a shorter form.
func (p *Period) PDF(w io.Writer) error {
	page := p.page()
	d, err := newPaper(p.title(), fmt.Sprintf("%s · log of %s records, root %s", p.title(), count(p.Cover.Size), p.Cover.Root), p.Cover.Generated)
	if err != nil {
		return err
	}
	d.periodCover(page)
	d.periodTrouble(page)
	d.periodPolicy(page)
	d.found(page)
	for i := range p.Functions {
		d.periodFunction(&p.Functions[i], page.FunctionPages[i])
	}
	d.periodProofs(p)
	d.programme(page)
	d.periodTests(page)
	d.periodExercises(page)
	d.periodEvents(page)
	d.periodLimits(page)
	d.verification(p.Cover)
	return d.write(w)
}

func (d *paper) periodCover(p *page) {
	d.title(p.P.Title, "What was promised, what was tried and what came of it, from the signed records of the evidence log alone. All times are UTC.")
	period := when(p.From) + " to " + when(p.To)
	if p.JudgedTo.Before(p.To) {
		period += "; judged until " + when(p.JudgedTo) + ", where the log ends"
	}
	records := "none"
	if p.Cover.First != nil {
		records = fmt.Sprintf("%d to %d", *p.Cover.First, *p.Cover.Last)
	}
	names := make([]string, len(p.Functions))
	for i, f := range p.Functions {
		names[i] = f.Function
	}
	d.facts("Period", period, "Functions", cmp.Or(strings.Join(names, ", "), "none"), "Sites", cmp.Or(strings.Join(p.Sites, ", "), "none named by a policy"),
		"Made", when(p.Cover.Generated)+", by backupd "+p.Cover.Generator, "Records of the period", records,
		"Evidence log", count(p.Cover.Size)+" records, root "+p.Cover.Root)
	d.figures(p.Figures)
	d.chapter("Summary", "", "")
	if p.Edge != "" {
		d.card("Not all is known", gradeUnknown, "not known", []string{p.Edge})
	}
	for _, f := range p.Functions {
		d.card(f.Function, gradeOf(f.Verdict), string(f.Verdict), f.Summary)
	}
	if len(p.Functions) == 0 {
		d.none("Nothing is known: no policy and no record of any function falls into the period.")
	}
	d.note("“kept”: at every site at every moment that is judged. “partly”: by one site at least at every moment, not by every one. " +
		"“broken”: at some moment no site kept it. “not known” is none of these, and never good. Durations are rounded up, shares are cut.")
}

func (d *paper) periodTrouble(p *page) {
	d.chapter("What went wrong", "", "")
	d.heading("Begun, and no record tells the end")
	if len(p.Unanswered) == 0 {
		d.none("Every act that was begun in the period has a result in the log.")
	} else {
		t := table([]float64{3, 1.4, 2, 2.4, 2.4, 2}, "Begun", "Record", "Act", "Function, site", "Asked for by", "End")
		for _, u := range p.Unanswered {
			end := graded(gradeBad, "no record", "")
			if u.Later {
				end = graded(gradeWarn, "after the period", "")
			}
			t.row(words(when(u.Time)), words(fmt.Sprint(u.Sequence)), words(string(u.Act)), twice(u.Function, u.Site), words(u.By), end)
		}
		d.table(t)
	}
	d.heading("Ended otherwise than done")
	d.failures(p)
	d.heading("Silence")
	if len(p.Silences) == 0 {
		d.none("The log was never silent for longer than a running program would be.")
		return
	}
	t := table([]float64{2, 2, -2, -1}, "From", "To", "For", "After record")
	for _, s := range p.Silences {
		t.row(cells(when(s.From), when(s.To), span(s.Seconds), fmt.Sprint(s.After))...)
	}
	d.table(t)
}

func (d *paper) failures(p *page) {
	if len(p.FailureRows) == 0 {
		d.none("Every act that ended in the period was done.")
		return
	}
	if len(p.FailureRows) < len(p.Failures) {
		d.note(count(len(p.Failures)) + " in all; like ones are told together here, and each by itself in the JSON form of this report.")
	}
	t := table([]float64{3, 1.3, 1.7, 2, 2, 4.6, 2.2}, "When", "Record", "Act", "Function, site", "Outcome", "What the record says", "Works again")
	for _, f := range p.FailureRows {
		more := ""
		if f.Count > 1 {
			more = fmt.Sprintf("%s times, the last %s", count(f.Count), when(f.Last))
		}
		t.row(twice(when(f.Time), more), words(fmt.Sprint(f.Sequence)), words(string(f.Act)), twice(f.Function, f.Site), graded(gradeOf(f.Outcome), string(f.Outcome), ""), words(short(f.Error)), fixed(f.Fix))
	}
	d.table(t)
}

func fixed(f *Fix) cell {
	switch {
	case f == nil:
		return graded(gradeBad, "not in the period", "")
	case f.By == nil:
		return twice("after "+span(f.Seconds), f.Shown)
	}
	return twice("after "+span(f.Seconds), fmt.Sprintf("%s, record %d", f.Shown, *f.By))
}

func (d *paper) periodPolicy(p *page) {
	d.chapter("Inventory and policy", "", "")
	if len(p.Policies) == 0 {
		d.none("No policy is recorded up to the end of the period. Nothing can be judged.")
		return
	}
	d.para("Each moment is judged by the policy that was in force then. A later policy changes nothing of it.")
	for _, policy := range p.page().Policies {
		head := "From " + when(policy.Time)
		if policy.Before {
			head = "In force when the period began, since " + when(policy.Time)
		}
		d.heading(fmt.Sprintf("%s (record %d, by %s)", head, policy.Sequence, cmp.Or(policy.By, "nobody named")))
		for _, c := range policy.Changes {
			d.bullet(c)
		}
		if policy.Full {
			d.inventory(policy.Policy)
		}
		d.note("Sites: " + strings.Join(policy.Sites, ", ") + ". SHA-256 of the policy: " + policy.SHA256)
	}
}

func (d *paper) inventory(policy Policy) {
	t := table([]float64{2.2, 3.4, -1.4, -1.4, -1.2, 2.4, 3.4}, "Function", "Source, scope", "RPO", "RTO", "Priority", "Proofs", "Kept")
	for _, name := range sortedKeys(policy.Functions) {
		f := policy.Functions[name]
		proofs := "none promised"
		if f.ProveEverySeconds > 0 {
			proofs = "every " + span(f.ProveEverySeconds) + " to " + f.ProveLevel
		}
		t.row(words(name), twice(f.Source, strings.Join(f.Scope, ", ")), words(span(f.RPOSeconds)), words(span(f.RTOSeconds)), words(fmt.Sprint(f.Priority)),
			twice(proofs, plural(len(f.Checks), "own check")), words(cmp.Or(kept(f.Keep), "everything")))
	}
	d.table(t)
}

func (d *paper) periodFunction(f *Function, page functionPage) {
	d.chapter(f.Function, gradeOf(f.Verdict), string(f.Verdict))
	for i := range f.charts {
		d.chart(&f.charts[i])
	}
	if len(f.charts) == 0 {
		d.none("There is no chart: nothing was promised of this function in the judged time, so nothing is known of its exposure.")
		return
	}
	d.note("Each column shows the least and the greatest exposure of its stretch of time; the dashes are the RPO in force; shaded, with a wedge above: outside the RPO; grey: no recovery point, or not judged.")
	d.views(f)
	d.violations("Violations of the RPO", page.Durable)
	d.violations("Proofs that came too late", page.Proven)
}

func (d *paper) views(f *Function) {
	t := table([]float64{2, 1.5, -1.5, -2.2, -2, -2, -2, -1.5}, "Seen from", "Counted", "Limit", "Greatest exposure", "p99 of the time", "Within the limit", "Outside, together", "Violations")
	for _, v := range f.Views {
		counted := "durable"
		if v.Proven {
			counted = "proven"
		}
		most := words(spanOr(v.MaxSeconds, "not known"))
		if v.UnprotectedSeconds > 0 {
			most.below = "none for " + span(v.UnprotectedSeconds)
		}
		if !v.NewTo.IsZero() {
			most.below += "; new: judged from " + when(v.NewFrom) + " on"
		}
		within, outside, n := "not judged", "–", "–"
		if v.Attainment != nil {
			within, outside, n = v.attained(), span(v.BrokenSeconds), count(len(v.Violations))
		}
		t.row(words(v.Name), words(counted), words(spanOr(v.LimitSeconds, "none")), most, words(spanOr(v.P99Seconds, "no bound")), words(within), words(outside), words(n))
	}
	d.table(t)
}

func (d *paper) violations(title string, rows []violationRow) {
	d.heading(title)
	if len(rows) == 0 {
		d.none("None in the judged time.")
		return
	}
	t := table([]float64{2.7, 2.7, -1.6, -2, 2, 5}, "From", "To", "For", "Peak, limit", "Seen from", "Cause")
	for _, r := range rows {
		start, end, peak := words(when(r.Start)), words(until(r.Start, r.End)), span(r.Peak)
		if r.Count > 1 {
			start.below = count(r.Count) + " on this day"
		}
		if r.Open {
			end = graded(gradeBad, "goes on", when(r.End))
		}
		if r.Unprotected {
			peak = "no recovery point"
		}
		t.row(start, end, words(span(r.Seconds)), twice(peak, span(r.Limit)), words(strings.Join(r.Views, ", ")), words(strings.Join(r.Causes, "; ")))
	}
	d.table(t)
}

func (d *paper) periodProofs(p *Period) {
	d.chapter("Proofs", "", "")
	d.para("A proof restores a recovery point from one site into scratch and checks what comes out. Its time is machine time only: people notice, decide and switch over besides.")
	if len(p.Proofs) == 0 {
		d.none("No proof ended in the period. That anything can be restored is not shown.")
	}
	single, groups := p.proofRows(pdfProofs)
	if len(groups) > 0 {
		d.note(count(len(p.Proofs)) + " in all. Passed ones are told together by month; each one that did not pass is listed, and every one is in the JSON form.")
	}
	if len(single) > 0 {
		t := table([]float64{2.7, 2, 3, 1.3, 3.6, 3}, "Ended, record", "Function, site", "Recovery point, selection", "Level", "Outcome", "Machine time, RTO")
		for _, x := range single {
			t.row(proofCells(x)...)
		}
		d.table(t)
	}
	if len(groups) > 0 {
		t := table([]float64{2, 2, 1.6, 1.2, 1.8, -1.4, -1.6, -1.4, 2.4}, "Function", "Site", "Month", "Level", "Outcome", "Proofs", "Slowest", "RTO", "Records")
		for _, g := range groups {
			t.row(words(g.Function), words(g.Site), words(g.Month), words(g.Level), graded(gradeGood, string(Passed), ""), words(count(g.Count)), words(span(g.Slowest)), words(orDash(g.RTOSeconds)), words(fmt.Sprintf("%d–%d", g.First, g.Last)))
		}
		d.table(t)
	}
	t := table([]float64{1, 9}, "Level", "What holds when it is reached, and everything above it in this list too")
	for _, l := range Levels {
		t.row(cells(l.Level, l.Meaning)...)
	}
	d.table(t)
}

func proofCells(x ProofLine) []cell {
	took := words("–")
	if x.Seconds > 0 {
		took = twice(span(x.Seconds), phaseText(x.Phases))
		if x.RTOSeconds > 0 {
			took.text += " of " + span(x.RTOSeconds)
		}
	}
	problem := x.Problem
	if x.Objection != "" {
		problem += " CONTRADICTION: " + x.Objection
	}
	return []cell{
		twice(when(x.Time), fmt.Sprintf("record %d", x.Sequence)), twice(x.Function, "from "+x.Site), twice(when(x.RecoveryPoint), x.selectionText()),
		twice(cmp.Or(x.Level, "none"), "of "+x.Requested), graded(gradeOf(x.Finding), string(x.Finding), problem), took,
	}
}

func orDash(seconds float64) string {
	if seconds == 0 {
		return "–"
	}
	return span(seconds)
}

func (d *paper) periodTests(p *page) {
	d.chapter("Restores on request", "", "")
	if len(p.Restores) == 0 {
		d.none("Nothing was restored on request in the period.")
	} else {
		t := table([]float64{2.7, 2, 2.7, 3, 2.6, 2.6}, "Ended, record", "Function, by whom", "Recovery point", "Into", "Outcome", "Machine time, RTO")
		for _, r := range p.Restores {
			t.row(twice(when(r.Time), fmt.Sprintf("record %d", r.Sequence)), twice(r.Function, r.By), twice(when(r.RecoveryPoint), "from "+strings.Join(r.Sites, ", ")), words(r.Target),
				graded(gradeOf(r.Outcome), string(r.Outcome), r.Error), twice(span(r.Seconds)+" of "+orDash(r.RTOSeconds), phaseText(r.Phases)))
		}
		d.table(t)
	}
	d.chapter("Negative controls", "", "")
	d.para("A verifier that was never seen to fail proves nothing. Faults are planted on purpose in disposable copies; each must turn the verifier red at the right place.")
	if len(p.Controls) == 0 {
		d.none("No round of negative controls ended in the period. That the verifier can fail is not shown.")
	}
	for _, c := range p.Controls {
		d.heading(fmt.Sprintf("%s (record %d): %d planted, %d caught, %d missed%s", when(c.Time), c.Sequence, c.Planted, c.Caught, c.Missed, after("; ", c.Error)))
		t := table([]float64{2, 5, 1.6, 1.6, 2}, "Fault", "What was planted", "Must be caught at", "Caught at", "")
		for _, f := range c.Faults {
			verdict := graded(gradeBad, "missed", "")
			if f.Red && f.Caught != "" {
				verdict = graded(gradeGood, "caught", "")
			}
			t.row(words(f.ID), twice(f.Planted, f.Detail), words(f.Expected), words(cmp.Or(f.Caught, "nowhere")), verdict)
		}
		d.table(t)
	}
}

func after(separator, text string) string {
	if text == "" {
		return ""
	}
	return separator + text
}

func (d *paper) periodExercises(p *page) {
	d.chapter("Exercises", "", "")
	if len(p.Drills) == 0 {
		d.none("There was no exercise in the period.")
	}
	for _, x := range p.DrillPages {
		outcome := string(cmp.Or(x.Outcome, "no end recorded"))
		d.heading(fmt.Sprintf("%s: %s, %s (%s)", x.ID, x.Kind, x.Scenario, outcome))
		d.note(when(x.Began) + after(" to ", when(x.Ended)) + after("; ", strings.Join(x.Participants, ", ")) + after("; ", x.Error))
		d.steps(x)
		for _, o := range x.Observations {
			d.bullet(o.Kind + ": " + o.Text)
		}
	}
	d.heading("Actions from exercises")
	if len(p.Actions) == 0 {
		d.none("No action from an exercise was open in the period.")
		return
	}
	t := table([]float64{2.4, 5, 2.4, 1.8, 2}, "Exercise", "Action", "Owner", "Due", "State")
	grades := map[string]string{"closed": gradeGood, "late": gradeBad, "open": gradeWarn}
	for _, a := range p.Actions {
		by := ""
		if a.Closed != nil {
			by = fmt.Sprintf("by the test of record %d", *a.Closed)
		}
		t.row(words(a.Drill), twice(a.Text, a.ID), words(a.Owner), words(a.Due), graded(grades[a.State], a.State, by))
	}
	d.table(t)
}

// steps tells of the steps of an exercise: what was restored, and the rest.
func (d *paper) steps(x drillPage) {
	if x.People != "" {
		d.para(x.People)
	}
	if len(x.Restored) > 0 {
		t := table([]float64{2.6, 1.2, -2, -1.8, -2.2, -1.8, 5}, "Function", "Level", "Data lost, RPO", "Waited", "Restored, proven", "RTO", "Verdict")
		for _, s := range x.Restored {
			t.row(twice(s.Function, "from "+s.Site), words(cmp.Or(s.Level, "none")), twice(orDash(s.LostSeconds), orDash(s.RPOSeconds)), words(span(s.WaitedSeconds)), words(orDash(s.Seconds)),
				words(orDash(s.RTOSeconds)), graded(gradeOf(s.Status), string(s.Status), short(s.Error)))
		}
		d.table(t)
	}
	if len(x.Others) == 0 {
		return
	}
	t := table([]float64{1.5, 7, 4.4, -1.5, 2}, "Step", "What, and what was expected", "What came of it", "Time", "")
	for _, s := range x.Others {
		t.row(words(s.ID), twice(strings.TrimSpace(s.Text+" "+s.Question), s.Expected), twice(s.Actual, short(s.Error)), words(orDash(s.Seconds)), graded(gradeOf(s.Status), string(s.Status), ""))
	}
	d.table(t)
}

func (d *paper) periodEvents(p *page) {
	d.chapter("Deletions, keys, suspicious recovery points, anchors", "", "")
	t := table([]float64{2.8, 1.2, 3.2, 2, 5}, "When", "Record", "What", "Function, by", "More")
	for _, x := range p.DeletionRows {
		more := fmt.Sprintf("%s, %s, %s", plural(x.Points, "recovery point"), plural(x.Objects, "object"), size(x.Bytes))
		if x.Count > 1 {
			more += fmt.Sprintf("; %s times, the last %s", count(x.Count), when(x.Last))
		}
		t.row(words(when(x.Time)), words(fmt.Sprint(x.Sequence)), twice(x.Kind, string(x.Outcome)), twice(x.Function, x.By), words(more+after("; ", x.Error)+after("; ", strings.Join(x.Reasons, "; "))))
	}
	for _, k := range p.Keys {
		t.row(words(when(k.Time)), words(fmt.Sprint(k.Sequence)), twice("key: "+k.Operation, string(k.Outcome)), words(k.By), words(strings.Join(some(k.Key.Key, k.Site, strings.Join(k.Recipients, ", "), k.Public, k.Error), "; ")))
	}
	for _, s := range p.Suspects {
		var signals []string
		for _, x := range s.Signals {
			signals = append(signals, x.Kind+after(" in ", x.Table)+": "+x.Detail)
		}
		t.row(words(when(s.Time)), words(fmt.Sprint(s.Sequence)), words("suspicious recovery point"), words(s.Function), twice(cmp.Or(strings.Join(signals, "; "), "cleared"), s.Snapshot+after(", last clean one ", s.LastClean)))
	}
	for _, a := range p.AnchorRows {
		t.row(words(when(a.Last)), words(""), words("checkpoint given to "+a.To), words(""), words(fmt.Sprintf("%s times since %s; at last %s records, root %s", count(a.Count), when(a.First), count(a.Size), a.Root)))
	}
	if len(t.rows) == 0 {
		d.none("Nothing was deleted, held or let go, no key was touched, no recovery point was suspicious, and no checkpoint was given to anybody outside.")
		return
	}
	d.table(t)
}

func (d *paper) periodLimits(p *page) {
	d.chapter("Not proven", "", "")
	d.para("What this report does not show:")
	for _, text := range p.NotProven {
		d.bullet(text)
	}
	if len(p.ProofLimits) > 0 {
		d.para("What the proofs of the period say themselves that they do not prove:")
	}
	for _, l := range p.ProofLimits {
		d.bullet(fmt.Sprintf("%s (%s)", l.Text, plural(l.Count, "proof")))
	}
	d.chapter("What this supports", "", "")
	d.para("Each line names what of this very period supports a requirement. No line says that anything complies with anything.")
	t := table([]float64{2.2, 4, 8}, "Framework", "Requirement, in our words", "Supported in this period by")
	for _, m := range p.Mapping {
		by := words(strings.Join(m.Supports, "; "))
		if m.None {
			by = graded(gradeUnknown, "no evidence in this period", "")
		}
		t.row(twice(m.Framework, m.Requirement), words(m.Asks), by)
	}
	d.table(t)
}

// verification says how to check a report, and leaves room for signatures.
func (d *paper) verification(c Cover) {
	d.chapter("How to check this", "", "")
	d.para("This document is drawn from signed records and proves nothing by itself. The records do: they can be checked offline, without the one who made them, by anybody who got the verifier key of the log by a way that they trust.")
	d.mono(strings.Join(c.Verify, "\n"))
	d.para("Verifier key, to be compared with the one that you were given:")
	d.mono(c.Key)
	d.para("Signed checkpoint of the log that this document was made from:")
	d.mono(c.Checkpoint)
	if d.lacking {
		d.note("Characters that the font of this document lacks are written by their number, <U+…>. The HTML form has them.")
	}
	d.chapter("Review", "", "")
	d.para("Whoever reviews is not the one who ran the backups.")
	d.sign()
}

package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// page is a period made ready to be shown, in HTML as in PDF.
type page struct {
	*Period
	P             titled
	Figures       []figure
	Contents      []section
	Policies      []policyPage
	FunctionPages []functionPage
	FailureRows   []failureRow
	ProofLines    []proofLinePage
	ProofGroups   []proofGroup
	DeletionRows  []deletionRow
	AnchorRows    []anchorRow
	ProofLimits   []limitRow
	Signers       []string
	DrillPages    []drillPage
	Edge          string // what of the period lies outside of the log
	Uncovered     string // what the newest inventory says that no function covers
}

// figure is a number that stands out, with what it is.
type figure struct{ Value, Label, Grade string }

type section struct{ ID, Title string }

type policyPage struct {
	Policy
	Full bool // with the whole table: of many policies only the first and the last
}

type functionPage struct {
	*Function
	ID, Name        string
	Judged          bool
	Charts          []chartPage
	Durable, Proven []violationRow
}

type chartPage struct {
	Title      string
	Violations int
	Log        bool
	Zoom       string // what is shown, when that is not the whole period
	SVG        template.HTML
}

type drillPage struct {
	Drill
	Restored, Others []evidence.DrillStep
	People           string // how long people took, in words; empty at a table
}

func drillPageOf(d Drill) drillPage {
	out := drillPage{Drill: d}
	for _, s := range d.Steps {
		if restores(&s) {
			out.Restored = append(out.Restored, s)
		} else {
			out.Others = append(out.Others, s)
		}
	}
	if len(out.Restored) > 0 {
		out.People = "People took " + span(evidence.PeopleSeconds(d.Steps)) + " besides the machine, as they recorded it."
		if missing := evidence.PeopleUnrecorded(d.Steps); missing > 0 {
			out.People = fmt.Sprintf("How long people took is not recorded of %s: that an RTO is kept is not shown.", plural(missing, "step"))
		}
	}
	return out
}

type proofLinePage struct {
	ProofLine
	SelectionText string
}

type violationTable struct {
	Title string
	Rows  []violationRow
}

type limitRow struct {
	Text  string
	Count int
}

func (p *Period) page() *page {
	out := &page{Period: p, P: titled{p.title()}, Edge: p.edge(), Figures: p.figures(), FailureRows: p.failureRows(), Signers: signers}
	for i, policy := range p.Policies {
		out.Policies = append(out.Policies, policyPage{policy, i == 0 || i == len(p.Policies)-1 || len(p.Policies) <= 6})
	}
	for i := range p.Functions {
		out.FunctionPages = append(out.FunctionPages, p.Functions[i].page(i))
	}
	single, groups := p.proofRows(longProofs)
	for _, x := range single {
		out.ProofLines = append(out.ProofLines, proofLinePage{x, x.selectionText()})
	}
	out.ProofGroups = groups
	out.DeletionRows, out.AnchorRows, out.ProofLimits = p.deletionRows(), p.anchorRows(), p.proofLimits()
	for _, d := range p.Drills {
		out.DrillPages = append(out.DrillPages, drillPageOf(d))
	}
	if p.Inventory != nil {
		out.Uncovered = p.Inventory.uncoveredText()
	}
	out.Contents = contents(out.FunctionPages)
	return out
}

func contents(functions []functionPage) []section {
	out := []section{{"summary", "Summary"}, {"attention", "What went wrong"}, {"policy", "Inventory and policy"}}
	for _, f := range functions {
		out = append(out, section{f.ID, "Function " + f.Name})
	}
	return append(out, section{"proofs", "Proofs"}, section{"programme", "Test programme"}, section{"restores", "Restores on request"}, section{"controls", "Negative controls"},
		section{"drills", "Exercises"}, section{"events", "Deletions, keys, suspicious recovery points, anchors"}, section{"not-proven", "Not proven"},
		section{"frameworks", "What this supports"}, section{"verify", "How to check this"}, section{"sign", "Review"})
}

func (f *Function) page(i int) functionPage {
	out := functionPage{Function: f, Name: f.Function, ID: fmt.Sprintf("function-%d", i+1), Judged: f.Verdict != Unknown, Durable: f.violationRows(false), Proven: f.violationRows(true)}
	for j := range f.charts {
		c := &f.charts[j]
		out.Charts = append(out.Charts, chartPage{
			Title: "seen from " + c.Title, Violations: c.Violations, Log: c.scale().log, Zoom: c.zoomed(), SVG: c.svg(f.Function),
		})
	}
	return out
}

// figures are the numbers at the top.
func (p *Period) figures() []figure {
	n := map[Verdict]int{}
	for _, f := range p.Functions {
		n[f.Verdict]++
	}
	passed := 0
	for _, x := range p.Proofs {
		if x.Finding == Passed {
			passed++
		}
	}
	planted, caught := 0, 0
	for _, c := range p.Controls {
		planted, caught = planted+c.Planted, caught+c.Caught
	}
	kept := gradeWarn
	switch {
	case len(p.Functions) == 0 || n[Unknown] == len(p.Functions):
		kept = gradeUnknown
	case n[Broken] > 0:
		kept = gradeBad
	case n[Kept] == len(p.Functions):
		kept = gradeGood
	}
	return []figure{
		{fmt.Sprintf("%d of %d", n[Kept], len(p.Functions)), "functions kept their RPO at every site", kept},
		{fmt.Sprintf("%s of %s", count(passed), count(len(p.Proofs))), "proofs passed", shareGrade(passed, len(p.Proofs))},
		{count(len(p.Failures)), "acts not done", noneGrade(len(p.Failures), gradeWarn)},
		{count(len(p.Unanswered)), "begun without an end", noneGrade(len(p.Unanswered), gradeBad)},
		{fmt.Sprintf("%s of %s", count(caught), count(planted)), "planted faults caught", shareGrade(caught, planted)},
	}
}

// shareGrade is how it looks that so many of all were good.
func shareGrade(good, all int) string {
	switch {
	case all == 0:
		return gradeUnknown
	case good == all:
		return gradeGood
	default:
		return gradeBad
	}
}

// noneGrade is how it looks that there are so many of what there should be none
// of.
func noneGrade(n int, otherwise string) string {
	if n == 0 {
		return gradeGood
	}
	return otherwise
}

func (p *Proof) figures() []figure {
	failed, passed, skipped := 0, 0, 0
	for _, c := range p.Checks {
		switch c.Status {
		case evidence.Pass:
			passed++
		case evidence.Skipped:
			skipped++
		default:
			failed++
		}
	}
	checks := figure{fmt.Sprintf("%d of %d", passed, passed+failed+skipped), "checks passed", shareGrade(passed, passed+failed)}
	if skipped > 0 {
		checks.Label += fmt.Sprintf(", %d skipped", skipped)
		if checks.Grade == gradeGood {
			checks.Grade = gradeUnknown
		}
	}
	equal := 0
	for _, t := range p.Compared {
		if t.FoundDigest != "" && same(t) {
			equal++
		}
	}
	level := cmp.Or(p.Level, "none")
	reached := gradeOf(p.Finding)
	if p.Finding == Passed && p.Level < p.Requested {
		reached = gradeBad
	}
	return []figure{
		{level, "level reached, of " + p.Requested, reached},
		checks,
		{fmt.Sprintf("%d of %d", equal, len(p.Compared)), "tables equal to the source", shareGrade(equal, len(p.Compared))},
		{span(p.Seconds), "machine time", ""},
	}
}

// deletionRow is a deletion, or a group of like ones.
type deletionRow struct {
	Deletion
	Last   time.Time
	Count  int
	Points int
	// Reasons are the recovery points of a single one, when they are few.
	Reasons []string
}

const fewReasons = 6

func reasons(d Deletion) []string {
	if len(d.Snapshots) > fewReasons {
		return nil
	}
	var out []string
	for _, id := range sortedKeys(d.Snapshots) {
		out = append(out, id+": "+d.Snapshots[id])
	}
	return out
}

func (p *Period) deletionRows() []deletionRow {
	var rows []deletionRow
	for _, d := range p.Deletions {
		i := -1
		if len(p.Deletions) > longList {
			i = slices.IndexFunc(rows, func(r deletionRow) bool {
				return r.Kind == d.Kind && r.Function == d.Function && r.By == d.By && r.Outcome == d.Outcome && r.Error == d.Error
			})
		}
		if i < 0 {
			rows = append(rows, deletionRow{Deletion: d, Last: d.Time, Count: 1, Points: len(d.Snapshots), Reasons: reasons(d)})
			continue
		}
		r := &rows[i]
		r.Count++
		r.Reasons = nil
		r.Last, r.Points, r.Objects, r.Bytes = d.Time, r.Points+len(d.Snapshots), r.Objects+d.Objects, r.Bytes+d.Bytes
	}
	return rows
}

// anchorRow are the anchors of one receiver.
type anchorRow struct {
	To          string
	Count       int
	First, Last time.Time
	Size        uint64
	Root        string
}

func (p *Period) anchorRows() []anchorRow {
	var rows []anchorRow
	for _, a := range p.Anchors {
		i := slices.IndexFunc(rows, func(r anchorRow) bool { return r.To == a.To })
		if i < 0 {
			i = len(rows)
			rows = append(rows, anchorRow{To: a.To, First: a.Time})
		}
		r := &rows[i]
		r.Count++
		r.Last, r.Size, r.Root = a.Time, a.Size, a.Root
	}
	return rows
}

// proofLimits are what proofs say that they do not prove, each once.
func (p *Period) proofLimits() []limitRow {
	var rows []limitRow
	at := map[string]int{}
	for _, x := range p.Proofs {
		for _, text := range x.NotProven {
			i, known := at[text]
			if !known {
				i = len(rows)
				at[text] = i
				rows = append(rows, limitRow{Text: text})
			}
			rows[i].Count++
		}
	}
	slices.SortStableFunc(rows, func(a, b limitRow) int { return cmp.Compare(b.Count, a.Count) })
	return rows
}

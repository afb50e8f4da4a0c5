package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What is longer than this is grouped in HTML and PDF. JSON has each one.
const (
	longList   = 60
	longProofs = 80
)

// violationRow is a violation as a table shows it, or a group of them.
type violationRow struct {
	Views       []string // from where it is seen
	Start, End  time.Time
	Seconds     float64
	Peak, Limit float64
	Unprotected bool
	Open        bool
	Causes      []string
	Count       int // of a group
}

// violationRows are the violations of what was durable, or proven, with those
// that are seen alike from several places told once. Many are told by day.
func (f *Function) violationRows(proven bool) []violationRow {
	var rows []violationRow
	for _, v := range f.Views {
		if v.Proven != proven {
			continue
		}
		for _, x := range v.Violations {
			i := slices.IndexFunc(rows, func(r violationRow) bool { return near(r.Start, x.Start) && near(r.End, x.End) })
			if i < 0 {
				i = len(rows)
				rows = append(rows, violationRow{
					Start: x.Start, End: x.End, Seconds: x.Seconds, Peak: x.PeakSeconds, Limit: x.LimitSeconds,
					Unprotected: x.Unprotected, Open: x.Open, Count: 1,
				})
			}
			r := &rows[i]
			r.Views = append(r.Views, v.Name)
			r.Peak, r.Seconds = max(r.Peak, x.PeakSeconds), max(r.Seconds, x.Seconds)
			if x.Start.Before(r.Start) {
				r.Start = x.Start
			}
			if x.End.After(r.End) {
				r.End = x.End
			}
			for _, c := range x.Causes {
				r.Causes = union(r.Causes, []string{c.Detail})
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b violationRow) int { return a.Start.Compare(b.Start) })
	if len(rows) > longList {
		return byDay(rows)
	}
	return rows
}

// alike is how far apart the edges of violations may be that are told as one: the
// sites take a recovery point a moment after one another.
const alike = 5 * time.Second

func near(a, b time.Time) bool { return a.Sub(b).Abs() <= alike }

// byDay groups violations by the day on which they begin and from where they
// are seen.
func byDay(rows []violationRow) []violationRow {
	var out []violationRow
	for _, r := range rows {
		i := slices.IndexFunc(out, func(g violationRow) bool {
			return utcDay(g.Start) == utcDay(r.Start) && slices.Equal(g.Views, r.Views)
		})
		if i < 0 {
			out = append(out, r)
			continue
		}
		g := &out[i]
		g.Count++
		g.Seconds += r.Seconds
		g.Peak, g.Unprotected, g.Open = max(g.Peak, r.Peak), g.Unprotected || r.Unprotected, g.Open || r.Open
		if r.End.After(g.End) {
			g.End = r.End
		}
		if len(g.Causes) < 4 {
			g.Causes = union(g.Causes, r.Causes)
		}
	}
	return out
}

// failureRow is a failure as a table shows it, or a group of like ones.
type failureRow struct {
	Failure
	Last  time.Time
	Count int
}

// failureRows are all failures. Many are grouped by what failed and how.
func (p *Period) failureRows() []failureRow {
	rows := []failureRow{}
	at := map[Failure]int{}
	for _, f := range p.Failures {
		key := Failure{Act: f.Act, Function: f.Function, Site: f.Site, Outcome: f.Outcome, Error: f.Error}
		i, known := at[key]
		if known && len(p.Failures) > longList {
			rows[i].Count++
			rows[i].Last = f.Time
			continue
		}
		at[key] = len(rows)
		rows = append(rows, failureRow{Failure: f, Last: f.Time, Count: 1})
	}
	return rows
}

// proofGroup are passed proofs that are told together.
type proofGroup struct {
	Month, Function, Site, Level string
	Count                        int
	Slowest                      float64
	RTOSeconds                   float64
	First, Last                  uint64
}

// proofRows are the proofs that are told one by one, and the groups of the
// passed ones where there are more than so many. What did not pass is never grouped.
func (p *Period) proofRows(long int) (single []ProofLine, groups []proofGroup) {
	if len(p.Proofs) <= long {
		return p.Proofs, nil
	}
	for _, x := range p.Proofs {
		if x.Finding != Passed || x.Objection != "" {
			single = append(single, x)
			continue
		}
		month := x.Time.Format("2006-01")
		i := slices.IndexFunc(groups, func(g proofGroup) bool {
			return g.Month == month && g.Function == x.Function && g.Site == x.Site && g.Level == x.Level
		})
		if i < 0 {
			i = len(groups)
			groups = append(groups, proofGroup{Month: month, Function: x.Function, Site: x.Site, Level: x.Level, First: x.Sequence})
		}
		g := &groups[i]
		g.Count++
		g.Slowest, g.RTOSeconds, g.Last = max(g.Slowest, x.Seconds), x.RTOSeconds, x.Sequence
	}
	slices.SortStableFunc(groups, func(a, b proofGroup) int {
		return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.Site, b.Site), cmp.Compare(a.Month, b.Month), cmp.Compare(a.Level, b.Level))
	})
	return single, groups
}

// phaseOrder is the order in which the phases of a restore are shown.
var phaseOrder = []string{"queue", "provision", "fetch", "load", "index", "validate", "check", "clear"}

// phase is a part of a recovery.
type phase struct {
	Name    string
	Seconds float64
}

func phasesOf(m map[string]float64) []phase {
	var out []phase
	for name, s := range m {
		out = append(out, phase{name, s})
	}
	place := func(p phase) int {
		if i := slices.Index(phaseOrder, p.Name); i >= 0 {
			return i
		}
		return len(phaseOrder)
	}
	slices.SortFunc(out, func(a, b phase) int { return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.Name, b.Name)) })
	return out
}

func phaseText(m map[string]float64) string {
	var parts []string
	for _, p := range phasesOf(m) {
		parts = append(parts, p.Name+" "+span(p.Seconds))
	}
	return strings.Join(parts, ", ")
}

// selectionText says why just this recovery point was proven.
func (x *ProofLine) selectionText() string {
	s := x.Selection
	if s.Rule == "" {
		return "not recorded"
	}
	text := s.Rule
	if s.Population > 0 {
		text += fmt.Sprintf(" of %s, %s proven here before", count(s.Population), count(s.Proven))
	}
	if s.Seed != "" {
		text += ", seed " + s.Seed
	}
	return text
}

// title names the report.
func (p *Period) title() string {
	about := "all functions"
	if p.Function != "" {
		about = p.Function
	}
	return fmt.Sprintf("Recovery report, %s, %s", about, p.periodText())
}

// periodText names the period, in short where it is a month, a quarter or a
// year.
func (p *Period) periodText() string {
	f, t := p.From, p.To
	if firstOfMonth(f).Equal(f) {
		switch {
		case t.Equal(f.AddDate(0, 1, 0)):
			return f.Format("January 2006")
		case t.Equal(f.AddDate(0, 3, 0)) && (f.Month()-1)%3 == 0:
			return fmt.Sprintf("quarter %d of %d", (f.Month()-1)/3+1, f.Year())
		case t.Equal(f.AddDate(1, 0, 0)) && f.Month() == time.January:
			return fmt.Sprintf("the year %d", f.Year())
		case t.Before(f.AddDate(0, 1, 0)):
			return fmt.Sprintf("1 to %s", t.Add(-1).UTC().Format("2 January 2006"))
		}
	}
	return when(f) + " to " + when(t)
}

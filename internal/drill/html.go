package drill

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/sheet"
)

//go:embed page/review.html
var reviewPage string

var reviewTemplate = template.Must(template.New("review").Funcs(template.FuncMap{
	"csp": sheet.Policy, "style": sheet.Style, "mark": sheet.Mark, "sign": sheet.Sign,
	"stamp": stamp, "span": span, "refused": Refused, "took": after,
	"lines":   func(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") },
	"rich":    rich,
	"state":   stateGrade,
	"status":  statusGrade,
	"action":  actionGrade,
	"verdict": verdictOf,
}).Parse(reviewPage))

// The grades of an exercise, of a step and of an action: what no rule knows is
// unknown.
func stateGrade(state string) string {
	switch state {
	case StatePassed:
		return sheet.Good
	case StateMissed:
		return sheet.Bad
	}
	return sheet.Unknown
}

func statusGrade(s evidence.Status) string {
	switch s {
	case evidence.Pass:
		return sheet.Good
	case evidence.Fail:
		return sheet.Bad
	case evidence.Skipped, evidence.Inconclusive:
	}
	return sheet.Unknown
}

func actionGrade(state string) string {
	switch state {
	case ActionClosed:
		return sheet.Good
	case ActionLate:
		return sheet.Bad
	}
	return sheet.Warn
}

// verdictOf says in a word what became of an inject or a message.
func verdictOf(s evidence.DrillStep) string {
	switch {
	case s.Status == evidence.Pass && s.Kind == StepMessage:
		return "in time"
	case s.Status == evidence.Pass:
		return met
	case s.Status == evidence.Fail && s.Kind == StepMessage && s.Seconds > 0:
		return "late"
	case s.Status == evidence.Fail && s.Kind == StepMessage:
		return "did not go out"
	case s.Status == evidence.Fail && strings.Contains(s.Error, partly):
		return "partly met"
	case s.Status == evidence.Fail:
		return missed
	case s.Actual != "":
		return "not judged"
	}
	return "not answered"
}

// reviewView is a review made ready for its page.
type reviewView struct {
	*Review
	Conclusion                       string
	Figures                          []reviewFigure
	Bars                             template.HTML
	People                           bool
	Rows                             []measuredRow
	Checked, Injects, Messages, Done []evidence.DrillStep
	Moments                          []momentRow
	ByPeople                         string
}

type reviewFigure struct{ Value, Label, Grade string }

type measuredRow struct {
	Function, Site, Level, Lost, RPO, Waited, Took, People, Together, RTO string
	Verdict, Grade, Why                                                   string
	Point, Snapshot, Phases, Concurrent, Proof                            string
}

type momentRow struct {
	Moment
	Since string
}

// HTML renders a review as one page that needs nothing else.
func (v *Review) HTML() ([]byte, error) {
	data := reviewView{
		Review: v, Conclusion: said[v.Exercise.State], Figures: v.figures(), Bars: v.bars(), People: v.PeopleSeconds != nil, ByPeople: byPeople,
	}
	for _, m := range v.Measured {
		data.Rows = append(data.Rows, v.row(m))
	}
	for _, s := range v.Exercise.Steps {
		switch s.Kind {
		case StepInject:
			data.Injects = append(data.Injects, s)
		case StepMessage:
			data.Messages = append(data.Messages, s)
		case StepPeople:
			data.Done = append(data.Done, s)
		case StepRestore, StepCold:
		default:
			data.Checked = append(data.Checked, s)
		}
	}
	for _, m := range v.Timeline {
		data.Moments = append(data.Moments, momentRow{m, "+" + span(m.Time.Sub(v.Exercise.Begun).Round(time.Second).Seconds())})
	}
	var b bytes.Buffer
	if err := reviewTemplate.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("render the review of %s: %w", v.Exercise.ID, err)
	}
	return b.Bytes(), nil
}

// row is what became of one function. A figure that there is not is a dash.
func (v *Review) row(m Measured) measuredRow {
	const none = "–"
	r := measuredRow{
		Function: m.Function, Site: m.Site, Level: orElse(m.Level, "none"), Lost: none, RPO: span(m.RPOSeconds), Waited: none, Took: none,
		People: "not recorded", Together: none, RTO: span(m.RTOSeconds), Verdict: string(m.Status), Grade: statusGrade(m.Status), Why: m.Error,
		Point: none, Snapshot: orElse(m.Snapshot, none), Phases: none, Concurrent: orElse(strings.Join(m.Concurrent, ", "), "nothing that is recorded"), Proof: "not recorded",
	}
	people := 0.0
	if v.PeopleSeconds != nil {
		people = *v.PeopleSeconds
		r.People = span(people)
		if n := evidence.PeopleUnrecorded(v.Exercise.Steps); n > 0 {
			r.People += ", " + counted(n, "step") + " not recorded"
		}
	}
	if !m.RecoveryPoint.IsZero() {
		r.Lost, r.Waited, r.Took, r.Together = span(m.LostSeconds), span(m.WaitedSeconds), span(m.ProofSeconds), span(m.WaitedSeconds+m.ProofSeconds+people)
		r.Point = stamp(m.RecoveryPoint)
	}
	var phases []string
	for _, name := range slices.Sorted(maps.Keys(m.Phases)) {
		phases = append(phases, name+" "+span(m.Phases[name]))
	}
	if len(phases) > 0 {
		r.Phases = strings.Join(phases, ", ")
	}
	if m.Proof != nil {
		r.Proof = "record " + strconv.FormatUint(*m.Proof, 10)
	}
	return r
}

// figures are the numbers at the top.
func (v *Review) figures() (out []reviewFigure) {
	x := v.Exercise
	share := func(good, all int, label string) {
		if all == 0 {
			return
		}
		grade := sheet.Bad
		switch {
		case good == all:
			grade = sheet.Good
		case x.State == StateOpen:
			grade = sheet.Unknown
		}
		out = append(out, reviewFigure{fmt.Sprintf("%d of %d", good, all), label, grade})
	}
	within := 0
	for _, m := range v.Measured {
		if r := v.row(m); r.Grade == sheet.Good {
			within++
		}
	}
	share(within, len(v.Measured), "functions back within RPO and RTO")
	if len(v.Measured) > 0 {
		if v.PeopleSeconds != nil {
			out = append(out, reviewFigure{span(*v.PeopleSeconds), "time of people", ""})
		} else {
			out = append(out, reviewFigure{unknownValue, "time of people", sheet.Unknown})
		}
	}
	for _, of := range []struct{ kind, label string }{{StepInject, "injects answered as expected"}, {StepMessage, "messages out in time"}} {
		good, all := 0, 0
		for _, s := range x.Steps {
			if s.Kind == of.kind {
				all++
				if s.Status == evidence.Pass {
					good++
				}
			}
		}
		share(good, all, of.label)
	}
	n := map[string]int{}
	for _, a := range x.Actions {
		n[a.State]++
	}
	grade := sheet.Good
	switch {
	case n[ActionLate] > 0:
		grade = sheet.Bad
	case n[ActionOpen] > 0:
		grade = sheet.Warn
	case len(x.Actions) == 0:
		grade = sheet.Unknown
	}
	label := "actions open"
	if n[ActionLate] > 0 {
		label = fmt.Sprintf("actions open, %d of them late", n[ActionLate])
	}
	return append(out, reviewFigure{fmt.Sprintf("%d of %d", n[ActionOpen]+n[ActionLate], len(x.Actions)), label, grade})
}

// bars draws the time of each function against its RTO. Lengths are shares of
// that, so that functions with minutes and with days fit on one page.
func (v *Review) bars() template.HTML {
	const left, width, high, right = 120.0, 640.0, 26.0, 180.0
	people := 0.0
	if v.PeopleSeconds != nil {
		people = *v.PeopleSeconds
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %g %g" role="img" aria-label="Time of each function against its RTO">`, left+width+right, high*float64(len(v.Measured))+10)
	for i, m := range v.Measured {
		y := high*float64(i) + 6
		total := m.WaitedSeconds + m.ProofSeconds + people
		top := max(total, m.RTOSeconds*1.05)
		if top <= 0 {
			top = 1
		}
		at := left
		fmt.Fprintf(&b, `<text class="blab" x="%g" y="%g">%s</text>`, left-8, y+12, template.HTMLEscapeString(shortName(m.Function)))
		for _, part := range []struct {
			class   string
			seconds float64
		}{{"wait", m.WaitedSeconds}, {"bar", m.ProofSeconds}, {"people", people}} {
			w := width * part.seconds / top
			fmt.Fprintf(&b, `<rect class="%s" x="%.2f" y="%g" width="%.2f" height="14"/>`, part.class, at, y, max(w, 0))
			at += w
		}
		if m.RTOSeconds > 0 {
			x := left + width*m.RTOSeconds/top
			fmt.Fprintf(&b, `<path class="rpo" d="M%.2f %gv20"/>`, x, y-3)
		}
		fmt.Fprintf(&b, `<text x="%g" y="%g">%s of %s</text>`, left+width+10, y+12, span(total), span(m.RTOSeconds))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// shortName fits a name beside a bar; the table has all of it.
func shortName(name string) string {
	const most = 18
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}

// rich shows what stands between backquotes as what is typed.
func rich(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		part = template.HTMLEscapeString(part)
		if i%2 == 1 && strings.Count(text, "`")%2 == 0 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String())
}

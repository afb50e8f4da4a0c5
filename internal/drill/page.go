package drill

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/evidence"
)

// page is a document before it has a form.
type page struct {
	title    string
	sections []part
}

// part is one section: a table, a list, sentences, as far as they are there.
type part struct {
	heading string
	note    string
	head    []string
	rows    [][]string
	list    []string
}

// byPeople stands where only people can write: nothing is invented.
const byPeople = "To be filled in by people."

// unknownValue stands for a figure that there is not.
const unknownValue = "not known"

func (v *Review) page() page {
	x := v.Exercise
	p := page{title: "Review of exercise " + x.ID}
	p.add(part{heading: "Summary", list: v.Summary})
	p.add(v.about())
	p.add(part{heading: "Not as it should have been", list: x.Reasons, note: ifNone(x.Reasons, whyNone(x))})
	if len(v.Measured) > 0 {
		p.add(v.losses())
		p.add(v.phases())
	}
	p.add(part{heading: "Timeline", note: fmt.Sprintf("From the evidence log, which had %d records when this was drafted.", v.Size), head: []string{"time", "record", "what"}, rows: v.moments()})
	v.atTable(&p)
	p.add(part{heading: "What went well", list: v.Strengths, note: ifNone(v.Strengths, byPeople)})
	p.add(part{heading: "What went badly", list: v.Gaps, note: ifNone(v.Gaps, byPeople)})
	p.add(v.predictions())
	p.add(v.actions())
	p.add(part{heading: "What this does not show", list: x.NotShown, note: ifNone(x.NotShown, byPeople)})
	p.add(part{heading: "Root causes", note: byPeople})
	p.add(part{heading: "Reviewed by", note: byPeople})
	return p
}

func whyNone(x *Exercise) string {
	if x.State == StateOpen {
		return "There is no result yet."
	}
	return "Nothing of what was to be shown."
}

func ifNone(list []string, text string) string {
	if len(list) == 0 {
		return text
	}
	return ""
}

func (p *page) add(s part) { p.sections = append(p.sections, s) }

func (v *Review) about() part {
	x := v.Exercise
	row := func(what, text string) []string { return []string{what, orElse(text, byPeople)} }
	rows := [][]string{
		row("scenario", x.Scenario+", "+x.Title), row("kind", x.Kind), row("state", x.State),
		row("objectives of the plan", strings.Join(x.Objectives, "; ")), row("participants", strings.Join(x.Participants, "; ")),
		row("begun", stamp(x.Begun)),
	}
	if !x.Ended.IsZero() {
		rows = append(rows, row("result recorded", stamp(x.Ended)))
	}
	if x.From != "" {
		rows = append(rows, row("read from", "site "+x.From+" alone"))
	}
	for _, r := range x.Refused {
		rows = append(rows, row("refused", fmt.Sprintf("site %s, %s: %s", r.Site, r.Place, Refused(r))))
	}
	rows = append(rows, row("scenario file, SHA-256", x.SHA256), row("drafted", stamp(v.Drafted)))
	return part{heading: "The exercise", head: []string{"", ""}, rows: rows}
}

func (v *Review) losses() part {
	s := part{
		heading: "Loss and time against the objectives",
		note: "Loss is the age of the recovery point at the beginning of the exercise. Times are of the machine: " +
			"waiting for its turn, then restore and proof. An RTO is kept only when the time of people fits in as well.",
		head: []string{"function", "level", "lost", "RPO", "waited", "restored and proven", "people", "together", "RTO", "verdict"},
	}
	for _, m := range v.Measured {
		people, together := "not recorded", m.WaitedSeconds+m.ProofSeconds
		if v.PeopleSeconds != nil {
			people = span(*v.PeopleSeconds)
			together += *v.PeopleSeconds
			if n := evidence.PeopleUnrecorded(v.Exercise.Steps); n > 0 {
				people += fmt.Sprintf(", and %s not recorded", counted(n, "step"))
			}
		}
		row := []string{
			m.Function, orElse(m.Level, "none"), span(m.LostSeconds), span(m.RPOSeconds), span(m.WaitedSeconds), span(m.ProofSeconds),
			people, span(together), span(m.RTOSeconds), m.verdict(),
		}
		if m.RecoveryPoint.IsZero() {
			row[2], row[4], row[5], row[7] = unknownValue, unknownValue, unknownValue, unknownValue
		}
		s.rows = append(s.rows, row)
	}
	return s
}

func (m Measured) verdict() string {
	if m.Error == "" {
		return string(m.Status)
	}
	return string(m.Status) + ": " + m.Error
}

func (v *Review) phases() part {
	s := part{heading: "Where the time went", note: "Phases overlap.", head: []string{"function", "recovery point", "snapshot", "phases", "at the same time", "record of the proof"}}
	for _, m := range v.Measured {
		var phases []string
		for _, name := range slices.Sorted(maps.Keys(m.Phases)) {
			phases = append(phases, name+" "+span(m.Phases[name]))
		}
		point, proof := "none", "not recorded"
		if !m.RecoveryPoint.IsZero() {
			point = stamp(m.RecoveryPoint)
		}
		if m.Proof != nil {
			proof = fmt.Sprint(*m.Proof)
		}
		s.rows = append(s.rows, []string{
			m.Function, point, orElse(m.Snapshot, "none"), orElse(strings.Join(phases, ", "), "none"),
			orElse(strings.Join(m.Concurrent, ", "), "nothing known"), proof,
		})
	}
	return s
}

func (v *Review) moments() (rows [][]string) {
	for _, m := range v.Timeline {
		rows = append(rows, []string{stamp(m.Time), fmt.Sprint(m.Sequence), m.What})
	}
	return rows
}

// atTable shows what was asked and answered, and what people did.
func (v *Review) atTable(p *page) {
	injects := part{heading: "Injects and answers", head: []string{"at", "inject", "question", "expected", "answer", "verdict"}}
	messages := part{heading: "Messages", head: []string{"due by", "from, to, channel", "to say", "out after", "note", "verdict"}}
	checked := part{heading: "What else the program checked", head: []string{"step", "what", "what came of it", "took", "verdict"}}
	people := part{heading: "What people did", head: []string{"step", "what", "took", "note"}}
	for _, s := range v.Exercise.Steps {
		verdict := string(s.Status)
		if s.Error != "" {
			verdict += ": " + s.Error
		}
		switch s.Kind {
		case StepInject:
			injects.rows = append(injects.rows, []string{"+" + s.At, s.Text, s.Question, s.Expected, orElse(s.Actual, "no answer"), verdict})
		case StepMessage:
			messages.rows = append(messages.rows, []string{"+" + s.At, s.Text, s.Expected, after(s), s.Actual, verdict})
		case StepRefuse, StepCompare, StepObjectives, StepAudit:
			checked.rows = append(checked.rows, []string{s.ID, s.Text, orElse(s.Actual, "nothing that is recorded"), after(s), verdict})
		case StepPeople:
			people.rows = append(people.rows, []string{s.ID, s.Text, after(s), s.Actual})
		}
	}
	for _, s := range []part{checked, injects, messages, people} {
		if len(s.rows) > 0 {
			p.add(s)
		}
	}
}

func after(s evidence.DrillStep) string {
	if s.Status == evidence.Inconclusive || s.Status == evidence.Skipped || s.Status == evidence.Fail && s.Seconds == 0 {
		return "not recorded"
	}
	return span(s.Seconds)
}

func (v *Review) predictions() part {
	s := part{heading: "What would have predicted it", head: []string{"function", "site", "proof", "what it said"}}
	for _, p := range v.Predicted {
		proof := "none"
		if p.Proof != nil {
			proof = fmt.Sprintf("record %d, %s", *p.Proof, stamp(p.At))
		}
		s.rows = append(s.rows, []string{p.Function, p.Site, proof, p.Says})
	}
	if len(s.rows) == 0 {
		s.head, s.note = nil, "Nothing: the log knows of no proof before it that restores."
	}
	return s
}

func (v *Review) actions() part {
	s := part{heading: "Actions", note: "An action is closed only by a test that passed after it was recorded.", head: []string{"action", "what", "owner", "due", "shown by", "state"}}
	for _, a := range v.Exercise.Actions {
		state := a.State
		if a.Closed != nil {
			state = fmt.Sprintf("%s by record %d, %s", state, *a.Closed, stamp(a.ClosedAt))
		}
		s.rows = append(s.rows, []string{a.ID, a.Text, a.Owner, a.Due, orElse(a.Test, byPeople), state})
	}
	if len(s.rows) == 0 {
		s.head, s.note = nil, byPeople
	}
	return s
}

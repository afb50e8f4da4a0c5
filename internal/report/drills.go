package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// addDrills reads the exercises of the period, and the actions that came of
// these and of earlier ones.
func (p *Period) addDrills(l Log) error {
	records, err := l.all(evidence.ActDrill, "", time.Time{}, p.readTo)
	if err != nil {
		return err
	}
	book := drillBook{exercises: map[string]*Drill{}, actions: map[[2]string]*Action{}}
	closing, err := l.all(evidence.ActProof, "", p.From, p.readTo)
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.Drill != nil {
			book.add(l, r, !r.Time.Before(p.From))
		}
	}
	book.closeBy(closing)
	for _, d := range book.order {
		if d.countPeople() {
			p.Failures = append(p.Failures, Failure{Sequence: d.Sequences[len(d.Sequences)-1], Time: d.Ended, Act: evidence.ActDrill, Outcome: d.Outcome, Error: d.Error})
		}
		p.Drills = append(p.Drills, *d)
	}
	p.Actions = book.actionsOf(p.From, p.JudgedTo)
	return p.unansweredDrills(records)
}

// unansweredDrills tells of exercises that were begun in the period and have
// no end, and of those that failed.
func (p *Period) unansweredDrills(records []evidence.Record) error {
	ended := map[uint64]bool{}
	for _, r := range records {
		if r.Phase == evidence.Result && r.Intent != nil {
			ended[*r.Intent] = true
		}
		if r.Phase == evidence.Result && r.Outcome != evidence.Done && !r.Time.Before(p.From) {
			p.Failures = append(p.Failures, failure(r))
		}
	}
	for _, r := range records {
		if r.Phase == evidence.Intent && !r.Time.Before(p.From) && !ended[r.Sequence] {
			p.Unanswered = append(p.Unanswered, unanswered(r, false))
		}
	}
	return nil
}

// countPeople adds the time of people, which is recorded after the machine's, to
// that of each restore: one that is over its RTO with it did not pass. It reports
// whether the exercise, which the machine had passed, did not either because of
// that.
func (d *Drill) countPeople() bool {
	people := evidence.PeopleSeconds(d.Steps)
	late := []string{}
	for i := range d.Steps {
		s := &d.Steps[i]
		if !restores(s) || !s.LateWith(people) {
			continue
		}
		s.Status = evidence.Fail
		s.Error = fmt.Sprintf("%s by machine and %s by people exceed the RTO of %s", span(s.MachineSeconds()), span(people), span(s.RTOSeconds))
		late = append(late, s.Function+": "+s.Error)
	}
	if len(late) == 0 || d.Outcome != evidence.Done {
		return false
	}
	d.Outcome, d.Error = evidence.Different, strings.Join(late, "; ")
	return true
}

// restores reports whether a step is shown as one that brings a function back: a
// record need not say of what kind a step was, and then one of a function is.
func restores(s *evidence.DrillStep) bool {
	return s.Restores() || s.Kind == "" && s.Function != ""
}

// drillBook gathers what single records say of exercises.
type drillBook struct {
	exercises map[string]*Drill
	order     []*Drill // those of the period
	actions   map[[2]string]*Action
	acting    [][2]string
}

func (b *drillBook) add(l Log, r evidence.Record, inPeriod bool) {
	body := r.Drill
	if inPeriod {
		d := b.exercise(r)
		d.Sequences = append(d.Sequences, r.Sequence)
		d.Participants = union(d.Participants, body.Participants)
		for _, s := range body.Steps {
			d.Steps = withStep(d.Steps, s)
		}
		for _, o := range body.Observations {
			if !slices.Contains(d.Observations, o) {
				d.Observations = append(d.Observations, o)
			}
		}
		if r.Phase == evidence.Result {
			d.Ended, d.Outcome, d.Error = r.Time.UTC(), r.Outcome, r.Error
		}
	}
	for _, a := range body.Actions {
		b.act(l, body.ID, a)
	}
}

func (b *drillBook) exercise(r evidence.Record) *Drill {
	d := b.exercises[r.Drill.ID]
	if d == nil {
		d = &Drill{
			ID: r.Drill.ID, Kind: r.Drill.Kind, Scenario: r.Drill.Scenario, Began: r.Time.UTC(),
			Steps: []evidence.DrillStep{}, Observations: []evidence.Observation{},
		}
		b.exercises[r.Drill.ID] = d
		b.order = append(b.order, d)
	}
	d.Kind, d.Scenario = cmp.Or(d.Kind, r.Drill.Kind), cmp.Or(d.Scenario, r.Drill.Scenario)
	return d
}

// withStep adds a step, or what is known of one by now.
func withStep(steps []evidence.DrillStep, s evidence.DrillStep) []evidence.DrillStep {
	i := slices.IndexFunc(steps, func(k evidence.DrillStep) bool {
		return k.ID == s.ID && k.Function == s.Function && k.Site == s.Site
	})
	if i < 0 {
		return append(steps, s)
	}
	steps[i] = s
	return steps
}

func union(a, b []string) []string {
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(a, x)
		}
	}
	return a
}

// act notes an action, or that it was closed.
func (b *drillBook) act(l Log, drill string, a evidence.Action) {
	key := [2]string{drill, a.ID}
	known := b.actions[key]
	if known == nil {
		known = &Action{Drill: drill, Action: a}
		b.actions[key] = known
		b.acting = append(b.acting, key)
	}
	known.Text, known.Owner = cmp.Or(a.Text, known.Text), cmp.Or(a.Owner, known.Owner)
	known.Due = cmp.Or(a.Due, known.Due)
	if a.Closed != nil && known.Closed == nil {
		known.close(l, *a.Closed)
	}
}

func (a *Action) close(l Log, by uint64) {
	r, err := l.record(by)
	if err == nil && r.Outcome == evidence.Done {
		a.Closed, a.ClosedAt = &by, r.Time.UTC()
	}
}

// closeBy closes the actions that a passed proof says it closes.
func (b *drillBook) closeBy(proofs []evidence.Record) {
	for _, r := range proofs {
		if r.Proof == nil || r.Proof.Closes == "" || r.Phase != evidence.Result || finding(r) != Passed {
			continue
		}
		for key, a := range b.actions {
			if a.Closed == nil && (key[1] == r.Proof.Closes || key[0]+"/"+key[1] == r.Proof.Closes) {
				a.Closed, a.ClosedAt = &r.Sequence, r.Time.UTC()
			}
		}
	}
}

// actionsOf returns the actions that matter to a period: those that were open
// in it.
func (b *drillBook) actionsOf(from, to time.Time) []Action {
	out := []Action{}
	for _, key := range b.acting {
		a := *b.actions[key]
		switch {
		case a.Closed != nil && a.ClosedAt.Before(from):
			continue
		case a.Closed != nil:
			a.State = "closed"
		case a.Due != "" && a.Due < utcDay(to):
			a.State = "late"
		default:
			a.State = "open"
		}
		out = append(out, a)
	}
	return out
}

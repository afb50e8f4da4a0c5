package report

import (
	"context"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// PeriodRequest says which period a report is about.
type PeriodRequest struct {
	// From and To bound it: From ≤ time < To.
	From, To time.Time
	// Function is the only one that it is about; empty: all.
	Function string
	// Generated is the time now, Generator the version of the program.
	Generated time.Time
	Generator string
	// Verify are the commands that check the records, shown to the reader.
	Verify []string
}

// ForPeriod makes the report of a period.
func ForPeriod(ctx context.Context, l Log, req PeriodRequest) (*Period, error) {
	p := &Period{
		Schema: PeriodSchema, From: req.From.UTC(), To: req.To.UTC(), JudgedTo: req.From.UTC(), Function: req.Function, Sites: []string{},
		Functions: []Function{}, Policies: []Policy{}, Programme: []Programme{}, Proofs: []ProofLine{}, Unanswered: []Unanswered{}, Failures: []Failure{},
		Restores: []Restore{}, Controls: []Controls{}, Drills: []Drill{}, Actions: []Action{}, Deletions: []Deletion{}, Keys: []Key{},
		Suspects: []Suspect{}, Anchors: []Anchor{}, Silences: []Silence{},
	}
	if !p.From.Before(p.To) {
		return nil, fmt.Errorf("a report from %s to %s: the end must be after the begin", when(p.From), when(p.To))
	}
	var err error
	if p.Cover, err = l.cover(req.Generated, req.Generator, req.Verify); err != nil {
		return nil, err
	}
	p.begins, p.promiseShown = l.Begins, l.PromiseShown
	if err := p.place(l); err != nil {
		return nil, err
	}
	l.Reader = &memo{Reader: l.Reader, since: p.From.Add(-remembered), known: map[evidence.Act][]evidence.Record{}}
	for _, step := range []func(Log) error{p.addPolicies, p.addInventory, p.addActs, p.addFunctions, p.addSilences} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(l); err != nil {
			return nil, fmt.Errorf("report from %s to %s: %w", when(p.From), when(p.To), err)
		}
	}
	p.sort()
	p.addProgramme()
	p.fixOthers()
	p.NotProven = p.notProven()
	p.Mapping = p.mapping()
	return p, nil
}

// cover says from which bytes a report is made.
func (l Log) cover(generated time.Time, generator string, verify []string) (Cover, error) {
	size, root, err := head(l.Checkpoint)
	if err != nil {
		return Cover{}, err
	}
	return Cover{
		Generated: generated.UTC(), Generator: generator, Size: size, Root: root,
		Checkpoint: l.Checkpoint, Key: l.Key, Verify: verify,
	}, nil
}

// place finds the records of the period, and until when anything is known.
func (p *Period) place(l Log) error {
	first, err := l.search(p.From)
	if err != nil {
		return err
	}
	next, err := l.search(p.To)
	if err != nil {
		return err
	}
	if l.Next > l.First {
		oldest, err := l.record(l.First)
		if err != nil {
			return err
		}
		p.LogBegins = oldest.Time.UTC()
		newest, err := l.record(l.Next - 1)
		if err != nil {
			return err
		}
		if t := earlier(newest.Time.UTC(), p.To); t.After(p.From) {
			p.JudgedTo = t
		}
		if !newest.Time.Before(p.From) && p.JudgedTo.Before(p.To) {
			// The newest record itself is of the period.
			p.readTo = newest.Time.Add(1)
		}
	}
	if p.readTo.IsZero() {
		p.readTo = p.JudgedTo
	}
	if first < next {
		last := next - 1
		p.Cover.First, p.Cover.Last = &first, &last
	}
	return nil
}

func (p *Period) addFunctions(l Log) error {
	names, err := p.names(l)
	if err != nil {
		return err
	}
	for _, name := range names {
		f := Function{Function: name, Views: []View{}, Summary: []string{}}
		if o, ok := p.objective(name); ok {
			f.RPOSeconds, f.RTOSeconds = &o.RPOSeconds, &o.RTOSeconds
		}
		runs, err := l.runsOf(name, p.From, p.readTo)
		if err != nil {
			return err
		}
		f.Runs = runs.counts
		p.Unanswered = append(p.Unanswered, runs.open...)
		f.ProofCounts = countProofs(p.Proofs, name)
		for _, u := range p.Unanswered {
			if u.Act == evidence.ActProof && u.Function == name {
				f.ProofCounts.Unanswered++
			}
		}
		h, err := p.judge(l, &f)
		if err != nil {
			return err
		}
		p.fixSnapshots(name, runs.failures, h)
		p.Failures = append(p.Failures, runs.failures...)
		p.summarize(&f)
		p.Functions = append(p.Functions, f)
	}
	return nil
}

// addSilences looks for silence between the records of the period, and from
// the last one before it.
func (p *Period) addSilences(l Log) error {
	if p.Cover.First == nil {
		return nil
	}
	first := *p.Cover.First
	if first > l.First {
		first--
	}
	found, err := l.silences(first, *p.Cover.Last, silenceLimit)
	p.Silences = append(p.Silences, found...)
	return err
}

// edge says what of the period lies outside of the log; empty when nothing does.
func (p *Period) edge() string {
	switch {
	case p.LogBegins.IsZero():
		return "There is no record at all: nothing is known."
	case !p.LogBegins.Before(p.To):
		return fmt.Sprintf("The log begins after the period ends, at %s: nothing is known of it.", when(p.LogBegins))
	case !p.JudgedTo.After(p.From):
		return "The log ends before the period begins: nothing is known of it."
	case p.begins.IsZero() && p.LogBegins.After(p.From):
		return fmt.Sprintf("The log begins at %s: of what was before nothing is known.", when(p.LogBegins))
	}
	return ""
}

// notProven says what a report of this kind never shows, and what this one
// does not.
func (p *Period) notProven() []string {
	out := []string{
		"That people notice, decide and switch over in time: recovery times here are machine time, unless an exercise measured the rest.",
		"That an application works on what was restored: a proof at L5 shows that the data equals what was captured, and only at L6 that the function's own checks pass.",
		"That the clock of the host was right. Times of records never go back, and an anchor outside bounds when the log up to there was written.",
		"That tests ran apart from production: the host and the engine of each proof are recorded, its network and its rights are not. Nor are tickets, approvals, signatures of reviewers, and how far a clock is from others.",
		"That nobody with the signing key wrote another log: a checkpoint that was given to somebody else in the meantime shows it (see anchors).",
	}
	if len(p.Anchors) == 0 {
		out = append(out, "Any anchor: no record of the period says that a checkpoint was given to anybody outside.")
	}
	if !p.begins.IsZero() && !p.promiseShown {
		out = append(out, fmt.Sprintf("That the policy in force at the begin is the newest from before: the records given begin at %s. Single ones from before came along, each with the proof that the log had it, and no act was begun since that names the newest; "+
			"that there was none is the word of whoever made the bundle. One of all records shows it.", when(p.begins)))
	}
	for _, f := range p.Functions {
		if f.ProofCounts.Passed == 0 {
			out = append(out, fmt.Sprintf("That %s can be restored: no proof of it passed in the period.", f.Function))
		}
	}
	if p.Inventory == nil {
		out = append(out, "That nothing was forgotten: no record up to the end of the period compares what the sources hold with what functions cover. A running service records that daily.")
	}
	if len(p.Controls) == 0 {
		out = append(out, "That the verifier can fail: no round of negative controls ended in the period.")
	}
	if len(p.Drills) == 0 {
		out = append(out, "That people know what to do: there was no exercise in the period.")
	}
	if edge := p.edge(); edge != "" {
		out = append(out, edge)
	}
	if p.JudgedTo.Before(p.To) && p.JudgedTo.After(p.From) {
		out = append(out, fmt.Sprintf("Anything after %s: the log ends there.", when(p.JudgedTo)))
	}
	return out
}

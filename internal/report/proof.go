package report

import (
	"context"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// ProofRequest says which proof a report is about.
type ProofRequest struct {
	// Sequence is that of the record of its result; that of its intent is taken,
	// too.
	Sequence uint64
	// Generated is the time now, Generator the version of the program.
	Generated time.Time
	Generator string
	// Verify are the commands that check the records, shown to the reader.
	Verify []string
}

// ForProof makes the report of one proof. The error matches [ErrNotThere] when
// the record is not there or is not one of a proof.
func ForProof(ctx context.Context, l Log, req ProofRequest) (*Proof, error) {
	cover, err := l.cover(req.Generated, req.Generator, req.Verify)
	if err != nil {
		return nil, err
	}
	a, err := l.proof(ctx, req.Sequence)
	if err != nil {
		return nil, err
	}
	p := &Proof{
		Schema: ProofSchema, Cover: cover, ProofLine: proofLine(a), Program: a.result.Program,
		Checks: []evidence.Check{}, Compared: []evidence.Table{}, Before: []Earlier{},
	}
	p.Cover.First, p.Cover.Last = &a.result.Sequence, &a.result.Sequence
	if a.intent != nil {
		p.IntentTime, p.Cover.First = a.intent.Time.UTC(), &a.intent.Sequence
	}
	body := evidence.Proof{}
	if a.result.Proof != nil {
		body = *a.result.Proof
	}
	p.Started, p.Ended, p.Fetched, p.Commit, p.RPOSeconds = body.Started, body.Ended, body.Fetched, body.Commit, body.RPOSeconds
	p.Environment = body.Environment
	p.Checks, p.Compared = append(p.Checks, body.Checks...), append(p.Compared, body.Tables...)
	if !p.Started.IsZero() && !p.RecoveryPoint.IsZero() {
		p.LostSeconds = p.Started.Sub(p.RecoveryPoint).Seconds()
	}
	if err := p.addContext(l, a.result.Time.Add(time.Nanosecond)); err != nil {
		return nil, err
	}
	p.Steps = steps(p.ProofLine, body)
	p.NotProven = append(p.limits(), body.NotProven...)
	return p, nil
}

// proof returns the result of a proof with its intent.
func (l Log) proof(ctx context.Context, sequence uint64) (act, error) {
	r, err := l.record(sequence)
	if err != nil {
		return act{}, err
	}
	if r.Act != evidence.ActProof {
		return act{}, fmt.Errorf("%w: record %d is of a %s, not of a proof; 'backupd report --month' lists the proofs with their records", ErrNotThere, sequence, r.Act)
	}
	if r.Phase == evidence.Result {
		return act{result: r, intent: l.intentOf(r, nil)}, nil
	}
	for result, err := range l.Find(evidence.ActProof, r.Function, r.Time, time.Time{}) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return act{}, err
		}
		if result.Phase == evidence.Result && result.Intent != nil && *result.Intent == sequence {
			return act{result: result, intent: &r}, nil
		}
	}
	return act{}, fmt.Errorf("%w: the proof that record %d announced has no result in the log", ErrNotThere, sequence)
}

// The states of a level.
const (
	LevelHolds      = "holds"
	LevelFails      = "fails"
	LevelNotShown   = "not shown"
	LevelNotAsked   = "not asked for"
	levelNotReached = "not reached"
)

// steps says of each level whether it holds. Above one that does not, nothing
// does.
func steps(line ProofLine, body evidence.Proof) []LevelStep {
	var out []LevelStep
	broken := false
	for _, l := range Levels {
		s := LevelStep{Level: l, State: LevelNotAsked}
		switch {
		case l.Level > line.Requested:
		case broken:
			s.State = levelNotReached
		case l.Level <= line.Level && holds(body, l.Level):
			s.State = LevelHolds
		case failsAt(body, l.Level):
			s.State, broken = LevelFails, true
		default:
			s.State, broken = LevelNotShown, true
		}
		out = append(out, s)
	}
	return out
}

// failsAt reports whether something was found to differ at a level.
func failsAt(p evidence.Proof, level string) bool {
	for _, c := range p.Checks {
		if c.Level == level && c.Status == evidence.Fail {
			return true
		}
	}
	if level != "L5" {
		return false
	}
	for _, t := range p.Tables {
		if t.FoundDigest != "" && !same(t) {
			return true
		}
	}
	return false
}

// limits says what no proof, or not this one, shows.
func (p *Proof) limits() []string {
	var out []string
	if p.Finding != Passed {
		out = append(out, fmt.Sprintf("That this recovery point can be restored from %s to level %s: the proof did not pass.", p.Site, p.Requested))
	}
	return append(out,
		"Other recovery points, and other sites: one was proven, from one site.",
		"That people notice, decide and switch over in time: times here are machine time.",
		"That an application works on what was restored, beyond the checks that are listed.",
	)
}

// title names the report.
func (p *Proof) title() string {
	return fmt.Sprintf("Proof of %s from %s, record %d", p.Function, p.Site, p.Sequence)
}

// conclusion says in a sentence what it came to.
func (p *Proof) conclusion() string {
	switch p.Finding {
	case Passed:
		return fmt.Sprintf("at %s: %s.", p.Level, meaning(p.Level))
	case Difference:
		if p.Level >= "L5" {
			return "The copy was restored whole and equals the source; a check of the function's own failed on it."
		}
		return "Something is missing or different."
	case CutShort:
		return "The program ended before the proof did. It shows nothing."
	default:
		return "It could not be carried out. It shows nothing, neither good nor bad."
	}
}

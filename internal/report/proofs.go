package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/saypro/backupd/internal/evidence"
)

// proofLine tells of a proof that ended. What it comes to is derived from its
// raw fields; where the record says otherwise, that is an objection.
func proofLine(a act) ProofLine {
	r := a.result
	p := evidence.Proof{}
	if a.intent != nil && a.intent.Proof != nil {
		p = *a.intent.Proof // what was asked for, if nothing came of it
	}
	if r.Proof != nil {
		p = *r.Proof
	}
	line := ProofLine{
		Sequence: r.Sequence, Intent: r.Intent, Time: r.Time.UTC(), By: a.who(), Function: r.Function,
		Site: p.Site, Snapshot: p.Snapshot, RecoveryPoint: p.RecoveryPoint.UTC(), Selection: p.Selection,
		Requested: p.Requested, Level: p.Level, Seconds: p.Seconds, Phases: p.Phases, RTOSeconds: p.RTOSeconds,
		Tables: len(p.Tables), BytesRaw: p.BytesRaw, NotProven: p.NotProven, Drill: p.Drill,
	}
	for _, t := range p.Tables {
		line.Rows += t.FoundRows
	}
	line.Finding = finding(r)
	line.Problem = problem(r, line.Finding)
	line.Objection = objection(r, line.Finding)
	return line
}

// finding derives what a proof came to. It passed when it was done, and its checks
// and tables reach the level asked for, where those that were skipped for a
// reason neither help nor hurt; it found a difference when any differs;
// everything else is inconclusive.
func finding(r evidence.Record) Finding {
	switch {
	case r.Proof != nil && differs(*r.Proof):
		return Difference
	case r.Outcome == evidence.CutShort:
		return CutShort
	case r.Proof == nil || r.Outcome != evidence.Done && r.Outcome != evidence.Degraded:
		return Inconclusive
	case holds(*r.Proof, r.Proof.Requested):
		return Passed
	default:
		return Inconclusive
	}
}

func differs(p evidence.Proof) bool {
	return slices.ContainsFunc(p.Checks, evidence.Check.Differs) ||
		slices.ContainsFunc(p.Tables, func(t evidence.Table) bool { return t.FoundDigest != "" && !same(t) })
}

func same(t evidence.Table) bool { return t.Rows == t.FoundRows && t.Digest == t.FoundDigest }

// holds reports whether a level is claimed, and reached by the checks and tables
// as well.
func holds(p evidence.Proof, level string) bool { return level <= p.Level && p.Reaches(level) }

// problem is the first thing that is wrong with a proof, in a sentence.
func problem(r evidence.Record, f Finding) string {
	if f == Passed {
		return ""
	}
	if r.Proof != nil {
		for _, c := range r.Proof.Checks {
			if c.Status == evidence.Fail || f != Difference && c.Status != evidence.Pass && c.Status != evidence.Skipped {
				return checkProblem(c)
			}
		}
		for _, t := range r.Proof.Tables {
			if t.FoundDigest != "" && !same(t) {
				return tableProblem(t)
			}
		}
	}
	if r.Error != "" {
		return r.Error
	}
	if r.Proof != nil {
		return unreached(*r.Proof)
	}
	return "the record does not say why"
}

// unreached says which level is missing when no check failed: it has none, or
// all of them were skipped, or a table was not read.
func unreached(p evidence.Proof) string {
	for _, l := range Levels {
		if l.Level > p.Requested || p.Reaches(l.Level) {
			continue
		}
		for _, c := range p.Checks {
			if c.Level == l.Level && c.Status == evidence.Skipped {
				return checkProblem(c) + "; no other check shows that " + l.Level + " holds"
			}
		}
		for _, t := range p.Tables {
			if t.FoundDigest == "" {
				return fmt.Sprintf("table %s was not compared", t.Name)
			}
		}
		return fmt.Sprintf("no check shows that %s holds: %s", l.Level, l.Meaning)
	}
	return fmt.Sprintf("it claims %s, and %s was asked for", cmp.Or(p.Level, "no level"), p.Requested)
}

func checkProblem(c evidence.Check) string {
	text := fmt.Sprintf("%s (%s): %s", c.Name, c.Level, c.Status)
	if c.Operator != "" {
		text += fmt.Sprintf(", expected %s %s, observed %s", c.Operator, c.Expected, c.Observed)
	}
	if c.Detail != "" {
		text += ": " + c.Detail
	}
	return text
}

func tableProblem(t evidence.Table) string {
	if t.Rows != t.FoundRows {
		return fmt.Sprintf("table %s: %s at the source, %s restored", t.Name, plural(int(t.Rows), "row"), count(t.FoundRows))
	}
	return fmt.Sprintf("table %s: as many rows, other content", t.Name)
}

// objection says in what a record's own verdict differs from what follows from
// its raw fields.
func objection(r evidence.Record, f Finding) string {
	if r.Proof == nil {
		return ""
	}
	switch {
	case r.Proof.Passed && f != Passed:
		return fmt.Sprintf("the record calls it passed; its checks and tables come to: %s", f)
	case !r.Proof.Passed && f == Passed:
		return "its checks and tables come to passed; the record does not call it so"
	case r.Proof.Difference != (f == Difference):
		return fmt.Sprintf("the record and its checks disagree whether there is a difference; this report says: %s", f)
	}
	return ""
}

func countProofs(lines []ProofLine, function string) ProofCounts {
	var n ProofCounts
	for _, p := range lines {
		if p.Function != function {
			continue
		}
		n.Ended++
		switch p.Finding {
		case Passed:
			n.Passed++
		case Difference:
			n.Differences++
		case CutShort:
			n.CutShort++
		default:
			n.Inconclusive++
		}
	}
	return n
}

package evidence

import (
	"fmt"
	"slices"

	"github.com/saypro/backupd/internal/expect"
)

// levels are the levels of proofs, each of which includes those before it.
var levels = []string{"L0", "L1", "L2", "L3", "L4", "L5", "L6", "L7"}

// contentLevel is the level that compares the content of tables.
const contentLevel = "L5"

// coldLevel is the level that is about the host, the key and the time.
const coldLevel = "L7"

// overclaims returns, a sentence each, what a record claims and its own raw
// fields do not bear out.
func (r *Record) overclaims() (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r.Phase == Result {
		switch {
		case r.Proof != nil:
			r.proofClaims(say)
		case r.Controls != nil:
			r.controlClaims(say)
		}
	}
	if r.Drill != nil {
		r.drillClaims(say)
	}
	return out
}

func (r *Record) proofClaims(say func(string, ...any)) {
	p := r.Proof
	for i := range p.Checks {
		p.Checks[i].claims(say)
	}
	level, different := reaches(p)
	reached, asked, claimed := slices.Index(levels, level), slices.Index(levels, p.Requested), slices.Index(levels, p.Level)
	ended := r.Error != "" || r.Outcome == Failed || r.Outcome == CutShort
	switch {
	case asked < 0:
		say("it asked for level %q, which there is not", p.Requested)
	case p.Level != "" && claimed < 0:
		say("it claims level %q, which there is not", p.Level)
	case claimed > reached:
		say("it claims level %s, and its checks and tables reach %s", p.Level, orNothing(level))
	case claimed < reached && !ended:
		say("it claims level %s, and its checks and tables reach %s", orNothing(p.Level), level)
	}
	if p.Difference != different {
		say("it says difference: %t, and by its checks and tables that is %t", p.Difference, different)
	}
	passes := asked >= 0 && reached >= asked && !different
	switch {
	case p.Passed && !passes:
		say("it claims to have passed %s, and its checks and tables reach %s", p.Requested, orNothing(level))
	case !p.Passed && passes && !ended:
		say("it says that it did not pass, and by its checks and tables it did")
	}
	switch {
	case (r.Outcome == Done || r.Outcome == Degraded) && !p.Passed:
		say("its outcome is %q, and it did not pass", r.Outcome)
	case r.Outcome != Different && different:
		say("its outcome is %q, and it found a difference", r.Outcome)
	case r.Outcome == Different && !different:
		say("its outcome is %q, and no check or table shows a difference", r.Outcome)
	}
}

// reaches returns the level that the checks and tables of a proof reach, and
// whether one of them differs. A level is reached when at least one of its
// checks passed, and all others did or were skipped, and the level before it
// is; L5 when all tables are equal, too.
func reaches(p *Proof) (level string, different bool) {
	for _, c := range p.Checks {
		different = different || c.Differs()
	}
	tablesEqual := true
	for _, t := range p.Tables {
		tablesEqual = tablesEqual && t.Rows == t.FoundRows && t.Digest == t.FoundDigest
	}
	different = different || !tablesEqual
	for _, next := range levels {
		passed, open := 0, 0
		for _, c := range p.Checks {
			switch {
			case c.Level != next:
			case c.Status == Pass:
				passed++
			case c.Status != Skipped:
				open++
			}
		}
		if passed == 0 || open > 0 || next == contentLevel && !tablesEqual {
			break
		}
		level = next
	}
	return level, different
}

// Reaches reports whether the checks and tables of a proof reach a level,
// whatever it claims itself: at every level up to there at least one check
// passed, and all others did or were skipped.
func (p *Proof) Reaches(level string) bool {
	asked := slices.Index(levels, level)
	reached, _ := reaches(p)
	return asked >= 0 && asked <= slices.Index(levels, reached)
}

// Differs reports whether the check shows that a copy is not what it should be.
// What fails at L7 shows that the copy was not proven cold: that it took too
// long, or that the key was the wrong one.
func (c Check) Differs() bool { return c.Status == Fail && c.Level != coldLevel }

// claims makes the comparison of a check again.
func (c *Check) claims(say func(string, ...any)) {
	name := fmt.Sprintf("check %q of %s", c.Name, c.Level)
	switch {
	case !slices.Contains([]Status{Pass, Fail, Skipped, Inconclusive}, c.Status):
		say("%s has the status %q, which there is not", name, c.Status)
	case !slices.Contains(levels, c.Level):
		say("%s is of no level that there is", name)
	case c.Status == Skipped && c.Detail == "":
		say("%s was skipped without a reason", name)
	}
	if c.Operator == "" || c.Status == Skipped {
		return
	}
	want := Fail
	holds, err := expect.Expectation{Operator: expect.Operator(c.Operator), Value: c.Expected}.Holds(c.Observed)
	switch {
	case err != nil:
		want = Inconclusive
	case holds:
		want = Pass
	}
	if c.Status != want {
		say("%s claims %q, and %q %s %q makes that %q", name, c.Status, c.Observed, c.Operator, c.Expected, want)
	}
}

func (r *Record) controlClaims(say func(string, ...any)) {
	missed := 0
	for _, f := range r.Controls.Faults {
		if f.Red && (f.Caught == "" || f.Caught != f.Expected) {
			say("fault %s claims to be red, expected at %q and caught at %q", f.ID, f.Expected, f.Caught)
		}
		if !f.Red {
			missed++
		}
	}
	switch {
	case r.Outcome == Done && len(r.Controls.Faults) == 0:
		say("its outcome is %q, and no fault was planted", r.Outcome)
	case r.Outcome == Done && missed > 0:
		say("its outcome is %q, and %d of its faults were not caught where they must be", r.Outcome, missed)
	}
}

func (r *Record) drillClaims(say func(string, ...any)) {
	people := PeopleSeconds(r.Drill.Steps)
	bad := 0
	for _, s := range r.Drill.Steps {
		took := s.MachineSeconds()
		switch {
		case s.Status != Pass:
			if s.Status != Skipped || s.Kind != stepPeople {
				bad++
			}
		case s.RPOSeconds > 0 && s.LostSeconds > s.RPOSeconds:
			say("step %s claims to pass, and lost %.0f s of an RPO of %.0f s", s.ID, s.LostSeconds, s.RPOSeconds)
		case s.RTOSeconds > 0 && took > s.RTOSeconds:
			say("step %s claims to pass, and took %.0f s of an RTO of %.0f s", s.ID, took, s.RTOSeconds)
		case s.Restores() && s.LateWith(people):
			bad++ // it is the exercise that missed its objective, not the step
		}
	}
	for _, refused := range r.Drill.Refused {
		if refused.Passed > 0 {
			bad++
		}
	}
	if r.Phase == Result && r.Outcome == Done && (bad > 0 || len(r.Drill.Steps) == 0) {
		say("its outcome is %q, and of its %d steps %d did not pass or were late", r.Outcome, len(r.Drill.Steps), bad)
	}
}

// passed reports whether a result can close an action of an exercise: a proof, a
// round of controls or an exercise that ended well.
func (r *Record) passed() bool {
	return r.Phase == Result && r.Outcome == Done && slices.Contains([]Act{ActProof, ActControls, ActDrill}, r.Act)
}

func orNothing(level string) string {
	if level == "" {
		return "not even L0"
	}
	return level
}

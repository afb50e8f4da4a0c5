package evidence

import (
	"slices"
	"time"
)

// test is what is kept of a result that passed.
type test struct {
	act                                    Act
	function, site, snapshot, level, drill string
	point                                  time.Time
}

func testOf(r *Record) test {
	t := test{act: r.Act, function: r.Function}
	if p := r.Proof; p != nil {
		t.site, t.snapshot, t.level, t.drill, t.point = p.Site, p.Snapshot, p.Level, p.Drill, p.RecoveryPoint
	}
	return t
}

// step checks that a step of an exercise that claims to pass rests on a proof that
// passed, and of what the step says that was restored.
func (v *verifier) step(seq uint64, d *Drill, s *DrillStep) {
	if s.Proof == nil {
		if s.Restores() {
			v.found(&seq, FoundVerdict, "step %s claims to pass, and names no proof that it rests on", s.ID)
		}
		return
	}
	if *s.Proof < v.out.From {
		return // before the period
	}
	proof, passed := v.passed[*s.Proof]
	if !passed || proof.act != ActProof {
		v.found(&seq, FoundVerdict, "step %s claims to pass by record %d, which is no proof that passed before it", s.ID, *s.Proof)
		return
	}
	for _, of := range []struct{ what, claimed, proven string }{
		{"function", s.Function, proof.function},
		{"site", s.Site, proof.site},
		{"snapshot", s.Snapshot, proof.snapshot},
		{"exercise", d.ID, proof.drill},
	} {
		// A step of another kind claims what it names; a proof may be of no exercise.
		if of.claimed == of.proven || of.claimed == "" && !s.Restores() || of.what == "exercise" && of.proven == "" {
			continue
		}
		v.found(&seq, FoundVerdict, "step %s is of %s %q and claims to pass by record %d, which is a proof of %s %q", s.ID, of.what, of.claimed, *s.Proof, of.what, of.proven)
	}
	if slices.Index(levels, s.Level) > slices.Index(levels, proof.level) {
		v.found(&seq, FoundVerdict, "step %s claims level %s by record %d, which is a proof to %s", s.ID, s.Level, *s.Proof, orNothing(proof.level))
	}
	if s.Restores() && proof.level < restoring {
		v.found(&seq, FoundVerdict, "step %s claims to have restored by record %d, which is a proof to %s", s.ID, *s.Proof, orNothing(proof.level))
	}
	if apart := s.RecoveryPoint.Sub(proof.point); !s.RecoveryPoint.IsZero() && apart.Abs() > time.Second {
		v.found(&seq, FoundVerdict, "step %s restored a state of %s and claims to pass by record %d, which is a proof of that of %s", s.ID, stamp(s.RecoveryPoint), *s.Proof, stamp(proof.point))
	}
}

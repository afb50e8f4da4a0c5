package drill

import (
	"fmt"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// Judge says what the steps of an exercise that has ended come to, and why it
// is not passed. What people do counts when it is recorded: their time is part
// of each function's, and it may break an objective that the machine kept.
func Judge(steps []evidence.DrillStep) (state string, reasons []string) {
	state = StatePassed
	if len(steps) == 0 {
		return StateInconclusive, []string{"nothing was carried out"}
	}
	var missed, inconclusive []string
	for _, s := range Judged(steps) {
		what := s.Kind + " " + s.ID
		if s.Function != "" {
			what = s.Kind + " of " + s.Function
		}
		switch {
		case s.Status == evidence.Fail:
			missed = append(missed, what+": "+s.Error)
		case s.Status == evidence.Pass, s.Kind == StepPeople && s.Status == evidence.Skipped:
		default:
			inconclusive = append(inconclusive, what+": "+orElse(s.Error, "not answered"))
		}
	}
	switch {
	case len(missed) > 0:
		state = StateMissed
	case len(inconclusive) > 0:
		state = StateInconclusive
	}
	return state, append(missed, inconclusive...)
}

// Judged returns the steps as they are to be shown: a function that the machine
// brought back within its RTO, and that is over it with what people took besides,
// does not pass.
func Judged(steps []evidence.DrillStep) []evidence.DrillStep {
	out := slices.Clone(steps)
	people := evidence.PeopleSeconds(steps)
	for i := range out {
		s := &out[i]
		if s.Restores() && s.LateWith(people) {
			s.Status = evidence.Fail
			s.Error = fmt.Sprintf("%s by machine and %s by people exceed the RTO of %s", span(s.MachineSeconds()), span(people), span(s.RTOSeconds))
		}
	}
	return out
}

// Outcome is how the log calls the end of an exercise in that state.
func Outcome(state string) evidence.Outcome {
	switch state {
	case StatePassed:
		return evidence.Done
	case StateMissed:
		return evidence.Different
	default:
		return evidence.Failed
	}
}

// JudgeRestore fills in the verdict on a function that was restored: the proof
// has passed, so only its figures can fail it now.
func JudgeRestore(s *evidence.DrillStep) {
	s.Status = evidence.Pass
	total := s.MachineSeconds()
	switch {
	case s.LostSeconds < 0:
		s.Status = evidence.Inconclusive
		s.Error = "the recovery point lies ahead of the clock, so what would be lost is not known"
	case s.RPOSeconds > 0 && s.LostSeconds > s.RPOSeconds:
		s.Status = evidence.Fail
		s.Error = fmt.Sprintf("%s would be lost, the RPO is %s", span(s.LostSeconds), span(s.RPOSeconds))
	}
	if s.RTOSeconds > 0 && total > s.RTOSeconds {
		text := fmt.Sprintf("it took %s by machine alone, the RTO is %s", span(total), span(s.RTOSeconds))
		if s.Error != "" {
			text = s.Error + "; " + text
		}
		s.Status, s.Error = evidence.Fail, text
	}
}

// span writes seconds as people do, to the tenth below a minute and to the
// millisecond below a second, rounded up as in reports.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	unit := time.Second
	switch abs := d.Abs(); {
	case abs < time.Second:
		unit = time.Millisecond
	case abs < time.Minute:
		unit = 100 * time.Millisecond
	}
	if cut := d.Truncate(unit); cut < d-time.Microsecond {
		d = cut + unit
	} else {
		d = cut
	}
	if unit == time.Second {
		return Span(d)
	}
	return d.String()
}

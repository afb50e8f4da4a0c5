package evidence

// Kinds of steps whose verdict counts otherwise than that of the rest.
const (
	stepPeople  = "people"
	stepRestore = "restore"
	stepCold    = "cold"
)

// Restores reports whether a step brings a function back.
func (s *DrillStep) Restores() bool { return s.Kind == stepRestore || s.Kind == stepCold }

// MachineSeconds is how long after the disaster the machine was done with a step.
func (s *DrillStep) MachineSeconds() float64 { return s.WaitedSeconds + s.Seconds }

// LateWith reports whether a function that the machine brought back in time is
// over its RTO with what people took besides. Their time is recorded after the
// exercise, so the step itself still says that it passed.
func (s *DrillStep) LateWith(people float64) bool {
	return s.Status == Pass && people > 0 && s.RTOSeconds > 0 && s.MachineSeconds()+people > s.RTOSeconds
}

// PeopleSeconds is how long people took, as far as that is recorded.
func PeopleSeconds(steps []DrillStep) (sum float64) {
	for _, s := range steps {
		if s.Kind == stepPeople && s.Status == Pass {
			sum += s.Seconds
		}
	}
	return sum
}

// PeopleUnrecorded counts the steps of people of which nobody recorded the time.
func PeopleUnrecorded(steps []DrillStep) (n int) {
	for _, s := range steps {
		if s.Kind == stepPeople && s.Status != Pass {
			n++
		}
	}
	return n
}

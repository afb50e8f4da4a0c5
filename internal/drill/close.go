package drill

import (
	"errors"
	"fmt"

	"github.com/saypro/backupd/internal/evidence"
)

var (
	// ErrRequest marks what cannot be done as it was asked: no such exercise,
	// no such action.
	ErrRequest = errors.New("wrong request")
	// ErrRefused marks an action that a record does not close.
	ErrRefused = errors.New("the action stays open")
)

// Closes reports whether the record r may close an action: it is the result of
// a test that passed, and later than the action. The error matches
// [ErrRefused] and says what is wrong with it.
func Closes(a Action, r evidence.Record) error {
	refuse := func(format string, values ...any) error {
		return fmt.Errorf("%w: record %d %s", ErrRefused, r.Sequence, fmt.Sprintf(format, values...))
	}
	switch {
	case a.Closed != nil:
		return fmt.Errorf("%w: record %d closed it already", ErrRequest, *a.Closed)
	case r.Phase != evidence.Result:
		return refuse("is no result but an %s of %s", r.Phase, r.Act)
	case r.Sequence <= a.Sequence || r.Time.Before(a.Recorded):
		return refuse("is not later than the action, which was recorded at %d: only a test after it shows that it was done", a.Sequence)
	case r.Outcome != evidence.Done:
		return refuse("did not pass: its outcome is %q", r.Outcome)
	}
	switch r.Act {
	case evidence.ActProof:
		if p := r.Proof; p == nil || !p.Passed || p.Difference || p.Level == "" || p.Level < p.Requested {
			return refuse("is of a proof that did not pass")
		}
	case evidence.ActControls:
		if r.Controls == nil || len(r.Controls.Faults) == 0 {
			return refuse("is of controls without a single fault")
		}
		for _, f := range r.Controls.Faults {
			if !f.Red {
				return refuse("is of controls that missed the fault %s", f.ID)
			}
		}
	case evidence.ActDrill:
		if r.Drill == nil {
			return refuse("is of an exercise that it does not name")
		}
		if state, _ := Judge(r.Drill.Steps); state != StatePassed {
			return refuse("is of an exercise that is %s", state)
		}
	default:
		return refuse("is of the act %q, which tests nothing; a proof, a round of controls or an exercise closes an action", r.Act)
	}
	return nil
}

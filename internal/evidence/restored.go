package evidence

import (
	"time"

	"github.com/saypro/backupd/internal/objective"
)

// Restores returns how long the proofs and restores took that loaded a whole
// recovery point of a function, as their results in from ≤ time < to tell.
func Restores(log Reader, function string, from, to time.Time) ([]objective.Restored, error) {
	var out []objective.Restored
	for _, act := range []Act{ActProof, ActRestore} {
		for r, err := range log.Find(act, function, from, to) {
			if err != nil {
				return nil, err
			}
			if restored, ok := restoredBy(&r); ok {
				out = append(out, restored)
			}
		}
	}
	return out, nil
}

func restoredBy(r *Record) (objective.Restored, bool) {
	if r.Phase != Result {
		return objective.Restored{}, false
	}
	switch {
	case r.Proof != nil && r.Proof.Level >= restoring:
		p := r.Proof
		return objective.Restored{At: p.Ended, Site: p.Site, Level: p.Level, Bytes: p.BytesRaw, Seconds: p.Phases}, true
	case r.Restore != nil && r.Outcome == Done && len(r.Restore.Tables) == 0:
		p := r.Restore
		return objective.Restored{At: p.Ended, Bytes: p.Bytes, Seconds: p.Phases}, true
	}
	return objective.Restored{}, false
}

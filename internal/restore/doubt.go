package restore

import (
	"fmt"
	"strings"
)

// doubts warns of a recovery point that looks wrong, or was taken after one that
// does, and names the last clean one. Nothing is refused: who restores may know
// better, or want just this one.
func (k *job) doubts() ([]string, error) {
	doubt, err := k.Repository.Doubt(k.info.Function)
	if err != nil {
		return nil, err
	}
	about := doubt.About(k.info)
	if about == nil {
		return nil, nil
	}
	var what []string
	for _, s := range about.Suspect {
		what = append(what, s.Detail)
	}
	warning := fmt.Sprintf("WARNING: this recovery point is suspect: %s", strings.Join(what, "; "))
	if about.ID != k.info.ID {
		warning = fmt.Sprintf("WARNING: this recovery point was taken after suspect snapshot %s of %s, which nobody has judged: %s",
			about.ID, stamp(about.RecoveryPoint), strings.Join(what, "; "))
	}
	if doubt.Clean == nil {
		return []string{warning + "; there is no clean one before it"}, nil
	}
	return []string{fmt.Sprintf("%s; the last clean one is of %s: --snapshot %s", warning, stamp(doubt.Clean.RecoveryPoint), doubt.Clean.ID)}, nil
}

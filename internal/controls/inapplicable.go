package controls

import "github.com/saypro/backupd/internal/evidence"

// notApplicable are faults of other kinds of copies, which are named so that
// nobody looks for them in vain. A round of chosen faults says nothing of them.
func notApplicable(only []string) []evidence.NotApplicable {
	if len(only) > 0 {
		return nil
	}
	return []evidence.NotApplicable{{
		ID: "wal-segment-missing",
		Why: "a missing segment of the write-ahead log in the middle: recovery points are logical copies, each whole by itself; " +
			"there is no log to be replayed, and no recovery to a moment between two of them",
	}}
}

package verify

import "github.com/saypro/backupd/internal/repository"

// Request says what to prove.
type Request struct {
	// Function is the business function to prove.
	Function string `json:"function"`
	// Snapshot is the ID of the snapshot, or an unambiguous prefix; empty
	// means the newest one that the site holds.
	Snapshot string `json:"snapshot,omitempty"`
	// Selection says how the snapshot was chosen; for the record.
	Selection Selection `json:"selection,omitzero"`
	// Scheduled says that nobody asked for the proof.
	Scheduled bool `json:"scheduled,omitempty"`
	// Extra says that it is made beside the turns of the schedule.
	Extra bool `json:"extra,omitempty"`
	// From is the only site to read from. It is required.
	From string `json:"from"`
	// Level is the level to reach, "L0" to "L6"; empty means L6 when the
	// function has checks that can be made on the snapshot, else L5.
	Level string `json:"level,omitempty"`
	// Through is the repository by another way to its sites; nil: by the
	// verifier's own.
	Through *repository.Repository `json:"-"`
	// Lower allows to stop at L5 when L6 is asked for and nothing of it can be
	// checked on this snapshot, because it is older than the checks.
	Lower bool `json:"lower,omitempty"`
}

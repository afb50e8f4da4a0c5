package verify

import "github.com/saypro/backupd/internal/repository"

// Request says what to prove.
type Request struct {
	// Function is the business function to prove.
	Function string `json:"function"`
	// Snapshot is the ID of the snapshot, or an unambiguous prefix; empty
	// means the newest one that the site holds.
	Snapshot string `json:"snapshot,omitempty"`
	// From is the only site to read from. It is required.
	From string `json:"from"`
	// Level is the level to reach, "L0" to "L5"; empty means L5.
	Level string `json:"level,omitempty"`
	// Through is the repository by another way to its sites; nil: by the
	// verifier's own.
	Through *repository.Repository `json:"-"`
}

package engine

import (
	"time"

	"github.com/saypro/backupd/internal/suspicion"
)

// SuspectPoint is a recovery point that looked wrong when it was taken.
type SuspectPoint struct {
	// Function, Snapshot and RecoveryPoint say which.
	Function      string    `json:"function"`
	Snapshot      string    `json:"snapshot"`
	RecoveryPoint time.Time `json:"recovery_point"`
	// Signals are what looked wrong.
	Signals []suspicion.Signal `json:"signals"`
	// Cleared is why somebody judged that to be fine; empty when nobody has.
	Cleared string `json:"cleared,omitempty"`
	// LastClean is the snapshot that is kept because of it and others of the
	// function that nobody has judged: the newest before all of them that a site
	// holds, with its consistency point. Empty when it was cleared, and when
	// there is none.
	LastClean      string    `json:"last_clean,omitempty"`
	LastCleanPoint time.Time `json:"last_clean_point,omitzero"`
}

// SuspectRequest asks for the suspect recovery points.
type SuspectRequest struct {
	// Function whose; empty means of all.
	Function string `json:"function,omitempty"`
	// All includes those that somebody has judged.
	All bool `json:"all,omitempty"`
}

// ClearRequest says that what looked wrong in a recovery point is fine.
type ClearRequest struct {
	// Snapshot is its ID or an unambiguous prefix.
	Snapshot string `json:"snapshot"`
	// Reason says why; it is mandatory.
	Reason string `json:"reason"`
}

// Package snapshot captures the recovery points of functions: it reads a
// source under one consistent view and writes what it read to the repository.
package snapshot

import (
	"time"

	"github.com/saypro/backupd/internal/suspicion"
)

// The states of a recovery point at one site.
const (
	// StateSpooled: complete on this host, not yet at the site.
	StateSpooled = "spooled"
	// StateDurable: the site acknowledged the commit object, so the recovery
	// point exists there.
	StateDurable = "durable"
	// StateMissing: the site does not hold it and nothing is on its way.
	StateMissing = "missing"
)

// Result says what one snapshot of one function brought. Of a run that failed
// before its commit only Function, Started, DurationSeconds, Phases, Notes and
// Error are filled in: it left no recovery point behind.
type Result struct {
	// Function is the business function that was captured.
	Function string `json:"function"`
	// Snapshot is the ID of the snapshot; empty when the run failed.
	Snapshot string `json:"snapshot,omitempty"`
	// RecoveryPoint is the consistency point, UTC, never later than the data.
	RecoveryPoint time.Time `json:"recovery_point,omitzero"`
	// Started is when the run began, UTC.
	Started time.Time `json:"started,omitzero"`
	// DurationSeconds is how long the whole run took, the wait for the sites
	// included.
	DurationSeconds float64 `json:"duration_seconds"`
	// Rows is the number of rows captured, over all tables.
	Rows int64 `json:"rows"`
	// BytesRaw is the size of the captured data as the source gave it.
	BytesRaw int64 `json:"bytes_raw"`
	// BytesNew is the part of BytesRaw that the repository did not hold yet,
	// with the lists of chunks that go with it: a first snapshot has a little
	// more than BytesRaw.
	BytesNew int64 `json:"bytes_new"`
	// BytesStored is what BytesNew takes, compressed and sealed, at each site.
	BytesStored int64 `json:"bytes_stored"`
	// Tables are the captured tables, sorted by name.
	Tables []Table `json:"tables,omitempty"`
	// Schema is the SHA-256 of the definition of everything in the scope, in
	// hexadecimal digits: it changes when a table, index, grant, … does.
	Schema string `json:"schema,omitempty"`
	// Sites is the state of the recovery point at every configured site when
	// the run stopped waiting.
	Sites map[string]SiteState `json:"sites,omitempty"`
	// Degraded is true when the recovery point exists but at fewer sites than
	// are configured.
	Degraded bool `json:"degraded"`
	// Phases is the time spent in each phase, in seconds. Phases overlap, so
	// their sum may exceed DurationSeconds.
	Phases map[string]float64 `json:"phases,omitempty"`
	// Suspect says what looks wrong in it, compared with the recovery point
	// before; empty when nothing does.
	Suspect []suspicion.Signal `json:"suspect,omitempty"`
	// Notes are sentences for the operator about what was captured
	// differently than might be expected: unlogged tables, foreign keys that
	// leave the scope.
	Notes []string `json:"notes,omitempty"`
	// Error says why the run failed or what it could not reach; empty when
	// all went well.
	Error string `json:"error,omitempty"`
}

// Table is one captured table.
type Table struct {
	// Name is the schema and the table, "payments.orders".
	Name string `json:"name"`
	// Rows is the number of rows in the recovery point.
	Rows int64 `json:"rows"`
	// Digest stands for the content of the table regardless of the order of
	// its rows: equal digests mean equal content.
	Digest string `json:"digest"`
	// Bytes is the size of the rows as the source gave them.
	Bytes int64 `json:"bytes_raw"`
}

// SiteState says how far a recovery point has come at one site.
type SiteState struct {
	// State is one of StateSpooled, StateDurable and StateMissing.
	State string `json:"state"`
	// DurableAt is when the site acknowledged the commit, UTC; zero unless
	// State is StateDurable.
	DurableAt time.Time `json:"durable_at,omitzero"`
	// Error is the last error met on the way to the site, if it is not
	// durable there.
	Error string `json:"error,omitempty"`
}

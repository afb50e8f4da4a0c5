// Package restore brings a recovery point from the repository back into a
// database.
package restore

import (
	"errors"
	"log/slog"
	"time"
)

// ErrRequest marks a request that cannot be carried out as it was asked: an
// unknown table, contradicting options, a time before the first recovery
// point. Asking again unchanged cannot help.
var ErrRequest = errors.New("wrong request")

// Request says what to restore, and where to.
type Request struct {
	// Function is the business function to restore.
	Function string `json:"function"`
	// To is the URL of the target database, which may hold a password: it
	// appears in no log, no error and no answer.
	To string `json:"to"`
	// At asks for the newest recovery point that is not later; zero means the
	// newest there is.
	At time.Time `json:"at,omitzero"`
	// Snapshot asks for this snapshot, by its ID or an unambiguous prefix.
	// It excludes At.
	Snapshot string `json:"snapshot,omitempty"`
	// From is the only site to read from; empty means the best one, falling
	// through to the others object by object.
	From string `json:"from,omitempty"`
	// Tables are the tables to restore, "schema.name"; empty means all.
	Tables []string `json:"tables,omitempty"`
	// Replace allows a target that is not empty: the restore happens beside
	// it, is checked, and takes its place by rename.
	Replace bool `json:"replace,omitempty"`
	// NoOwner leaves out owners, grants and the roles they need.
	NoOwner bool `json:"no_owner,omitempty"`
	// Jobs is the number of connections that load at once; 0 means to choose.
	Jobs int `json:"jobs,omitempty"`
}

// LogValue shows the request without its target, whose URL may hold a
// password.
func (r Request) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("function", r.Function),
		slog.Time("at", r.At),
		slog.String("snapshot", r.Snapshot),
		slog.String("from", r.From),
		slog.Any("tables", r.Tables),
		slog.Bool("replace", r.Replace),
	)
}

// Plan says what a restore would do, without having touched the target.
type Plan struct {
	// Function is the business function to restore.
	Function string `json:"function"`
	// Snapshot is the ID of the snapshot that would be restored.
	Snapshot string `json:"snapshot"`
	// RecoveryPoint is its consistency point, UTC.
	RecoveryPoint time.Time `json:"recovery_point"`
	// To names the target without its password: host, port and database.
	To string `json:"to"`
	// Replace is true when the target holds something that the restored
	// database would take the place of.
	Replace bool `json:"replace"`
	// Refused says why the restore would be refused as it was asked for; empty
	// when it would begin. There are no Steps then.
	Refused string `json:"refused,omitempty"`
	// SiteOrder is the order in which sites would be asked for each object.
	SiteOrder []string `json:"site_order"`
	// Tables are the tables that would be restored, sorted by name.
	Tables []Table `json:"tables"`
	// Rows and BytesRaw are the size of those tables.
	Rows     int64 `json:"rows"`
	BytesRaw int64 `json:"bytes_raw"`
	// BytesToFetch is how much would be read from the sites.
	BytesToFetch int64 `json:"bytes_to_fetch"`
	// ExpectedLossSeconds is the age of the recovery point at the moment of
	// planning, or at Request.At when that was given: what was written in
	// between would not come back.
	ExpectedLossSeconds float64 `json:"expected_loss_seconds"`
	// ExpectedDurationSeconds is how long the restore should take; 0 when
	// nothing is known to estimate it from.
	ExpectedDurationSeconds float64 `json:"expected_duration_seconds"`
	// DurationMeasured is true when the estimate comes from restores and
	// proofs of this function that really ran, false when it is a guess.
	DurationMeasured bool `json:"duration_measured"`
	// DurationBasis says in a sentence how the estimate came about.
	DurationBasis string `json:"duration_basis,omitempty"`
	// Proof says how far this recovery point has been proven, in a sentence;
	// empty when it never was.
	Proof string `json:"proof,omitempty"`
	// Steps are what would be done, in order, a sentence each.
	Steps []string `json:"steps"`
	// Notes are what the operator should know before starting: references
	// that leave the scope, roles that would be made, extensions needed.
	Notes []string `json:"notes,omitempty"`
}

// Result says what a restore has done. Of a restore that failed it says how
// far it came; nothing of it then looks finished in the target.
type Result struct {
	// Function is the business function that was restored.
	Function string `json:"function"`
	// Snapshot is the ID of the snapshot that was restored.
	Snapshot string `json:"snapshot,omitempty"`
	// RecoveryPoint is its consistency point, UTC.
	RecoveryPoint time.Time `json:"recovery_point,omitzero"`
	// To names the target without its password: host, port and database.
	To string `json:"to"`
	// Started is when the restore began, UTC.
	Started time.Time `json:"started,omitzero"`
	// DurationSeconds is how long it took: machine time alone, without the
	// time in which people noticed, decided and switched over.
	DurationSeconds float64 `json:"duration_seconds"`
	// Phases is the time spent in each phase, in seconds. Phases overlap, so
	// their sum may exceed DurationSeconds.
	Phases map[string]float64 `json:"phases,omitempty"`
	// LossSeconds is the age of the recovery point when the restore started,
	// or at Request.At when that was given.
	LossSeconds float64 `json:"loss_seconds"`
	// Tables are the restored tables, sorted by name.
	Tables []Table `json:"tables,omitempty"`
	// Rows and BytesRaw are the size of what was loaded.
	Rows     int64 `json:"rows"`
	BytesRaw int64 `json:"bytes_raw"`
	// BytesFetched is how much was read from the sites, retries included.
	BytesFetched int64 `json:"bytes_fetched"`
	// Sites says how much was read from each site.
	Sites map[string]SiteRead `json:"sites,omitempty"`
	// FallThroughs are the objects that a site could not give and another
	// one did. Each is damage that needs repair although the restore went
	// well.
	FallThroughs []FallThrough `json:"fall_throughs,omitempty"`
	// OutsideReferences are the foreign keys that leave the scope and were
	// not restored because the table they refer to is not in the target.
	OutsideReferences []string `json:"outside_references,omitempty"`
	// KeptDatabase is the name under which the database that was replaced
	// still exists; empty unless something was replaced.
	KeptDatabase string `json:"kept_database,omitempty"`
	// Checks are what was compared after loading: rows and digests against
	// the snapshot.
	Checks []Check `json:"checks,omitempty"`
	// Notes are sentences for the operator: roles made, settings changed.
	Notes []string `json:"notes,omitempty"`
	// Error says why the restore failed; empty when it went well.
	Error string `json:"error,omitempty"`
	// Unrecorded says why a restore that went well is not in the evidence yet;
	// empty when it is.
	Unrecorded string `json:"unrecorded,omitempty"`
}

// Table is one table of a plan or a restore.
type Table struct {
	// Name is the schema and the table, "payments.orders".
	Name string `json:"name"`
	// Rows is the number of rows in the recovery point.
	Rows int64 `json:"rows"`
	// Digest stands for the content of the table, as captured.
	Digest string `json:"digest"`
	// Bytes is the size of the rows as the source gave them.
	Bytes int64 `json:"bytes_raw"`
}

// SiteRead says how much a restore read from one site.
type SiteRead struct {
	// Bytes is what was read, object parts that turned out wrong included.
	Bytes int64 `json:"bytes"`
}

// FallThrough is one object that a site could not give.
type FallThrough struct {
	// Object is the name of the object, the first one when the whole site
	// could not be reached.
	Object string `json:"object"`
	// Site is the site that could not give it, Then the one that was asked
	// next.
	Site string `json:"site"`
	Then string `json:"then,omitempty"`
	// Unreachable is true when the site could not be asked, so that nothing
	// is known about its copy. Otherwise the copy is damaged.
	Unreachable bool `json:"unreachable,omitempty"`
	// Reason says what was wrong: missing, wrong size, wrong digest,
	// unreachable.
	Reason string `json:"reason"`
}

// Check is one comparison of what was restored with what was captured.
type Check struct {
	// Name says what was compared.
	Name string `json:"name"`
	// Level is the proof level that the comparison belongs to.
	Level string `json:"level"`
	// Passed is false also when the comparison could not be made.
	Passed bool `json:"passed"`
	// Detail says what was found.
	Detail string `json:"detail,omitempty"`
}

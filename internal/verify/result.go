// Package verify proves recovery points: it restores them from one site into
// scratch and checks what comes out, level by level.
package verify

import (
	"errors"
	"time"
)

// ErrRequest marks a request for a proof that cannot be carried out as it was
// asked: an unknown level, a site that never held the snapshot.
var ErrRequest = errors.New("wrong request")

// Levels are the proof levels in rising order. Each includes those before it.
var Levels = []string{"L0", "L1", "L2", "L3", "L4", "L5", "L6", "L7"}

const (
	levelContent = "L5" // the highest that every function can reach
	levelChecks  = "L6"
	levelCold    = "L7"
)

// Meaning says in a short sentence what holds when a proof reached level. It
// is empty for a level that does not exist.
func Meaning(level string) string {
	switch level {
	case "L0":
		return "every named object is present at this site in the right size"
	case "L1":
		return "the stored bytes have the right digests"
	case "L2":
		return "everything decrypts, decompresses and parses"
	case "L3":
		return "the engine loaded it without an error"
	case "L4":
		return "the structure is whole: tables, columns, indexes, constraints, sequences, owners, grants, extensions"
	case "L5":
		return "the content equals the source at the same snapshot: rows and digest of every table"
	case levelChecks:
		return "the function's own checks pass on the restored data"
	case levelCold:
		return "all of this cold: an empty host, no catalog, the escrowed key, one site alone, inside the RTO"
	default:
		return ""
	}
}

// Result is one proof: one recovery point, read from one site alone.
type Result struct {
	// Function is the business function that was proven.
	Function string `json:"function"`
	// Snapshot is the ID of the snapshot under proof.
	Snapshot string `json:"snapshot,omitempty"`
	// RecoveryPoint is its consistency point, UTC.
	RecoveryPoint time.Time `json:"recovery_point,omitzero"`
	// Site is the only site that was read from.
	Site string `json:"site,omitempty"`
	// Selection says why just this recovery point was proven.
	Selection Selection `json:"selection"`
	// RequestedLevel is the level asked for, Level the highest one of which
	// every check passed, and of every level below it; empty when not even
	// L0 holds.
	RequestedLevel string `json:"requested_level"`
	Level          string `json:"level"`
	// Lowered is true when L6 was wanted and L5 is all that this recovery point
	// can be proven to: it is older than the checks.
	Lowered bool `json:"lowered,omitempty"`
	// Passed is true only when every check up to RequestedLevel ran and
	// passed. A check that could not be made is not passed.
	Passed bool `json:"passed"`
	// Difference is true when a check ran and found something missing or
	// different, as opposed to a proof that could not be carried out.
	Difference bool `json:"difference"`
	// Checks are the single checks in the order of their levels.
	Checks []Check `json:"checks,omitempty"`
	// NotProven says, a sentence each, what this proof does not show.
	NotProven []string `json:"not_proven,omitempty"`
	// Started is when the proof began, UTC.
	Started time.Time `json:"started,omitzero"`
	// DurationSeconds is how long it took, clearing up included.
	DurationSeconds float64 `json:"duration_seconds"`
	// Phases is the time spent in provision, fetch, load, index, validate, …
	// in seconds. Phases overlap, so their sum may exceed DurationSeconds.
	Phases map[string]float64 `json:"phases,omitempty"`
	// Tables are the tables as found in scratch, from L3 on.
	Tables []Table `json:"tables,omitempty"`
	// Rows is the number of rows loaded into scratch; 0 below L3.
	Rows int64 `json:"rows"`
	// BytesRaw is the size of the snapshot as the source gave it.
	BytesRaw int64 `json:"bytes_raw"`
	// BytesFetched is how much was read from the site.
	BytesFetched int64 `json:"bytes_fetched"`
	// RestoredBytes is the size of the rows loaded into scratch; 0 below L3.
	RestoredBytes int64 `json:"restored_bytes"`
	// Scratch says what the proof restored into, "PostgreSQL 15.14, throwaway
	// instance on this host"; empty below L3.
	Scratch string `json:"scratch,omitempty"`
	// Catalog says what was known of the recovery point: "this host's" or
	// "rebuilt from site cloud"; Key whose identity opened it: "the daemon's",
	// "the escrow's" or "the drill's".
	Catalog string `json:"catalog"`
	Key     string `json:"key"`
	// Error says why the proof could not be carried out to its end; empty
	// when it was, whatever it found.
	Error string `json:"error,omitempty"`
}

// Selection says why just this recovery point was proven.
type Selection struct {
	// Rule is one of those of package selection: "latest", "oldest", "random",
	// "rotation", "schema" or "named".
	Rule string `json:"rule"`
	// Seed makes a random choice repeatable.
	Seed string `json:"seed,omitempty"`
	// Population is how many recovery points there were to choose from, Proven
	// how many of those had been proven from this site before.
	Population int `json:"population"`
	Proven     int `json:"proven"`
}

// Status is the verdict of one check. Only Pass is good.
type Status string

// The verdicts.
const (
	Pass Status = "pass"
	// Fail: the check ran and found something missing or different.
	Fail Status = "fail"
	// Skipped: it was not made; Detail has the reason.
	Skipped Status = "skipped"
	// Inconclusive: it could not be made; Detail says why.
	Inconclusive Status = "inconclusive"
)

// Check is one comparison.
type Check struct {
	// Name says what was checked.
	Name string `json:"name"`
	// Level is the level that the check belongs to.
	Level string `json:"level"`
	// Status is the verdict, Passed whether it is Pass.
	Status Status `json:"status"`
	Passed bool   `json:"passed"`
	// Definition is the SHA-256 of the SQL of one of the function's own checks,
	// in hexadecimal digits.
	Definition string `json:"definition,omitempty"`
	// Operator, Expected and Observed are the raw fields of a comparison, see
	// [expect.Expectation].
	Operator string `json:"operator,omitempty"`
	Expected string `json:"expected,omitempty"`
	Observed string `json:"observed,omitempty"`
	// Detail says what was found, and names the object when it is not what
	// it should be.
	Detail string `json:"detail,omitempty"`
}

// Table is the content of one table, at the source and in scratch.
type Table struct {
	// Name is the schema and the table, "payments.orders".
	Name string `json:"name"`
	// Rows and Digest are what was read back from scratch.
	Rows   int64  `json:"rows"`
	Digest string `json:"digest,omitempty"`
	// SourceRows and SourceDigest are what the snapshot has.
	SourceRows   int64  `json:"source_rows"`
	SourceDigest string `json:"source_digest,omitempty"`
	// Equal is true when the two are the same.
	Equal bool `json:"equal"`
}

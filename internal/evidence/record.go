package evidence

import "time"

// Act is what a record is about.
type Act string

// The acts. Those that take time have an intent and a result, the others are
// events.
const (
	ActSnapshot Act = "snapshot" // intent, result
	ActDurable  Act = "durable"  // event: a site took a recovery point after the snapshot's result was told
	ActProof    Act = "proof"    // intent, result
	ActRestore  Act = "restore"  // intent, result
	ActControls Act = "controls" // intent, result: a round of negative controls
	ActDrill    Act = "drill"    // intent, result; a step, an answer, a closed action: events
	ActPolicy   Act = "policy"   // event: the objectives from here on
	ActDeletion Act = "deletion" // intent, result: of a prune or a sweep; a hold and its end: events
	ActKey      Act = "key"      // event, or intent and result: of keys of the repository or of this log
	ActSuspect  Act = "suspect"  // event: a recovery point that looks wrong, or was cleared
	ActAlive    Act = "alive"    // event: nothing else happened for a while
	ActAnchor   Act = "anchor"   // event: a checkpoint was given to somebody outside
	ActClock    Act = "clock"    // event: the clock was ahead, and is set back from here on
	ActDay      Act = "day"      // event: what a day's records say of one function, in short
	ActFound    Act = "found"    // event: what the sources hold, and what of it no function covers
)

// Phase says where in an act a record stands.
type Phase string

// The phases.
const (
	Intent Phase = "intent"
	Result Phase = "result"
	Event  Phase = "event"
)

// Outcome is how an act ended. Only Done is good.
type Outcome string

// The outcomes.
const (
	Done      Outcome = "done"
	Degraded  Outcome = "degraded"  // done, but not at every site
	Different Outcome = "different" // a check ran and found a difference
	Failed    Outcome = "failed"    // it could not be carried out: inconclusive where something was to be proven
	CutShort  Outcome = "cut short" // the program ended before the act did
)

// Record is one entry of the log. Exactly one of the bodies is there, except
// in the result of an act that failed before there was anything to tell. No
// record holds a row of anybody's data.
type Record struct {
	// Sequence is the record's place in the log, from 0, without gaps.
	Sequence uint64 `json:"sequence"`
	// Time is when the record was written, UTC, never before that of the
	// record before it, unless this one says that the clock was set back.
	Time  time.Time `json:"time"`
	Act   Act       `json:"act"`
	Phase Phase     `json:"phase"`
	// Intent, of a result, is the sequence of its intent.
	Intent *uint64 `json:"intent,omitempty"`
	// Function is the business function, empty where the act is for all.
	Function string `json:"function,omitempty"`
	// Outcome and Error tell how an act ended; in results only.
	Outcome Outcome `json:"outcome,omitempty"`
	Error   string  `json:"error,omitempty"`
	// Late, of an intent, is why it was not on record before the act began: it is
	// written when the act was over.
	Late string `json:"late,omitempty"`
	// Promise, of an intent and of a policy, is the sequence of the newest policy
	// before it: so none can be left out of a part of the log unnoticed. The log
	// sets it. Records of versions before that have none.
	Promise *uint64 `json:"promise,omitempty"`
	// Program is the version of the program that wrote the record; By who
	// asked for the act, "schedule" or the name of an operating system's user.
	Program string `json:"program,omitempty"`
	By      string `json:"by,omitempty"`

	Snapshot *Snapshot `json:"snapshot,omitempty"`
	Durable  *Durable  `json:"durable,omitempty"`
	Proof    *Proof    `json:"proof,omitempty"`
	Restore  *Restore  `json:"restore,omitempty"`
	Controls *Controls `json:"controls,omitempty"`
	Drill    *Drill    `json:"drill,omitempty"`
	Policy   *Policy   `json:"policy,omitempty"`
	Deletion *Deletion `json:"deletion,omitempty"`
	Key      *Key      `json:"key,omitempty"`
	Suspect  *Suspect  `json:"suspect,omitempty"`
	Alive    *Alive    `json:"alive,omitempty"`
	Anchor   *Anchor   `json:"anchor,omitempty"`
	Day      *Day      `json:"day,omitempty"`
	Found    *Found    `json:"found,omitempty"`
	Clock    *Clock    `json:"clock,omitempty"`
}

// Snapshot is what came of a snapshot.
type Snapshot struct {
	ID string `json:"id"`
	// RecoveryPoint is the consistency point in the source, from which
	// exposure counts.
	RecoveryPoint time.Time `json:"recovery_point"`
	Started       time.Time `json:"started"`
	Ended         time.Time `json:"ended"`
	// DurableSeconds is the time from the start until the first site held it;
	// 0 when none did by the end of the run.
	DurableSeconds float64 `json:"durable_seconds"`
	Rows           int64   `json:"rows"`
	BytesRaw       int64   `json:"bytes_raw"`
	BytesNew       int64   `json:"bytes_new"`
	BytesStored    int64   `json:"bytes_stored"`
	Tables         int     `json:"tables"`
	// Durable says since when each site holds it, by site, as known at the end
	// of the run.
	Durable map[string]time.Time `json:"durable"`
	// Commit is the SHA-256 of the commit object.
	Commit string `json:"commit"`
	// Schema is the SHA-256 of the definition of everything in the scope.
	Schema string `json:"schema,omitempty"`
}

// Durable tells that a site took a recovery point later than at the end of its
// run.
type Durable struct {
	Snapshot      string    `json:"snapshot"`
	RecoveryPoint time.Time `json:"recovery_point"`
	Site          string    `json:"site"`
	At            time.Time `json:"at"`
}

// Proof is a restore into scratch from one site, and what was compared. Its
// intent has what was asked for, its result what was found.
type Proof struct {
	Snapshot      string    `json:"snapshot"`
	RecoveryPoint time.Time `json:"recovery_point"`
	Site          string    `json:"site"`
	Requested     string    `json:"requested"` // level, "L0" to "L7"
	Selection     Selection `json:"selection"`

	// Level is the highest of which every check passed, and of all below it;
	// empty when not even L0 holds.
	Level string `json:"level,omitempty"`
	// Passed and Difference repeat what follows from Checks and Tables;
	// whoever checks the record derives them anew.
	Passed     bool               `json:"passed,omitempty"`
	Difference bool               `json:"difference,omitempty"`
	Started    time.Time          `json:"started,omitzero"`
	Ended      time.Time          `json:"ended,omitzero"`
	Seconds    float64            `json:"seconds,omitempty"` // by the monotonic clock
	Phases     map[string]float64 `json:"phases,omitempty"`  // seconds; they overlap
	Checks     []Check            `json:"checks,omitempty"`
	Tables     []Table            `json:"tables,omitempty"`
	BytesRaw   int64              `json:"bytes_raw,omitempty"`
	Fetched    int64              `json:"fetched,omitempty"`
	// RPOSeconds and RTOSeconds are the objectives in force. Machine time is
	// not the whole of a recovery: people notice, decide and switch over.
	RPOSeconds float64 `json:"rpo_seconds,omitempty"`
	RTOSeconds float64 `json:"rto_seconds,omitempty"`
	// Environment says what it ran on, NotProven what it does not show.
	Environment Environment `json:"environment,omitzero"`
	NotProven   []string    `json:"not_proven,omitempty"`
	// Commit is the SHA-256 of the commit object that was followed.
	Commit string `json:"commit,omitempty"`
	// Drill is the exercise that the proof was part of, Closes the action of an
	// earlier one that its passing closes.
	Drill  string `json:"drill,omitempty"`
	Closes string `json:"closes,omitempty"`
}

// Selection says why just this recovery point was proven.
type Selection struct {
	// Rule is "latest", "oldest", "random", "rotation", "schema" or "named".
	Rule string `json:"rule"`
	// Seed makes a random choice repeatable: see docs/auditing.md.
	Seed string `json:"seed,omitempty"`
	// Population is how many recovery points there were to choose from, Proven
	// how many of those had been proven from this site before.
	Population int `json:"population"`
	Proven     int `json:"proven"`
}

// Status is the verdict of one check. Only Pass is good.
type Status string

// The verdicts. A check that was skipped has a reason; one that is
// inconclusive could not be made.
const (
	Pass         Status = "pass"
	Fail         Status = "fail"
	Skipped      Status = "skipped"
	Inconclusive Status = "inconclusive"
)

// Check is one comparison.
type Check struct {
	Name   string `json:"name"`
	Level  string `json:"level"`
	Status Status `json:"status"`
	// Definition is the SHA-256 of the SQL of one of the function's own checks.
	Definition string `json:"definition,omitempty"`
	// Operator, Expected and Observed are the raw fields of a comparison: =, !=,
	// <, <=, >, >=; both numbers or both text.
	Operator string `json:"operator,omitempty"`
	Expected string `json:"expected,omitempty"`
	Observed string `json:"observed,omitempty"`
	Detail   string `json:"detail,omitempty"` // also the reason of a skip
}

// Table is the content of one table, at the source and as restored.
type Table struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	Digest string `json:"digest"`
	// FoundRows and FoundDigest were read back from scratch.
	FoundRows   int64  `json:"found_rows"`
	FoundDigest string `json:"found_digest"`
}

// Environment is what a proof or a restore ran on.
type Environment struct {
	Host       string   `json:"host,omitempty"`
	Processors int      `json:"processors,omitempty"`
	Engine     string   `json:"engine,omitempty"`  // "PostgreSQL 15.14, throwaway instance on this host"
	Catalog    string   `json:"catalog,omitempty"` // "this host's" or "rebuilt from site cloud"
	Key        string   `json:"key,omitempty"`     // "the daemon's" or "the escrow's"
	Concurrent []string `json:"concurrent,omitempty"`
}

// Restore is a recovery point brought back on request. Its intent has what was
// asked for, its result what was restored.
type Restore struct {
	// Snapshot is empty in an intent that named none: At is the moment asked for,
	// and without one it was the newest. RecoveryPoint is in results; it is a
	// pointer because earlier versions told the zero time in intents, and each
	// record is written in one way only.
	Snapshot      string     `json:"snapshot"`
	RecoveryPoint *time.Time `json:"recovery_point,omitempty"`
	At            time.Time  `json:"at,omitzero"`
	// From is the only site that was to be read from; empty: any.
	From    string             `json:"from,omitempty"`
	Target  string             `json:"target"` // host and database, never a password
	Sites   []string           `json:"sites,omitempty"`
	Tables  []string           `json:"tables,omitempty"` // empty: all
	Started time.Time          `json:"started,omitzero"`
	Ended   time.Time          `json:"ended,omitzero"`
	Seconds float64            `json:"seconds,omitempty"`
	Phases  map[string]float64 `json:"phases,omitempty"`
	Rows    int64              `json:"rows,omitempty"`
	Bytes   int64              `json:"bytes,omitempty"`
	// RPOSeconds and RTOSeconds are the objectives in force; LostSeconds is the
	// age of the recovery point when the restore began.
	RPOSeconds  float64 `json:"rpo_seconds,omitempty"`
	RTOSeconds  float64 `json:"rto_seconds,omitempty"`
	LostSeconds float64 `json:"lost_seconds,omitempty"`
	Drill       string  `json:"drill,omitempty"`
}

// Controls is a round of negative controls: faults planted on purpose, each of
// which must turn the verifier red.
type Controls struct {
	Faults []Fault `json:"faults"`
	// Site is where the disposable copies were kept; StandIn says why that was
	// a folder of the host and not the site itself, empty when it was the site.
	Site    string `json:"site,omitempty"`
	StandIn string `json:"stand_in,omitempty"`
	// Clean is the level to which the copy was proven before anything was
	// planted. A round without it is void: what is always red finds nothing.
	Clean string `json:"clean,omitempty"`
	// NotApplicable are faults that were not planted, with the reasons; Only
	// names those of a round that was asked for some alone.
	NotApplicable []NotApplicable `json:"not_applicable,omitempty"`
	Only          []string        `json:"only,omitempty"`
	Seconds       float64         `json:"seconds,omitempty"`
}

// NotApplicable is a fault that a round did not plant.
type NotApplicable struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// Fault is one planted fault.
type Fault struct {
	// ID is short and stable, Planted says what was done.
	ID      string `json:"id"`
	Planted string `json:"planted"`
	// Expected is the level or the check that must catch it, Caught the one
	// that did, empty when none did.
	Expected string  `json:"expected"`
	Caught   string  `json:"caught"`
	Detail   string  `json:"detail,omitempty"`
	Seconds  float64 `json:"seconds"`
	// Red is true when it was caught where it must be; a round passes only
	// when all are.
	Red bool `json:"red"`
}

// Policy is what was promised from here on.
type Policy struct {
	// SHA256 tells one promise from another: see [Policy.Digest].
	SHA256    string                       `json:"sha256"`
	Sites     []string                     `json:"sites"`
	Functions map[string]FunctionObjective `json:"functions"`
	// Anchors are the seconds between two anchors of the log, by to whom.
	Anchors map[string]float64 `json:"anchors,omitempty"`
	// Terms are what else the configuration promises, or gives up; of a policy
	// that was told before there were any, that is not known.
	Terms *Terms `json:"terms,omitempty"`
}

// FunctionObjective is what is promised of one function.
type FunctionObjective struct {
	RPOSeconds        float64           `json:"rpo_seconds"`
	RTOSeconds        float64           `json:"rto_seconds"`
	Priority          int               `json:"priority"`
	Source            string            `json:"source"`
	Scope             []string          `json:"scope"`
	ProveEverySeconds float64           `json:"prove_every_seconds"`
	ProveLevel        string            `json:"prove_level"`
	Keep              map[string]int    `json:"keep,omitempty"`
	Checks            map[string]string `json:"checks,omitempty"` // name → SHA-256 of its SQL
	Terms             *FunctionTerms    `json:"terms,omitempty"`  // as those of the policy
}

// Deletion is what was given up, or removed from the sites.
type Deletion struct {
	// Kind is "prune" (given up by a rule), "sweep" (removed), "hold" or
	// "release".
	Kind string `json:"kind"`
	// Snapshots are ids and why.
	Snapshots map[string]string `json:"snapshots,omitempty"`
	Objects   int               `json:"objects,omitempty"`
	Bytes     int64             `json:"bytes,omitempty"`
}

// Key is something done with keys. No record holds a secret.
type Key struct {
	// Operation is "init" (the repository and its first key were made at Sites),
	// "add", "rotate", "escrow-test", "rotate-sign" (another key is to sign this
	// log), "sign" (this log is signed by Public from here on) …
	Operation  string   `json:"operation"`
	Key        string   `json:"key,omitempty"`
	Recipients []string `json:"recipients,omitempty"`
	Site       string   `json:"site,omitempty"`
	Sites      []string `json:"sites,omitempty"`
	// Public is a verifier key of this log, in the form of the note package.
	Public string `json:"public,omitempty"`
}

// Suspect is a recovery point whose content looks wrong.
type Suspect struct {
	Snapshot      string    `json:"snapshot"`
	RecoveryPoint time.Time `json:"recovery_point"`
	// Signals say what looks wrong, a sentence each; none: it was cleared.
	Signals []Signal `json:"signals"`
	// LastClean is the recovery point before it that is held for it.
	LastClean string `json:"last_clean,omitempty"`
	// Cleared is why somebody judged it to be fine.
	Cleared string `json:"cleared,omitempty"`
}

// Signal is one thing that looks wrong.
type Signal struct {
	// Kind is "rows collapsed", "rows changed", "schema shrunk" or "canary".
	Kind   string  `json:"kind"`
	Table  string  `json:"table,omitempty"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	Limit  float64 `json:"limit"`
	Detail string  `json:"detail"`
}

// Alive tells that the program ran though nothing happened.
type Alive struct {
	// SinceSequence is the record before it.
	SinceSequence uint64 `json:"since_sequence"`
	// TakenFrom is the site that the log up to here was taken from, because the
	// host that wrote it was lost: what no site had been given yet is missing.
	TakenFrom string `json:"taken_from,omitempty"`
	// NotTaken says of what lay beside it, under the name of the same log, and is
	// not of it.
	NotTaken []string `json:"not_taken,omitempty"`
}

// Anchor tells that a checkpoint was given to somebody outside, or that a site
// is known to hold the log up to there.
type Anchor struct {
	// To is "site cloud", "mail audit@…" or "timestamp https://…".
	To   string `json:"to"`
	Size uint64 `json:"size"`
	Root string `json:"root"` // base64, as in the checkpoint
	// Token is what the other side answered, if anything: of a time stamp, the
	// token of RFC 3161, DER, of the SHA-256 of the text of the checkpoint, see
	// [Checkpoint.Text].
	Token []byte `json:"token,omitempty"`
	// Locked, of a site, is until when nobody can delete what it holds of the
	// log up to there; zero when it is not locked.
	Locked time.Time `json:"locked,omitzero"`
	// Checkpoint, of a site, is the signed one.
	Checkpoint string `json:"checkpoint,omitempty"`
}

// Day is what the records First to Next-1 say of one function, in short: a
// period of years is judged from these without reading every record. Whoever
// checks a bundle derives them anew from the records.
type Day struct {
	// Date is the UTC day of the records, "2026-11-25".
	Date  string `json:"date"`
	First uint64 `json:"first"`
	Next  uint64 `json:"next"`
	// Points are the recovery points of which the day's records tell something
	// new.
	Points DayPoints `json:"points,omitzero"`
	// Intents, Results and NotDone count records of the function: acts begun,
	// ended, and ended other than done.
	Intents int `json:"intents"`
	Results int `json:"results"`
	NotDone int `json:"not_done"`
	// Failures are the snapshots and proofs that ended other than done, so
	// that the cause of a broken promise can be told.
	Failures []DayFailure `json:"failures,omitempty"`
	// Open are the snapshots and proofs that were begun that day and had not
	// ended by its end, Closed the intents of earlier days that ended.
	Open   []DayOpen `json:"open,omitempty"`
	Closed []uint64  `json:"closed,omitempty"`
	// Silent are stretches of the day without any record, of whatever
	// function, in milliseconds since 1970: first from its begin to the first
	// record and last from the last one to its end, if only of a moment, and in
	// between those longer than [Silence]. While the log is silent nothing tells
	// that the program ran.
	Silent [][2]int64 `json:"silent,omitempty"`
}

// Silence is what a stretch without records must last to be told in a Day.
const Silence = 10 * time.Minute

// DayPoints are recovery points in the order of their consistency points, by
// column: years of runs every five minutes are read from these, and numbers in
// columns are a fifth of the size (docs/benchmarks.md). Times are milliseconds,
// rounded up for what ends exposure and down for the consistency point: so
// rounding never makes a promise look better kept. [DayPoints.All] unfolds them.
type DayPoints struct {
	// Consistent are the consistency points: the first since 1970, each other
	// since the one before it.
	Consistent []int64 `json:"c,omitempty"`
	// Started is by how much the run began before that; 0: not told that day.
	Started []int64 `json:"s,omitempty"`
	// Bytes is the size of the data less that of the point before (of the
	// first: all of it); points of which it is not told repeat it.
	Bytes []int64 `json:"b,omitempty"`
	// Durable is, by site, how long after its consistency point each became
	// durable there, at least 1; 0: not told that day.
	Durable map[string][]int64 `json:"d,omitempty"`
	// Proven is, by site, for each that was proven its place among the points,
	// from 0, and how long after its consistency point that was.
	Proven map[string][]int64 `json:"p,omitempty"`
}

// DayPoint is a recovery point and what became of it that day, in milliseconds
// since 1970.
type DayPoint struct {
	Consistent int64
	Started    int64 // 0: not told that day
	Bytes      int64 // of the newest point told so far
	Durable    map[string]int64
	Proven     map[string]int64
}

// DayFailure is a snapshot or a proof that ended other than done.
type DayFailure struct {
	Act  Act    `json:"act"`
	Site string `json:"site,omitempty"` // of a proof
	// Started and Ended are milliseconds since 1970. 0: it was begun on an
	// earlier day, by Intent.
	Started int64   `json:"s,omitempty"`
	Ended   int64   `json:"e"`
	Intent  uint64  `json:"intent,omitempty"`
	Outcome Outcome `json:"outcome"`
	Error   string  `json:"error,omitempty"` // its first line, cut short
}

// DayOpen is an intent that had no result by the end of the day.
type DayOpen struct {
	Act    Act    `json:"act"`
	Site   string `json:"site,omitempty"` // of a proof
	Intent uint64 `json:"intent"`
	At     int64  `json:"t"` // milliseconds since 1970
}

// Found is what was found at the sources and at the sites when that was compared
// with what is promised: at most once a day, and when it has changed.
type Found struct {
	Sources map[string]FoundSource `json:"sources"`
	Sites   map[string]FoundSite   `json:"sites,omitempty"`
}

// FoundSite is how what one site holds is protected, and when it was read.
type FoundSite struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Lock is "governance" or "compliance", empty where nothing keeps objects
	// from being deleted. Unprotected counts objects that are needed and not
	// locked; LockedUntil is until when all others are.
	Lock        string    `json:"lock,omitempty"`
	LockedUntil time.Time `json:"locked_until,omitzero"`
	Unprotected int       `json:"unprotected,omitempty"`
	// OldestRead is when the object there that was not read for longest was,
	// NeverRead counts those that never were since they were written.
	OldestRead time.Time `json:"oldest_read,omitzero"`
	NeverRead  int       `json:"never_read,omitempty"`
}

// FoundSource is what one source holds.
type FoundSource struct {
	// Database is its name there, Version that of the server, in words.
	Database string `json:"database,omitempty"`
	Version  string `json:"version,omitempty"`
	// Covered counts the tables in the scope of each function.
	Covered map[string]int `json:"covered,omitempty"`
	// Uncovered are schemas with tables that are in the scope of no function, by
	// name, with how many those are; Databases are the other databases of the
	// same server, of which no function has a source. Of more than [MostFound]
	// the rest is only counted.
	Uncovered map[string]int `json:"uncovered,omitempty"`
	Databases []string       `json:"databases,omitempty"`
	More      int            `json:"more,omitempty"`
	// Tables are up to [MostFound] of those that no function covers.
	Tables []string `json:"tables,omitempty"`
	// Error says why it is not known what the source holds.
	Error string `json:"error,omitempty"`
}

// MostFound is how many names of a kind a Found tells of a source.
const MostFound = 200

// Clock tells that the clock was ahead: what was dated later than this record
// has a time that nobody knows. Somebody says so, the program cannot know.
type Clock struct {
	Was    time.Time `json:"was"` // of the record before it
	Reason string    `json:"reason"`
}

// Drill is one entry of an exercise of the continuity plan.
type Drill struct {
	// ID names the exercise in all of its records.
	ID string `json:"id"`
	// Kind is "full-scale", "failover" or "tabletop", Scenario the file's name
	// and SHA256 of its content.
	Kind     string `json:"kind"`
	Scenario string `json:"scenario"`
	SHA256   string `json:"sha256,omitempty"`
	// Title and Objectives are the scenario's: what the exercise is about, and
	// which objectives of the plan it exercises.
	Title      string   `json:"title,omitempty"`
	Objectives []string `json:"objectives,omitempty"`
	// From is the one site that everything was read from, Refused what was kept
	// from answering meanwhile.
	From    string    `json:"from,omitempty"`
	Refused []Refusal `json:"refused,omitempty"`
	// NotShown says, a sentence each, what the exercise does not show.
	NotShown []string `json:"not_shown,omitempty"`
	// Participants are roles and, where given, names.
	Participants []string      `json:"participants,omitempty"`
	Steps        []DrillStep   `json:"steps,omitempty"`
	Observations []Observation `json:"observations,omitempty"`
	Actions      []Action      `json:"actions,omitempty"`
}

// Refusal is a site that an exercise kept its own reading from.
type Refusal struct {
	Site string `json:"site"`
	// Place is the endpoint or the folder.
	Place string `json:"place"`
	// Attempts counts the connections (of a folder: the operations) that were
	// refused, Passed those that were let through, which must be none.
	Attempts int `json:"attempts"`
	Passed   int `json:"passed"`
}

// DrillStep is a step that was carried out, or an inject that was answered.
type DrillStep struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	// Kind is "refuse", "restore", "compare", "objectives", "audit" or "cold"
	// for what the program did, "people" for what people did, "inject" and "message" at a table.
	Kind string `json:"kind,omitempty"`
	// At is when in the exercise an inject is told, or by when a message must
	// be out: "20m" from its start.
	At       string `json:"at,omitempty"`
	Question string `json:"question,omitempty"`
	Function string `json:"function,omitempty"`
	Site     string `json:"site,omitempty"`
	// Snapshot and RecoveryPoint are what was restored, to Level, and
	// WaitedSeconds how long after the disaster that began. Phases overlap.
	Snapshot      string             `json:"snapshot,omitempty"`
	RecoveryPoint time.Time          `json:"recovery_point,omitzero"`
	Level         string             `json:"level,omitempty"`
	WaitedSeconds float64            `json:"waited_seconds,omitempty"`
	Phases        map[string]float64 `json:"phases,omitempty"`
	// Concurrent says what else ran at the same time.
	Concurrent []string  `json:"concurrent,omitempty"`
	Expected   string    `json:"expected,omitempty"`
	Actual     string    `json:"actual,omitempty"`
	Started    time.Time `json:"started,omitzero"`
	Seconds    float64   `json:"seconds,omitempty"`
	// LostSeconds is the age of what was restored when the disaster struck,
	// RPOSeconds and RTOSeconds the objectives.
	LostSeconds float64 `json:"lost_seconds,omitempty"`
	RPOSeconds  float64 `json:"rpo_seconds,omitempty"`
	RTOSeconds  float64 `json:"rto_seconds,omitempty"`
	Status      Status  `json:"status"`
	Error       string  `json:"error,omitempty"`
	// Proof is the sequence of the proof's result that the step rests on.
	Proof *uint64 `json:"proof,omitempty"`
}

// Observation is something noticed in an exercise.
type Observation struct {
	Kind string `json:"kind"` // "strength" or "gap"
	Text string `json:"text"`
}

// Action is something to be done after an exercise. It is closed only by a
// test that passed later.
type Action struct {
	ID    string `json:"id"`
	Text  string `json:"text"`
	Owner string `json:"owner"`
	Due   string `json:"due"` // UTC day
	// Test says which test is to show that it was done.
	Test string `json:"test,omitempty"`
	// Closed is the sequence of the result that closed it: a proof, a round of
	// controls or another exercise, that passed after the action was recorded.
	Closed *uint64 `json:"closed,omitempty"`
}

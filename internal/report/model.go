package report

import (
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// The names of the two documents and of their version. Within a version fields
// are added and none changes its meaning.
const (
	PeriodSchema = "backupd-report-period/v1"
	ProofSchema  = "backupd-report-proof/v1"
)

// Cover says what a report is about and from which bytes it was made.
type Cover struct {
	// Generated is when the report was made, UTC, Generator by what.
	Generated time.Time `json:"generated"`
	Generator string    `json:"generator"`
	// Size and Root are those of the log that the checkpoint signs, First and
	// Last the sequences of the first and the last record of the period; nil when
	// it has none.
	Size  uint64  `json:"log_size"`
	Root  string  `json:"log_root"`
	First *uint64 `json:"first_record"`
	Last  *uint64 `json:"last_record"`
	// Checkpoint is the signed text of the log's head, Key the verifier key of
	// its signature, Verify the commands that check all of it.
	Checkpoint string   `json:"checkpoint"`
	Key        string   `json:"verifier_key"`
	Verify     []string `json:"verify"`
}

// Period is the report of a period. Durations are seconds, times UTC.
type Period struct {
	Schema string `json:"schema"`
	Cover  Cover  `json:"cover"`
	// From and To bound the period: From ≤ time < To. It is judged until
	// JudgedTo, where the log ends if that is earlier: of what came later
	// nothing is known.
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	JudgedTo time.Time `json:"judged_to"`
	// LogBegins is when the first record of the log, or of the part of it that is
	// given, was written; left out when there is none.
	LogBegins time.Time `json:"log_begins,omitzero"`
	// Function is the only one that the report is about; empty: all.
	Function string   `json:"function,omitempty"`
	Sites    []string `json:"sites"`

	Functions []Function `json:"functions"`
	Policies  []Policy   `json:"policies"`
	// Inventory is what the sources hold that no function covers; nil: no record
	// tells.
	Inventory *Inventory `json:"inventory"`
	// Programme holds the proofs against what was promised, by function and site.
	Programme []Programme `json:"test_programme"`
	// Proofs are all that ended in the period, whatever came of them.
	Proofs []ProofLine `json:"proofs"`
	// Unanswered are the acts that were begun and of which no record tells the
	// end, Failures those that ended otherwise than done.
	Unanswered []Unanswered `json:"unanswered"`
	Failures   []Failure    `json:"failures"`
	Restores   []Restore    `json:"restores"`
	Controls   []Controls   `json:"negative_controls"`
	Drills     []Drill      `json:"drills"`
	Actions    []Action     `json:"actions"`
	Deletions  []Deletion   `json:"deletions"`
	Keys       []Key        `json:"keys"`
	Suspects   []Suspect    `json:"suspects"`
	Anchors    []Anchor     `json:"anchors"`
	Silences   []Silence    `json:"silences"`
	// NotProven says what the report does not show.
	NotProven []string  `json:"not_proven"`
	Mapping   []Mapping `json:"mapping"`

	readTo       time.Time // the record at JudgedTo is one of the period
	begins       time.Time // of a part of a log, when that begins
	promiseShown bool      // and whether its records show which policy was in force then
}

// Verdict is what a period comes to for a function. Only Kept is good.
type Verdict string

// The verdicts.
const (
	Kept    Verdict = "kept"      // at every site, at every moment that is judged
	Partly  Verdict = "partly"    // at one site at least, not at every one
	Broken  Verdict = "broken"    // at some moment no site kept it
	Unknown Verdict = "not known" // nothing was promised, or nothing is recorded
)

// Function is how a function fared.
type Function struct {
	Function string `json:"function"`
	// Verdict is about the RPO, Summary says it in words, with the proofs.
	Verdict Verdict  `json:"verdict"`
	Summary []string `json:"summary"`
	// RPOSeconds and RTOSeconds are the objectives in force at the end of the
	// period; nil when there are none.
	RPOSeconds *float64 `json:"rpo_seconds"`
	RTOSeconds *float64 `json:"rto_seconds"`
	Runs       Runs     `json:"runs"`
	// ProofCounts are over all sites.
	ProofCounts ProofCounts `json:"proof_counts"`
	// Views are the exposure as each site has it, any of them and every one.
	Views []View `json:"views"`

	charts []chart
}

// Runs counts the snapshots of a period.
type Runs struct {
	Begun    int `json:"begun"`
	Done     int `json:"done"`
	Degraded int `json:"degraded"`
	Failed   int `json:"failed"`
	CutShort int `json:"cut_short"`
	// Unanswered began and have no end in the log.
	Unanswered int `json:"unanswered"`
}

// ProofCounts counts the proofs of a period.
type ProofCounts struct {
	Ended        int `json:"ended"`
	Passed       int `json:"passed"`
	Differences  int `json:"differences"`
	Inconclusive int `json:"inconclusive"`
	CutShort     int `json:"cut_short"`
	Unanswered   int `json:"unanswered"`
}

// View is the exposure of a function as seen from one site, from any or from
// every one of them.
type View struct {
	// Name is that of a site, "any site" or "every site"; Scope is "site", "any"
	// or "all".
	Name  string `json:"name"`
	Scope string `json:"scope"`
	// Proven is true where only recovery points count that a restore from there
	// has proven.
	Proven bool `json:"proven"`
	// JudgedSeconds is for how much of the period something was promised of the
	// view, MeasuredSeconds for how much its exposure was measured.
	JudgedSeconds   float64 `json:"judged_seconds"`
	MeasuredSeconds float64 `json:"measured_seconds"`
	// LimitSeconds is what was allowed at the end of the period: the RPO, and of
	// proven exposure what the rhythm of the proofs comes to. Nil: nothing.
	LimitSeconds *float64 `json:"limit_seconds"`
	// MaxSeconds is the greatest known exposure, the achieved RPO.
	// UnprotectedSeconds is how long there was no recovery point at all: unless
	// that is 0, the maximum is not the whole truth. Nil: nothing is known.
	MaxSeconds         *float64 `json:"max_seconds"`
	UnprotectedSeconds float64  `json:"unprotected_seconds"`
	// NewFrom and NewTo are set where the function was new: until NewTo there was
	// no recovery point yet, and its exposure counts from NewFrom on.
	NewFrom time.Time `json:"new_from,omitzero"`
	NewTo   time.Time `json:"new_to,omitzero"`
	// P99Seconds was not exceeded for 99 % of the time; nil when there was no
	// recovery point for more than 1 % of it, or nothing was measured.
	P99Seconds *float64 `json:"p99_seconds"`
	// Attainment is the share of the judged time within the limit, 0 to 1, and
	// BrokenSeconds how long it was exceeded. Nil when nothing was judged.
	Attainment    *float64    `json:"attainment"`
	BrokenSeconds float64     `json:"broken_seconds"`
	Violations    []Violation `json:"violations"`
}

// Violation is a stretch of time outside the limit.
type Violation struct {
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Seconds float64   `json:"seconds"`
	// PeakSeconds is the greatest known exposure in it. Unprotected: for a part of
	// it there was no recovery point at all.
	PeakSeconds  float64 `json:"peak_seconds"`
	Unprotected  bool    `json:"unprotected,omitempty"`
	LimitSeconds float64 `json:"limit_seconds"`
	// Causes are what the records tell of why it came about.
	Causes []Cause `json:"causes"`
	// Open is true when it still went on where the judged time ends.
	Open bool `json:"open,omitempty"`
}

// Cause is one reason why a promise was broken.
type Cause struct {
	Kind   string    `json:"kind"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Site   string    `json:"site,omitempty"`
	Runs   int       `json:"runs,omitempty"`
	Detail string    `json:"detail"`
}

// Policy is a policy that was in force in the period, and what it changed.
type Policy struct {
	Sequence  uint64                                `json:"sequence"`
	Time      time.Time                             `json:"time"`
	By        string                                `json:"by,omitempty"`
	SHA256    string                                `json:"sha256"`
	Sites     []string                              `json:"sites"`
	Functions map[string]evidence.FunctionObjective `json:"functions"`
	// Before is true of the one that was in force when the period began.
	Before  bool     `json:"before_period,omitempty"`
	Changes []string `json:"changes"`
}

// Finding is the outcome of a proof, derived from its checks and tables.
type Finding string

// The outcomes of a proof. Only Passed is good.
const (
	Passed       Finding = "passed"
	Difference   Finding = "difference"
	Inconclusive Finding = "inconclusive"
	CutShort     Finding = "cut short"
)

// ProofLine is one proof in a list.
type ProofLine struct {
	// Sequence is that of its result, by which it is asked for; Intent that of
	// what was written before it began.
	Sequence uint64    `json:"sequence"`
	Intent   *uint64   `json:"intent"`
	Time     time.Time `json:"time"`
	By       string    `json:"by,omitempty"`
	Function string    `json:"function"`
	Site     string    `json:"site"`
	Snapshot string    `json:"snapshot"`
	// RecoveryPoint is its consistency point.
	RecoveryPoint time.Time          `json:"recovery_point,omitzero"`
	Selection     evidence.Selection `json:"selection"`
	Requested     string             `json:"requested"`
	Level         string             `json:"level"`
	Finding       Finding            `json:"finding"`
	// Objection says in what the record's own verdict differs from what its raw
	// fields come to; empty when it does not.
	Objection string `json:"objection,omitempty"`
	// Problem is the first thing that is wrong.
	Problem string `json:"problem,omitempty"`
	// Seconds is machine time, Phases the parts of it, which overlap.
	Seconds    float64            `json:"seconds"`
	Phases     map[string]float64 `json:"phases,omitempty"`
	RTOSeconds float64            `json:"rto_seconds,omitempty"`
	Tables     int                `json:"tables"`
	Rows       int64              `json:"rows"`
	BytesRaw   int64              `json:"bytes_raw"`
	NotProven  []string           `json:"not_proven,omitempty"`
	Drill      string             `json:"drill,omitempty"`
}

// Unanswered is an act that was begun and whose end no record tells.
type Unanswered struct {
	Sequence uint64       `json:"sequence"`
	Time     time.Time    `json:"time"`
	Act      evidence.Act `json:"act"`
	Function string       `json:"function,omitempty"`
	Site     string       `json:"site,omitempty"`
	By       string       `json:"by,omitempty"`
	// Later is true when a result was written after the period.
	Later bool `json:"answered_later,omitempty"`
}

// Failure is an act that ended otherwise than done.
type Failure struct {
	Sequence uint64           `json:"sequence"`
	Intent   *uint64          `json:"intent"`
	Time     time.Time        `json:"time"`
	Act      evidence.Act     `json:"act"`
	Function string           `json:"function,omitempty"`
	Site     string           `json:"site,omitempty"`
	Outcome  evidence.Outcome `json:"outcome"`
	Error    string           `json:"error,omitempty"`
	// Fix is what shows that it works again; nil when nothing did by the end of
	// the period.
	Fix *Fix `json:"fix"`

	requested string // level, of a proof
}

// Restore is a recovery point that was brought back on request.
type Restore struct {
	Sequence uint64           `json:"sequence"`
	Time     time.Time        `json:"time"`
	By       string           `json:"by,omitempty"`
	Function string           `json:"function"`
	Outcome  evidence.Outcome `json:"outcome"`
	Error    string           `json:"error,omitempty"`
	evidence.Restore
	// RecoveryPoint is what was restored; zero when that is not known.
	RecoveryPoint time.Time `json:"recovery_point,omitzero"`
}

// Controls is a round of negative controls.
type Controls struct {
	Sequence uint64           `json:"sequence"`
	Time     time.Time        `json:"time"`
	Outcome  evidence.Outcome `json:"outcome"`
	Error    string           `json:"error,omitempty"`
	Planted  int              `json:"planted"`
	Caught   int              `json:"caught"`
	Missed   int              `json:"missed"`
	Faults   []evidence.Fault `json:"faults"`
}

// Drill is what the records of the period say of one exercise.
type Drill struct {
	ID           string                 `json:"id"`
	Kind         string                 `json:"kind"`
	Scenario     string                 `json:"scenario"`
	Sequences    []uint64               `json:"sequences"`
	Began        time.Time              `json:"began"`
	Ended        time.Time              `json:"ended,omitzero"`
	Outcome      evidence.Outcome       `json:"outcome,omitempty"`
	Error        string                 `json:"error,omitempty"`
	Participants []string               `json:"participants,omitempty"`
	Steps        []evidence.DrillStep   `json:"steps"`
	Observations []evidence.Observation `json:"observations"`
}

// Action is something to be done after an exercise, as it stood at the end of
// the judged time. Actions of earlier periods are told as long as they are not
// closed, and in the period in which they are.
type Action struct {
	Drill string `json:"drill"`
	evidence.Action
	// State is "open", "closed" or "late".
	State string `json:"state"`
	// ClosedAt is when the record was written that closed it.
	ClosedAt time.Time `json:"closed_at,omitzero"`
}

// Deletion is something that was given up, removed, held or let go.
type Deletion struct {
	Sequence  uint64            `json:"sequence"`
	Time      time.Time         `json:"time"`
	By        string            `json:"by,omitempty"`
	Function  string            `json:"function,omitempty"`
	Kind      string            `json:"kind"`
	Outcome   evidence.Outcome  `json:"outcome,omitempty"`
	Error     string            `json:"error,omitempty"`
	Snapshots map[string]string `json:"snapshots,omitempty"`
	Objects   int               `json:"objects,omitempty"`
	Bytes     int64             `json:"bytes,omitempty"`
}

// Key is something that was done with keys.
type Key struct {
	Sequence uint64           `json:"sequence"`
	Time     time.Time        `json:"time"`
	By       string           `json:"by,omitempty"`
	Outcome  evidence.Outcome `json:"outcome,omitempty"`
	Error    string           `json:"error,omitempty"`
	evidence.Key
}

// Suspect is a recovery point that looked wrong, or was cleared.
type Suspect struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	Function string    `json:"function"`
	evidence.Suspect
}

// Anchor is a checkpoint that was given to somebody outside.
type Anchor struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	To       string    `json:"to"`
	Size     uint64    `json:"size"`
	Root     string    `json:"root"`
}

// Mapping is a requirement of a framework, and what of this very period
// supports it. No report says that anybody complies with anything.
type Mapping struct {
	Framework   string `json:"framework"`
	Requirement string `json:"requirement"`
	Asks        string `json:"asks"`
	// Supports is what the period has for it, None says that it has nothing.
	Supports []string `json:"supports"`
	None     bool     `json:"no_evidence"`
}

// Proof is the report of one proof. Durations are seconds, times UTC.
type Proof struct {
	Schema string `json:"schema"`
	Cover  Cover  `json:"cover"`
	// IntentTime is when the record was written that told of the proof before it
	// began; zero when that record is not there.
	IntentTime time.Time `json:"intent_time,omitzero"`
	Program    string    `json:"program,omitempty"`
	ProofLine
	// Steps are the levels that this proof was asked for, and what holds.
	Steps []LevelStep `json:"levels"`
	// LostSeconds is the age of the recovery point when the proof began.
	LostSeconds float64              `json:"lost_seconds"`
	RPOSeconds  float64              `json:"rpo_seconds,omitempty"`
	Started     time.Time            `json:"started,omitzero"`
	Ended       time.Time            `json:"ended,omitzero"`
	Fetched     int64                `json:"fetched"`
	Commit      string               `json:"commit,omitempty"`
	Checks      []evidence.Check     `json:"checks"`
	Compared    []evidence.Table     `json:"compared_tables"`
	Environment evidence.Environment `json:"environment,omitzero"`
	// Policy is the one in force, of this function alone; nil: none is recorded.
	Policy *Policy `json:"policy"`
	// Captured is how the recovery point came to be; nil: the records that are
	// given do not tell.
	Captured *Captured `json:"captured"`
	// Before are the newest proofs of the function before this one, by site.
	Before []Earlier `json:"proofs_before"`
}

// LevelStep is a level of one proof. State is "holds", "fails", "not reached"
// or "not asked for"; only the first is good.
type LevelStep struct {
	Level
	State string `json:"state"`
}

// Package engine puts the parts together that a configuration describes and
// answers every command with them, in the daemon as well as without one.
package engine

import (
	"errors"
	"time"

	"github.com/saypro/backupd/internal/suspicion"
)

// The outcomes that callers tell apart. Whatever matches none of them is a
// plain failure.
var (
	// ErrUsage marks a request that is wrong in itself: an unknown function,
	// site or snapshot, options that contradict each other.
	ErrUsage = errors.New("wrong usage")
	// ErrConfig marks a configuration that cannot be worked with.
	ErrConfig = errors.New("wrong configuration")
	// ErrDegraded marks work that was done, but not at every site.
	ErrDegraded = errors.New("degraded")
	// ErrDifference marks a proof that ran and found a difference.
	ErrDifference = errors.New("difference found")
	// ErrCatalogBusy marks a catalog that another process holds open.
	ErrCatalogBusy = errors.New("the catalog is held by another process")
	// ErrNotInitialized marks a repository that "backupd init" has not made
	// yet.
	ErrNotInitialized = errors.New("the repository is not initialized")
)

// VerifyRequest asks for proofs.
type VerifyRequest struct {
	// Functions to prove; empty means all.
	Functions []string `json:"functions,omitempty"`
	// Snapshot to prove, by its ID or an unambiguous prefix; empty means the
	// newest of each function that the site holds.
	Snapshot string `json:"snapshot,omitempty"`
	// Select is the rule to choose by when no snapshot is named: "latest" (the
	// same as empty), "oldest", "random" or "rotation"; Seed makes a random
	// choice repeatable.
	Select string `json:"select,omitempty"`
	Seed   string `json:"seed,omitempty"`
	// Cold asks for cold starts: of the newest recovery point, on an empty host.
	// Identity is the text of the age identity file for them; empty means that
	// of keys.drill_identity_file, or the daemon's, which does not prove L7.
	Cold     bool   `json:"cold,omitempty"`
	Identity string `json:"identity,omitempty"`
	// From is the site to prove from; empty means every site, one proof each.
	From string `json:"from,omitempty"`
	// Level to reach, "L0" to "L6"; empty means the one configured for the
	// function.
	Level string `json:"level,omitempty"`
}

// RecoveryPoint is one recovery point as it is listed.
type RecoveryPoint struct {
	// Function is the business function it belongs to.
	Function string `json:"function"`
	// Snapshot is its ID.
	Snapshot string `json:"snapshot"`
	// RecoveryPoint is the consistency point, UTC.
	RecoveryPoint time.Time `json:"recovery_point"`
	// AgeSeconds is how old the consistency point is now.
	AgeSeconds float64 `json:"age_seconds"`
	// DurationSeconds is how long the capture took.
	DurationSeconds float64 `json:"duration_seconds"`
	// Rows, BytesRaw, BytesNew and BytesStored are as in snapshot.Result.
	Rows        int64 `json:"rows"`
	BytesRaw    int64 `json:"bytes_raw"`
	BytesNew    int64 `json:"bytes_new"`
	BytesStored int64 `json:"bytes_stored"`
	// Sites is its state at every configured site.
	Sites map[string]PointAtSite `json:"sites"`
	// Held is why it is kept whatever the rules say; empty when nobody holds
	// it.
	Held string `json:"held,omitempty"`
	// Suspect says what looked wrong in it when it was taken, Cleared why
	// somebody judged that to be fine. DoubtfulSince is the suspect snapshot that
	// nobody has judged and from which on the recovery points are in doubt: this
	// one or an earlier one.
	Suspect       []suspicion.Signal `json:"suspect,omitempty"`
	Cleared       string             `json:"cleared,omitempty"`
	DoubtfulSince string             `json:"doubtful_since,omitempty"`
	// Condemned is since when no rule keeps it, and Reason why; a sweep deletes
	// it from GoesAt on, all UTC.
	Condemned time.Time `json:"condemned,omitzero"`
	GoesAt    time.Time `json:"goes_at,omitzero"`
	Reason    string    `json:"reason,omitempty"`
}

// PointAtSite is the state of a recovery point at one site.
type PointAtSite struct {
	// State is "durable", "spooled", "damaged" or "missing".
	State string `json:"state"`
	// DurableAt is when the site acknowledged the commit, UTC.
	DurableAt time.Time `json:"durable_at,omitzero"`
	// Error is the last error on the way to the site, if not durable there.
	Error string `json:"error,omitempty"`
	// Proof is the last proof of this recovery point from this site; nil when
	// there was none.
	Proof *Proof `json:"proof,omitempty"`
	// Proven is true when the last verdict on it from this site is that it
	// passed, to the level that is configured for the function.
	Proven bool `json:"proven,omitempty"`
}

// Proof is the outcome of a proof, in short.
type Proof struct {
	// Function, Snapshot and Site say what was proven and where from.
	Function string `json:"function"`
	Snapshot string `json:"snapshot"`
	Site     string `json:"site"`
	// RecoveryPoint is the consistency point that was proven, UTC.
	RecoveryPoint time.Time `json:"recovery_point,omitzero"`
	// Level is the level reached, Passed whether it is the one asked for.
	Level  string `json:"level"`
	Passed bool   `json:"passed"`
	// Difference is true when something was found to be wrong; a proof that
	// neither passed nor found a difference could not be carried out.
	Difference bool `json:"difference"`
	// Meaning says what holds at Level.
	Meaning string `json:"meaning,omitempty"`
	// At is when the proof ended, UTC, and AgeSeconds how long ago that is.
	At         time.Time `json:"at"`
	AgeSeconds float64   `json:"age_seconds"`
	// DurationSeconds is how long it took.
	DurationSeconds float64 `json:"duration_seconds"`
	// Error says why a proof that did not pass could not be carried out, or
	// its first difference.
	Error string `json:"error,omitempty"`
}

// The states of a function, and of a function at a site. Unknown is not good.
const (
	// StateGood: the exposure is within the RPO.
	StateGood = "good"
	// StateDamaged: the last proof from the site found a difference.
	StateDamaged = "damaged"
	// StateUnsound: the last proof from the site restored the copy whole, and a
	// check of the function's own failed on it.
	StateUnsound = "unsound"
	// StateLate: the exposure exceeds the RPO.
	StateLate = "late"
	// StateUnknown: there is no recovery point to count from.
	StateUnknown = "unknown"
)

// Status is how well the promises are being kept now.
type Status struct {
	// Time is the moment that everything in it refers to, UTC.
	Time time.Time `json:"time"`
	// Version is the version of the program that answered.
	Version string `json:"version,omitempty"`
	// Serving is true when the running service answered, false when the
	// catalog was read without one: then nothing is being captured.
	Serving bool `json:"serving"`
	// Degraded is true when any function or site is, or Reasons says what is
	// not as it should be besides, a sentence each: with what the sites hold,
	// with the spool, with what keeps house.
	Degraded bool     `json:"degraded"`
	Reasons  []string `json:"reasons,omitempty"`
	// Functions are sorted by name.
	Functions []FunctionStatus `json:"functions"`
	// Sites are in order of preference.
	Sites []SiteStatus `json:"sites"`
	// Spool is what waits on this host for the sites.
	Spool Spool `json:"spool"`
	// Upkeep is what gives up and deletes what no rule keeps. Nil when no
	// function has rules: everything is kept.
	Upkeep *Upkeep `json:"upkeep"`
	// Controls is what the last round of negative controls says of the verifier.
	Controls ControlsStatus `json:"controls"`
	// Anchors say when the evidence was last anchored outside, by to whom.
	Anchors []AnchorStatus `json:"anchors"`
	// Warnings say, a sentence each, what does not break a promise now and may
	// break all of them one day.
	Warnings []string `json:"warnings,omitempty"`
}

// Upkeep is what gives up and deletes what no rule keeps.
type Upkeep struct {
	// LastPrune is the last prune of all functions, LastSweep the last sweep;
	// nil when there was none.
	LastPrune *Run `json:"last_prune"`
	LastSweep *Run `json:"last_sweep"`
	// Next is when the service does both next, UTC; zero when it does so now,
	// or nobody does.
	Next time.Time `json:"next,omitzero"`
}

// FunctionStatus is how well the promises of one function are being kept.
type FunctionStatus struct {
	// Function is its name, Source the database that it lives in.
	Function string `json:"function"`
	Source   string `json:"source"`
	// RPOSeconds and RTOSeconds are the objectives as configured.
	RPOSeconds float64 `json:"rpo_seconds"`
	RTOSeconds float64 `json:"rto_seconds"`
	// State is the one of the best site: "good", "late" or "unknown".
	State string `json:"state"`
	// Degraded is true when not everything is as it should be, and Reasons
	// says what is not, a sentence each.
	Degraded bool     `json:"degraded"`
	Reasons  []string `json:"reasons,omitempty"`
	// ExposureAnySeconds is the age of the newest recovery point that any
	// site holds, ExposureAllSeconds of the newest that every site holds. Nil
	// when there is none.
	ExposureAnySeconds *float64 `json:"exposure_any_seconds"`
	ExposureAllSeconds *float64 `json:"exposure_all_seconds"`
	// MarginSeconds is the RPO less ExposureAnySeconds: how long until the
	// promise breaks, negative when it is broken. Nil when nothing is known.
	MarginSeconds *float64 `json:"margin_seconds"`
	// Sites is the same, site by site.
	Sites map[string]FunctionAtSite `json:"sites"`
	// IntervalSeconds is the interval that the planner derived from the RPO
	// and the measured durations; 0 when a cron expression is given.
	IntervalSeconds float64 `json:"interval_seconds"`
	// Planned is the formula that the interval comes of, with its numbers;
	// empty when nobody plans.
	Planned string `json:"planned,omitempty"`
	// Cron is the cron expression, if one is configured.
	Cron string `json:"cron,omitempty"`
	// NextRun is when the next snapshot is due, UTC; zero when nobody plans
	// one because the service is not running.
	NextRun time.Time `json:"next_run,omitzero"`
	// Running is the phase of the snapshot that runs now; empty when none.
	Running string `json:"running,omitempty"`
	// LastRun is the last snapshot attempted, whatever came of it.
	LastRun *Run `json:"last_run"`
	// LastProof is the newest proof from any site; nil when there was none.
	LastProof *Proof `json:"last_proof"`
	// NextProof is when the next proof is due, UTC; zero when nobody plans one.
	// While one is being made it is when that began, and there is no site. A
	// proof is on record a little before it is over.
	NextProof time.Time `json:"next_proof,omitzero"`
	// NextProofSite is the site that it will read, and NextProofReason why it is
	// due: "turn", or "schema" when definitions changed that no proof has looked
	// at.
	NextProofSite   string `json:"next_proof_site,omitempty"`
	NextProofReason string `json:"next_proof_reason,omitempty"`
	// KeptPoints is how many recovery points are kept, ProvenPoints how many of
	// them have been proven, from any site, to the level that is configured.
	KeptPoints   int `json:"kept_points"`
	ProvenPoints int `json:"proven_points"`
	// OldestUnproven is the oldest that never was, by its consistency point,
	// UTC; zero when there is none.
	OldestUnproven time.Time `json:"oldest_unproven,omitzero"`
	// Warnings say, a sentence each, what breaks no promise and should be
	// changed: proofs that come too seldom for all recovery points.
	Warnings []string `json:"warnings,omitempty"`
	// Unwatched says, a sentence each, what would raise no suspicion yet, because
	// there are too few recovery points to compare with. That none is suspect
	// says nothing of it.
	Unwatched []string `json:"unwatched,omitempty"`
}

// FunctionAtSite is what one site could bring back of a function.
type FunctionAtSite struct {
	// State is "good", "late" or "unknown" for this site alone.
	State string `json:"state"`
	// Snapshot and RecoveryPoint are the newest that the site holds.
	Snapshot      string    `json:"snapshot,omitempty"`
	RecoveryPoint time.Time `json:"recovery_point,omitzero"`
	// ExposureSeconds is the age of that recovery point. Nil without one.
	ExposureSeconds *float64 `json:"exposure_seconds"`
	// MarginSeconds is the RPO less ExposureSeconds.
	MarginSeconds *float64 `json:"margin_seconds"`
	// ProvenExposureSeconds is the age of the newest recovery point that a
	// passed proof restored from this site. Nil without one.
	ProvenExposureSeconds *float64 `json:"proven_exposure_seconds"`
	// Proof is the last proof from this site; nil when there was none.
	Proof *Proof `json:"proof"`
	// ColdStart is the last cold start from this site; nil when there was none.
	ColdStart *Proof `json:"cold_start,omitempty"`
	// KeptPoints, ProvenPoints and OldestUnproven are as for the function, for
	// what this site holds and was proven from it.
	KeptPoints     int       `json:"kept_points"`
	ProvenPoints   int       `json:"proven_points"`
	OldestUnproven time.Time `json:"oldest_unproven,omitzero"`
}

// Run is one attempt at a snapshot, a prune or a sweep.
type Run struct {
	// Snapshot is the ID of what came of it; empty when it failed, and when
	// none was to be made.
	Snapshot string `json:"snapshot,omitempty"`
	// Started is when it began, UTC.
	Started time.Time `json:"started"`
	// DurationSeconds is how long it took.
	DurationSeconds float64 `json:"duration_seconds"`
	// Error says why it failed; empty when it did not.
	Error string `json:"error,omitempty"`
}

// SiteStatus is the state of one site.
type SiteStatus struct {
	// Site is its name, Kind one of "minio", "s3" and "dir".
	Site string `json:"site"`
	Kind string `json:"kind"`
	// State is what it is at, as in SiteReport.
	State string `json:"state"`
	// Reachable is whether the last contact succeeded. Nil when there was no
	// contact since the service started.
	Reachable *bool `json:"reachable"`
	// LastContact is when the site last answered correctly, UTC.
	LastContact time.Time `json:"last_contact,omitzero"`
	// QueuedObjects and QueuedBytes wait in the outbox for this site.
	QueuedObjects int64 `json:"queued_objects"`
	QueuedBytes   int64 `json:"queued_bytes"`
	// LagSeconds and LagFunction say how far it is behind, FaultCount how many
	// objects are known to be missing or wrong there, as in SiteReport.
	LagSeconds  *float64 `json:"lag_seconds"`
	LagFunction string   `json:"lag_function,omitempty"`
	FaultCount  int      `json:"fault_count"`
	// Error is the last error, if the site is not reachable.
	Error string `json:"error,omitempty"`
	// OldestUnread is when the object there that was not read for longest was
	// last known to be right, UTC; left out when the site holds nothing.
	OldestUnread time.Time `json:"oldest_unread,omitzero"`
}

// Finding is one line of a check.
type Finding struct {
	// OK is whether it is as it should be. A finding that is OK may still
	// carry a Hint: advice.
	OK bool `json:"ok"`
	// Group is what was looked at: "configuration", "data", "keys", "site",
	// "source", "tools", "scratch", "service".
	Group string `json:"group"`
	// Subject names the one thing: a site, a source, a table, a program.
	Subject string `json:"subject"`
	// Detail says what was found.
	Detail string `json:"detail"`
	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`
}

// InitReport says what "backupd init" made and what was there already.
type InitReport struct {
	// Repository is the ID of the repository.
	Repository string `json:"repository"`
	// IdentityFile holds the daemon's age identity, IdentityCreated is true
	// when it was made now.
	IdentityFile    string `json:"identity_file"`
	IdentityCreated bool   `json:"identity_created"`
	// Recipient is the public part of the daemon's identity.
	Recipient string `json:"recipient"`
	// Escrow are the configured recipients that can read the repository
	// besides the daemon.
	Escrow []string `json:"escrow"`
	// Sites says for every site what became of it.
	Sites map[string]InitSite `json:"sites"`
	// IfLost says what is lost when all identities are.
	IfLost string `json:"if_lost"`
	// EvidenceKey is the key that signs the evidence log; EvidenceKeyCreated is
	// true when it was made now.
	EvidenceKey        EvidenceKey `json:"evidence_key"`
	EvidenceKeyCreated bool        `json:"evidence_key_created"`
	// Closed says that the repository is there and that the identity does not
	// open it; empty when it does.
	Closed string `json:"closed,omitempty"`
}

// The states of a site after "backupd init".
const (
	// InitCreated: the repository was made there now.
	InitCreated = "created"
	// InitPresent: the same repository was there already.
	InitPresent = "present"
	// InitFailed: it could not be made there; Error says why.
	InitFailed = "failed"
)

// InitSite is what became of the repository at one site.
type InitSite struct {
	// State is InitCreated, InitPresent or InitFailed.
	State string `json:"state"`
	// Error says why it failed.
	Error string `json:"error,omitempty"`
	// Notes say what the endpoint was found not to support.
	Notes []string `json:"notes,omitempty"`
}

package engine

import "time"

// ObjectivesRequest asks how well objectives were kept in a period.
type ObjectivesRequest struct {
	// Function is the one asked about; empty: all.
	Function string `json:"function,omitempty"`
	// From and To are the period, UTC. Zero: To is now, From 30 days before To.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// Objectives is how well the objectives were kept in a period, by the evidence
// log, and how they will be.
type Objectives struct {
	// Time is the moment of the answer, From and To the period, UTC.
	Time time.Time `json:"time"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Evidence is when the log's first record was written, UTC; left out when
	// there is none. Nothing before it can be judged.
	Evidence time.Time `json:"evidence_since,omitzero"`
	// Degraded is true when a function's is.
	Degraded bool `json:"degraded"`
	// Functions are the most endangered first.
	Functions []FunctionObjectives `json:"functions"`
}

// FunctionObjectives is how well the promises of one function were kept.
type FunctionObjectives struct {
	Function string `json:"function"`
	// Since is from when on in the period something was promised and is judged,
	// UTC; left out when nothing was, which Unjudged explains.
	Since    time.Time `json:"since,omitzero"`
	Unjudged string    `json:"unjudged,omitempty"`
	// Degraded is true when a promise is not being kept now, cannot be kept, or
	// nothing can be said; Reasons say so, a sentence each. That one was broken
	// earlier in the period does not make it true.
	Degraded bool     `json:"degraded"`
	Reasons  []string `json:"reasons,omitempty"`
	// Violated is true when a promise about durable recovery points was broken
	// at any moment of the period.
	Violated bool `json:"violated"`
	// Policies are what was promised in the period, one after the other.
	Policies []PolicyInForce `json:"policies"`
	// Views are the exposure at each site, any and every one; durable first.
	Views []ExposureView `json:"views"`
	// Outlook is what can be expected.
	Outlook Outlook `json:"outlook"`
}

// PolicyInForce is what was promised in a part of the period.
type PolicyInForce struct {
	From              time.Time `json:"from"`
	To                time.Time `json:"to"`
	RPOSeconds        float64   `json:"rpo_seconds"`
	RTOSeconds        float64   `json:"rto_seconds"`
	ProveEverySeconds float64   `json:"prove_every_seconds"`
	Sites             []string  `json:"sites"`
}

// ExposureView is the exposure over a period, looked at in one way.
type ExposureView struct {
	// Scope is "site", "any" or "all", Site the name of a site, Proven whether
	// only what was proven there counts.
	Scope  string `json:"scope"`
	Site   string `json:"site,omitempty"`
	Proven bool   `json:"proven"`
	// MaximumSeconds is the greatest known exposure, UnprotectedSeconds how long
	// there was no recovery point at all: then the maximum is not the whole
	// truth. P99Seconds was not exceeded 99 % of the time; nil: there was no
	// recovery point for longer than 1 % of it.
	MaximumSeconds     float64  `json:"maximum_seconds"`
	UnprotectedSeconds float64  `json:"unprotected_seconds"`
	P99Seconds         *float64 `json:"p99_seconds"`
	// NewFrom and NewTo, UTC, are set when the function was new: until NewTo
	// there was no recovery point yet, and its exposure counts from NewFrom on,
	// when it was first promised anything. It breaks the promise once that is
	// longer ago than the RPO.
	NewFrom time.Time `json:"new_from,omitzero"`
	NewTo   time.Time `json:"new_to,omitzero"`
	// JudgedSeconds is for how long something was promised, BrokenSeconds for
	// how much of that the promise was broken, and Attainment the share of it,
	// 0 to 1, that it was not; nil when nothing was promised.
	JudgedSeconds float64              `json:"judged_seconds"`
	BrokenSeconds float64              `json:"broken_seconds"`
	Attainment    *float64             `json:"attainment"`
	Violations    []ObjectiveViolation `json:"violations"`
}

// ObjectiveViolation is a stretch of time with more exposure than was allowed.
type ObjectiveViolation struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// PeakSeconds is the greatest known exposure, LimitSeconds what was allowed;
	// Unprotected: for a part of it there was no recovery point at all.
	PeakSeconds  float64 `json:"peak_seconds"`
	LimitSeconds float64 `json:"limit_seconds"`
	Unprotected  bool    `json:"unprotected"`
	// Causes are what the records tell of why.
	Causes []ViolationCause `json:"causes"`
}

// ViolationCause is one reason why a promise was broken.
type ViolationCause struct {
	// Kind is "failed runs", "no result", "slow run", "site behind", "no run",
	// "no records", "stricter policy", "no recovery point yet", "failed proofs",
	// "no proof" or "unknown".
	Kind string    `json:"kind"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Site string    `json:"site,omitempty"`
	// Count is of how many runs it tells.
	Count int `json:"count,omitempty"`
	// Detail is a sentence.
	Detail string `json:"detail"`
}

// Outlook is what can be expected of a function: the planner's formula with its
// numbers, and what growth will do to it.
type Outlook struct {
	// Interval is the formula, Problem why the RPO cannot be met.
	Interval string `json:"interval"`
	Problem  string `json:"problem,omitempty"`
	// Durable is how the time to durable develops, against what the RPO allows.
	Durable Development `json:"durable"`
	// Restore is, site by site in order of preference, how long a restore would
	// take now and how that develops, against the RTO.
	Restore []RestoreOutlook `json:"restore"`
}

// RestoreOutlook is the restore from one site.
type RestoreOutlook struct {
	Site string `json:"site"`
	// Unknown: there is no recovery point yet, and Seconds and Bytes say nothing.
	Unknown bool `json:"unknown,omitempty"`
	// Seconds is how long it would take now, machine time. Measured says that a
	// proof from this site measured the rates, to Level at At; else it is an
	// estimate. Basis says what it is made of.
	Seconds  float64   `json:"seconds"`
	Bytes    int64     `json:"bytes"`
	Measured bool      `json:"measured"`
	At       time.Time `json:"at,omitzero"`
	Level    string    `json:"level,omitempty"`
	Basis    string    `json:"basis"`
	// RTOSeconds is the objective, LeftSeconds what it leaves for people to
	// notice, decide and switch over; negative: machine time alone exceeds it.
	// Nil without an RTO.
	RTOSeconds  float64  `json:"rto_seconds"`
	LeftSeconds *float64 `json:"left_seconds"`
	// Development is how the time of a restore develops, by the proofs.
	Development Development `json:"development"`
}

// Development is how something grows day by day, and when that breaks a promise.
type Development struct {
	// Days is of how many days it is known, from From to To.
	Days int       `json:"days"`
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Trend is "growing", "falling", "no trend" or "unknown"; Detail says it in
	// a sentence, with method and numbers.
	Trend  string `json:"trend"`
	Detail string `json:"detail"`
	// SecondsPerDay is the growth, and Low and High its bounds; nil when
	// unknown.
	SecondsPerDay     *float64 `json:"seconds_per_day"`
	SecondsPerDayLow  *float64 `json:"seconds_per_day_low"`
	SecondsPerDayHigh *float64 `json:"seconds_per_day_high"`
	// LimitSeconds is where the promise breaks. BreaksAt is when it does,
	// between Earliest and Latest with a confidence of 99 %; left out when it
	// does not within ten years. Latest alone is left out when it may be later.
	LimitSeconds float64   `json:"limit_seconds"`
	BreaksAt     time.Time `json:"breaks_at,omitzero"`
	Earliest     time.Time `json:"earliest,omitzero"`
	Latest       time.Time `json:"latest,omitzero"`
}

package evidence

// Terms are what is promised of the whole installation besides objectives. What
// is done every so many seconds is never done when that is 0. They hold neither
// a secret nor an address: where something lies is told by a digest, so that a
// change shows.
type Terms struct {
	// MinSites is how many sites must hold a recovery point before its run counts
	// as done.
	MinSites             int     `json:"min_sites"`
	ScrubEverySeconds    float64 `json:"scrub_every_seconds"`
	ControlsEverySeconds float64 `json:"controls_every_seconds"`
	// SweepGraceSeconds is how long what was given up is kept.
	SweepGraceSeconds float64 `json:"sweep_grace_seconds"`
	// Recipients are the age recipients that new keys are wrapped for besides the
	// daemon's. ColdIdentity says that there is one for cold starts, without which
	// none reaches L7.
	Recipients   []string             `json:"recipients,omitempty"`
	ColdIdentity bool                 `json:"cold_identity"`
	Sites        map[string]SiteTerms `json:"sites,omitempty"`
	// Sources are the SHA-256 of host, port and database of each.
	Sources map[string]string `json:"sources,omitempty"`
}

// SiteTerms are what is promised of a site.
type SiteTerms struct {
	Kind string `json:"kind"`
	// Place is the SHA-256 of where it lies.
	Place string `json:"place"`
	// Lock is the mode of the object lock; without one it is empty.
	Lock        string  `json:"lock,omitempty"`
	LockSeconds float64 `json:"lock_seconds,omitempty"`
}

// FunctionTerms are what is promised of a function besides its objectives.
type FunctionTerms struct {
	// Cron stands instead of an interval that is derived from the RPO.
	Cron               string `json:"cron,omitempty"`
	TolerateFailedRuns int    `json:"tolerate_failed_runs"`
	LargeObjects       bool   `json:"large_objects"`
	// RotateSeconds is within which time each recovery point is proven;
	// ColdEverySeconds is between two cold starts from a site. 0: never.
	RotateSeconds    float64              `json:"rotate_seconds"`
	ColdEverySeconds float64              `json:"cold_every_seconds"`
	Suspicion        SuspicionTerms       `json:"suspicion"`
	Checks           map[string]CheckTerm `json:"checks,omitempty"`
}

// SuspicionTerms say what makes a recovery point suspect.
type SuspicionTerms struct {
	// Off is the reason why nothing does.
	Off string `json:"off,omitempty"`
	// RowsDrop and RowsChanged are shares, 0 to 1, of the rows of a table of at
	// least MinRows.
	RowsDrop    float64 `json:"rows_drop"`
	RowsChanged float64 `json:"rows_changed"`
	MinRows     int     `json:"min_rows"`
	// Ignored are tables that are not watched, with the reason of each; Canaries
	// are the SHA-256 of how each is read.
	Ignored  map[string]string `json:"ignored,omitempty"`
	Canaries map[string]string `json:"canaries,omitempty"`
}

// CheckTerm is what one of a function's own checks expects, or why it is
// skipped. The SHA-256 of its SQL is beside the objectives.
type CheckTerm struct {
	Expect       string `json:"expect,omitempty"`
	SameAtSource bool   `json:"same_at_source,omitempty"`
	Skip         string `json:"skip,omitempty"`
}

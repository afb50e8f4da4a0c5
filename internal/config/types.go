package config

import "time"

// Config is one configuration file, checked and with every default filled in.
type Config struct {
	Version   int                 `yaml:"version"`
	DataDir   string              `yaml:"data_dir"`
	Keys      Keys                `yaml:"keys"`
	Sites     map[string]Site     `yaml:"sites"`
	Sources   map[string]Source   `yaml:"sources"`
	Functions map[string]Function `yaml:"functions"`
	Scratch   Scratch             `yaml:"scratch"`
	// MinSites is how many sites must hold a recovery point before the run
	// that made it counts as done. Default 1; fewer than all is reported as
	// degraded.
	MinSites int `yaml:"min_sites"`
}

// Keys says who can read the repository.
type Keys struct {
	// IdentityFile holds the daemon's age identity.
	IdentityFile string `yaml:"identity_file"`
	// Recipients are the age recipients that the repository key is wrapped
	// for besides the daemon's own; at least one, the escrow.
	Recipients []string `yaml:"recipients"`
}

// Site is a place that holds copies.
type Site struct {
	Kind      string `yaml:"kind"` // minio, s3, dir
	Endpoint  string `yaml:"endpoint"`
	Region    string `yaml:"region"`
	Bucket    string `yaml:"bucket"`
	Prefix    string `yaml:"prefix"`
	AccessKey string `yaml:"access_key"`
	SecretKey Secret `yaml:"secret_key"`
	Path      string `yaml:"path"` // kind dir only
}

// Source is a connection to a running database.
type Source struct {
	Kind           string        `yaml:"kind"` // postgres
	URL            Secret        `yaml:"url"`
	Connections    int           `yaml:"connections"`
	LockTimeout    time.Duration `yaml:"lock_timeout"`
	MaxSnapshotAge time.Duration `yaml:"max_snapshot_age"`
}

// Function is a business function with its objectives and its scope in a
// source. With neither schemas nor tables the scope is the whole database.
type Function struct {
	Name               string        `yaml:"-"`
	Source             string        `yaml:"source"`
	Schemas            []string      `yaml:"schemas"`
	Tables             []string      `yaml:"tables"` // schema.name, * matches within a name
	LargeObjects       bool          `yaml:"large_objects"`
	RPO                time.Duration `yaml:"rpo"`
	RTO                time.Duration `yaml:"rto"`
	Priority           int           `yaml:"priority"`
	TolerateFailedRuns int           `yaml:"tolerate_failed_runs"`
	Cron               string        `yaml:"cron"` // instead of the derived interval
	Prove              Prove         `yaml:"prove"`
}

// Prove is the schedule of a function's proofs.
type Prove struct {
	Every time.Duration `yaml:"every"`
	Level string        `yaml:"level"` // L0 … L5
}

// Scratch is where proofs restore to.
type Scratch struct {
	Kind string `yaml:"kind"` // instance, database
	URL  Secret `yaml:"url"`  // kind database only
}

// Package config reads the configuration file: strictly, with all problems
// reported at once, each with its line, its column and what to write instead.
package config

import "time"

// The comments of this file are the descriptions in the JSON Schema that
// editors show; see [Schema].

// Config is one configuration file, checked and with every default filled in.
type Config struct {
	// Version of this file's layout; this release reads version 1.
	Version int `yaml:"version" jsonschema:"required,enum=1"`
	// DataDir is the absolute path of the folder for the catalog, the spool and
	// the control socket. Local disk, not a network share.
	DataDir string `yaml:"data_dir" jsonschema:"required"`
	// Keys says who can read the repository.
	Keys Keys `yaml:"keys" jsonschema:"required"`
	// Evidence says how what was done and found is put on record.
	Evidence Evidence `yaml:"evidence"`
	// Sites are the places that hold copies, each one complete by itself. The
	// order in the file is the order of preference for restores.
	Sites map[string]Site `yaml:"sites" jsonschema:"required"`
	// Sources are the connections to the running databases.
	Sources map[string]Source `yaml:"sources" jsonschema:"required"`
	// Functions are the business functions that are protected.
	Functions map[string]Function `yaml:"functions" jsonschema:"required"`
	// Scratch says where proofs restore to.
	Scratch Scratch `yaml:"scratch"`
	// MinSites is how many sites must hold a recovery point before the run
	// that made it counts as done. Default 1; fewer than all is reported as
	// degraded.
	MinSites int `yaml:"min_sites" jsonschema:"minimum=1,default=1"`
	// ParallelSnapshots is how many functions may be captured at once. Default
	// 2, so that a long capture does not hold up a short one.
	ParallelSnapshots int `yaml:"parallel_snapshots" jsonschema:"minimum=1,maximum=32,default=2"`
	// Spool bounds what waits in data_dir for sites.
	Spool Spool `yaml:"spool"`
	// Scrub says how often everything that the sites hold is read.
	Scrub Scrub `yaml:"scrub"`
	// Sweep says when and how what no recovery point needs is deleted.
	Sweep Sweep `yaml:"sweep"`
	// Drills says which exercises the service makes by itself.
	Drills Drills `yaml:"drills"`

	// SiteOrder and FunctionOrder hold the names in the order of the file.
	SiteOrder     []string `yaml:"-" json:"-"`
	FunctionOrder []string `yaml:"-" json:"-"`
}

// Keys says who can read the repository.
type Keys struct {
	// IdentityFile is the absolute path of the daemon's own age identity. Made
	// by "backupd init" when it does not exist.
	IdentityFile string `yaml:"identity_file" jsonschema:"required"`
	// Recipients are the age recipients (age1…) that the repository key is
	// wrapped for besides the daemon's own; at least one, the escrow, whose
	// identity is kept away from this machine.
	Recipients []string `yaml:"recipients" jsonschema:"required,minItems=1"`
	// DrillIdentityFile is the absolute path of an age identity for cold starts
	// on schedule: that of a recipient of its own, never the escrow's, which
	// must not lie on this host. Left out: they use the daemon's, and L7 is not
	// proven.
	DrillIdentityFile string `yaml:"drill_identity_file"`
}

// Evidence says how what was done and found is put on record.
type Evidence struct {
	// KeyFile is the absolute path of the key that signs the evidence log. Made
	// by "backupd init". It opens no backup. Default: evidence.key beside
	// keys.identity_file.
	KeyFile string `yaml:"key_file"`
	// Anchor says how often, and to whom, a checkpoint of the log is given
	// besides the sites, so that nobody can cut or rewrite it unseen.
	Anchor Anchor `yaml:"anchor"`
}

// Anchor says how often, and to whom, a checkpoint of the log is given.
type Anchor struct {
	// Every is the time between two. Default 24h.
	Every time.Duration `yaml:"every" jsonschema:"default=24h"`
	// Mail says who gets it by mail. Left out: nobody.
	Mail *Mail `yaml:"mail"`
	// Timestamp says which authority stamps the time at which it was there, so
	// that nobody can date it back. Left out: none.
	Timestamp *Timestamp `yaml:"timestamp"`
}

// Timestamp says who stamps the time of a checkpoint, as RFC 3161 has it. Only a
// hash of the checkpoint is sent.
type Timestamp struct {
	// URL is where the authority answers, http or https.
	URL string `yaml:"url" jsonschema:"required"`
	// Roots is the absolute path of a file with the certificates, PEM, that
	// those of the authority must lead to.
	Roots string `yaml:"roots" jsonschema:"required"`
	// Every is the time between two. Default: that of anchor.
	Every time.Duration `yaml:"every"`
}

// Mail says how a checkpoint is mailed to the auditor.
type Mail struct {
	// To is the auditor's address.
	To string `yaml:"to" jsonschema:"required"`
	// From is the sender's address.
	From string `yaml:"from" jsonschema:"required"`
	// SMTP is the host and port of the mail server. It must offer STARTTLS,
	// unless it is on this machine.
	SMTP string `yaml:"smtp" jsonschema:"required"`
	// Username to log in with. Left out: no login.
	Username string `yaml:"username"`
	// Password belongs to username. Better "${VARIABLE}" than the text itself.
	Password Secret `yaml:"password"`
	// PasswordFile is a file to read the password from, instead of password;
	// only its owner and group may read it.
	PasswordFile string `yaml:"password_file"`
}

// Site is a place that holds copies.
type Site struct {
	// Kind is minio (a MinIO server), s3 (AWS or another S3 service) or dir (a
	// folder, such as a mounted disk).
	Kind string `yaml:"kind" jsonschema:"required,enum=minio,enum=s3,enum=dir"`
	// Endpoint is the URL of the service: mandatory for minio; empty for s3
	// means AWS.
	Endpoint string `yaml:"endpoint"`
	// Region of the bucket. Mandatory for kind s3 without an endpoint.
	Region string `yaml:"region"`
	// Bucket that holds the copies. It must exist.
	Bucket string `yaml:"bucket"`
	// Prefix is the folder inside the bucket, without a slash at either end.
	// Empty: the bucket's root.
	Prefix string `yaml:"prefix"`
	// AccessKey of the service. For kind s3 both keys may be left out: the
	// usual AWS chain (environment, profile, instance role) is asked then.
	AccessKey string `yaml:"access_key"`
	// AccessKeyFile is a file to read the access key from, instead of access_key.
	AccessKeyFile string `yaml:"access_key_file"`
	// SecretKey belongs to access_key. Better "${VARIABLE}" than the text itself.
	SecretKey Secret `yaml:"secret_key"`
	// SecretKeyFile is a file to read the secret key from, instead of
	// secret_key; only its owner and group may read it.
	SecretKeyFile string `yaml:"secret_key_file"`
	// SweeperAccessKey and sweeper_secret_key are another key of the service,
	// one that may delete. Only the sweep and mending use it. Left out: the
	// normal one.
	SweeperAccessKey string `yaml:"sweeper_access_key"`
	// SweeperAccessKeyFile is a file to read that key from, instead of
	// sweeper_access_key.
	SweeperAccessKeyFile string `yaml:"sweeper_access_key_file"`
	// SweeperSecretKey belongs to sweeper_access_key.
	SweeperSecretKey Secret `yaml:"sweeper_secret_key"`
	// SweeperSecretKeyFile is a file to read it from, instead of
	// sweeper_secret_key; only its owner and group may read it.
	SweeperSecretKeyFile string `yaml:"sweeper_secret_key_file"`
	// Path is the absolute path of the folder; kind dir only.
	Path string `yaml:"path"`
	// MaxRate is how many bytes per second uploads, syncs and scrubs may move
	// to and from the site, all together. Restores are never slowed. Left out:
	// no limit.
	MaxRate Size `yaml:"max_rate"`
	// Lock is the object lock that is put on everything written to the site,
	// so that nobody can delete it before its time. Left out: none. The bucket
	// must have been made with object lock.
	Lock *Lock `yaml:"lock"`
	// RequestPrices are what the service charges for requests, to estimate the
	// bill. Default: the list price of AWS for kind s3 without an endpoint,
	// else nothing.
	RequestPrices RequestPrices `yaml:"request_prices"`
}

// Lock is the object lock of a site.
type Lock struct {
	// Mode is compliance (nobody can lift it, the owner of the account
	// included) or governance (who has a special right can).
	Mode string `yaml:"mode" jsonschema:"required,enum=compliance,enum=governance"`
	// For is how long an object is locked from the moment it is written.
	// What is still needed is extended in time. At least 1d and twice
	// sweep.grace.
	For time.Duration `yaml:"for" jsonschema:"required"`
}

// RequestPrices are prices per thousand requests, in any currency.
type RequestPrices struct {
	// Write is the price of a thousand PUT, POST or LIST requests.
	Write float64 `yaml:"write" jsonschema:"minimum=0,maximum=1000"`
	// Read is the price of a thousand GET or HEAD requests.
	Read float64 `yaml:"read" jsonschema:"minimum=0,maximum=1000"`
}

// Source is a connection to a running database.
type Source struct {
	// Kind of the database: postgres.
	Kind string `yaml:"kind" jsonschema:"required,enum=postgres"`
	// URL of the database: postgres://user@host:5432/database. The password
	// may come from a "${VARIABLE}", from ~/.pgpass or from url_file.
	URL Secret `yaml:"url"`
	// URLFile is a file to read the URL from, instead of url; only its owner
	// and group may read it.
	URLFile string `yaml:"url_file"`
	// Connections is how many connections one snapshot may use. Default 4.
	Connections int `yaml:"connections" jsonschema:"minimum=1,maximum=64,default=4"`
	// LockTimeout is how long a snapshot waits for the locks that hold off
	// changes of structure, before it gives up and tries again later. Default 5s.
	LockTimeout time.Duration `yaml:"lock_timeout" jsonschema:"default=5s"`
	// MaxSnapshotAge is how long a snapshot may hold a transaction open on the
	// source, which holds back its vacuum. A longer run is abandoned. Default 1h.
	MaxSnapshotAge time.Duration `yaml:"max_snapshot_age" jsonschema:"default=1h"`
	// StallTimeout is how long nothing may move between the database and a
	// snapshot before it counts as hung and is abandoned. Default 5m.
	StallTimeout time.Duration `yaml:"stall_timeout" jsonschema:"default=5m"`
}

// Function is a business function with its objectives and its scope in a
// source. With neither schemas nor tables the scope is the whole database.
type Function struct {
	Name string `yaml:"-" json:"-"`
	// Source is the name of the source that holds the function's data.
	Source string `yaml:"source" jsonschema:"required"`
	// Schemas that belong to the function; * matches any part of a name.
	Schemas []string `yaml:"schemas"`
	// Tables that belong to the function instead of whole schemas, as
	// schema.name; * matches any part of a name.
	Tables []string `yaml:"tables"`
	// LargeObjects says that the database's large objects belong to the
	// function. Default false.
	LargeObjects bool `yaml:"large_objects" jsonschema:"default=false"`
	// RPO is the recovery point objective: at most so much data may be lost.
	// The interval between snapshots is derived from it.
	RPO time.Duration `yaml:"rpo" jsonschema:"required"`
	// RTO is the recovery time objective: at most so long may a restore take.
	RTO time.Duration `yaml:"rto" jsonschema:"required"`
	// Priority decides between functions whose deadlines are equal; 1 goes
	// first. Default 100.
	Priority int `yaml:"priority" jsonschema:"minimum=1,maximum=1000,default=100"`
	// TolerateFailedRuns is how many snapshots in a row may fail without
	// breaking the RPO. Each one makes snapshots more frequent. Default 0.
	TolerateFailedRuns int `yaml:"tolerate_failed_runs" jsonschema:"minimum=0,maximum=10,default=0"`
	// Cron is a cron expression (UTC) for the snapshots, instead of the derived
	// interval. It is checked against the RPO.
	Cron string `yaml:"cron"`
	// Prove is the schedule of the function's proofs.
	Prove Prove `yaml:"prove"`
	// Checks are the function's own checks of its data, in SQL. Proofs run them
	// on the restored copy; level L6 holds when they pass.
	Checks []Check `yaml:"checks"`
	// Keep says which recovery points are kept. Left out: all, for ever.
	Keep *Keep `yaml:"keep"`
	// Suspect says what makes a recovery point suspect.
	Suspect Suspect `yaml:"suspect"`
}

// Suspect says what makes a recovery point of a function suspect, compared with
// the one before. It is made all the same, an alarm is raised, and the last
// clean one is kept.
type Suspect struct {
	// Off is the reason why nothing makes one suspect. Left out: what follows
	// does.
	Off string `yaml:"off"`
	// RowsDrop is by how much of its rows a table may shrink at once. Default
	// 50%; 100%: any.
	RowsDrop Percent `yaml:"rows_drop" jsonschema_extras:"default=50%"`
	// RowsChanged is how much of its rows may change at once; more than what
	// was usual lately in any case. Default 50%; 100%: any.
	RowsChanged Percent `yaml:"rows_changed" jsonschema_extras:"default=50%"`
	// MinRows is how many rows a table must have for these two. Default 100.
	MinRows int `yaml:"min_rows" jsonschema:"minimum=1,maximum=1000000000,default=100"`
	// Ignore are tables of which nothing is suspect, their going included.
	Ignore []Ignored `yaml:"ignore"`
	// Canary are rows that nobody changes, by names of your choice.
	Canary map[string]Canary `yaml:"canary"`
}

// Ignored are tables that are not watched.
type Ignored struct {
	// Table is schema.name; * matches any part of a name.
	Table string `yaml:"table" jsonschema:"required"`
	// Reason says why.
	Reason string `yaml:"reason" jsonschema:"required"`
}

// Canary is what nobody changes: rows of a table, or the result of a query.
type Canary struct {
	// Table is schema.name of the table, and Key the condition in SQL that
	// finds the rows: id = 1.
	Table string `yaml:"table"`
	// Key is the condition in SQL that finds the rows in the table: id = 1.
	Key string `yaml:"key"`
	// SQL is a query instead of both, whose result never changes. It may take
	// 10s and give 1000 rows.
	SQL string `yaml:"sql"`
}

// Keep says which recovery points of a function are kept: what any one rule
// asks for. Periods are of UTC; those without a recovery point do not count.
type Keep struct {
	// Last is how many of the newest are kept.
	Last int `yaml:"last" jsonschema:"minimum=0,maximum=100000"`
	// Hourly is for how many hours the newest of each is kept.
	Hourly int `yaml:"hourly" jsonschema:"minimum=0,maximum=100000"`
	// Daily is for how many days the newest of each is kept.
	Daily int `yaml:"daily" jsonschema:"minimum=0,maximum=100000"`
	// Weekly is for how many weeks (from Monday) the newest of each is kept.
	Weekly int `yaml:"weekly" jsonschema:"minimum=0,maximum=100000"`
	// Monthly is for how many months the newest of each is kept.
	Monthly int `yaml:"monthly" jsonschema:"minimum=0,maximum=100000"`
	// Yearly is for how many years the newest of each is kept.
	Yearly int `yaml:"yearly" jsonschema:"minimum=0,maximum=100000"`
}

// Check is one of a function's own checks: one SELECT that answers one value.
type Check struct {
	// Name of the check, for reports: small letters, digits, - and _.
	Name string `yaml:"name" jsonschema:"required,pattern=^[a-z][a-z0-9_-]*$"`
	// SQL is one SELECT that answers one row of one column. Tables are written
	// with their schema: the search path is empty.
	SQL string `yaml:"sql" jsonschema:"required"`
	// Expect is an operator (= != < <= > >=) and a value to compare with;
	// without an operator the two must be equal. Numbers compare exactly,
	// everything else as text.
	Expect string `yaml:"expect" jsonschema:"oneof_type=string;number;boolean"`
	// SameAtSource says that the query is also run in the source at each
	// snapshot, under its view of the data, and that the restored copy must
	// give the same answer. Default false.
	SameAtSource bool `yaml:"same_at_source" jsonschema:"default=false"`
	// Skip switches the check off and says why. A check that is skipped is
	// shown and never counts as passed.
	Skip string `yaml:"skip"`
}

// Prove is the schedule of a function's proofs.
type Prove struct {
	// Every is the time between two proofs of the function; they take turns
	// over the sites. Default 24h.
	Every time.Duration `yaml:"every" jsonschema:"default=24h"`
	// Rotate is the time within which each recovery point that is kept is to be
	// proven, from when it was made and from each proof of it on; "never": no
	// such bound. Default 30d. After loading, 0 stands for never.
	Rotate time.Duration `yaml:"rotate" jsonschema:"default=30d"`
	// ColdEvery is the time between two cold starts of the function from each
	// site: proofs on a host with nothing on it, which reach L7. Default never,
	// for which 0 stands after loading.
	ColdEvery time.Duration `yaml:"cold_every" jsonschema:"default=never"`
	// Level that a proof reaches for: L0 objects present, L1 right bytes, L2
	// decrypts and parses, L3 loads, L4 structure whole, L5 content equal to
	// the source, L6 the function's own checks pass. Default L5; L6 for a
	// function with checks.
	Level string `yaml:"level" jsonschema:"enum=L0,enum=L1,enum=L2,enum=L3,enum=L4,enum=L5,enum=L6"`
}

// Scratch is where proofs restore to.
type Scratch struct {
	// Kind is instance (a throwaway server from this machine's own PostgreSQL
	// programs) or database (scratch databases on a given server). Default
	// instance.
	Kind string `yaml:"kind" jsonschema:"enum=instance,enum=database,default=instance"`
	// URL of the server that scratch databases are made on; kind database only.
	URL Secret `yaml:"url"`
	// URLFile is a file to read the URL from, instead of url; only its owner
	// and group may read it.
	URLFile string `yaml:"url_file"`
}

// Spool bounds what waits for sites.
type Spool struct {
	// MaxBytes is how much of data_dir may be taken by what waits for sites.
	// When no site has what is in the way, snapshots fail until there is room;
	// nothing is dropped. Default 32GiB, at least 128MiB.
	MaxBytes Size `yaml:"max_bytes" jsonschema_extras:"default=32GiB"`
}

// Scrub says how often everything that the sites hold is read.
type Scrub struct {
	// Every is the time within which each object of each site is read and
	// compared once; "never" switches that off. Default 30d. After loading, 0
	// stands for never.
	Every time.Duration `yaml:"every" jsonschema:"default=30d"`
}

// Drills says which exercises the service makes by itself.
type Drills struct {
	// ControlsEvery is the time between two rounds of negative controls, which
	// plant faults in disposable copies and look whether proofs turn red;
	// "never" switches them off. Default 7d. After loading, 0 stands for never.
	ControlsEvery time.Duration `yaml:"controls_every" jsonschema:"default=7d"`
}

// Sweep says when and how what no recovery point needs is deleted.
type Sweep struct {
	// Every is the time between two sweeps of the service, each after the
	// rules of keep. Without keep in any function there are none. Default 24h.
	Every time.Duration `yaml:"every" jsonschema:"default=24h"`
	// Grace is how long what nobody needs any more is kept before it is
	// deleted. Default 24h, at least 1h and more than max_snapshot_age of every
	// source: a snapshot that runs may still come to need it.
	Grace time.Duration `yaml:"grace" jsonschema:"default=24h"`
	// MaxRewrite is how many bytes one sweep may write anew to free what is
	// dead in objects that are needed in part. Default 4GiB; 0: none.
	MaxRewrite Size `yaml:"max_rewrite" jsonschema_extras:"default=4GiB"`
}

// Values that stand where the file says nothing.
const (
	DefaultConnections    = 4
	DefaultParallel       = 2
	DefaultLockTimeout    = 5 * time.Second
	DefaultMaxSnapshotAge = time.Hour
	DefaultStallTimeout   = 5 * time.Minute
	DefaultPriority       = 100
	DefaultProveEvery     = 24 * time.Hour
	DefaultRotate         = 30 * 24 * time.Hour
	DefaultProveLevel     = "L5" // and CheckedProveLevel with checks
	CheckedProveLevel     = "L6"
	DefaultMinSites       = 1
	DefaultScratchKind    = "instance"
	DefaultSpoolBytes     = 32 << 30
	DefaultControlsEvery  = 7 * 24 * time.Hour
	DefaultEvidenceKey    = "evidence.key"
	DefaultAnchorEvery    = 24 * time.Hour
	DefaultScrubEvery     = 30 * 24 * time.Hour
	DefaultSweepEvery     = 24 * time.Hour
	DefaultSweepGrace     = 24 * time.Hour
	DefaultMaxRewrite     = 4 << 30
	DefaultRowsDrop       = Percent(50)
	DefaultRowsChanged    = Percent(50)
	DefaultMinRows        = 100
	// DefaultWritePrice and DefaultReadPrice are the list prices of AWS for a
	// thousand requests, in US dollars.
	DefaultWritePrice = 0.005
	DefaultReadPrice  = 0.0004
)

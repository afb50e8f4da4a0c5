package postgres

import "time"

// Kinds of Table.
const (
	// KindTable is an ordinary table.
	KindTable = "table"
	// KindPartition is a leaf of a partitioned table, copied as a table.
	KindPartition = "partition"
	// KindUnlogged is an unlogged table or partition; a crash of the source
	// empties it, so its content may be less than its users expect.
	KindUnlogged = "unlogged"
	// KindExtension is a table that belongs to an extension, which declared
	// it as configuration; only the rows that meet Table.Condition are held.
	KindExtension = "extension_config"
	// KindLargeObjects is the one synthetic table of all large objects. Its
	// rows are (oid, chunk, data): chunk counts from 0 in pieces of
	// LargeObjectChunk bytes, data is bytea; an empty object has one row with
	// no bytes. Schema is empty and Name is KindLargeObjects.
	KindLargeObjects = "large_objects"
)

// LargeObjectChunk is the size in bytes of the pieces in which large objects
// are read, the last of each object excepted.
const LargeObjectChunk = 256 << 10

// Scope says which part of a database belongs to a function.
type Scope struct {
	// Function is the name of the business function, for messages.
	Function string `json:"function,omitempty"`
	// Schemas and Tables are patterns as in the configuration: "payments",
	// "catalog.stock_*". A star matches within a name. With neither, the
	// scope is the whole database without the system's schemas.
	Schemas []string `json:"schemas,omitempty"`
	Tables  []string `json:"tables,omitempty"`
	// LargeObjects adds the large objects, which belong to no schema. A scope
	// of the whole database holds them in any case.
	LargeObjects bool `json:"large_objects,omitempty"`
}

// Whole reports whether the scope is the whole database.
func (s Scope) Whole() bool { return len(s.Schemas) == 0 && len(s.Tables) == 0 }

// Finding is one line of a check: what was looked at and what was found.
type Finding struct {
	OK bool `json:"ok"`
	// Subject names what was checked, for instance "market: payments.orders".
	Subject string `json:"subject"`
	// Detail is what was found.
	Detail string `json:"detail"`
	// Hint says what to do about it; empty when nothing is to be done.
	Hint string `json:"hint,omitempty"`
}

// Point is the consistent state that a capture holds.
type Point struct {
	// Time is the consistency point by the clock of this host, in UTC, read
	// before the snapshot was taken: it is never later than the data.
	Time time.Time `json:"time"`
	// DatabaseTime is the same moment by the clock of the database server.
	DatabaseTime time.Time `json:"database_time"`
	// LSN is the write-ahead log position near the snapshot: replayed on a
	// standby, current otherwise.
	LSN string `json:"lsn"`
	// Standby tells that the server was in recovery.
	Standby bool `json:"standby,omitempty"`
	// Database is the name of the database.
	Database string `json:"database"`
	// ServerVersion is server_version as the server reports it and
	// ServerVersionNum the same as a number: 150013.
	ServerVersion    string `json:"server_version"`
	ServerVersionNum int    `json:"server_version_num"`
	// SystemIdentifier tells clusters apart; empty where the role may not
	// read it.
	SystemIdentifier string `json:"system_identifier,omitempty"`
	// Encoding, Collate and CType are those of the database; LocaleProvider
	// is "libc", "icu" or "builtin" and Locale the locale or rules of the
	// latter two.
	Encoding       string `json:"encoding"`
	Collate        string `json:"collate"`
	CType          string `json:"ctype"`
	LocaleProvider string `json:"locale_provider,omitempty"`
	Locale         string `json:"locale,omitempty"`
	// CollationVersion is the version of the collation library, where known.
	CollationVersion string `json:"collation_version,omitempty"`
}

// Table is a table whose rows are in the capture.
type Table struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	// Columns are the columns copied, in order: neither dropped nor
	// generated ones. It may be empty: such a table still has rows.
	Columns []string `json:"columns"`
	// Kind is one of the Kind constants.
	Kind string `json:"kind"`
	// Condition, of extension tables, is the WHERE clause (with the word) that
	// selects the rows which the extension itself does not make.
	Condition string `json:"condition,omitempty"`
	// Bytes is the size on disk of the table with its TOAST: an estimate of
	// the volume, for progress.
	Bytes int64 `json:"bytes"`
	// Parts cover the table without overlap, in order.
	Parts []Part `json:"parts,omitempty"`
	// Note is a sentence for the report about what to know of this table.
	Note string `json:"note,omitempty"`
}

// String returns the schema-qualified name, quoted where SQL needs it.
func (t Table) String() string { return display(t.Schema, t.Name) }

// Part is a half-open range of pages of a table's heap: From ≤ page < To.
type Part struct {
	// Whole tells that the part is the whole table, read without a range.
	Whole bool `json:"whole,omitempty"`
	// From is the first page, To the page behind the last one; To is 0 in the
	// last part, which is open-ended.
	From int64 `json:"from,omitempty"`
	To   int64 `json:"to,omitempty"`
	// Bytes is the share of Table.Bytes, an estimate for progress.
	Bytes int64 `json:"bytes,omitempty"`
}

// Structure is every object of a scope with its definition, in a form that does
// not depend on the order of creation or on internal numbers, so that those of
// a source and of a restored database can be compared.
type Structure struct {
	Objects []Object `json:"objects"`
}

// Object is one object of a database. Owners, grants and comments are objects
// of their own (kinds KindOwner, KindGrants, KindComment), so that they can be
// left out of a comparison when a restore was asked to leave them out.
type Object struct {
	// Kind is "table", "column", "index", "constraint", …
	Kind string `json:"kind"`
	// Name is unique within the kind, schema-qualified and quoted.
	Name string `json:"name"`
	// Definition is the canonical text of what the object is.
	Definition string `json:"definition"`
}

// Kinds of Object that concern roles, so that they differ after a restore that
// left owners and grants out.
const (
	KindOwner       = "owner"
	KindGrants      = "grants"
	KindDefaultACL  = "default_acl"
	KindPolicyRoles = "policy_roles"
	KindUserMapping = "user_mapping"
)

// Changes that a Difference tells.
const (
	Missing = "missing" // in the source, not in the restored database
	Changed = "changed" // in both, defined differently
	Extra   = "extra"   // in the restored database only
)

// Difference is one object that is not the same in two structures.
type Difference struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Change string `json:"change"`
	// Source and Restored are the definitions; empty where there is none.
	Source   string `json:"source,omitempty"`
	Restored string `json:"restored,omitempty"`
}

// Sequence is the state of a sequence, read after the data: sequences do not
// obey snapshots, so it is at or ahead of every value in the tables.
type Sequence struct {
	Schema    string `json:"schema"`
	Name      string `json:"name"`
	LastValue int64  `json:"last_value"`
	IsCalled  bool   `json:"is_called"`
}

// Reference is a foreign key from a table in the scope to one outside it. It
// can be restored only where the referenced table exists.
type Reference struct {
	Schema     string `json:"schema"`
	Table      string `json:"table"`
	Constraint string `json:"constraint"`
	ToSchema   string `json:"to_schema"`
	ToTable    string `json:"to_table"`
	// Definition is the text behind ALTER TABLE … ADD CONSTRAINT name.
	Definition string `json:"definition"`
}

// Globals are the things a scope needs that pg_dump of that scope leaves out.
// It never holds a password.
type Globals struct {
	// Roles own or are granted something in the scope, or are members of
	// such roles, directly or not. Sorted by name; roles of the system (pg_…)
	// are left out of Roles but not of Memberships.
	Roles       []Role       `json:"roles"`
	Memberships []Membership `json:"memberships,omitempty"`
	// Extensions are those the scope needs; all of them when it is the whole
	// database. Only then are they in the schema archive too.
	Extensions []Extension `json:"extensions,omitempty"`
	// Schemas are those which hold the tables of a scope of tables, whose
	// archive does not make them. Empty for other scopes, except for schemas
	// that only extensions need.
	Schemas []Schema `json:"schemas,omitempty"`
	// Database are the properties of the database itself.
	Database Database `json:"database"`
	// LargeObjects are owners and rights of the large objects, in groups.
	LargeObjects []LargeObjects `json:"large_objects,omitempty"`
}

// Role is a role of the cluster, without its password.
type Role struct {
	Name        string `json:"name"`
	Superuser   bool   `json:"superuser,omitempty"`
	Inherit     bool   `json:"inherit,omitempty"`
	CreateRole  bool   `json:"create_role,omitempty"`
	CreateDB    bool   `json:"create_db,omitempty"`
	Login       bool   `json:"login,omitempty"`
	Replication bool   `json:"replication,omitempty"`
	BypassRLS   bool   `json:"bypass_rls,omitempty"`
	// ConnectionLimit is -1 for none.
	ConnectionLimit int    `json:"connection_limit"`
	ValidUntil      string `json:"valid_until,omitempty"`
	// Settings are of ALTER ROLE … SET, each "name=value".
	Settings []string `json:"settings,omitempty"`
	Comment  string   `json:"comment,omitempty"`
}

// Membership is one role being member of another.
type Membership struct {
	Role   string `json:"role"`
	Member string `json:"member"`
	Admin  bool   `json:"admin,omitempty"`
	// Inherit and Set are options of PostgreSQL 16; nil before.
	Inherit *bool `json:"inherit,omitempty"`
	Set     *bool `json:"set,omitempty"`
}

// Extension is an installed extension.
type Extension struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Schema  string `json:"schema"`
}

// Schema is a schema to be made before the archive is restored.
type Schema struct {
	Name  string `json:"name"`
	Owner string `json:"owner"`
	// Grants is nil when the rights are the default ones.
	Grants  []Grant `json:"grants,omitempty"`
	Comment string  `json:"comment,omitempty"`
}

// Grant is one privilege of one role on an object.
type Grant struct {
	// Grantee is a role; empty means PUBLIC.
	Grantee   string `json:"grantee"`
	Privilege string `json:"privilege"`
	Grantable bool   `json:"grantable,omitempty"`
}

// Database are the properties of a database that a dump leaves out.
type Database struct {
	Owner   string  `json:"owner"`
	Grants  []Grant `json:"grants,omitempty"`
	Comment string  `json:"comment,omitempty"`
	// Settings are of ALTER DATABASE … SET, each "name=value"; RoleSettings
	// those of ALTER ROLE … IN DATABASE … SET by role.
	Settings     []string            `json:"settings,omitempty"`
	RoleSettings map[string][]string `json:"role_settings,omitempty"`
}

// LargeObjects are large objects with the same owner and the same rights.
type LargeObjects struct {
	Owner string `json:"owner"`
	// Grants is nil when the rights are the default ones.
	Grants []Grant `json:"grants,omitempty"`
	// OIDs are ranges, both ends included.
	OIDs [][2]uint32 `json:"oids"`
}

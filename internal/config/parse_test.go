package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

const recipient = "age1tqlpze6zezq0e6vy6qfyl5s3u4tcgn8fq689jvcw7r4udexftgeqcf6zf8"

// bad are changes of base that make it wrong, by what is wrong. What is said
// about each is in testdata/problems.golden.
var bad = []struct {
	name  string
	pairs []string
}{
	{"unknown key", []string{"rto: 1h", "rto: 1h\n    colour: red"}},
	{"unknown key, nearly right", []string{"schemas: [payments]", "schema: [payments]"}},
	{"unknown key, capitals", []string{"rpo: 5m", "RPO: 5m"}},
	{"unknown key, letters swapped", []string{"recipients:", "recipeints:"}},
	{"unknown key, piece of a password", []string{`"${ONSITE_SECRET}"}`, `abc,hunter2}`}},
	{"unknown key at the top", []string{"version: 1", "version: 1\nfunction: {}"}},
	{"duplicate key", []string{"rto: 1h", "rto: 1h\n    rpo: 6m"}},
	{"duplicate function", []string{"  catalog:", "  payments:"}},
	{"tab", []string{"    source: market", "\tsource: market"}},
	{"empty file", []string{base, ""}},
	{"only comments", []string{base, "# nothing yet\n"}},
	{"two documents", []string{"sites:\n", "---\nsites:\n"}},
	{"not YAML, secret near", []string{`url: "postgres://backup:hunter2@db.internal/market"`, `url: postgres: hunter2: x`}},
	{"not YAML in a block", []string{base, "sources:\n  market:\n    url: postgres: hunter2: x\n    kind: a\n"}},
	{"bracket left open", []string{"schemas: [payments]", "schemas: [payments"}},
	{"quote left open", []string{`"http://127.0.0.1:9000"`, `"http://127.0.0.1:9000`}},
	{"brackets without end", []string{base, strings.Repeat("[", 5000)}},
	{"bytes that are no text", []string{base, "version: 1\ndata_dir: \xff\n"}},
	{"list at the top", []string{base, "- version: 1\n"}},
	{"text at the top", []string{base, "hello\n"}},
	{"merge key", []string{"rto: 1h", "rto: 1h\n    <<: {rpo: 5m}"}},
	{"alias without anchor", []string{"rto: 1h", "rto: *nothing"}},

	{"version missing", []string{"version: 1\n", ""}},
	{"version of later", []string{"version: 1", "version: 2"}},
	{"version as text", []string{"version: 1", `version: "1"`}},
	{"data_dir missing", []string{"data_dir: /var/lib/backupd\n", ""}},
	{"data_dir relative", []string{"/var/lib/backupd", "var/lib/backupd"}},
	{"min_sites above the sites", []string{"version: 1", "version: 1\nmin_sites: 3"}},
	{"min_sites zero", []string{"version: 1", "version: 1\nmin_sites: 0"}},
	{"keys not a mapping", []string{"keys:\n  identity_file: /etc/backupd/identity.txt\n  recipients: [" + recipient + "]", "keys: hunter2"}},
	{"no recipient", []string{"[" + recipient + "]", "[]"}},
	{"recipients missing", []string{"  recipients: [" + recipient + "]\n", ""}},
	{"recipient not one", []string{recipient, "age1hunter2"}},
	{"recipient is a secret identity", []string{recipient, "AGE-SECRET-KEY-1HUNTER2"}},
	{"recipient twice", []string{recipient, recipient + ", " + recipient}},
	{"recipient a text", []string{"[" + recipient + "]", recipient}},
	{"identity_file missing", []string{"  identity_file: /etc/backupd/identity.txt\n", ""}},
	{"identity_file relative", []string{"/etc/backupd/identity.txt", "identity.txt"}},

	{"no sites", []string{base[strings.Index(base, "sites:"):strings.Index(base, "sources:")], ""}},
	{"sites empty", []string{base[strings.Index(base, "sites:"):strings.Index(base, "sources:")], "sites: {}\n"}},
	{"site kind missing", []string{"kind: s3, ", ""}},
	{"site kind unknown", []string{"kind: minio", "kind: mino"}},
	{"site kind far off", []string{"kind: minio", "kind: tape"}},
	{"site not a mapping", []string{"{kind: s3, region: af-south-1, bucket: backups, prefix: market}", "s3"}},
	{"site name", []string{"  cloud:", "  Cloud/1:"}},
	{"endpoint missing", []string{`endpoint: "http://127.0.0.1:9000", `, ""}},
	{"endpoint without scheme", []string{`"http://127.0.0.1:9000"`, `"127.0.0.1:9000"`}},
	{"endpoint with password", []string{`"http://127.0.0.1:9000"`, `"http://u:hunter2@127.0.0.1:9000"`}},
	{"endpoint with bucket", []string{`"http://127.0.0.1:9000"`, `"http://127.0.0.1:9000/backups"`}},
	{"region missing for AWS", []string{"region: af-south-1, ", ""}},
	{"bucket missing", []string{"region: af-south-1, bucket: backups, ", "region: af-south-1, "}},
	{"bucket with folder", []string{"bucket: backups", "bucket: backups/market"}},
	{"prefix with slash", []string{"prefix: market", "prefix: /market/"}},
	{"key half given", []string{", secret_key: \"${ONSITE_SECRET}\"", ""}},
	{"key half given, other half", []string{"access_key: \"${ONSITE_KEY}\", ", ""}},
	{"keys missing for minio", []string{", access_key: \"${ONSITE_KEY}\", secret_key: \"${ONSITE_SECRET}\"", ""}},
	{"key empty", []string{"${ONSITE_SECRET}", "${EMPTY}"}},
	{"path for an s3 site", []string{"kind: s3, ", "kind: s3, path: /mnt, "}},
	{"dir site with bucket", []string{"{kind: s3, region: af-south-1, bucket: backups, prefix: market}", "{kind: dir, path: mnt, bucket: backups}"}},
	{"sites at one place", []string{"{kind: s3, region: af-south-1, bucket", `{kind: s3, endpoint: "HTTP://127.0.0.1:9000/", bucket`}},

	{"source kind unknown", []string{"kind: postgres", "kind: postgress"}},
	{"source kind planned", []string{"kind: postgres", "kind: mysql"}},
	{"url missing", []string{`, url: "postgres://backup:hunter2@db.internal/market"`, ""}},
	{"url of another kind", []string{"postgres://backup:hunter2", "mysql://backup:hunter2"}},
	{"url not one", []string{"postgres://backup:hunter2@db.internal/market", "postgres://backup:hunter2%zz@db.internal/market"}},
	{"url without database", []string{"@db.internal/market", "@db.internal"}},
	{"url is a list", []string{`"postgres://backup:hunter2@db.internal/market"`, "[hunter2]"}},
	{"url and url_file", []string{`{kind: postgres,`, `{kind: postgres, url_file: /nowhere,`}},
	{"url_file missing", []string{`url: "postgres://backup:hunter2@db.internal/market"`, "url_file: /nowhere/url"}},
	{"url_file is a folder", []string{`url: "postgres://backup:hunter2@db.internal/market"`, "url_file: /"}},
	{"url_file relative", []string{`url: "postgres://backup:hunter2@db.internal/market"`, `url_file: "${ANY}/url"`}},
	{"connections too many", []string{"{kind: postgres,", "{kind: postgres, connections: 1000,"}},
	{"connections not a number", []string{"{kind: postgres,", "{kind: postgres, connections: many,"}},
	{"connections not whole", []string{"{kind: postgres,", "{kind: postgres, connections: 1.5,"}},
	{"lock_timeout zero", []string{"{kind: postgres,", "{kind: postgres, lock_timeout: 0s,"}},

	{"function without anything", []string{"  catalog: {source: market, tables: [\"catalog.products\", \"catalog.stock_*\"], rpo: 15m, rto: 4h}", "  catalog:"}},
	{"function of an unknown source", []string{"source: market\n", "source: markt\n"}},
	{"function of a source far off", []string{"source: market\n", "source: warehouse\n"}},
	{"rpo missing", []string{"    rpo: 5m\n", ""}},
	{"rpo without unit", []string{"rpo: 5m", "rpo: 300"}},
	{"rpo not a duration", []string{"rpo: 5m", "rpo: five minutes"}},
	{"rpo negative", []string{"rpo: 5m", "rpo: -5m"}},
	{"rpo beyond all bounds", []string{"rpo: 5m", "rpo: 99999999w"}},
	{"rpo below the floor", []string{"rpo: 5m", "rpo: 1s"}},
	{"rpo below the floor with failures", []string{"rpo: 5m", "rpo: 4s\n    tolerate_failed_runs: 3"}},
	{"rto zero", []string{"rto: 1h", "rto: 0s"}},
	{"rto negative", []string{"rto: 1h", "rto: -1h"}},
	{"priority zero", []string{"rpo: 5m", "rpo: 5m\n    priority: 0"}},
	{"tolerate too many", []string{"rpo: 5m", "rpo: 5m\n    tolerate_failed_runs: 11"}},
	{"large_objects not a bool", []string{"rpo: 5m", "rpo: 5m\n    large_objects: yes please"}},
	{"level without checks", []string{"rpo: 5m", "rpo: 5m\n    prove: {level: L6}"}},
	{"level with skipped checks", []string{"rpo: 5m", "rpo: 5m\n    prove: {level: L6}\n    checks: [{name: a, sql: SELECT 1, expect: 1, skip: later}]"}},
	{"level of a cold start", []string{"rpo: 5m", "rpo: 5m\n    prove: {level: L7}"}},
	{"checks empty", []string{"rpo: 5m", "rpo: 5m\n    checks: []"}},
	{"check without anything", []string{"rpo: 5m", "rpo: 5m\n    checks: [{}]"}},
	{"check without expect", []string{"rpo: 5m", "rpo: 5m\n    checks: [{name: a, sql: SELECT 1}]"}},
	{"check with an odd expect", []string{"rpo: 5m", "rpo: 5m\n    checks: [{name: a, sql: SELECT 1, expect: \"=> 1\"}]"}},
	{"check with an empty expect", []string{"rpo: 5m", "rpo: 5m\n    checks: [{name: a, sql: SELECT 1, expect: \"\"}]"}},
	{"check with an empty query", []string{"rpo: 5m", "rpo: 5m\n    checks: [{name: a, sql: \" \", expect: 1}]"}},
	{"check skipped without a reason", []string{"rpo: 5m", "rpo: 5m\n    checks: [{name: a, sql: SELECT 1, expect: 1, skip: \" \"}]"}},
	{"check with an odd name", []string{"rpo: 5m", "rpo: 5m\n    checks: [{name: \"Books balance\", sql: SELECT 1, expect: 1}]"}},
	{"check twice", []string{"rpo: 5m", "rpo: 5m\n    checks: [{name: a, sql: SELECT 1, expect: 1}, {name: a, sql: SELECT 2, expect: 2}]"}},
	{"level unknown", []string{"rpo: 5m", "rpo: 5m\n    prove: {level: high}"}},
	{"prove.every zero", []string{"rpo: 5m", "rpo: 5m\n    prove: {every: 0s}"}},
	{"prove.rotate zero", []string{"rpo: 5m", "rpo: 5m\n    prove: {rotate: 0s}"}},
	{"prove.rotate in another word", []string{"rpo: 5m", "rpo: 5m\n    prove: {rotate: off}"}},
	{"prove.cold_every zero", []string{"rpo: 5m", "rpo: 5m\n    prove: {cold_every: 0s}"}},
	{"drill identity of the daemon", []string{"identity_file: /etc/backupd/identity.txt", "identity_file: /etc/backupd/identity.txt\n  drill_identity_file: /etc/backupd/identity.txt"}},
	{"drill identity relative", []string{"identity_file: /etc/backupd/identity.txt", "identity_file: /etc/backupd/identity.txt\n  drill_identity_file: drill.txt"}},
	{"schemas not a list", []string{"schemas: [payments]", "schemas: payments"}},
	{"schemas and tables", []string{"schemas: [payments]", "schemas: [payments]\n    tables: [shared.rates]"}},
	{"schemas empty", []string{"schemas: [payments]", "schemas: []"}},
	{"schema with a table", []string{"schemas: [payments]", "schemas: [payments.cards]"}},
	{"table without schema", []string{`"catalog.products"`, "products"}},

	{"cron not one", []string{"rpo: 5m", "rpo: 5m\n    cron: every minute"}},
	{"cron too rare", []string{"rpo: 5m", "rpo: 5m\n    cron: '*/15 * * * *'"}},
	{"cron with a gap at night", []string{"rpo: 5m", "rpo: 1h\n    cron: '*/10 6-22 * * *'"}},
	{"cron with a failure tolerated", []string{"rpo: 5m", "rpo: 15m\n    tolerate_failed_runs: 1\n    cron: '*/10 * * * *'"}},
	{"cron as long as the rpo", []string{"rpo: 5m", "rpo: 5m\n    cron: '*/5 * * * *'"}},
	{"cron that never comes", []string{"rpo: 5m", "rpo: 1w\n    cron: '0 0 30 2 *'"}},
	{"cron with a zone only", []string{"rpo: 5m", "rpo: 1w\n    cron: 'CRON_TZ=Africa/Johannesburg'"}},

	{"schema claimed twice", []string{"schemas: [payments]", "schemas: [payments]\n    tables: [catalog.old]", `tables: ["catalog.products", "catalog.stock_*"]`, "schemas: [payments]"}},
	{"schema against table", []string{"schemas: [payments]", "schemas: [catalog]"}},
	{"patterns that overlap", []string{"schemas: [payments]", "tables: ['cat*.*_levels']"}},
	{"whole database against table", []string{"    schemas: [payments]\n", ""}},
	{"two sources of one database", []string{"functions:", "  copy: {kind: postgres, url: \"postgres://other:hunter2@DB.internal:5432/market\"}\nfunctions:", "source: market\n    schemas: [payments]", "source: copy\n    schemas: [catalog]"}},
	{"large objects claimed twice", []string{"rpo: 5m", "large_objects: true\n    rpo: 5m", "rpo: 15m", "large_objects: true, rpo: 15m"}},

	{"variable not set", []string{"${ONSITE_SECRET}", "${NOT_SET}"}},
	{"variable not set in a duration", []string{"rpo: 5m", "rpo: ${NOT_SET}"}},
	{"variable without end", []string{"${ONSITE_SECRET}", "${ONSITE_SECRET"}},
	{"variable in a form not known", []string{"${ONSITE_SECRET}", "${ONSITE_SECRET:?hunter2}"}},
	{"variable that is no duration", []string{"rpo: 5m", "rpo: ${ANY}"}},
	{"variable that is no kind", []string{"kind: s3", "kind: '${ANY}'"}},

	{"scratch kind unknown", []string{"functions:", "scratch: {kind: vm}\nfunctions:"}},
	{"scratch database without url", []string{"functions:", "scratch: {kind: database}\nfunctions:"}},
	{"scratch instance with url", []string{"functions:", "scratch: {url: \"postgres://u:hunter2@h/\"}\nfunctions:"}},
	{"spool too small", []string{"version: 1", "version: 1\nspool: {max_bytes: 32MiB}"}},
	{"spool not a size", []string{"version: 1", "version: 1\nspool: {max_bytes: 32G}"}},
	{"size in small letters", []string{"version: 1", "version: 1\nspool: {max_bytes: 32gib}"}},
	{"size with another unit", []string{"version: 1", "version: 1\nspool: {max_bytes: 32PiB}"}},
	{"size negative", []string{"version: 1", "version: 1\nspool: {max_bytes: -1}"}},
	{"size beyond all bounds", []string{"version: 1", "version: 1\nspool: {max_bytes: 9999999TiB}"}},
	{"size from a variable", []string{"version: 1", "version: 1\nspool: {max_bytes: '${ANY}'}"}},
	{"size is a list", []string{"version: 1", "version: 1\nspool: {max_bytes: [1]}"}},
	{"spool a size", []string{"version: 1", "version: 1\nspool: 32GiB"}},
	{"scrub zero", []string{"version: 1", "version: 1\nscrub: {every: 0}"}},
	{"scrub off", []string{"version: 1", "version: 1\nscrub: {every: off}"}},
	{"controls zero", []string{"version: 1", "version: 1\ndrills: {controls_every: 0s}"}},
	{"sweep never", []string{"version: 1", "version: 1\nsweep: {every: never}"}},
	{"grace too short", []string{"version: 1", "version: 1\nsweep: {grace: 59m}"}},
	{"grace as short as a snapshot", []string{"version: 1", "version: 1\nsweep: {grace: 1h}"}},
	{"snapshot longer than the grace", []string{"{kind: postgres,", "{kind: postgres, max_snapshot_age: 25h,"}},
	{"max_rewrite negative", []string{"version: 1", "version: 1\nsweep: {max_rewrite: -4GiB}"}},
	{"max_rate of a second", []string{"kind: s3, ", "kind: s3, max_rate: 20MiB/s, "}},
	{"max_rate without unit", []string{"kind: s3, ", "kind: s3, max_rate: 20, "}},
	{"max_rate zero", []string{"kind: s3, ", "kind: s3, max_rate: 0, "}},
	{"lock empty", []string{"kind: s3, ", "kind: s3, lock: {}, "}},
	{"lock without mode", []string{"kind: s3, ", "kind: s3, lock: {for: 35d}, "}},
	{"lock of another mode", []string{"kind: s3, ", "kind: s3, lock: {mode: complience, for: 35d}, "}},
	{"lock of hours", []string{"kind: s3, ", "kind: s3, lock: {mode: compliance, for: 12h}, "}},
	{"lock within the grace", []string{"kind: s3, ", "kind: s3, lock: {mode: compliance, for: 36h}, "}},
	{"lock for ever", []string{"kind: s3, ", "kind: s3, lock: {mode: compliance, for: 1000w}, "}},
	{"lock of a folder", []string{"{kind: s3, region: af-south-1, bucket: backups, prefix: market}", "{kind: dir, path: /mnt, lock: {mode: compliance, for: 35d}, sweeper_access_key: a, request_prices: {read: 1}}"}},
	{"sweeper half given", []string{"kind: s3, ", "kind: s3, sweeper_access_key: a, "}},
	{"sweeper half given, other half", []string{"kind: s3, ", "kind: s3, sweeper_secret_key: hunter2, "}},
	{"sweeper key twice", []string{"kind: s3, ", "kind: s3, sweeper_access_key: a, sweeper_secret_key: hunter2, sweeper_secret_key_file: /nowhere, "}},
	{"price negative", []string{"kind: s3, ", "kind: s3, request_prices: {write: -0.005}, "}},
	{"price not a number", []string{"kind: s3, ", "kind: s3, request_prices: {write: .nan, read: cheap}, "}},
	{"price with an exponent", []string{"kind: s3, ", "kind: s3, request_prices: {read: 4e-4}, "}},
	{"price out of bounds", []string{"kind: s3, ", "kind: s3, request_prices: {read: 100000}, "}},
	{"keep empty", []string{"rpo: 5m", "rpo: 5m\n    keep: {}"}},
	{"keep nothing", []string{"rpo: 5m", "rpo: 5m\n    keep: {last: 0, daily: 0}"}},
	{"keep negative", []string{"rpo: 5m", "rpo: 5m\n    keep: {last: 24, daily: -1}"}},
	{"keep not a number", []string{"rpo: 5m", "rpo: 5m\n    keep: {last: all}"}},
	{"keep a duration", []string{"rpo: 5m", "rpo: 5m\n    keep: {daily: 30d}"}},
	{"keep a number", []string{"rpo: 5m", "rpo: 5m\n    keep: 30"}},
	{"keep in other words", []string{"rpo: 5m", "rpo: 5m\n    keep: {days: 30}"}},
	{"suspect off without reason", []string{"rpo: 5m", "rpo: 5m\n    suspect: {off: \"\"}"}},
	{"suspect a number without its unit", []string{"rpo: 5m", "rpo: 5m\n    suspect: {rows_drop: 50}"}},
	{"suspect beyond all", []string{"rpo: 5m", "rpo: 5m\n    suspect: {rows_changed: 150%}"}},
	{"suspect min_rows zero", []string{"rpo: 5m", "rpo: 5m\n    suspect: {min_rows: 0}"}},
	{"suspect ignore without reason", []string{"rpo: 5m", "rpo: 5m\n    suspect: {ignore: [{table: payments.import_*}]}"}},
	{"suspect ignore of a schema", []string{"rpo: 5m", "rpo: 5m\n    suspect: {ignore: [{table: payments, reason: old}]}"}},
	{"canary of nothing", []string{"rpo: 5m", "rpo: 5m\n    suspect: {canary: {bird: {}}}"}},
	{"canary without key", []string{"rpo: 5m", "rpo: 5m\n    suspect: {canary: {bird: {table: payments.orders}}}"}},
	{"canary of two things", []string{"rpo: 5m", "rpo: 5m\n    suspect: {canary: {bird: {table: payments.orders, key: id = 1, sql: SELECT 1}}}"}},
	{"canary that writes", []string{"rpo: 5m", "rpo: 5m\n    suspect: {canary: {bird: {sql: DELETE FROM payments.orders}}}"}},
	{"canary of no table", []string{"rpo: 5m", "rpo: 5m\n    suspect: {canary: {bird: {table: orders, key: id = 1}}}"}},
	{"canary with a bad name", []string{"rpo: 5m", "rpo: 5m\n    suspect: {canary: {Bird: {sql: SELECT 1}}}"}},
	{"many at once", []string{"version: 1", "version: 3", "rpo: 5m", "rpo: soon", "kind: s3", "kind: s4", "rto: 4h", "rot: 4h"}},
}

func TestProblems(t *testing.T) {
	var all strings.Builder
	for _, c := range bad {
		_, err := Parse("test.yaml", []byte(edit(t, c.pairs...)), env)
		var ps Problems
		if !errors.As(err, &ps) || len(ps) == 0 {
			t.Errorf("%s: got %v, want problems", c.name, err)
			continue
		}
		if strings.Contains(strings.ToLower(strings.ReplaceAll(err.Error(), "age1hunter2", "")), "hunter2") {
			t.Errorf("%s: the error shows a secret: %v", c.name, err)
		}
		fmt.Fprintf(&all, "== %s\n%v\n\n", c.name, err)
	}
	golden(t, "problems.golden", all.String())
}

func TestVariables(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{"plain", "plain"},
		{"a$b$$c", "a$b$$c"},
		{"$", "$"},
		{"${ANY}", "hunter2"},
		{"a-${ANY}-${TEN}", "a-hunter2-10m"},
		{"${EMPTY}", ""},
		{"${EMPTY:-x}", "x"},
		{"${NOT_SET:-x y}", "x y"},
		{"${NOT_SET:-}", ""},
		{"$${ANY}", "${ANY}"},
		{"$${ANY} ${ANY}", "${ANY} hunter2"},
	} {
		if got, err := expand(c.raw, env); err != nil || got != c.want {
			t.Errorf("expand(%q) = %q, %v, want %q", c.raw, got, err, c.want)
		}
	}
	if cfg := mustParse(t, edit(t, "rpo: 5m", "rpo: ${TEN}")); cfg.Functions["payments"].RPO != 10*time.Minute {
		t.Errorf("rpo = %v, want 10m", cfg.Functions["payments"].RPO)
	}
}

func TestValuesAreNotExpandedTwice(t *testing.T) {
	getenv := func(string) (string, bool) { return "${ONSITE_KEY}: {x", true }
	cfg, err := Parse("x", []byte(base), getenv)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Sites["onsite"].SecretKey.Reveal(); got != "${ONSITE_KEY}: {x" {
		t.Errorf("secret_key = %q", got)
	}
}

func TestNumbersInTextsStayAsWritten(t *testing.T) {
	cfg := mustParse(t, edit(t, `"${ONSITE_KEY}"`, "0x10", `"${ONSITE_SECRET}"`, "1_000"))
	if s := cfg.Sites["onsite"]; s.AccessKey != "0x10" || s.SecretKey.Reveal() != "1_000" {
		t.Errorf("got %q and %q", s.AccessKey, s.SecretKey.Reveal())
	}
}

func TestAliases(t *testing.T) {
	cfg := mustParse(t, edit(t, "rto: 1h", "rto: &long 1h\n    prove: &often {every: 6h, level: L3}", "rto: 4h}", "rto: *long, prove: *often}"))
	got := cfg.Functions["catalog"]
	if got.RTO != time.Hour || got.Prove != (Prove{Every: 6 * time.Hour, Rotate: 30 * 24 * time.Hour, Level: "L3"}) {
		t.Errorf("got %+v", got)
	}
}

func TestChecks(t *testing.T) {
	cfg := mustParse(t, edit(t, "rpo: 5m", `rpo: 5m
    checks:
      - {name: balance, sql: "SELECT sum(amount) FROM pay.entries", expect: 0, same_at_source: true}
      - {name: recent, sql: "SELECT count(*) FROM pay.orders", expect: ">= 1"}
      - {name: view, sql: SELECT 1, expect: 1, skip: until March}`))
	f := cfg.Functions["payments"]
	if len(f.Checks) != 3 || f.Checks[0].Expect != "0" || !f.Checks[0].SameAtSource || f.Checks[1].SameAtSource || f.Checks[2].Skip != "until March" {
		t.Errorf("got %+v", f.Checks)
	}
	if f.Prove.Level != "L6" || cfg.Functions["catalog"].Prove.Level != "L5" {
		t.Errorf("levels %s and %s, want L6 with checks and L5 without", f.Prove.Level, cfg.Functions["catalog"].Prove.Level)
	}
	// printf %s 'SELECT 1' | sha256sum
	if got := f.Checks[2].Definition(); got != "e004ebd5b5532a4b85984a62f8ad48a81aa3460c1ca07701f386135d72cdecf5" {
		t.Errorf("definition %s", got)
	}
	cfg = mustParse(t, edit(t, "rpo: 5m", "rpo: 5m\n    checks: [{name: a, sql: SELECT 1, expect: 1, skip: later}]"))
	if got := cfg.Functions["payments"].Prove.Level; got != "L5" {
		t.Errorf("level %s with skipped checks only", got)
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "10s": 10 * time.Second, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "2d": 48 * time.Hour,
		"1d12h": 36 * time.Hour, "1w": 7 * 24 * time.Hour, "0.5d": 12 * time.Hour, "250ms": 250 * time.Millisecond, " 5m ": 5 * time.Minute,
	} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "5", "m", "-5m", "5 m", "5mm", "1y", "1e3s", "15251w", "292y", "9223372036854775807ns1s", "NaN", "Infs"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", s, got)
		}
	}
}

func secretFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil { // past the umask
		t.Fatal(err)
	}
	return file
}

func TestSecretsFromFiles(t *testing.T) {
	access, secret := secretFile(t, "key\n", 0o640), secretFile(t, "p4ss \n\n", 0o600)
	url := secretFile(t, "postgres://u:p@h/market\r\n", 0o400)
	cfg := mustParse(t, edit(t, `access_key: "${ONSITE_KEY}"`, "access_key_file: "+access, `secret_key: "${ONSITE_SECRET}"`, "secret_key_file: "+secret,
		`url: "postgres://backup:hunter2@db.internal/market"`, "url_file: "+url,
		"functions:", "scratch: {kind: database, url_file: "+url+"}\nfunctions:"))
	if s := cfg.Sites["onsite"]; s.AccessKey != "key" || s.SecretKey.Reveal() != "p4ss \n" {
		t.Errorf("keys %q and %q: want one line break cut off", s.AccessKey, s.SecretKey.Reveal())
	}
	if got := cfg.Sources["market"].URL.Reveal(); got != "postgres://u:p@h/market" {
		t.Errorf("source url %q", got)
	}
	if got := cfg.Scratch.URL.Reveal(); got != "postgres://u:p@h/market" {
		t.Errorf("scratch url %q", got)
	}
}

func TestSecretFilesThatAreRefused(t *testing.T) {
	for want, file := range map[string]string{
		"chmod 600":     secretFile(t, "hunter2", 0o604),
		"or changed":    secretFile(t, "hunter2", 0o602),
		"is empty":      secretFile(t, "\n", 0o600),
		"larger than":   secretFile(t, strings.Repeat("hunter2", 20_000), 0o600),
		"no such file":  "/nowhere/at/all",
		"not a regular": t.TempDir(),
	} {
		_, err := Parse("test.yaml", []byte(edit(t, `secret_key: "${ONSITE_SECRET}"`, "secret_key_file: "+file)), env)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("want an error with %q and without the secret, got: %v", want, err)
		}
	}
}

func TestEveryProblemCanBeFound(t *testing.T) {
	_, err := Parse("test.yaml", []byte(edit(t, "rpo: 5m", "rpo: x", "rto: 4h", "rto: y")), env)
	var p Problem
	if !errors.As(err, &p) || p.Path != "functions.payments.rpo" || p.Line != 15 || p.Column != 10 {
		t.Errorf("first problem: %+v", p)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	if _, err := Load("/nowhere/backupd.yaml"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--config") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte("version: 9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.HasPrefix(err.Error(), file+":1:") {
		t.Errorf("got %v", err)
	}
}

func TestSecretNeverShows(t *testing.T) {
	s := Secret("hunter2")
	for _, format := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%d", "%10s"} {
		for _, v := range []any{s, &s, []Secret{s}, Site{SecretKey: s}, map[string]Source{"a": {URL: s}}} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, "hunter2") || strings.Contains(got, "68756e74") {
				t.Errorf("%s shows %q", format, got)
			}
		}
	}
}

func TestOwnRecipientIsNoEscrow(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	own, file := id.Recipient().String(), secretFile(t, id.String()+"\n", 0o600)
	_, err = Parse("test.yaml", []byte(edit(t, "/etc/backupd/identity.txt", file, recipient, own)), env)
	if err == nil || !strings.Contains(err.Error(), "no second recipient") {
		t.Errorf("only its own recipient: got %v", err)
	}
	mustParse(t, edit(t, "/etc/backupd/identity.txt", file, recipient, own+", "+recipient))
}

package engine_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
)

// promising is a configuration in which every setting that promises something
// stands once.
const promising = `version: 1
data_dir: /var/lib/backupd
keys: {identity_file: /etc/backupd/identity.txt, recipients: [RECIPIENT], drill_identity_file: /etc/backupd/drill.txt}
sites:
  onsite: {kind: minio, endpoint: "http://10.0.0.5:9000", region: us-east-1, bucket: here, prefix: one, access_key: AKEY, secret_key: SKEY, lock: {mode: governance, for: 40d}}
  cloud: {kind: dir, path: /mnt/cloud}
sources: {market: {kind: postgres, url: "postgres://backup:PASSWORD@db.internal/market"}}
evidence:
  anchor:
    every: 26h
    mail: {to: audit@auditor.example, from: backupd@market.example, smtp: "localhost:25"}
    timestamp: {url: "http://stamps.example/tsa", roots: /etc/backupd/stamps.pem, every: 27h}
scrub: {every: 31d}
sweep: {every: 23h, grace: 25h}
drills: {controls_every: 8d}
min_sites: 2
functions:
  payments:
    source: market
    schemas: [payments, ledger]
    large_objects: true
    rpo: 20m
    rto: 3h
    priority: 7
    tolerate_failed_runs: 2
    cron: "*/2 * * * *"
    prove: {every: 11h, rotate: 12d, cold_every: 13d, level: L6}
    checks:
      - {name: balanced, sql: SELECT 1, expect: "= 0"}
      - {name: other, sql: SELECT 3, expect: "= 3", same_at_source: true}
    keep: {last: 1, hourly: 2, daily: 3, weekly: 4, monthly: 5, yearly: 6}
    suspect:
      rows_drop: 41%
      rows_changed: 42%
      min_rows: 43
      ignore: [{table: payments.carts, reason: emptied nightly}]
      canary: {seal: {table: payments.seal, key: id = 1}}
  accounts:
    source: market
    tables: [accounts.users]
    rpo: 20m
    rto: 3h
`

// weakened are changes of it, by the setting that each is of.
var weakened = map[string][2]string{
	"functions":                       {"  accounts:", "  customers:"},
	"functions.schemas":               {"[payments, ledger]", "[payments]"},
	"functions.tables":                {"accounts.users", "accounts.logins"},
	"functions.source":                {"source: market\n    tables", "source: second\n    tables"},
	"functions.large_objects":         {"large_objects: true", "large_objects: false"},
	"functions.rpo":                   {"rpo: 20m\n    rto: 3h\n    priority", "rpo: 30m\n    rto: 3h\n    priority"},
	"functions.rto":                   {"rto: 3h\n    priority", "rto: 9h\n    priority"},
	"functions.priority":              {"priority: 7", "priority: 8"},
	"functions.tolerate_failed_runs":  {"tolerate_failed_runs: 2", "tolerate_failed_runs: 0"},
	"functions.cron":                  {"*/2 * * * *", "*/3 * * * *"},
	"functions.prove.every":           {"every: 11h", "every: 12h"},
	"functions.prove.rotate":          {"rotate: 12d", "rotate: never"},
	"functions.prove.cold_every":      {"cold_every: 13d", "cold_every: never"},
	"functions.prove.level":           {"level: L6", "level: L2"},
	"functions.checks.name":           {"name: balanced", "name: unbalanced"},
	"functions.checks.sql":            {"SELECT 1", "SELECT 0"},
	"functions.checks.expect":         {`"= 0"`, `">= 0"`},
	"functions.checks.same_at_source": {", same_at_source: true", ""},
	"functions.checks.skip":           {`expect: "= 0"`, `expect: "= 0", skip: later`},
	"functions.keep.last":             {"last: 1", "last: 9"},
	"functions.keep.hourly":           {"hourly: 2", "hourly: 9"},
	"functions.keep.daily":            {"daily: 3", "daily: 9"},
	"functions.keep.weekly":           {"weekly: 4", "weekly: 9"},
	"functions.keep.monthly":          {"monthly: 5", "monthly: 9"},
	"functions.keep.yearly":           {"yearly: 6", "yearly: 9"},
	"functions.suspect.off":           {"rows_drop: 41%", "rows_drop: 41%\n      off: too loud"},
	"functions.suspect.rows_drop":     {"41%", "100%"},
	"functions.suspect.rows_changed":  {"42%", "100%"},
	"functions.suspect.min_rows":      {"min_rows: 43", "min_rows: 430"},
	"functions.suspect.ignore.table":  {"payments.carts", "payments.*"},
	"functions.suspect.ignore.reason": {"emptied nightly", "emptied daily"},
	"functions.suspect.canary":        {"{seal:", "{stamp:"},
	"functions.suspect.canary.table":  {"payments.seal", "payments.wax"},
	"functions.suspect.canary.key":    {"id = 1", "id = 2"},
	"functions.suspect.canary.sql":    {"{table: payments.seal, key: id = 1}", "{sql: SELECT 1}"},
	"sites":                           {"  cloud:", "  clouds:"},
	"sites.kind":                      {"kind: minio", "kind: s3"},
	"sites.endpoint":                  {"10.0.0.5", "10.0.0.6"},
	"sites.region":                    {"us-east-1", "us-east-2"},
	"sites.bucket":                    {"bucket: here", "bucket: there"},
	"sites.prefix":                    {"prefix: one", "prefix: two"},
	"sites.path":                      {"/mnt/cloud", "/tmp/cloud"},
	"sites.lock.mode":                 {"governance", "compliance"},
	"sites.lock.for":                  {"for: 40d", "for: 20d"},
	"sources.url":                     {"db.internal", "copy.internal"},
	"scrub.every":                     {"every: 31d", "every: never"},
	"sweep.grace":                     {"grace: 25h", "grace: 24h"},
	"drills.controls_every":           {"controls_every: 8d", "controls_every: never"},
	"evidence.anchor.every":           {"every: 26h", "every: 52h"},
	"evidence.anchor.mail.to":         {"audit@auditor", "nobody@auditor"},
	"evidence.anchor.timestamp.url":   {"stamps.example", "stamps.test"},
	"evidence.anchor.timestamp.every": {"every: 27h", "every: 54h"},
	"min_sites":                       {"min_sites: 2", "min_sites: 1"},
	"keys.recipients":                 {"[RECIPIENT]", "[RECIPIENT, SECOND]"},
	"keys.drill_identity_file":        {", drill_identity_file: /etc/backupd/drill.txt", ""},
}

// unpromised are the settings whose change takes nothing away from what is
// promised or shown, by prefix.
var unpromised = []string{
	"version", "data_dir", "keys.identity_file", "scratch", "spool", "parallel_snapshots", "sweep.every", "sweep.max_rewrite",
	"evidence.key_file", // what the log is signed with is on record by itself
	"evidence.anchor.mail.from", "evidence.anchor.mail.smtp", "evidence.anchor.mail.username", "evidence.anchor.mail.password",
	"evidence.anchor.timestamp.roots", // a stamp that they do not vouch for does not count
	"sites.access_key", "sites.secret_key", "sites.sweeper_", "sites.max_rate", "sites.request_prices",
	"sources.kind", "sources.url_file", "sources.connections", "sources.lock_timeout", "sources.max_snapshot_age", "sources.stall_timeout",
}

func promise(t *testing.T, text string) (*config.Config, *evidence.Policy) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backupd.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.Promise(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, p
}

// settings are the paths of all that can be set.
func settings(of reflect.Type, path string) (out []string) {
	for of.Kind() == reflect.Map || of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct {
		return []string{path}
	}
	for f := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(f).Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		out = append(out, settings(of.Field(f).Type, strings.TrimPrefix(path+"."+name, "."))...)
	}
	return out
}

// Every setting that promises something, or takes something of it away, is on
// record: whoever changes it leaves a trace, and nothing else does.
func TestEveryChangeOfThePromiseIsTold(t *testing.T) {
	base := strings.ReplaceAll(promising, "RECIPIENT", recipient(t))
	base = strings.Replace(base, "sources: {market: ", "sources: {second: {kind: postgres, url: \"postgres://b@db2/other\"}, market: ", 1)
	_, was := promise(t, base)
	for setting, change := range weakened {
		if setting == "keys.recipients" {
			change = [2]string{"recipients: [", "recipients: [" + recipient(t) + ", "}
		}
		text := strings.Replace(base, change[0], change[1], 1)
		if text == base {
			t.Errorf("%s: nothing to change", setting)
			continue
		}
		if _, now := promise(t, text); now.SHA256 == was.SHA256 {
			t.Errorf("%s: changed to %s, and nothing is told", setting, change[1])
		}
	}
	for _, setting := range settings(reflect.TypeFor[config.Config](), "") {
		_, told := weakened[setting]
		if left := slices.ContainsFunc(unpromised, func(p string) bool { return strings.HasPrefix(setting, p) }); told == left {
			t.Errorf("%s: told %v, said to promise nothing %v", setting, told, left)
		}
	}
	text, err := json.Marshal(was)
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{"10.0.0.5", "db.internal", "AKEY", "SKEY", "PASSWORD", "/mnt/cloud", "payments.seal", "SELECT"} {
		if strings.Contains(string(text), hidden) {
			t.Errorf("the record holds %s", hidden)
		}
	}
}

func recipient(t *testing.T) string {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id.Recipient().String()
}

// What would find faults and is switched off is warned of.
func TestWhatIsSwitchedOffIsWarnedOf(t *testing.T) {
	base := strings.ReplaceAll(promising, "RECIPIENT", recipient(t))
	cfg, _ := promise(t, base)
	if w := engine.SwitchedOff(cfg); len(w) > 0 {
		t.Errorf("with everything on: %q", w)
	}
	for setting, want := range map[string]string{
		"functions.suspect.off": "suspect.off", "functions.prove.rotate": "prove.rotate", "scrub.every": "scrub.every", "drills.controls_every": "drills.controls_every",
	} {
		cfg, _ := promise(t, strings.Replace(base, weakened[setting][0], weakened[setting][1], 1))
		w := engine.SwitchedOff(cfg)
		if len(w) != 1 || !strings.Contains(w[0], want) {
			t.Errorf("%s: %q", setting, w)
		}
	}
}

package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var examples = filepath.Join("..", "..", "configs")

func TestDocumentedConfiguration(t *testing.T) {
	for name, value := range map[string]string{"ONSITE_ACCESS_KEY": "key", "ONSITE_SECRET_KEY": "secret", "MARKET_PASSWORD": "p%40ss", "ESCROW_RECIPIENT": recipient} {
		t.Setenv(name, value)
	}
	cfg, err := Load(filepath.Join(examples, "backupd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Sources["market"].URL.Reveal(); got != "postgres://backup:p%40ss@db.internal/market" {
		t.Errorf("url %q", got)
	}
	want := Function{
		Name: "payments", Source: "market", Schemas: []string{"payments"}, RPO: 5 * time.Minute, RTO: time.Hour,
		Priority: 1, TolerateFailedRuns: 1, Prove: Prove{Every: 6 * time.Hour, Rotate: 30 * 24 * time.Hour, Level: "L5"},
		Suspect: Suspect{RowsDrop: 50, RowsChanged: 50, MinRows: 100},
	}
	if diff := cmp.Diff(want, cfg.Functions["payments"]); diff != "" {
		t.Errorf("payments (-want +got):\n%s", diff)
	}
}

// TestDocumentedConfigurationExplainsEveryKey: each key of the types stands in
// the documented file, in use or commented out, and its default is the true one.
func TestDocumentedConfigurationExplainsEveryKey(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(examples, "backupd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{Config{}, Keys{}, Evidence{}, Anchor{}, Mail{}, Site{}, Source{}, Function{}, Check{}, Prove{}, Scratch{}, Spool{}, Scrub{}, Sweep{}, Drills{}, Lock{}, RequestPrices{}, Keep{}, Suspect{}, Ignored{}, Canary{}} {
		for key := range fields(typeOf(v)) {
			if !regexp.MustCompile(`(?m)\b` + key + `\b`).Match(text) {
				t.Errorf("%T: nothing about %s", v, key)
			}
		}
	}
	// What may be left out without a default is right as it is shown.
	shown := string(text)
	for _, line := range []string{"drill_identity_file: /etc/backupd/drill.txt", "max_rate: 20MiB", "lock: {mode: compliance, for: 35d}", "keep: {last: 24, hourly: 48, daily: 30, weekly: 12, monthly: 24, yearly: 7}", "suspect: {rows_drop: 50%, rows_changed: 50%, min_rows: 100}"} {
		if !strings.Contains(shown, "# "+line+"\n") {
			t.Errorf("no commented line %q", line)
		}
		shown = strings.Replace(shown, "# "+line+"\n", line+"\n", 1)
	}
	shown = regexp.MustCompile(`(?m)^    # (checks:|  - | {4}[a-z])`).ReplaceAllString(shown, "    $1")
	if !strings.Contains(shown, "\n    checks:\n") {
		t.Error("no commented checks")
	}
	if _, err := Parse("backupd.yaml", []byte(shown), func(string) (string, bool) { return recipient, true }); err != nil {
		t.Error(err)
	}
	// With its defaults written out the file must mean the same.
	out := string(text)
	for _, line := range []string{
		"min_sites: 1", "parallel_snapshots: 2", "connections: 4", "lock_timeout: 5s", "max_snapshot_age: 1h", "stall_timeout: 5m", "large_objects: false", "level: L5", "rotate: 30d", "cold_every: never", "scratch: {kind: instance}",
		"spool: {max_bytes: 32GiB}", "scrub: {every: 30d}", "drills: {controls_every: 7d}", "evidence: {key_file: /etc/backupd/evidence.key, anchor: {every: 24h}}", "sweep: {every: 24h, grace: 24h, max_rewrite: 4GiB}", "request_prices: {write: 0.005, read: 0.0004}",
	} {
		if !strings.Contains(out, "# "+line+"\n") {
			t.Errorf("no commented line %q", line)
		}
		out = strings.Replace(out, "# "+line+"\n", line+"\n", 1)
	}
	getenv := func(string) (string, bool) { return recipient, true }
	short, err := Parse("backupd.yaml", text, getenv)
	if err != nil {
		t.Fatal(err)
	}
	long, err := Parse("backupd.yaml", []byte(out), getenv)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(short, long); diff != "" {
		t.Errorf("the commented defaults are not the defaults (-file +written out):\n%s", diff)
	}
}

func TestDemoConfiguration(t *testing.T) {
	for name, value := range map[string]string{
		"DEMO_DIR": "/tmp/demo", "DEMO_ESCROW_RECIPIENT": recipient, "DEMO_ACCESS_KEY": "demo", "DEMO_ONSITE_ENDPOINT": "http://127.0.0.1:1", "DEMO_CLOUD_ENDPOINT": "http://127.0.0.1:2",
		"DEMO_SECRET_KEY": "secret", "DEMO_SOURCE_URL": "postgres:///market?host=/tmp/demo/pg&port=5999",
	} {
		t.Setenv(name, value)
	}
	cfg, err := Load(filepath.Join(examples, "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rpo := map[string]time.Duration{}
	for name, f := range cfg.Functions {
		rpo[name] = f.RPO
	}
	want := map[string]time.Duration{"payments": 30 * time.Second, "accounts": time.Minute, "catalog": time.Minute}
	if diff := cmp.Diff(want, rpo); diff != "" {
		t.Errorf("RPOs (-want +got):\n%s", diff)
	}
	if cfg.DataDir != "/tmp/demo/data" || cfg.Sites["cloud"].Bucket != "backups" {
		t.Errorf("data_dir %s, bucket %s", cfg.DataDir, cfg.Sites["cloud"].Bucket)
	}
}

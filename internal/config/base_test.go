package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// base is a configuration without a problem; cases change single places of it.
const base = `version: 1
data_dir: /var/lib/backupd
keys:
  identity_file: /etc/backupd/identity.txt
  recipients: [age1tqlpze6zezq0e6vy6qfyl5s3u4tcgn8fq689jvcw7r4udexftgeqcf6zf8]
sites:
  onsite: {kind: minio, endpoint: "http://127.0.0.1:9000", bucket: backups, prefix: market, access_key: "${ONSITE_KEY}", secret_key: "${ONSITE_SECRET}"}
  cloud: {kind: s3, region: af-south-1, bucket: backups, prefix: market}
sources:
  market: {kind: postgres, url: "postgres://backup:hunter2@db.internal/market"}
functions:
  payments:
    source: market
    schemas: [payments]
    rpo: 5m
    rto: 1h
  catalog: {source: market, tables: ["catalog.products", "catalog.stock_*"], rpo: 15m, rto: 4h}
`

// env is the environment of the cases.
func env(name string) (string, bool) {
	v, ok := map[string]string{
		"ONSITE_KEY": "access-hunter2", "ONSITE_SECRET": "secret-hunter2", "EMPTY": "",
		"URL": "postgres://u:hunter2@h/market", "ANY": "hunter2", "TEN": "10m",
	}[name]
	return v, ok
}

// edit replaces old by new in base, and fails when old is not there.
func edit(t *testing.T, pairs ...string) string {
	t.Helper()
	s := base
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(s, pairs[i]) {
			t.Fatalf("base has no %q", pairs[i])
		}
		s = strings.Replace(s, pairs[i], pairs[i+1], 1)
	}
	return s
}

func mustParse(t *testing.T, data string) *Config {
	t.Helper()
	cfg, err := Parse("test.yaml", []byte(data), env)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return cfg
}

// golden compares got with testdata/name, or writes that with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); when that is wanted, run with -update:\n%s", file, diff)
	}
}

func TestParseFillsInDefaults(t *testing.T) {
	cfg := mustParse(t, base)
	want := &Config{
		Version: 1, DataDir: "/var/lib/backupd", MinSites: 1, ParallelSnapshots: 2,
		Spool: Spool{MaxBytes: 32 << 30}, Scrub: Scrub{Every: 30 * 24 * time.Hour}, Drills: Drills{ControlsEvery: 7 * 24 * time.Hour},
		Sweep:    Sweep{Every: 24 * time.Hour, Grace: 24 * time.Hour, MaxRewrite: 4 << 30},
		Evidence: Evidence{KeyFile: "/etc/backupd/evidence.key", Anchor: Anchor{Every: 24 * time.Hour}},
		Keys:     Keys{IdentityFile: "/etc/backupd/identity.txt", Recipients: []string{"age1tqlpze6zezq0e6vy6qfyl5s3u4tcgn8fq689jvcw7r4udexftgeqcf6zf8"}},
		Sites: map[string]Site{
			"onsite": {Kind: "minio", Endpoint: "http://127.0.0.1:9000", Bucket: "backups", Prefix: "market", AccessKey: "access-hunter2", SecretKey: "secret-hunter2"},
			"cloud":  {Kind: "s3", Region: "af-south-1", Bucket: "backups", Prefix: "market", RequestPrices: RequestPrices{Write: 0.005, Read: 0.0004}},
		},
		Sources: map[string]Source{"market": {
			Kind: "postgres", URL: "postgres://backup:hunter2@db.internal/market",
			Connections: 4, LockTimeout: 5 * time.Second, MaxSnapshotAge: time.Hour, StallTimeout: 5 * time.Minute,
		}},
		Functions: map[string]Function{
			"payments": {
				Name: "payments", Source: "market", Schemas: []string{"payments"}, RPO: 5 * time.Minute, RTO: time.Hour,
				Priority: 100, Prove: Prove{Every: 24 * time.Hour, Rotate: 30 * 24 * time.Hour, Level: "L5"}, Suspect: Suspect{RowsDrop: 50, RowsChanged: 50, MinRows: 100},
			},
			"catalog": {
				Name: "catalog", Source: "market", Tables: []string{"catalog.products", "catalog.stock_*"}, RPO: 15 * time.Minute, RTO: 4 * time.Hour,
				Priority: 100, Prove: Prove{Every: 24 * time.Hour, Rotate: 30 * 24 * time.Hour, Level: "L5"}, Suspect: Suspect{RowsDrop: 50, RowsChanged: 50, MinRows: 100},
			},
		},
		Scratch:   Scratch{Kind: "instance"},
		SiteOrder: []string{"onsite", "cloud"}, FunctionOrder: []string{"payments", "catalog"},
	}
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

package config

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]Size{
		"0": 0, "1": 1, "512": 512, "7B": 7, "512KiB": 512 << 10, "20MiB": 20 << 20, "32GiB": 32 << 30, "1TiB": 1 << 40,
		"1KB": 1000, "20MB": 20e6, "32GB": 32e9, "2TB": 2e12, "1.5GiB": 3 << 29, "0.25KiB": 256, "1.0005KB": 1000, " 5MiB ": 5 << 20,
	} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "GiB", "-1", "-1GiB", "+1", "1 GiB", "1gib", "1G", "1K", "1k", "1Gi", "1kB", "1PiB", "1.5", "1.GiB", ".5GiB", "1,5GiB", "1e3", "0x10", "1_000",
		"9223372036854775808", "9999999TiB", "1GiB/s", "1GiB1MiB", "NaNB",
	} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, got)
		}
	}
}

// TestSizeReadsWhatItWrites: a size shown to a person can be written back.
func TestSizeReadsWhatItWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Size(rapid.Int64Range(0, math.MaxInt64>>1).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "round") {
			s = Size(rapid.Int64Range(0, 1<<20).Draw(t, "count")) * Size(rapid.SampledFrom(sizeUnits).Draw(t, "unit").bytes)
		}
		got, err := ParseSize(s.String())
		if err != nil || got != s {
			t.Fatalf("%d is written %q and read %d, %v", int64(s), s, int64(got), err)
		}
	})
	if got := (32 * Size(1<<30)).String(); got != "32GiB" {
		t.Errorf("32GiB is written %q", got)
	}
}

// storageKeys give every key of storage a value that is not its default.
var storageKeys = []string{
	"version: 1", "version: 1\nspool: {max_bytes: 134217728}\nscrub: {every: never}\ndrills: {controls_every: never}\nsweep: {every: 6h, grace: 2h, max_rewrite: 0}",
	"kind: s3,", "kind: s3, max_rate: 20MiB, lock: {mode: governance, for: 14d}, sweeper_access_key: sweeper, sweeper_secret_key: \"${ONSITE_SECRET}\", request_prices: {read: 1},",
	"rto: 1h", "rto: 1h\n    keep: {last: 24, hourly: 48, daily: 30, weekly: 12, monthly: 24, yearly: 7}",
	"rto: 4h", "rto: 4h, keep: {daily: 7}",
}

func TestStorageKeys(t *testing.T) {
	cfg := mustParse(t, edit(t, storageKeys...))
	if diff := cmp.Diff(Spool{MaxBytes: 128 << 20}, cfg.Spool); diff != "" {
		t.Errorf("spool (-want +got):\n%s", diff)
	}
	if cfg.Drills.ControlsEvery != 0 {
		t.Errorf("drills.controls_every never = %v, want 0", cfg.Drills.ControlsEvery)
	}
	if cfg.Scrub.Every != 0 {
		t.Errorf("scrub.every never = %v, want 0", cfg.Scrub.Every)
	}
	if diff := cmp.Diff(Sweep{Every: 6 * time.Hour, Grace: 2 * time.Hour}, cfg.Sweep); diff != "" {
		t.Errorf("sweep (-want +got):\n%s", diff)
	}
	cloud := Site{
		Kind: "s3", Region: "af-south-1", Bucket: "backups", Prefix: "market", MaxRate: 20 << 20,
		Lock:             &Lock{Mode: "governance", For: 14 * 24 * time.Hour},
		SweeperAccessKey: "sweeper", SweeperSecretKey: "secret-hunter2",
		RequestPrices: RequestPrices{Write: 0.005, Read: 1},
	}
	if diff := cmp.Diff(cloud, cfg.Sites["cloud"]); diff != "" {
		t.Errorf("cloud (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&Keep{24, 48, 30, 12, 24, 7}, cfg.Functions["payments"].Keep); diff != "" {
		t.Errorf("keep (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&Keep{Daily: 7}, cfg.Functions["catalog"].Keep); diff != "" {
		t.Errorf("keep (-want +got):\n%s", diff)
	}
}

func TestSweeperKeyFromFiles(t *testing.T) {
	access, secret := secretFile(t, "key\n", 0o640), secretFile(t, "p4ss\n", 0o600)
	cfg := mustParse(t, edit(t, "kind: s3,", "kind: s3, sweeper_access_key_file: "+access+", sweeper_secret_key_file: "+secret+","))
	if s := cfg.Sites["cloud"]; s.SweeperAccessKey != "key" || s.SweeperSecretKey.Reveal() != "p4ss" || s.AccessKey != "" {
		t.Errorf("got %q and %q", s.SweeperAccessKey, s.SweeperSecretKey.Reveal())
	}
}

func TestPricesOfOtherServicesAreNotGuessed(t *testing.T) {
	cfg := mustParse(t, edit(t, "kind: s3,", `kind: s3, endpoint: "https://s3.example.net",`))
	for name, site := range cfg.Sites {
		if site.RequestPrices != (RequestPrices{}) {
			t.Errorf("%s: %v", name, site.RequestPrices)
		}
	}
}

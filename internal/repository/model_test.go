package repository

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"
	"time"

	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/storage"
)

// modelFor is how long the model runs: `go test -run TestModel -model.for 1h`.
var modelFor = flag.Duration("model.for", 20*time.Second, "how long the model test of the repository runs")

// rawStore is what a site of the model is kept in.
type rawStore = storage.Store

// TestModel interleaves snapshots, crashes, outages, damage, prunes, sweeps and
// rebuilds at random, and checks after every step that each snapshot that a
// site claims restores from it byte for byte, that nothing is gone that must
// stay, and at the end that the repository comes to rest.
func TestModel(t *testing.T) {
	base := modelDir(t)
	counts := &modelCounts{}
	mustSet(t, "rapid.checks", "4")
	mustSet(t, "rapid.steps", "70")
	for start := time.Now(); time.Since(start) < *modelFor && !t.Failed(); {
		rapid.Check(t, func(r *rapid.T) {
			cryptotest.SetGlobalRandom(t, 1)
			runModel(t, r, base, counts)
		})
	}
	t.Logf("model: %+v", *counts)
}

func runModel(t *testing.T, r *rapid.T, base string, counts *modelCounts) {
	t.Helper()
	if err := os.RemoveAll(base); err != nil {
		t.Fatal(err)
	}
	counts.Cases++
	raw := func(site string) rawStore { return openDir(t, site, filepath.Join(base, site)) }
	m := newMachine(r, base, raw, counts)
	watchPoints(m)
	defer func() {
		for _, c := range m.captures {
			c.abandon()
		}
		_ = m.cat.Close() // it may be closed
	}()
	if rapid.IntRange(0, 3).Draw(r, "bounded spool") == 0 {
		m.spoolMax = maxSmall + 4_000
		m.restart(r)
	}
	r.Repeat(m.actions())
	m.settle(r)
}

// modelDir is in memory where there is such a place: the model does not try
// losses of power, and a sync of a disk would be all that it waits for.
func modelDir(t *testing.T) string {
	t.Helper()
	parent := "/dev/shm"
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "backupd-model-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			_ = os.RemoveAll(dir)
		}
	})
	return filepath.Join(dir, "case")
}

func mustSet(t *testing.T, name, value string) {
	t.Helper()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSpendMeasuresProcessAndChildren(t *testing.T) {
	// 64 MiB in the child, and some work in both.
	script := `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; head -c 67108864 /dev/zero | tail -c 67108864 | wc -c`
	c, out, err := spend(t.Context(), exec.Command("sh", "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(out)) != "67108864" {
		t.Fatalf("%q", out)
	}
	if c.Wall <= 0 || c.CPU <= 0 || c.CPU > 20*c.Wall {
		t.Errorf("%+v", c)
	}
	if c.PeakRSS <= 0 || c.PeakTree < 32<<20 || c.PeakRSS > c.PeakTree {
		t.Errorf("memory: %d of the process, %d with its children", c.PeakRSS, c.PeakTree)
	}
}

func TestSpendRefusesFailure(t *testing.T) {
	_, _, err := spend(t.Context(), exec.Command("sh", "-c", "echo broken >&2; exit 3"))
	if err == nil || !strings.Contains(err.Error(), "broken") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
}

func TestProcessorCountsUp(t *testing.T) {
	before, err := processor(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-c", `i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done`).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	after, err := processor(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after <= before {
		t.Errorf("%v, then %v with a child that worked", before, after)
	}
}

func TestDiskUsage(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o750); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"x": 100, "a/y": 20, "a/b/z": 3} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := diskUsage(dir); err != nil || got != 123 {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := diskUsage(filepath.Join(dir, "absent")); err == nil {
		t.Error("a folder that is not there takes no space and is no error")
	}
}

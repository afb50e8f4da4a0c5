package soak

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/saypro/backupd/internal/crash"
)

// The product holds nothing of the points: no variable ends it.
func TestProductHasNoPoints(t *testing.T) {
	t.Parallel()
	product := filepath.Join(t.TempDir(), "backupd")
	if err := goBuild(product); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{product: false, program(t): true} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"BACKUPD_CRASH", string(crash.CommitKept)} {
			if got := bytes.Contains(b, []byte(text)); got != want {
				t.Errorf("%s contains %s: %t", path, text, got)
			}
		}
	}
}

// A point that is written wrongly is an error, not a test that passes.
func TestUnknownPointIsRefused(t *testing.T) {
	t.Parallel()
	w := &world{t: t, bin: program(t), dir: t.TempDir()}
	for _, order := range []string{"no-such-point", "pack-kept:0", "pack-kept:1:2", "random:1", "random:x:0.1"} {
		if o := w.run(order, "version"); o.code != 64 {
			t.Errorf("%s: %s", order, o)
		}
	}
}

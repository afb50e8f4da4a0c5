package soak

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var build struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if build.dir != "" {
		_ = os.RemoveAll(build.dir)
	}
	os.Exit(code)
}

// program builds backupd with its points of crash, once, and returns its path.
func program(t testing.TB) string {
	t.Helper()
	build.once.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "backupd-soak-"); build.err != nil {
			return
		}
		build.err = goBuild(filepath.Join(build.dir, "backupd"), "-tags", "crash")
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return filepath.Join(build.dir, "backupd")
}

func goBuild(path string, flags ...string) error {
	args := append(append([]string{"build"}, flags...), "-o", path, "../../cmd/backupd")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// seed returns where the randomness of a test begins: SOAK_SEED, or the clock.
// It is printed, so that a run can be had again.
func seed(t testing.TB) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if text := os.Getenv("SOAK_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &n); err != nil {
			t.Fatalf("SOAK_SEED=%s: %v", text, err)
		}
	}
	t.Logf("SOAK_SEED=%d", n)
	return n
}

package e2e

import (
	"os"
	"os/exec"
	"testing"
)

// mountSmall puts a file system of 256 KiB where dir is, so that writing there
// runs out of space for real. It needs root.
func mountSmall(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("this test needs the right to mount a small file system; run it as root: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", dir, err, out)
		}
	})
}

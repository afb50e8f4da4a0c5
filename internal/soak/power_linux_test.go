package soak

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/saypro/backupd/internal/testenv"
)

// disk is an ext4 file system of its own that can lose its power.
type disk struct {
	t     testing.TB
	image string
	dir   string // where it is mounted
}

// newDisk makes a small file system. It needs root.
func newDisk(t testing.TB) *disk {
	t.Helper()
	base := t.TempDir()
	d := &disk{t: t, image: filepath.Join(base, "image"), dir: filepath.Join(base, "disk")}
	f, err := os.Create(d.image)
	if err == nil {
		err = f.Truncate(256 << 20)
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Mkdir(d.dir, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.command("mkfs.ext4", "-q", "-F", "-J", "size=8", d.image)
	d.mount()
	t.Cleanup(func() { _ = exec.Command("umount", "-l", d.dir).Run() }) // it may be unmounted already
	return d
}

func (d *disk) command(name string, args ...string) {
	d.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		d.t.Fatalf("%s %s: %v: %s\nthis test makes a file system and mounts it: run it as root", name, strings.Join(args, " "), err, out)
	}
}

// mount mounts it so that as much as possible is lost with the power: the
// journal is written when somebody asks for it and not every five seconds, and
// a rename does not write out the file.
func (d *disk) mount() {
	d.t.Helper()
	d.command("mount", "-o", "loop,commit=300,noauto_da_alloc", d.image, d.dir)
}

// The request that ends an ext4 file system at once, and the way that leaves
// the journal as it is on the disk.
const (
	ext4Shutdown        = 0x8004587d // _IOR('X', 125, __u32)
	withoutLogFlush int = 2
)

// cut takes the power away: nothing that is not on the disk by now gets there.
func (d *disk) cut() {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ext4Shutdown, withoutLogFlush); err != nil {
		d.t.Fatalf("the file system cannot be shut down: %v", err)
	}
}

// restore gives the power back, and the disk is as it was found at its loss.
func (d *disk) restore() {
	d.t.Helper()
	// Somebody may still have a file open: a child of the killed program.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Unmount(d.dir, 0)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			d.t.Fatalf("umount %s: %v", d.dir, err)
		}
	}
	d.mount()
}

// TestDiskLosesWhatWasNotSynced shows that the disk does what the test below
// takes it to do.
func TestDiskLosesWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	write := func(name string, sync bool) {
		f, err := os.Create(filepath.Join(d.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("content"); err != nil {
			t.Fatal(err)
		}
		if sync {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write("synced", true)
	write("unsynced", false)
	if err := os.Rename(filepath.Join(d.dir, "synced"), filepath.Join(d.dir, "renamed")); err != nil {
		t.Fatal(err)
	}
	d.cut()
	d.restore()
	if b, err := os.ReadFile(filepath.Join(d.dir, "synced")); err != nil || string(b) != "content" {
		t.Errorf("what was synced: %q, %v", b, err)
	}
	for _, name := range []string{"unsynced", "renamed"} {
		if _, err := os.Stat(filepath.Join(d.dir, name)); err == nil {
			t.Errorf("%s is there, although nobody synced that", name)
		}
	}
}

// freeze stops a call between two instructions.
func (c *call) freeze() {
	c.w.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return // it has ended
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
		_, state, _ := strings.Cut(string(stat), ") ")
		if err != nil || strings.HasPrefix(state, "T") || strings.HasPrefix(state, "Z") {
			return
		}
		if time.Now().After(end) {
			c.w.t.Fatalf("it cannot be stopped: %s", stat)
		}
	}
}

// losePower takes the power away from the program and its disk at one moment.
func (w *world) losePower(d *disk, c *call) outcome {
	w.t.Helper()
	c.freeze()
	d.cut()
	c.kill()
	d.restore()
	w.tally.count(w.tally.faults, "power loss")
	return c.outcome()
}

// What the program has said is so after the power went and came back.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	rnd := rand.New(rand.NewPCG(seed(t), 3))
	w.startTraffic(rnd.Uint64())
	w.data, w.ident = filepath.Join(d.dir, "data"), filepath.Join(d.dir, "identity.txt")
	w.configure()
	w.must("", "init")
	w.losePower(d, w.begin("", "version"))
	w.watch()
	w.must("", "snapshot")
	w.powerLosses(d, rnd, 12)
	w.settle()
}

// A folder that is a site is on the disk that loses its power: what it has taken
// is there afterwards.
func TestPowerLossOfAFolder(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	rnd := rand.New(rand.NewPCG(seed(t), 4))
	w.startTraffic(rnd.Uint64())
	w.data = filepath.Join(d.dir, "data")
	folder := filepath.Join(d.dir, "site")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	w.sites[0] = &site{Site: &testenv.Site{Name: "onsite"}, folder: folder}
	w.configure()
	w.must("", "init")
	w.losePower(d, w.begin("", "version"))
	w.watch()
	for range 8 {
		c := w.begin("", "snapshot", "--json")
		if rnd.IntN(2) > 0 {
			c.over(time.Duration(rnd.IntN(500)) * time.Millisecond)
		} else {
			c.end()
		}
		w.note(w.losePower(d, c))
		w.check()
		w.spoolHasAll()
	}
	w.settle()
}

func (w *world) powerLosses(d *disk, rnd *rand.Rand, rounds int) {
	w.t.Helper()
	for range rounds {
		away := rnd.IntN(2) == 0
		if w.refuse(); away {
			w.refuse("onsite", "cloud")
		}
		w.tally.count(w.tally.operations, "snapshot")
		c := w.begin("", "snapshot", "--json")
		if rnd.IntN(3) > 0 {
			c.over(time.Duration(rnd.IntN(400)) * time.Millisecond)
		} else {
			c.end() // the moment after it has spoken
		}
		o := w.losePower(d, c)
		if results := w.note(o); len(results) > 0 && away {
			for _, r := range results {
				if r.Sites["onsite"].State != "spooled" {
					w.t.Fatalf("sites that refuse: %s", o)
				}
			}
		}
		w.check()
		w.spoolHasAll()
		if rnd.IntN(4) == 0 {
			w.refuse()
			w.settle()
		}
	}
	w.refuse()
}

// spoolHasAll checks that everything that waits for a site is in the spool, or
// at the other site; keys are in the catalog.
func (w *world) spoolHasAll() {
	w.t.Helper()
	c := w.openCatalog()
	if c == nil {
		return
	}
	defer c.Close()
	for i, s := range w.sites {
		entries, err := c.Waiting(s.Name)
		if err != nil {
			w.violation("outbox of %s: %v", s.Name, err)
		}
		for _, e := range entries {
			b, err := os.ReadFile(filepath.Join(w.data, "spool", strings.ReplaceAll(e.Name, "/", "+")))
			if strings.HasPrefix(e.Name, "keys/") {
				b, err = c.WrappedKey(e.Name) // keys wait in the catalog itself
			} else if errors.Is(err, os.ErrNotExist) {
				b, err = w.sites[1-i].auditor.reader.get(context.Background(), e.Name)
			}
			if err != nil || sha256.Sum256(b) != e.SHA256 {
				w.violation("%s waits for site %s and nobody has it: %d bytes, %v", e.Name, s.Name, len(b), err)
			}
		}
	}
}

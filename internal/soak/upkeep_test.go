package soak

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/testenv"
)

func TestInitKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.startTraffic(seed(t))
	for _, point := range initPoints {
		w.killAt(point, "init")
	}
	w.start()
	w.settle()
}

// file returns where the cloud keeps an object.
func (w *world) file(name string) string {
	s := w.sites[1]
	return s.File(w.t, s.prefix, name)
}

// unacknowledged makes an object that the cloud holds and the program does not
// know to be there, and returns its name.
func (w *world) unacknowledged() string {
	w.t.Helper()
	for range 20 {
		w.killAt(crash.UploadPut, "snapshot", "--json")
		c := w.openCatalog()
		entries, err := c.Waiting("cloud")
		if err != nil {
			w.t.Fatal(err)
		}
		c.Close()
		for _, e := range entries {
			if _, err := os.Stat(w.file(e.Name)); err == nil {
				return e.Name
			}
		}
		w.settle()
	}
	w.t.Fatal("the cloud never had anything that was not acknowledged")
	return ""
}

// A damaged object is replaced, and a full spool makes room, wherever the
// program is killed meanwhile.
func TestUpkeepKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.startTraffic(seed(t))
	w.start()
	w.settle()
	for _, point := range []crash.Name{crash.MendDeleted, crash.MendPut} {
		name := w.unacknowledged()
		w.flip(w.file(name))
		w.killSoon(point, "snapshot", "--json")
		w.check()
		w.settle()
	}
	w.spool = "128MiB"
	w.refuse("cloud")
	w.killSoon(crash.SpoolEvicted, "snapshot", "--json")
	w.spoolHasAll()
	w.check()
	w.refuse()
	w.settle()
}

// A site that knows of a recovery point that the catalog has forgotten, and one
// that has lost what it had taken, are brought in step, wherever the program is
// killed meanwhile.
func TestComparisonKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.startTraffic(seed(t))
	w.start()
	w.settle()
	w.refuse("cloud")
	w.note(w.run("", "snapshot", "--json")) // at one site only
	w.refuse()
	w.loseHost("cloud")
	w.killAt(crash.CompareAdopted, "sync")
	w.check()
	w.settle()

	var lost string
	for _, s := range w.sites[1].auditor.claims {
		lost = w.file("p/" + s.snapshots[0].Packs[0].SHA256[:2] + "/" + s.snapshots[0].Packs[0].SHA256)
	}
	if err := os.Remove(lost); err != nil {
		t.Fatal(err)
	}
	w.killAt(crash.CompareDoubted, "sync")
	w.catalogIsWhole()
	w.settle()
}

// somePack returns the file of a pack that the cloud holds and needs.
func (w *world) somePack(rnd *rand.Rand) string {
	claims := w.sites[1].auditor.claims
	names := slices.Sorted(maps.Keys(claims))
	packs := claims[names[rnd.IntN(len(names))]].snapshots[0].Packs
	p := packs[rnd.IntN(len(packs))]
	return w.file("p/" + p.SHA256[:2] + "/" + p.SHA256)
}

// flip changes a byte in the middle of a file.
func (w *world) flip(path string) {
	w.t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		b[len(b)/2] ^= 1
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// A site that was away is given what waits, and the program is killed after each
// few objects: what the site claims is whole at every step.
func TestCatchingUpKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.startTraffic(seed(t))
	w.start()
	w.settle()
	for _, away := range []string{"cloud", "onsite"} {
		w.refuse(away)
		for range 3 {
			w.note(w.run("", "snapshot", "--json"))
		}
		w.refuse()
		kills := 0
		for w.run(string(crash.UploadAcknowledged), "sync").killed {
			kills++
			w.run(string(crash.UploadPut)+":2", "sync")
			w.check()
			w.spoolHasAll()
		}
		if kills < 6 {
			t.Errorf("there were only %d steps", kills)
		}
	}
	w.settle()
}

// What a site has lost or holds wrongly is put right from the other, wherever
// the program is killed meanwhile.
func TestScrubKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	n := seed(t)
	rnd := rand.New(rand.NewPCG(n, 5))
	w.startTraffic(n)
	w.start()
	w.settle()
	w.settle()
	for _, point := range append(slices.Clone(scrubPoints), crash.MendDeleted, crash.MendPut) {
		w.flip(w.somePack(rnd))
		w.killAt(point, "scrub", "cloud", "--all")
		w.scrubbed()
		if err := os.Remove(w.somePack(rnd)); err != nil {
			t.Fatal(err)
		}
		w.killAt(crash.ScrubDoubted, "scrub", "cloud", "--all")
		w.scrubbed()
	}
	w.settle()
}

// scrubbed lets a scrub do its work in peace, and looks at all of the cloud.
func (w *world) scrubbed() {
	w.t.Helper()
	if o := w.run("", "scrub", "cloud", "--all"); o.code != 0 && o.code != 3 {
		w.violation("status 0 or 3 was wanted: %s", o)
	}
	w.must("", "scrub", "cloud", "--all")
	w.sites[1].afresh()
	w.check()
}

// A new key is put to use, wherever the program is killed meanwhile: what a site
// holds is opened with the keys that it holds.
func TestKeyRotationKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.startTraffic(seed(t))
	w.start()
	w.settle()
	for _, point := range slices.Concat(keyPoints, markPoints) {
		w.killAt(point, "key", "rotate")
		w.check()
		w.note(w.must("", "snapshot", "--json"))
		w.check()
	}
	w.must("", "key", "rotate")
	w.settle()
	w.rebuild()
}

// Recovery points are given up and deleted, and mostly dead packs written anew,
// wherever the program is killed meanwhile: what a site still claims is whole.
func TestSweepKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.keep = ", keep: {last: 2}"
	w.configure()
	w.startTraffic(seed(t))
	w.start()
	w.settle()
	for id := range w.sites[0].auditor.snapshots() {
		for _, point := range markPoints {
			w.killAt(point, "hold", id, "--reason", "test")
			w.check()
		}
		// Most of its pack is dead when it goes: a part never changes.
		w.must("", "hold", id, "--reason", "test")
		w.must("", "release", id)
		break
	}
	for _, point := range sweepPoints {
		w.killSweep(point)
		w.check()
	}
	w.must("", "sweep")
	w.settle()
	w.rebuild()
	if n := w.tally.deleted["recovery points"]; n < 10 {
		t.Errorf("only %d recovery points were deleted", n)
	}
}

// killSweep takes and gives up recovery points until there is something to do
// for a sweep that comes by the point.
func (w *world) killSweep(point crash.Name) {
	w.t.Helper()
	for range 10 {
		w.note(w.must("", "snapshot", "--json"))
		w.must("", "prune")
		time.Sleep(1100 * time.Millisecond) // the time of grace
		w.tally.count(w.tally.operations, "sweep")
		o := w.run(string(point), "sweep")
		if o.killed {
			w.tally.count(w.tally.kills, o.point)
			return
		}
		if o.code != 0 {
			w.t.Fatalf("status 0 was wanted: %s", o)
		}
	}
	w.t.Errorf("it never came by %s", point)
}

// loseHost loses everything but the sites and the escrow, and makes the catalog
// anew from one of them.
func (w *world) loseHost(from string) {
	w.t.Helper()
	if err := os.RemoveAll(w.data); err != nil {
		w.t.Fatal(err)
	}
	w.must("", "catalog", "rebuild", "--from", from)
}

package repository

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage/faulty"
)

// flawed puts stores that can be made to fail in the place of the sites' and
// opens the repository with them.
func (b *bench) flawed(t *testing.T) map[string]*faulty.Store {
	t.Helper()
	out := map[string]*faulty.Store{}
	sites := slices.Clone(b.options.Sites)
	for i, site := range sites {
		out[site.Name] = faulty.New(site.Store, site.Name).WithClock(b.clock)
		sites[i].Store = out[site.Name]
	}
	b.reopen(t, sites...)
	return out
}

// until waits for something to come true while time passes.
func (b *bench) until(t *testing.T, ok func() bool) {
	t.Helper()
	waitFor(t, func() bool { b.clock.Advance(time.Second); return ok() })
}

func (b *bench) failing(t *testing.T, site string) bool {
	t.Helper()
	health, err := b.Health()
	if err != nil {
		t.Fatal(err)
	}
	return health[site].Failing
}

// all tells whether a site holds all of the snapshots.
func (b *bench) all(t *testing.T, site string, snaps []*Snapshot) bool {
	t.Helper()
	for _, s := range snaps {
		info, err := b.Info(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if info.Sites[site].State != StateDurable {
			return false
		}
	}
	return true
}

// A site that was away for long is given its commits from the newest to the
// oldest, so that its exposure falls with the first of them.
func TestExposureFallsWithTheFirstCommit(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	stores := b.flawed(t)
	stores["cloud"].SetDown(true)
	var snaps []*Snapshot
	rows := someRows(rnd, 500)
	for range 20 {
		b.clock.Advance(15 * time.Minute)
		rows = append(rows, someRows(rnd, 50)...)
		snaps = append(snaps, b.write(t, "payments", map[string][]byte{"t": rows}))
	}
	b.until(t, func() bool { return b.all(t, "onsite", snaps) && b.failing(t, "cloud") })
	sent := &recorder{Store: stores["cloud"]}
	b.reopen(t, b.options.Sites[0], Site{Name: "cloud", Store: sent})
	stores["cloud"].SetDown(false)
	b.until(t, func() bool { return b.all(t, "cloud", snaps) })
	var commits, want []string
	before := 0
	for _, name := range sent.names() {
		if strings.HasPrefix(name, "c/") {
			commits = append(commits, name)
		} else if len(commits) == 0 {
			before++
		}
	}
	for _, s := range slices.Backward(snaps) {
		info, err := b.Info(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, info.Commit)
	}
	if !slices.Equal(commits, want) {
		t.Errorf("commits came in the order %v, want %v", commits, want)
	}
	if before > len(snaps[19].Packs) {
		t.Errorf("%d objects came before the newest commit, which names %d packs", before, len(snaps[19].Packs))
	}
}

// small bounds the spool so that a few small packs fill it: what is free must
// always be enough for a whole one.
const small = packTarget + 2<<20

func (b *bench) bounded(t *testing.T) map[string]*faulty.Store {
	t.Helper()
	b.options.SpoolMax = small
	return b.flawed(t)
}

func (b *bench) spooled(t *testing.T) (bytes int64) {
	t.Helper()
	files, err := b.spool.oldestFirst()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		bytes += f.Size()
	}
	return bytes
}

// With one site away snapshots go on for as long as the other takes them,
// however little may wait, and the first gets everything from there.
func TestSpoolIsBoundedWhileASiteIsAway(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	stores := b.bounded(t)
	stores["cloud"].SetDown(true)
	b.until(t, func() bool { return b.failing(t, "cloud") })
	var snaps []*Snapshot
	for range 12 {
		b.clock.Advance(time.Minute)
		snaps = append(snaps, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)}))
		if used, most := b.Spool(); used > most || used != b.spooled(t) {
			t.Fatalf("%d bytes are said to wait, %d do, %d may", used, b.spooled(t), most)
		}
	}
	b.until(t, func() bool { return b.all(t, "onsite", snaps) })
	left := 0
	for _, s := range snaps {
		for _, p := range s.Packs {
			if _, err := os.Stat(b.spool.path(catalog.PackName(p.SHA256))); err == nil {
				left++
			}
		}
	}
	if left == len(snaps) {
		t.Error("nothing has left the spool: it was not bounded by it")
	}
	stores["cloud"].SetDown(false)
	b.until(t, func() bool { return b.all(t, "cloud", snaps) })
	if n := b.spooled(t); n != 0 {
		t.Errorf("%d bytes wait for nobody", n)
	}
}

// When no site takes its copies a snapshot that does not fit fails and says
// why, and nothing is dropped.
func TestSpoolFull(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	stores := b.bounded(t)
	for _, s := range stores {
		s.SetDown(true)
	}
	b.until(t, func() bool { return b.failing(t, "cloud") && b.failing(t, "onsite") })
	var snaps []*Snapshot
	var full error
	for full == nil {
		b.clock.Advance(time.Minute)
		snap, err := b.tryWrite(t.Context(), "payments", map[string][]byte{"t": someRows(rnd, 3000)})
		if full = err; err == nil {
			snaps = append(snaps, snap)
		}
		if len(snaps) > 100 {
			t.Fatal("it is not bounded")
		}
	}
	if !errors.Is(full, ErrSpoolFull) || len(snaps) == 0 {
		t.Fatalf("after %d snapshots: %v", len(snaps), full)
	}
	for _, word := range []string{"onsite", "cloud", "spool.max_bytes", "site is down"} {
		if !strings.Contains(full.Error(), word) {
			t.Errorf("the error does not name %q: %v", word, full)
		}
	}
	b.reopen(t, b.options.Sites...) // a restart drops nothing either
	for _, s := range stores {
		s.SetDown(false)
	}
	b.until(t, func() bool { return b.all(t, "cloud", snaps) && b.all(t, "onsite", snaps) })
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)}))
}

// A capture waits for a site that takes its copies, if slowly.
func TestCaptureWaitsForASlowSite(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	stores := b.bounded(t)
	stores["cloud"].SetDown(true)
	b.until(t, func() bool { return b.failing(t, "cloud") })
	stores["onsite"].Inject(faulty.Rule{Op: "put", Name: "p/*/*", Latency: 20 * time.Second})
	stop := b.tick()
	start := b.clock.Now()
	var snaps []*Snapshot
	for range 12 {
		snaps = append(snaps, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)}))
		if used, most := b.Spool(); used > most {
			t.Fatalf("%d bytes wait, %d may", used, most)
		}
	}
	stop()
	if waited := b.clock.Now().Sub(start); waited < 20*time.Second {
		t.Errorf("12 snapshots took %v: none waited", waited)
	}
	stores["cloud"].SetDown(false)
	b.until(t, func() bool { return b.all(t, "cloud", snaps) && b.all(t, "onsite", snaps) })
}

// A pack that rots in the spool before any site has it is lost. That holds up
// nothing else, no site claims what it cannot give, and the next snapshot writes
// anew what it held.
func TestPackLostInTheSpool(t *testing.T) {
	for what, spoil := range map[string]func(path string) error{
		"removed": os.Remove,
		"rotten":  func(path string) error { return os.WriteFile(path, make([]byte, 1000), 0o600) },
	} {
		t.Run(what, func(t *testing.T) {
			b, rnd := newBench(t), seeded(t)
			stores := b.flawed(t)
			for _, s := range stores {
				s.SetDown(true)
			}
			rows := someRows(rnd, 2000)
			lost := b.write(t, "payments", map[string][]byte{"t": rows})
			pack := catalog.PackName(lost.Packs[0].SHA256)
			other := b.write(t, "accounts", map[string][]byte{"t": someRows(rnd, 2000)})
			if err := spoil(b.spool.path(pack)); err != nil {
				t.Fatal(err)
			}
			for _, s := range stores {
				s.SetDown(false)
			}
			both := func(s ...*Snapshot) func() bool {
				return func() bool { return b.all(t, "onsite", s) && b.all(t, "cloud", s) }
			}
			b.until(t, both(other))
			b.until(t, func() bool { is, err := b.catalog.Lost(pack); return err == nil && is })
			info, err := b.Info(lost.ID)
			if err != nil || info.Holders() > 0 {
				t.Errorf("the snapshot is %+v (%v)", info.Sites, err)
			}
			for site, at := range info.Sites {
				if !strings.Contains(at.Error, "lost") {
					t.Errorf("site %s: %+v", site, at)
				}
				if _, err := os.Stat(filepath.Join(b.roots[site], info.Commit)); !os.IsNotExist(err) {
					t.Errorf("site %s has the commit: %v", site, err)
				}
			}
			next := b.write(t, "payments", map[string][]byte{"t": rows})
			b.until(t, both(next))
			b.until(t, func() bool { left, err := b.catalog.Backlog("cloud"); return err == nil && left.Objects == 0 })
		})
	}
}

// An object that a site holds wrongly and does not let go of holds up what
// needs it, and nothing else; when somebody has seen to it the rest follows.
func TestObjectThatASiteDoesNotLetGo(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.reopen(t, b.options.Sites[0], Site{Name: "cloud", Store: keeper{b.options.Sites[1].Store}})
	b.stop()
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 2000)})
	other := b.write(t, "accounts", map[string][]byte{"t": someRows(rnd, 2000)})
	pack := filepath.Join(b.roots["cloud"], catalog.PackName(snap.Packs[0].SHA256))
	if err := errors.Join(os.MkdirAll(filepath.Dir(pack), 0o700), os.WriteFile(pack, []byte("somebody else's"), 0o600)); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	b.durable(t, other)
	b.until(t, func() bool { return b.all(t, "onsite", []*Snapshot{snap}) })
	waitFor(t, func() bool {
		info, err := b.Info(snap.ID)
		return err == nil && strings.Contains(info.Sites["cloud"].Error, "sweeper_access_key")
	})
	b.inStep(t)
	if b.failing(t, "cloud") || b.all(t, "cloud", []*Snapshot{snap}) {
		t.Error("the site is said to fail, or to hold the snapshot")
	}
	if err := os.Remove(pack); err != nil {
		t.Fatal(err)
	}
	b.inStep(t)
	b.durable(t, snap)
}

// A comparison finds what is missing, what has another length and what nobody
// knows, and says how much of each.
func TestComparisonFindsWhatIsNotInStep(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	var snaps []*Snapshot
	for range 4 {
		b.clock.Advance(time.Minute)
		snaps = append(snaps, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 1000)}))
	}
	for _, s := range snaps {
		b.durable(t, s)
	}
	b.lose(t, catalog.PackName(snaps[0].Packs[0].SHA256), "cloud")
	last, err := b.Info(snaps[3].ID)
	if err != nil {
		t.Fatal(err)
	}
	b.lose(t, last.Commit, "cloud")
	b.rewrite(t, "cloud", ownPack(t, snaps[1], snaps[0]), func(b []byte) []byte { return b[:100] })
	b.rewrite(t, "cloud", ownPack(t, snaps[2], snaps[0]), func([]byte) []byte { return nil })
	for name, content := range map[string]string{
		"c/2026/03/01/120000.000-0badcafe-1": "no commit", "g/2026/03/01/120000.000-0badcafe-1": "no mark",
		"p/00/" + strings.Repeat("0", 64): "a pack of nobody", "readme.txt": "left by somebody",
	} {
		path := filepath.Join(b.roots["cloud"], name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	found, err := b.Sync(t.Context(), nil, time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := found["cloud"]; c.Missing != 2 || c.Wrong != 2 || c.Adopted != 0 || len(c.Problems) != 2 {
		t.Errorf("compared with the cloud: %+v", c)
	}
	if c := found["onsite"]; c.Missing+c.Wrong+c.Adopted+len(c.Problems) > 0 {
		t.Errorf("compared with onsite: %+v", c)
	}
	for _, s := range snaps {
		b.durable(t, s)
	}
	if found, err = b.Sync(t.Context(), nil, time.Minute, nil); err != nil || found["cloud"].Missing+found["cloud"].Wrong > 0 {
		t.Errorf("compared again: %+v (%v)", found["cloud"], err)
	}
}

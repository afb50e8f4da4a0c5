package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/faulty"
	"github.com/saypro/backupd/internal/suspicion"
	"github.com/saypro/backupd/internal/testenv"
)

// chance is a repository to which things happen by chance.
type chance struct {
	*bench
	rnd    *rand.Rand
	stores map[string]*faulty.Store
	sound  map[string]storage.Store // the same without faults
	down   string                   // the site that is away; empty when none is
	rows   map[string][][]byte
	did    []string
	ends   []func() // of faults
	next   uint64   // record of the log of evidence
}

func newChance(t *testing.T, rnd *rand.Rand, stores map[string]storage.Store) *chance {
	t.Helper()
	c := &chance{rnd: rnd, sound: stores, stores: map[string]*faulty.Store{}, rows: map[string][][]byte{}}
	wrapped := map[string]storage.Store{}
	for name, store := range stores {
		c.stores[name] = faulty.New(store, name)
		wrapped[name] = c.stores[name]
	}
	c.bench = newBenchOn(t, wrapped)
	for _, function := range []string{"payments", "accounts"} {
		c.rows[function] = bytes.SplitAfter(someRows(rnd, 300), []byte("\n"))
	}
	t.Cleanup(func() {
		for _, end := range c.ends {
			end()
		}
		c.comeBack(t)
		if t.Failed() {
			t.Logf("what was done: %s", strings.Join(c.did, ", "))
		}
	})
	return c
}

func (c *chance) log(format string, args ...any) { c.did = append(c.did, fmt.Sprintf(format, args...)) }

// act does one thing.
func (c *chance) act(t *testing.T) {
	t.Helper()
	acts := []func(*testing.T){
		c.snapshot, c.snapshot, c.snapshot, c.failedCapture, c.goAway, c.comeBack, c.flaky,
		c.evidence, c.evidence, c.hold, c.clear, c.condemn, c.condemn, c.sweepNow, c.sweepNow, c.rot, c.restart, c.letTimePass, c.letTimePass,
	}
	acts[c.rnd.IntN(len(acts))](t)
}

func (c *chance) snapshot(t *testing.T) {
	function := []string{"payments", "accounts"}[c.rnd.IntN(2)]
	rows := c.rows[function]
	from := c.rnd.IntN(len(rows))
	for i := from; i < min(len(rows), from+50); i++ {
		rows[i] = fmt.Appendf(nil, "%d\t%x\n", i, c.rnd.Uint64())
	}
	c.suspect = nil
	if c.rnd.IntN(4) == 0 {
		c.suspect = []suspicion.Signal{{Kind: suspicion.RowsChanged, Table: "t", After: 1, Limit: 0.5, Detail: "in table t everything changed"}}
	}
	snap := c.write(t, function, map[string][]byte{"t": bytes.Join(rows, nil), "u": []byte("1\n")})
	c.log("snapshot %s, suspect: %t", snap.ID, c.suspect != nil)
}

// failedCapture leaves packs that no commit names.
func (c *chance) failedCapture(t *testing.T) {
	broken := errors.New("source went away")
	err := c.Write(t.Context(), func(_ context.Context, w *Writer) error {
		if _, err := writeTable(w, "t", someRows(c.rnd, 100)); err != nil {
			return err
		}
		return errors.Join(w.packer.finish(), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	c.log("a capture failed")
}

func (c *chance) evidence(t *testing.T) {
	n := 1 + c.rnd.IntN(40)
	c.log("evidence %s", c.publish(t, c.next, n).Name())
	c.next += uint64(n)
}

func (c *chance) goAway(*testing.T) {
	if c.down != "" {
		return
	}
	c.down = []string{"onsite", "cloud"}[c.rnd.IntN(2)]
	c.stores[c.down].SetDown(true)
	c.log("%s went away", c.down)
}

func (c *chance) comeBack(*testing.T) {
	if c.down == "" {
		return
	}
	c.stores[c.down].SetDown(false)
	c.log("%s came back", c.down)
	c.down = ""
}

// flaky lets a few requests fail, some of them after they were done.
func (c *chance) flaky(*testing.T) {
	site := []string{"onsite", "cloud"}[c.rnd.IntN(2)]
	end := c.stores[site].Inject(faulty.Rule{
		Op: []string{"put", "get", "stat", "delete", "list"}[c.rnd.IntN(5)], Err: errors.New("connection reset"),
		Times: 1 + c.rnd.IntN(3), After: c.rnd.IntN(2) == 0,
	})
	c.ends = append(c.ends, end)
	c.log("%s is flaky", site)
}

// any returns a snapshot.
func (c *chance) any(t *testing.T) (SnapshotInfo, bool) {
	t.Helper()
	var all []SnapshotInfo
	if err := c.Snapshots("", func(s SnapshotInfo) bool { all = append(all, s); return true }); err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return SnapshotInfo{}, false
	}
	return all[c.rnd.IntN(len(all))], true
}

func (c *chance) hold(t *testing.T) {
	s, ok := c.any(t)
	if !ok {
		return
	}
	reason := []string{"", "an audit"}[c.rnd.IntN(2)]
	if err := c.Hold(t.Context(), s.ID, reason); err != nil {
		t.Fatal(err)
	}
	if after, err := c.Info(s.ID); err != nil || after.Held != reason || after.Cleared != s.Cleared {
		t.Fatalf("%s was cleared because of %q, and is %+v (%v)", s.ID, s.Cleared, after, err)
	}
	c.log("hold %s %q", s.ID, reason)
}

func (c *chance) clear(t *testing.T) {
	s, ok := c.any(t)
	if !ok {
		return
	}
	err := c.Clear(t.Context(), s.ID, "judged")
	if err != nil && !errors.Is(err, ErrNotSuspect) {
		t.Fatal(err)
	}
	after, infoErr := c.Info(s.ID)
	if infoErr != nil || err == nil && (after.Cleared != "judged" || after.Held != s.Held || len(after.Suspect) == 0) {
		t.Fatalf("%s was held because of %q, and is %+v (%v)", s.ID, s.Held, after, infoErr)
	}
	c.log("clear %s (%v)", s.ID, err)
}

func (c *chance) condemn(t *testing.T) {
	s, ok := c.any(t)
	if !ok {
		return
	}
	err := c.Condemn(t.Context(), map[string]string{s.ID: "no rule keeps it"})
	if err != nil && !errors.Is(err, ErrFloor) {
		t.Fatal(err)
	}
	c.log("condemn %s (%v)", s.ID, err)
}

func (c *chance) sweepNow(t *testing.T) {
	if c.rnd.IntN(2) == 0 {
		c.settle(t)
	}
	out, err := c.Sweep(t.Context(), SweepOptions{Grace: time.Hour, MaxRewrite: 1 << 30}, nil)
	c.log("sweep %+v (%v)", out, err)
}

// rot damages an object at one site, and lets a scrub find it.
func (c *chance) rot(t *testing.T) {
	if c.down != "" || len(c.roots) == 0 {
		return
	}
	c.settle(t)
	site := []string{"onsite", "cloud"}[c.rnd.IntN(2)]
	objects := slices.Concat(c.objects(t, site, "p"), c.objects(t, site, "c"), c.objects(t, site, "v"))
	if len(objects) == 0 {
		return
	}
	name, err := filepath.Rel(c.roots[site], objects[c.rnd.IntN(len(objects))])
	if err != nil {
		t.Fatal(err)
	}
	c.rewrite(t, site, name, flipped)
	stop := c.tick()
	out, err := c.Scrub(t.Context(), ScrubOptions{Sites: []string{site}, All: true, Patience: time.Hour}, noProgress)
	stop()
	c.log("%s rots at %s: %d found, %d mended (%v)", name, site, out[site].Bad, out[site].Mended, err)
	if err == nil && out[site].Mended == 0 {
		t.Errorf("not put right: %+v", out[site])
	}
}

func (c *chance) restart(t *testing.T) {
	c.reopen(t, c.options.Sites...)
	c.log("restart")
}

func (c *chance) letTimePass(*testing.T) {
	d := time.Duration(c.rnd.IntN(int(2 * time.Hour)))
	if c.rnd.IntN(5) == 0 {
		d = -d / 4
	}
	c.clock.Advance(d)
	c.log("%v pass", d)
}

// settle waits until the sites that are there hold everything.
func (c *chance) settle(t *testing.T) {
	t.Helper()
	waitFor(t, func() bool {
		c.clock.Advance(20 * time.Second)
		health, err := c.Health()
		if err != nil {
			t.Fatal(err)
		}
		for site, h := range health {
			if site != c.down && (h.Failing || h.Objects > 0) {
				return false
			}
		}
		return true
	})
	c.log("settled")
}

// compareRebuilt demands that a catalog rebuilt from either site is the live
// one, or when a site lags a part of it that is whole in itself.
func (c *chance) compareRebuilt(t *testing.T) {
	t.Helper()
	c.settle(t)
	live := dump(t, c.Repository)
	for _, site := range c.options.Sites {
		site.Store = c.sound[site.Name]
		r, out := c.rebuilt(t, site)
		got := dump(t, r)
		if len(out.Damaged) > 0 {
			t.Errorf("rebuilt from %s: %+v", site.Name, out)
		}
		c.wholeInItself(t, r, site.Name)
		backlog, err := c.catalog.Backlog(site.Name)
		if err != nil {
			t.Fatal(err)
		}
		if backlog.Objects > 0 || strings.Contains(live, "deleting true") || strings.Contains(live, `"deleting":true`) {
			c.partOf(t, site.Name, live, got)
			continue
		}
		if got != live {
			t.Errorf("rebuilt from %s (-live +rebuilt):\n%s", site.Name, lines(live, got))
		}
	}
	c.log("compared")
}

// partOf demands that all that was rebuilt is known to the live catalog, and
// that what that says of the site is in it.
func (c *chance) partOf(t *testing.T, site, live, got string) {
	t.Helper()
	first := func(line string) string { return strings.Join(strings.Fields(line + " x x")[:2], " ") }
	known := map[string]bool{}
	for line := range strings.Lines(live) {
		known[first(line)] = true
	}
	for line := range strings.Lines(got) {
		kind := strings.Fields(line)[0]
		if slices.Contains([]string{"pack", "chunk", "object"}, kind) && !known[first(line)] {
			t.Errorf("rebuilt from %s, which lags: the live catalog does not know %s", site, line)
		}
	}
	err := c.Snapshots("", func(s SnapshotInfo) bool {
		if s.Sites[site].State == StateDurable && !strings.Contains(got, s.ID) {
			t.Errorf("rebuilt from %s, which lags and claims snapshot %s: it is not in it", site, s.ID)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}

// wholeInItself demands that every snapshot of a rebuilt catalog can be read
// from its site alone.
func (c *chance) wholeInItself(t *testing.T, r *Repository, site string) {
	t.Helper()
	if err := r.catalog.Verify(); err != nil {
		t.Error(err)
	}
	evidence, err := r.EvidenceObjects()
	if err != nil {
		t.Error(err)
	}
	readsEvidence(t, r, site, evidence...)
	alone := *c.bench
	alone.Repository = r
	err = r.Snapshots("", func(s SnapshotInfo) bool {
		for _, p := range alone.check(t, s.ID, site) {
			t.Errorf("rebuilt from %s: snapshot %s: %s", site, s.ID, p)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
}

func (c *chance) live(t *testing.T, steps int) {
	t.Helper()
	for i := range steps {
		c.act(t)
		if i%12 == 11 {
			c.compareRebuilt(t)
		}
		if t.Failed() {
			return
		}
	}
	c.comeBack(t)
	c.settle(t)
	stop := c.tick()
	c.inStep(t)
	stop()
	c.compareRebuilt(t)
}

// tick lets time pass in the background until stop is called.
func (b *bench) tick() (stop func()) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
				b.clock.Advance(time.Second)
			}
		}
	}()
	return func() { close(done); <-over }
}

// Whatever happens, a catalog rebuilt from one site is the one rebuilt from the
// other and the live one, less the history of this host.
func TestRebuiltIsLive(t *testing.T) {
	rnd := seeded(t)
	for range 3 {
		seed := rnd.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			base := keptDir(t)
			stores := map[string]storage.Store{}
			for _, name := range []string{"onsite", "cloud"} {
				stores[name] = openDir(t, name, filepath.Join(base, name))
			}
			c := newChance(t, rand.New(rand.NewPCG(seed, 2)), stores)
			for _, name := range c.siteNames() {
				c.roots[name] = filepath.Join(base, name)
			}
			c.live(t, 36)
		})
	}
}

func TestRebuiltIsLiveOnServers(t *testing.T) {
	pair := testenv.Sites(t)
	stores := map[string]storage.Store{"onsite": pair.Onsite.Store(t), "cloud": pair.Cloud.Store(t)}
	newChance(t, seeded(t), stores).live(t, 24)
}

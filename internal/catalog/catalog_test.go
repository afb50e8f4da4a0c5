package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

var sites = []string{"cloud", "onsite"}

func open(t *testing.T) *Catalog {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Verify(); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func pack(n uint64) (Pack, string, []Chunk) {
	p := Pack{SHA256: sha256.Sum256(binary.BigEndian.AppendUint64(nil, n)), Size: 1000}
	var chunks []Chunk
	for i := range uint64(3) {
		ch := Chunk{Offset: uint32(48 + i*100), Stored: 100, Raw: 300}
		binary.BigEndian.PutUint64(ch.ID[:], n*1_000_003+i*7)
		chunks = append(chunks, ch)
	}
	return p, PackName(p.SHA256), chunks
}

func TestOneProcessAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownFormatIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	err = c.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put([]byte("format"), be64(99)) })
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrFormat) {
		t.Errorf("opened a catalog of format 99: %v", err)
	}
}

func TestChunksAreFoundWhereTheyLie(t *testing.T) {
	c := open(t)
	p, name, chunks := pack(1)
	first, err := c.AddPack(p, name, chunks, sites)
	if err != nil {
		t.Fatal(err)
	}
	at, ok, err := c.Find(chunks[1].ID)
	want := Location{Pack: first, Offset: chunks[1].Offset, Stored: 100, Raw: 300}
	if err != nil || !ok || at != want {
		t.Errorf("found %+v %t %v, want %+v", at, ok, err, want)
	}
	if _, ok, err := c.Find([32]byte{0xff}); ok || err != nil {
		t.Errorf("found what is not there: %v", err)
	}
	// A chunk of two packs is found in both.
	p2, name2, more := pack(2)
	second, err := c.AddPack(p2, name2, append(more, chunks[0]), sites)
	if err != nil {
		t.Fatal(err)
	}
	places, err := c.Places(chunks[0].ID)
	if err != nil || len(places) != 2 || places[0].Pack+places[1].Pack != first+second {
		t.Errorf("places %+v (%v)", places, err)
	}
	got, err := c.PackAt(second)
	if err != nil || got != p2 {
		t.Errorf("pack %+v (%v)", got, err)
	}
}

func TestSnapshotByPrefix(t *testing.T) {
	c := open(t)
	for i, id := range []string{"aa11", "aa22", "bb33"} {
		if err := c.AddSnapshot(someSnapshot(id, "payments", i), sites); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, want := range map[string]string{"b": "bb33", "aa1": "aa11", "aa22": "aa22", "aa": "", "c": "", "": ""} {
		s, err := c.Snapshot(prefix)
		switch {
		case want == "" && !errors.Is(err, ErrNotFound):
			t.Errorf("%q: %v", prefix, err)
		case want != "" && (err != nil || s.ID != want):
			t.Errorf("%q: %v %v", prefix, s, err)
		}
	}
}

func someSnapshot(id, function string, minute int) Snapshot {
	at := time.Date(2026, 3, 1, 0, minute, 0, 0, time.UTC)
	return Snapshot{
		ID: id, Function: function, RecoveryPoint: at, Created: at, Commit: fmt.Sprintf("c/%05d-%s", minute, id),
		CommitSize: 10, Manifest: json.RawMessage(`{}`),
	}
}

func TestNewestPointFirst(t *testing.T) {
	c := open(t)
	for i := range 20 {
		for _, f := range []string{"accounts", "payments", "payments2"} {
			if err := c.AddSnapshot(someSnapshot(fmt.Sprintf("%s%02d", f, i), f, i), sites); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range []string{"accounts", "payments", "payments2"} {
		var got []string
		err := c.Snapshots(f, func(s *Snapshot) bool { got = append(got, s.ID); return len(got) < 3 })
		want := []string{f + "19", f + "18", f + "17"}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %s (%v)", f, diff, err)
		}
	}
	n := 0
	if err := c.Snapshots("", func(*Snapshot) bool { n++; return true }); err != nil || n != 60 {
		t.Errorf("all: %d (%v)", n, err)
	}
	if err := c.Snapshots("nobody", func(s *Snapshot) bool { t.Errorf("found %s", s.ID); return true }); err != nil {
		t.Error(err)
	}
}

// A callback may use the catalog while the file grows under it.
func TestCallbacksMayUseTheCatalog(t *testing.T) {
	c := open(t)
	for i := range 3 * pageSize {
		if err := c.AddSnapshot(someSnapshot(fmt.Sprintf("%04d", i), "payments", i), sites); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	err := c.Snapshots("payments", func(s *Snapshot) bool {
		if want := fmt.Sprintf("%04d", 3*pageSize-1-seen); s.ID != want {
			t.Errorf("snapshot %s where %s comes", s.ID, want)
		}
		seen++
		if err := c.SetMeta(s.ID, make([]byte, 64<<10)); err != nil {
			t.Error(err)
		}
		_, err := c.Manifest(s.ID)
		return err == nil
	})
	if err != nil || seen != 3*pageSize {
		t.Errorf("saw %d of %d (%v)", seen, 3*pageSize, err)
	}
	oldest, ok, err := c.Oldest("payments")
	if err != nil || !ok || !oldest.Equal(someSnapshot("", "", 0).RecoveryPoint) {
		t.Errorf("the oldest is of %s %t (%v)", oldest, ok, err)
	}
	if _, ok, err := c.Oldest("pay"); ok || err != nil {
		t.Errorf("a function without recovery points has an oldest one (%v)", err)
	}
}

func TestRunsAndProofs(t *testing.T) {
	c := open(t)
	first, second := Run{Kind: RunSnapshot, Function: "payments"}, Run{Kind: RunRestore, Function: "payments"}
	for _, r := range []*Run{&first, &second} {
		if err := c.PutRun(r); err != nil || r.Sequence == 0 {
			t.Fatal(r.Sequence, err)
		}
	}
	first.Ended, first.Error = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), "broken"
	if err := c.PutRun(&first); err != nil {
		t.Fatal(err)
	}
	var got []Run
	if err := c.Runs(func(r *Run) bool { got = append(got, *r); return true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Run{second, first}, got); diff != "" {
		t.Error(diff)
	}
	proof := Proof{Function: "payments", Site: "cloud", Level: "L5", Passed: true}
	if err := c.PutProof(&proof); err != nil {
		t.Fatal(err)
	}
	if err := c.Proofs(func(p *Proof) bool {
		if p.Level != "L5" || !p.Passed {
			t.Errorf("proof came back as %+v", p)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
}

// model is what the outboxes must hold after any sequence of operations: what
// waits for each site, and which commits it has acknowledged.
type model struct {
	box     map[string]map[string]bool
	durable map[string]map[string]bool // snapshot → sites
	packs   []string
	commits []Snapshot // in their order
	keys    int
}

// TestOutboxModel runs random operations, crashes included, beside a model.
func TestOutboxModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.db")
	cases := 0
	rapid.Check(t, func(t *rapid.T) {
		cases++
		c, err := Open(fmt.Sprintf("%s-%d", path, cases))
		if err != nil {
			t.Fatal(err)
		}
		c.db.NoSync = true // a crash of the machine is not what this is about
		defer func() { _ = c.Close() }()
		m := &model{box: map[string]map[string]bool{"cloud": {}, "onsite": {}}, durable: map[string]map[string]bool{}}
		for _, s := range sites {
			if _, err := c.AddSite(s); err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"pack":                  func(t *rapid.T) { m.addPack(t, c) },
			"snapshot":              func(t *rapid.T) { m.addSnapshot(t, c) },
			"key":                   func(t *rapid.T) { m.addKey(t, c) },
			"acknowledge":           func(t *rapid.T) { m.acknowledge(t, c, rapid.SampledFrom(sites).Draw(t, "site")) },
			"reset":                 func(t *rapid.T) { m.reset(t, c, rapid.SampledFrom(sites).Draw(t, "site")) },
			"doubt":                 func(t *rapid.T) { m.doubt(t, c, rapid.SampledFrom(sites).Draw(t, "site")) },
			"":                      func(t *rapid.T) { m.check(t, c) },
			"take out and put back": func(t *rapid.T) { m.putBack(t, c, rapid.SampledFrom(sites).Draw(t, "site")) },
		})
	})
}

func (m *model) queue(name string) {
	for _, box := range m.box {
		box[name] = true
	}
}

func (m *model) addPack(t *rapid.T, c *Catalog) {
	p, name, chunks := pack(uint64(len(m.packs)))
	if n, err := c.AddPack(p, name, chunks, sites); err != nil || int(n) != len(m.packs)+1 {
		t.Fatal(n, err)
	}
	m.packs = append(m.packs, name)
	m.queue(name)
}

func (m *model) addKey(t *rapid.T, c *Catalog) {
	m.keys++
	name := fmt.Sprintf("keys/%04d.age", m.keys)
	if err := c.AddObject(Object{Kind: KindKey, Name: name, Size: 5}, sites); err != nil {
		t.Fatal(err)
	}
	m.queue(name)
}

func (m *model) addSnapshot(t *rapid.T, c *Catalog) {
	s := someSnapshot(fmt.Sprintf("%06d", len(m.commits)), "payments", len(m.commits))
	for n := range m.packs {
		if rapid.Bool().Draw(t, "needed") {
			s.Packs = append(s.Packs, uint32(n+1))
		}
	}
	if err := c.AddSnapshot(s, sites); err != nil {
		t.Fatal(err)
	}
	m.commits = append(m.commits, s)
	m.durable[s.ID] = map[string]bool{}
	m.queue(s.Commit)
}

// next checks what is sent next: keys first, then the newest commit that waits,
// behind all that it names.
func (m *model) next(t *rapid.T, c *Catalog, site string) []Entry {
	entries, err := c.Next(site, rapid.IntRange(1, 3).Draw(t, "limit"))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 && len(m.box[site]) > 0 {
		t.Fatalf("%d objects wait for %s and none is next", len(m.box[site]), site)
	}
	for _, e := range entries {
		if !m.box[site][e.Name] {
			t.Fatalf("%s is sent to %s and does not wait for it", e.Name, site)
		}
	}
	if len(entries) == 0 || entries[0].Kind == KindKey {
		return entries
	}
	for i := len(m.commits) - 1; i >= 0; i-- {
		s := m.commits[i]
		if !m.box[site][s.Commit] {
			continue
		}
		for _, n := range s.Packs {
			if name := m.packs[n-1]; m.box[site][name] && entries[0].Kind == KindCommit {
				t.Fatalf("commit %s is sent before %s", entries[0].Name, name)
			}
		}
		if entries[0].Kind == KindCommit && (len(entries) != 1 || entries[0].Snapshot != s.ID) {
			t.Fatalf("%d entries with commit %s are sent, the newest is %s", len(entries), entries[0].Name, s.Commit)
		}
		break
	}
	return entries
}

func (m *model) acknowledge(t *rapid.T, c *Catalog, site string) {
	entries := m.next(t, c, site)
	if len(entries) == 0 {
		return
	}
	free, err := c.Acknowledge(site, entries, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		delete(m.box[site], e.Name)
		waiting := false
		for _, box := range m.box {
			waiting = waiting || box[e.Name]
		}
		if slices.Contains(free, e.Name) == waiting {
			t.Fatalf("%s: free %v, but another site waits for it: %t", e.Name, free, waiting)
		}
		if e.Kind == KindCommit {
			m.durable[e.Snapshot][site] = true
		}
	}
	if again, err := c.Acknowledge(site, entries, time.Now(), time.Time{}); len(again) > 0 || err != nil {
		t.Fatalf("acknowledged twice: %v %v", again, err)
	}
}

// everything is queued for a site.
func (m *model) everything(site string) {
	m.box[site] = map[string]bool{}
	for _, name := range m.packs {
		m.box[site][name] = true
	}
	for _, s := range m.commits {
		m.box[site][s.Commit] = true
	}
	for n := range m.keys {
		m.box[site][fmt.Sprintf("keys/%04d.age", n+1)] = true
	}
	for _, at := range m.durable {
		delete(at, site)
	}
}

func (m *model) reset(t *rapid.T, c *Catalog, site string) {
	if _, err := c.ResetSite(site); err != nil {
		t.Fatal(err)
	}
	m.everything(site)
}

// doubt finds a pack missing at a site.
func (m *model) doubt(t *rapid.T, c *Catalog, site string) {
	if len(m.packs) == 0 {
		return
	}
	name := rapid.SampledFrom(m.packs).Draw(t, "pack")
	queued, err := c.Doubt(Fault{Site: site, Name: name, Detail: "missing", Found: "compare"})
	if err != nil || queued == m.box[site][name] {
		t.Fatalf("queued %t (%v)", queued, err)
	}
	m.box[site][name] = true
}

// putBack takes a site out of the configuration, goes on without it, and puts
// it back.
func (m *model) putBack(t *rapid.T, c *Catalog, site string) {
	others := slices.DeleteFunc(slices.Clone(sites), func(s string) bool { return s == site })
	if err := c.KeepSites(others); err != nil {
		t.Fatal(err)
	}
	if entries, err := c.Next(site, 1); err != nil || len(entries) != 0 {
		t.Fatalf("a site that is gone has %v waiting (%v)", entries, err)
	}
	p, name, chunks := pack(uint64(len(m.packs)))
	if _, err := c.AddPack(p, name, chunks, others); err != nil {
		t.Fatal(err)
	}
	m.packs = append(m.packs, name)
	m.queue(name)
	if _, err := c.AddSite(site); err != nil {
		t.Fatal(err)
	}
	m.everything(site)
}

func (m *model) check(t *rapid.T, c *Catalog) {
	if err := c.Verify(); err != nil {
		t.Fatal(err)
	}
	for site, want := range m.box {
		backlog, err := c.Backlog(site)
		if err != nil || backlog.Objects != len(want) {
			t.Fatalf("%d objects wait for %s, want %d (%v)", backlog.Objects, site, len(want), err)
		}
		for name := range want {
			if waiting, err := c.Waits(site, name); err != nil || !waiting {
				t.Fatalf("%s does not wait for %s (%v)", name, site, err)
			}
		}
		m.checkHoldings(t, c, site)
	}
	for id, want := range m.durable {
		s, err := c.Snapshot(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, site := range sites {
			if _, ok := s.Durable[site]; ok != want[site] {
				t.Fatalf("snapshot %s durable at %s: %t, want %t", id, site, ok, want[site])
			}
		}
	}
}

// checkHoldings checks that a site must hold exactly what does not wait for it.
func (m *model) checkHoldings(t *rapid.T, c *Catalog, site string) {
	held, after := map[string]bool{}, ""
	for {
		page, err := c.Holdings(site, after, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range page {
			if h.Name <= after || m.box[site][h.Name] {
				t.Fatalf("holding %s behind %s, waiting %t", h.Name, after, m.box[site][h.Name])
			}
			after, held[h.Name] = h.Name, true
		}
		if len(page) == 0 {
			break
		}
	}
	if n := len(m.packs) + len(m.commits) + m.keys - len(m.box[site]); len(held) != n {
		t.Fatalf("site %s must hold %d objects, the catalog says %d", site, n, len(held))
	}
}

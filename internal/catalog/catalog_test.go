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
	ordinals, err := c.AddPack(p, name, chunks, sites)
	if err != nil || len(ordinals) != 1 {
		t.Fatal(ordinals, err)
	}
	at, ok, err := c.Find(chunks[1].ID)
	want := Location{Pack: ordinals[0], Offset: chunks[1].Offset, Stored: 100, Raw: 300}
	if err != nil || !ok || at != want {
		t.Errorf("found %+v %t %v, want %+v", at, ok, err, want)
	}
	if _, ok, err := c.Find([32]byte{0xff}); ok || err != nil {
		t.Errorf("found what is not there: %v", err)
	}
	// A second pack with one of the chunks names the first one too.
	p2, name2, more := pack(2)
	ordinals, err = c.AddPack(p2, name2, append(more, chunks[0]), sites)
	if err != nil || len(ordinals) != 2 {
		t.Errorf("packs %v (%v)", ordinals, err)
	}
	got, err := c.PackAt(ordinals[1])
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

// model is what the outboxes must hold after any sequence of operations: for
// each site the names in order, and which commits it has acknowledged.
type model struct {
	box     map[string][]string
	durable map[string]map[string]bool // snapshot → sites
	packs   []string
	commits []string
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
		m := &model{box: map[string][]string{"cloud": nil, "onsite": nil}, durable: map[string]map[string]bool{}}
		for _, s := range sites {
			if _, err := c.AddSite(s); err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"pack":                  func(t *rapid.T) { m.addPack(t, c) },
			"snapshot":              func(t *rapid.T) { m.addSnapshot(t, c) },
			"acknowledge":           func(t *rapid.T) { m.acknowledge(t, c, rapid.SampledFrom(sites).Draw(t, "site")) },
			"reset":                 func(t *rapid.T) { m.reset(t, c, rapid.SampledFrom(sites).Draw(t, "site")) },
			"":                      func(t *rapid.T) { m.check(t, c) },
			"take out and put back": func(t *rapid.T) { m.putBack(t, c, rapid.SampledFrom(sites).Draw(t, "site")) },
		})
	})
}

func (m *model) addPack(t *rapid.T, c *Catalog) {
	p, name, chunks := pack(uint64(len(m.packs)))
	if _, err := c.AddPack(p, name, chunks, sites); err != nil {
		t.Fatal(err)
	}
	m.packs = append(m.packs, name)
	for s := range m.box {
		m.box[s] = append(m.box[s], name)
	}
}

func (m *model) addSnapshot(t *rapid.T, c *Catalog) {
	s := someSnapshot(fmt.Sprintf("%06d", len(m.commits)), "payments", len(m.commits))
	if err := c.AddSnapshot(s, sites); err != nil {
		t.Fatal(err)
	}
	m.commits = append(m.commits, s.Commit)
	m.durable[s.ID] = map[string]bool{}
	for site := range m.box {
		m.box[site] = append(m.box[site], s.Commit)
	}
}

func (m *model) acknowledge(t *rapid.T, c *Catalog, site string) {
	entries, err := c.Outbox(site, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		return
	}
	e := entries[0]
	last, err := c.Acknowledge(site, e, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m.box[site] = m.box[site][1:]
	waiting := false
	for _, box := range m.box {
		for _, name := range box {
			waiting = waiting || name == e.Name
		}
	}
	if last == waiting {
		t.Fatalf("%s: last %t, but another site waits for it: %t", e.Name, last, waiting)
	}
	if e.Kind == KindCommit {
		m.durable[e.Snapshot][site] = true
	}
	if again, err := c.Acknowledge(site, e, time.Now()); again || err != nil {
		t.Fatalf("acknowledged twice: %t %v", again, err)
	}
}

func (m *model) reset(t *rapid.T, c *Catalog, site string) {
	if _, err := c.ResetSite(site); err != nil {
		t.Fatal(err)
	}
	m.box[site] = append(append([]string{}, m.packs...), m.commits...)
	for _, at := range m.durable {
		delete(at, site)
	}
}

// putBack takes a site out of the configuration, goes on without it, and puts
// it back.
func (m *model) putBack(t *rapid.T, c *Catalog, site string) {
	others := slices.DeleteFunc(slices.Clone(sites), func(s string) bool { return s == site })
	if err := c.KeepSites(others); err != nil {
		t.Fatal(err)
	}
	if entries, err := c.Outbox(site, 1); err != nil || len(entries) != 0 {
		t.Fatalf("a site that is gone has %v waiting (%v)", entries, err)
	}
	p, name, chunks := pack(uint64(len(m.packs)))
	if _, err := c.AddPack(p, name, chunks, others); err != nil {
		t.Fatal(err)
	}
	m.packs = append(m.packs, name)
	for _, s := range others {
		m.box[s] = append(m.box[s], name)
	}
	if _, err := c.AddSite(site); err != nil {
		t.Fatal(err)
	}
	m.box[site] = append(append([]string{}, m.packs...), m.commits...)
	for _, at := range m.durable {
		delete(at, site)
	}
}

func (m *model) check(t *rapid.T, c *Catalog) {
	if err := c.Verify(); err != nil {
		t.Fatal(err)
	}
	for site, want := range m.box {
		entries, err := c.Outbox(site, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Name)
		}
		if diff := cmp.Diff(want, got, equalEmpty); diff != "" {
			t.Fatalf("outbox of %s: %s", site, diff)
		}
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

var equalEmpty = cmp.Comparer(func(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
})

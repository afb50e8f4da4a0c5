package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/snapshot/snaptest"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/testenv"
)

func payments() config.Function {
	return config.Function{Name: "payments", Source: snaptest.Source, RPO: 5 * time.Minute, RTO: time.Hour}
}

// fixture is a bench with a snapshot to prove and a server for scratch
// databases.
type fixture struct {
	*snaptest.Bench
	*Verifier
	db       *testenv.PG
	snapshot string
}

// newFixture takes a snapshot of db. At the end of the test nothing of any
// proof may be left.
func newFixture(t *testing.T, db *testenv.PG) *fixture {
	t.Helper()
	return fixtureOn(t, db, snaptest.New(t, db.URL()))
}

func fixtureOn(t *testing.T, db *testenv.PG, b *snaptest.Bench) *fixture {
	t.Helper()
	f := &fixture{Bench: b, db: db}
	f.snapshot = b.Take(t, payments()).Snapshot
	f.Verifier = f.verifier(db)
	t.Cleanup(func() { f.nothingLeft(t) })
	return f
}

func (f *fixture) verifier(db *testenv.PG) *Verifier {
	return &Verifier{
		Repository: f.Bench.Repository, Catalog: f.Bench.Catalog, Dir: filepath.Join(f.Base, "scratch"), Clock: clock.System, Log: f.Bench.Log,
		Scratch: config.Scratch{Kind: kindDatabase, URL: config.Secret(db.URLOf("postgres"))}, Jobs: 2,
	}
}

// scratchOf is the scratch database of a proof that runs.
func scratchOf(t *testing.T, f *fixture, p *proof) *testenv.PG {
	t.Helper()
	u, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	copied := *f.db
	copied.Database = strings.TrimPrefix(u.Path, "/")
	return &copied
}

func (f *fixture) nothingLeft(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) || len(left) > 0 {
		t.Errorf("left in the scratch folder: %v %v", left, err)
	}
	if names := f.scratchDatabases(t); len(names) > 0 {
		t.Errorf("scratch databases %v are left", names)
	}
}

func (f *fixture) scratchDatabases(t *testing.T) [][]string {
	t.Helper()
	return f.db.Query(t, "SELECT datname FROM pg_database WHERE starts_with(datname, '"+databasePrefix+"')")
}

func (f *fixture) prove(t *testing.T, level string) Result {
	t.Helper()
	r, err := f.Prove(t.Context(), Request{Function: "payments", From: "onsite", Level: level}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// small returns a database with a table, an index, a constraint and a sequence.
func small(t *testing.T) *testenv.PG {
	t.Helper()
	db := testenv.Postgres(t)
	db.Exec(t, `CREATE SCHEMA pay; CREATE TABLE pay.orders (id bigserial PRIMARY KEY, note text CHECK (note <> ''));
		INSERT INTO pay.orders (note) SELECT 'note ' || g FROM generate_series(1, 3000) g; CREATE INDEX by_note ON pay.orders (note)`)
	return db
}

func lastProof(t *testing.T, c *catalog.Catalog) (last catalog.Proof) {
	t.Helper()
	if err := c.Proofs(func(p *catalog.Proof) bool { last = *p; return false }); err != nil {
		t.Fatal(err)
	}
	return last
}

// release is how a proof names what it ran on.
var release = regexp.MustCompile(`^PostgreSQL [0-9]+\.[0-9]+, (throwaway|scratch)`)

func TestProofOfADifficultDatabase(t *testing.T) {
	f := newFixture(t, snaptest.Difficult(t))
	for site, kind := range map[string]string{"onsite": "instance", "cloud": kindDatabase} {
		f.Scratch.Kind = kind
		r, err := f.Prove(t.Context(), Request{Function: "payments", From: site}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Checks {
			if !c.Passed {
				t.Errorf("check %+v", c)
			}
		}
		if r.Level != "L5" || !r.Passed || r.Difference || r.Site != site || r.Snapshot != f.snapshot || r.Rows == 0 ||
			r.BytesFetched == 0 || r.RestoredBytes == 0 || len(r.Tables) == 0 || strings.Contains(r.Scratch, "throwaway") != (kind == "instance") || !release.MatchString(r.Scratch) {
			t.Errorf("result %+v", r)
		}
		for _, phase := range []string{"provision", "fetch", "load", "index", "validate"} {
			if r.Phases[phase] <= 0 {
				t.Errorf("phase %s is not timed: %v", phase, r.Phases)
			}
		}
		for _, table := range r.Tables {
			if !table.Equal {
				t.Errorf("table %+v", table)
			}
		}
		if text := strings.Join(r.NotProven, "\n"); !strings.Contains(text, "people") || !strings.Contains(text, "L7") || strings.Contains(text, "L5:") {
			t.Errorf("not proven: %s", text)
		}
		if p := lastProof(t, f.Bench.Catalog); p.Site != site || p.Level != "L5" || !p.Passed || p.Ended.IsZero() || p.Snapshot != f.snapshot {
			t.Errorf("recorded level %q, passed %t, difference %t: %s", p.Level, p.Passed, p.Difference, p.Error)
		}
	}
}

func TestLevelsEndWhereAsked(t *testing.T) {
	f := newFixture(t, small(t))
	for i, level := range Levels[:6] {
		r := f.prove(t, level)
		if r.Level != level || !r.Passed || r.Difference || r.RequestedLevel != level {
			t.Errorf("asked for %s: %+v", level, r)
		}
		if (r.Rows > 0) != (i >= 3) || (r.BytesFetched > 0) != (i >= 1) || (r.Scratch != "") != (i >= 3) {
			t.Errorf("%s: %d rows, %d bytes fetched, scratch %q", level, r.Rows, r.BytesFetched, r.Scratch)
		}
		if i < 5 && !strings.Contains(strings.Join(r.NotProven, "\n"), Meaning("L5")) {
			t.Errorf("%s: not proven: %q", level, r.NotProven)
		}
	}
}

// Every fault must turn the proof red at the level that is there to find it.
func TestFaultsTurnTheProofRed(t *testing.T) {
	f := newFixture(t, small(t))
	scratch := func(p *proof) *testenv.PG { return scratchOf(t, f, p) }
	for name, c := range map[string]struct {
		level, reached, word string
		fault                func(p *proof)
	}{
		"pack missing":    {"L0", "", "missing", func(*proof) { f.without(t, "p/") }},
		"commit missing":  {"L0", "", "c/", func(*proof) { f.without(t, "c/") }},
		"pack too short":  {"L0", "", "bytes instead of", func(*proof) { f.changed(t, "p/", func(b []byte) []byte { return b[:len(b)-1] }) }},
		"bit in pack":     {"L1", "L0", "digest", func(*proof) { f.changed(t, "p/", flip) }},
		"bit in commit":   {"L1", "L0", "c/", func(*proof) { f.changed(t, "c/", flip) }},
		"catalog differs": {"L1", "L0", "catalog", func(p *proof) { p.snap.Tables[0].Rows++ }},
		"bit after fetch": {"L2", "L1", "decrypt", func(p *proof) { flipAll(t, p.place.packs) }},
		"wrong digest":    {"L3", "L2", "pay.orders", func(p *proof) { p.snap.Tables[0].Digest = "xxh3:00000000000000000000000000000001" }},
		"not loadable": {"L3", "L2", "pay.orders", func(p *proof) {
			p.snap.Tables[0].Engine = []byte(`{"schema":"pay","name":"orders","columns":["id","nope"],"kind":"table"}`)
		}},
		"index dropped": {"L4", "L3", "by_note", func(p *proof) { scratch(p).Exec(t, "DROP INDEX pay.by_note") }},
		"not validated": {"L4", "L3", "note_check", func(p *proof) {
			scratch(p).Exec(t, "ALTER TABLE pay.orders DROP CONSTRAINT orders_note_check; ALTER TABLE pay.orders ADD CONSTRAINT orders_note_check CHECK (note <> '') NOT VALID")
		}},
		"sequence behind": {"L4", "L3", "orders_id_seq", func(p *proof) { scratch(p).Exec(t, "SELECT setval('pay.orders_id_seq', 5)") }},
		"extra table":     {"L4", "L3", "pay.extra", func(p *proof) { scratch(p).Exec(t, "CREATE TABLE pay.extra ()") }},
		"owner changed":   {"L4", "L3", "owner", func(p *proof) { scratch(p).Exec(t, "ALTER TABLE pay.orders OWNER TO pg_monitor") }},
		"one row changed": {"L5", "L4", "pay.orders", func(p *proof) { scratch(p).Exec(t, "UPDATE pay.orders SET note = 'other' WHERE id = 1500") }},
		"one row missing": {"L5", "L4", "2999 rows", func(p *proof) { scratch(p).Exec(t, "DELETE FROM pay.orders WHERE id = 7") }},
		"rows interchange": {"L5", "L4", "pay.orders", func(p *proof) {
			scratch(p).Exec(t, "UPDATE pay.orders SET id = CASE id WHEN 1 THEN -2 ELSE -1 END WHERE id IN (1, 2); UPDATE pay.orders SET id = -id WHERE id < 0")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			mended := f.mended(t)
			defer mended()
			f.before = func(p *proof, level string) {
				if level == c.level {
					c.fault(p)
				}
			}
			r := f.prove(t, "")
			if r.Passed || !r.Difference || r.Level != c.reached || r.Error != "" {
				t.Errorf("reached %q, passed %t, difference %t, error %q", r.Level, r.Passed, r.Difference, r.Error)
			}
			if text := failures(r); !strings.Contains(text, c.word) || !strings.Contains(text, c.level) {
				t.Errorf("nothing of %s and %q in the failed checks: %s", c.level, c.word, text)
			}
			if p := lastProof(t, f.Bench.Catalog); p.Passed || !p.Difference || p.Level != c.reached || !strings.Contains(p.Error, c.word) {
				t.Errorf("recorded level %q, passed %t, difference %t: %s", p.Level, p.Passed, p.Difference, p.Error)
			}
		})
	}
	f.before = nil
	if r := f.prove(t, ""); !r.Passed {
		t.Errorf("after all faults are gone: %+v", r)
	}
}

func failures(r Result) string {
	var out []string
	for _, c := range r.Checks {
		if !c.Passed {
			out = append(out, fmt.Sprintf("%s %s: %s", c.Level, c.Name, c.Detail))
		}
	}
	return strings.Join(out, "\n")
}

// mended returns a function that waits until nothing is known to be wrong with
// the onsite copy, and demands that it is then as it is now, byte for byte.
func (f *fixture) mended(t *testing.T) (wait func()) {
	t.Helper()
	contents := map[string][]byte{}
	for _, path := range f.Objects(t, "onsite", "") {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		contents[path] = b
	}
	return func() {
		t.Helper()
		for until := time.Now().Add(time.Minute); len(f.faults(t)) > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("not put right: %+v", f.faults(t))
			}
		}
		for path, b := range contents {
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
				t.Errorf("%s is not put right (%v)", path, err)
			}
		}
	}
}

func (f *fixture) faults(t *testing.T) []catalog.Fault {
	t.Helper()
	faults, err := f.Bench.Catalog.Faults("onsite")
	if err != nil {
		t.Fatal(err)
	}
	return faults
}

// What a proof finds to be wrong at a site is on record until it is put right
// from the other one, and then the proof is green. A site that is away has shown
// nothing to be wrong.
func TestDamageThatAProofMeetsIsMended(t *testing.T) {
	f := newFixture(t, small(t))
	for name, fault := range map[string]func(){
		"flipped": func() { f.changed(t, "p/", flip) },
		"missing": func() { f.without(t, "c/") },
	} {
		t.Run(name, func(t *testing.T) {
			f.StopUploads()
			mended := f.mended(t)
			fault()
			if r := f.prove(t, ""); r.Passed || !r.Difference {
				t.Errorf("green with a damaged object: %+v", r)
			}
			if found := f.faults(t); len(found) != 1 || found[0].Found != "proof" || found[0].Lost || found[0].Detail == "" {
				t.Errorf("on record: %+v", found)
			}
			if s, err := f.Bench.Info(f.snapshot); err != nil || s.Sites["onsite"].State != repository.StateDamaged || s.Sites["cloud"].State != repository.StateDurable {
				t.Errorf("the copies: %+v (%v)", s.Sites, err)
			}
			f.StartUploads(t)
			mended()
			if r := f.prove(t, ""); !r.Passed {
				t.Errorf("red after the object was put right: %s", failures(r))
			}
		})
	}
	dir := f.Dirs["onsite"]
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	f.fails(t, "onsite")
	if found := f.faults(t); len(found) > 0 {
		t.Errorf("a site that is away counts as damaged: %+v", found)
	}
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) without(t *testing.T, prefix string) {
	t.Helper()
	if err := os.Remove(f.Objects(t, "onsite", prefix)[0]); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) changed(t *testing.T, prefix string, change func([]byte) []byte) {
	t.Helper()
	path := f.Objects(t, "onsite", prefix)[0]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func flip(b []byte) []byte {
	b[len(b)/2] ^= 1
	return b
}

func flipAll(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("fetched packs %v %v", files, err)
	}
	for _, path := range files {
		snaptest.FlipBit(t, path)
	}
}

func TestNotBeingAbleToCheckIsNoDifference(t *testing.T) {
	f := newFixture(t, small(t))
	t.Run("site away", func(t *testing.T) {
		dir := f.Dirs["onsite"]
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := os.Rename(dir+".away", dir); err != nil {
				t.Fatal(err)
			}
		}()
		f.fails(t, "onsite")
	})
	t.Run("scratch server away", func(t *testing.T) {
		was := f.Scratch
		f.Scratch.URL = "postgres://nobody:pa55word@127.0.0.1:1/postgres?connect_timeout=2"
		f.fails(t, "scratch")
		f.Scratch = was
		// Whether the database was made could not be found out, so its name
		// stays for the sweep.
		if err := f.SweepScratch(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("scratch session killed", func(t *testing.T) {
		f.before = func(p *proof, level string) {
			if level == "L5" {
				f.db.Exec(t, "DROP DATABASE "+p.place.database+" WITH (FORCE)")
			}
		}
		defer func() { f.before = nil }()
		f.fails(t, "L5")
	})
}

// fails carries out a proof that must end in an error and pass nothing.
func (f *fixture) fails(t *testing.T, word string) {
	t.Helper()
	r, err := f.Prove(t.Context(), Request{Function: "payments", From: "onsite"}, nil)
	if err == nil || r.Passed || r.Difference || r.Error != err.Error() || errors.Is(err, ErrRequest) {
		t.Fatalf("result %+v, error %v", r, err)
	}
	for _, w := range []string{word, "payments", "onsite", f.snapshot} {
		if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "pa55word") {
			t.Errorf("want %q and no password in %v", w, err)
		}
	}
	if p := lastProof(t, f.Bench.Catalog); p.Passed || p.Error != r.Error || p.Ended.IsZero() {
		t.Errorf("recorded level %q, passed %t, difference %t: %s", p.Level, p.Passed, p.Difference, p.Error)
	}
	if !strings.Contains(failures(r), "could not be checked") {
		t.Errorf("checks %+v", r.Checks)
	}
}

func TestIntentIsRecordedBeforeTheProof(t *testing.T) {
	f := newFixture(t, small(t))
	f.before = func(_ *proof, level string) {
		p := lastProof(t, f.Bench.Catalog)
		if level == "L0" && (p.Snapshot != f.snapshot || p.Site != "onsite" || p.Started.IsZero() || !p.Ended.IsZero() || p.Passed) {
			t.Errorf("recorded at the start: %+v", p)
		}
	}
	f.prove(t, "L0")
	if p := lastProof(t, f.Bench.Catalog); p.Ended.IsZero() || !p.Passed {
		t.Errorf("recorded at the end: %+v", p)
	}
}

func TestCancelledProofLeavesNothing(t *testing.T) {
	f := newFixture(t, small(t))
	for _, kind := range []string{kindDatabase, "instance"} {
		f.Scratch.Kind = kind
		for _, level := range []string{"L1", "L3", "L5"} {
			ctx, cancel := context.WithCancel(t.Context())
			f.before = func(_ *proof, at string) {
				if at == level && level != "L3" {
					cancel()
				}
			}
			r, err := f.Prove(ctx, Request{Function: "payments", From: "onsite"}, func(e progress.Event) {
				if level == "L3" && e.Phase == "index" {
					cancel()
				}
			})
			cancel()
			if !errors.Is(err, context.Canceled) || r.Passed || r.Difference {
				t.Errorf("%s, cancelled in %s: %+v %v", kind, level, r, err)
			}
			f.nothingLeft(t)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	f := newFixture(t, small(t))
	for name, req := range map[string]Request{
		"no function":      {From: "onsite"},
		"no site":          {Function: "payments"},
		"unknown site":     {Function: "payments", From: "moon"},
		"unknown level":    {Function: "payments", From: "onsite", Level: "L9"},
		"unknown snapshot": {Function: "payments", From: "onsite", Snapshot: "zz"},
		"other function's": {Function: "catalog", From: "onsite", Snapshot: f.snapshot},
		"nothing to prove": {Function: "catalog", From: "onsite"},
	} {
		if r, err := f.Prove(t.Context(), req, nil); !errors.Is(err, ErrRequest) || r.Passed {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	if p := lastProof(t, f.Bench.Catalog); p.Sequence != 0 {
		t.Errorf("recorded level %q, passed %t, difference %t: %s", p.Level, p.Passed, p.Difference, p.Error)
	}
}

// The whole way on real servers of two makes: take, prove from each, restore.
func TestProofAndRestoreFromRealServers(t *testing.T) {
	pair := testenv.Sites(t)
	db := small(t)
	f := fixtureOn(t, db, snaptest.NewOn(t, db.URL(), map[string]storage.Store{
		"onsite": pair.Onsite.Store(t), "cloud": pair.Cloud.Store(t),
	}))
	for _, site := range snaptest.Sites {
		r, err := f.Prove(t.Context(), Request{Function: "payments", From: site}, nil)
		if err != nil || !r.Passed {
			t.Errorf("site %s: %s %v", site, failures(r), err)
		}
		to := db.NewDatabase(t)
		restorer := &restore.Restorer{
			Repository: f.Bench.Repository, Catalog: f.Bench.Catalog, Sites: snaptest.Sites, Clock: f.Clock, Log: f.Bench.Log, TempDir: t.TempDir(),
		}
		back, err := restorer.Restore(t.Context(), restore.Request{Function: "payments", To: to.URL(), From: site}, nil)
		if err != nil || back.Sites[site].Bytes == 0 || len(back.Sites) != 1 {
			t.Errorf("site %s: %+v %v", site, back, err)
			continue
		}
		snaptest.Same(t, db, to)
	}
}

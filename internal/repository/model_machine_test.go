package repository

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
)

// modelGrace is how long what nobody needs stays.
const modelGrace = 24 * time.Hour

// machine is one repository on several sites, and what must be true of it.
type machine struct {
	base  string       // everything on the disk
	data  atomic.Int64 // number of the data directory in use; a dead process still logs
	clock *clock.Fake
	// latest is how far the clock ever was.
	latest time.Time

	daemon, escrow *age.X25519Identity
	places         []*modelSite
	truth          *truth
	oracle         *oracle
	spoolMax       int64

	cat *catalog.Catalog
	*Repository
	half string // the site of a rebuild that was cut short

	tables   map[string]map[string][]byte // function → what is in the database now
	snaps    map[string]*memory           // every snapshot that ever had an id
	order    []string                     // their ids
	captures []*capture
	planMu   sync.Mutex
	plan     *crashPlan
	// had are the objects of which there was a good copy at the last check, gone
	// those of which the model took the last.
	had, gone map[string]bool
	// records is how many records of a log there are, and runs what was published.
	// Those before safeFrom may be gone: the model took away something since, and
	// nobody asked whether it was the last copy of them.
	records, safeFrom uint64
	runs              []EvidenceObject
	logMu             sync.Mutex
	log               strings.Builder
	counts            *modelCounts
}

// memory is what must be true of a snapshot.
type memory struct {
	id, function string
	content      map[string][]byte
	point        time.Time
	captured     bool // Commit returned nil, and the process lived on
	known        bool // the catalog knew it when last asked
	acked        bool // some site acknowledged it
	held         bool
	// heldOpen: a host was lost, and with it perhaps a mark that nobody else had;
	// another may be found later. What holds is seen at rest.
	heldOpen bool
	// condemned is since when the catalog counts it as not needed.
	condemned time.Time
	// hurt: the model took away the last good copy of something that it needs,
	// so it may be gone.
	hurt bool
	// swept: it was deleted by rule.
	swept bool
}

// modelCounts is what happened in all cases.
type modelCounts struct {
	Cases, Steps, Crashes, Faults, Outages, Sweeps, Deleted, Rebuilds, Snapshots, Restores int
}

func newMachine(t rapid.TB, base string, raw func(site string) rawStore, counts *modelCounts) *machine {
	t.Helper()
	m := &machine{
		base: base, clock: clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), counts: counts,
		truth:  &truth{digest: map[string][32]byte{}},
		tables: map[string]map[string][]byte{}, snaps: map[string]*memory{}, gone: map[string]bool{},
	}
	m.latest = m.clock.Now()
	var err error
	m.daemon, err = age.GenerateX25519Identity()
	m.must(t, err)
	m.escrow, err = age.GenerateX25519Identity()
	m.must(t, err)
	for _, name := range []string{"cloud", "onsite"} {
		m.places = append(m.places, newPlace(name, raw(name), m.truth, m.passes))
	}
	for _, f := range []string{"accounts", "payments"} {
		m.tables[f] = map[string][]byte{}
	}
	m.openCatalog(t)
	m.init(t)
	m.open(t)
	m.oracle = newOracle(t, m.keys, m.id)
	return m
}

func (m *machine) must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		m.fatalf(t, "%v", err)
	}
}

// fatalf ends the case and says where to look.
func (m *machine) fatalf(t rapid.TB, format string, args ...any) {
	t.Helper()
	t.Fatalf("%s\nthe broken repository is in %s\n%s", fmt.Sprintf(format, args...), m.base, m.log.String())
}

// note keeps what happened, for the one who looks at a failure.
func (m *machine) note(format string, args ...any) {
	m.logMu.Lock()
	defer m.logMu.Unlock()
	fmt.Fprintf(&m.log, format+"\n", args...)
}

func (m *machine) dataDir() string {
	return filepath.Join(m.base, fmt.Sprintf("data-%d", m.data.Load()))
}

func (m *machine) openCatalog(t rapid.TB) {
	t.Helper()
	m.must(t, os.MkdirAll(m.dataDir(), 0o700))
	var err error
	m.cat, err = catalog.Open(filepath.Join(m.dataDir(), "catalog.db"))
	m.must(t, err)
}

// options are those of the sites that are in the configuration.
func (m *machine) options() Options {
	o := Options{
		Catalog: m.cat, Spool: filepath.Join(m.dataDir(), "spool"), SpoolMax: m.spoolMax * spoolScale,
		Identities: []age.Identity{m.daemon}, Clock: m.clock, Log: slog.New(slog.NewTextHandler(m.writer(), nil)),
		packTarget: 700,
	}
	for _, p := range m.places {
		if p.in {
			o.Sites = append(o.Sites, Site{Name: p.name, Store: p.store})
		}
	}
	return o
}

// writer takes what the repository logs, until it is replaced by another.
func (m *machine) writer() io.Writer { return lineWriter{m, m.data.Load()} }

type lineWriter struct {
	m    *machine
	data int64
}

func (w lineWriter) Write(b []byte) (int, error) {
	if w.m.data.Load() == w.data {
		_, line, _ := strings.Cut(string(b), "level=")
		w.m.note("    %.300s", strings.TrimSpace(line))
	}
	return len(b), nil
}

func (m *machine) init(t rapid.TB) {
	t.Helper()
	_, err := Init(context.Background(), m.options(), []age.Recipient{m.daemon.Recipient(), m.escrow.Recipient()})
	if err != nil {
		m.note("  init: %v", err)
	}
}

// open opens the repository on the catalog that is open.
func (m *machine) open(t rapid.TB) {
	t.Helper()
	r, err := Open(context.Background(), m.options())
	if m.half != "" {
		m.note("  the rebuild was cut short (%v) and is begun anew", err)
		m.must(t, m.cat.Close())
		m.rebuildFrom(t, m.half)
		return
	}
	m.must(t, err)
	m.Repository = r
}

// place returns a site by its name.
func (m *machine) place(name string) *modelSite {
	i := slices.IndexFunc(m.places, func(p *modelSite) bool { return p.name == name })
	return m.places[i]
}

func (m *machine) configured() (out []*modelSite) {
	for _, p := range m.places {
		if p.in {
			out = append(out, p)
		}
	}
	return out
}

// up are the sites that the repository can reach.
func (m *machine) up() (out []*modelSite) {
	for _, p := range m.configured() {
		if !p.down {
			out = append(out, p)
		}
	}
	return out
}

// crashPlan ends the process at one of the next points.
type crashPlan struct {
	in     int   // points still to pass
	after  bool  // of an operation on a site: it is done, and the answer comes too late
	dead   bool  // the process is no more; what still runs of it changes nothing that counts
	copied int64 // number of the data directory as it was at that moment
}

// dead reports whether the process is no more.
func (m *machine) dead() bool {
	m.planMu.Lock()
	defer m.planMu.Unlock()
	return m.plan != nil && m.plan.dead
}

// passes is asked about each operation on a site whether it must fail: nothing
// that a dead process does reaches a site any more.
func (m *machine) passes() bool {
	if m.dead() {
		return true
	}
	return m.point() && !m.plan.after
}

// point is where the process may end. It reports whether it does, and then
// keeps the data directory as it is now.
func (m *machine) point() (dies bool) {
	m.planMu.Lock()
	defer m.planMu.Unlock()
	if m.plan == nil || m.plan.dead {
		return false
	}
	if m.plan.in--; m.plan.in > 0 {
		return false
	}
	m.plan.dead = true
	m.counts.Crashes++
	now := m.data.Add(1)
	m.plan.copied = now
	m.note("  ** the process ends here")
	if err := m.copyData(filepath.Join(m.base, fmt.Sprintf("data-%d", now-1))); err != nil {
		panic(err)
	}
	return true
}

// copyData copies the data directory as a loss of the process would leave it.
// What else runs of the process goes on meanwhile, so the spool is read before
// the catalog and after it: an object that is gone by then leaves a file that
// the catalog does not need any more, and a new one a file that it does not know
// yet, as a loss at that moment may. What the catalog names is there.
func (m *machine) copyData(from string) error {
	to := m.dataDir()
	if err := os.MkdirAll(filepath.Join(to, "spool", "tmp"), 0o700); err != nil {
		return err
	}
	if err := copySpool(from, to); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(to, "catalog.db"))
	if err != nil {
		return err
	}
	_, err = m.cat.WriteTo(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return copySpool(from, to)
}

// copySpool copies the files of a spool that are not at their new place yet.
func copySpool(from, to string) error {
	return filepath.WalkDir(filepath.Join(from, "spool"), func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // it was about to be made, or is gone
		}
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		copied := filepath.Join(to, rel)
		if _, err := os.Stat(copied); err == nil {
			return nil
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return os.WriteFile(copied, b, 0o600)
	})
}

// restart ends the process, where the plan said or here, and starts another.
func (m *machine) restart(t rapid.TB) {
	t.Helper()
	old := m.cat
	if !m.dead() {
		m.plan = &crashPlan{in: 1}
		m.point()
	}
	for _, c := range m.captures {
		c.abandon()
	}
	m.captures = nil
	m.must(t, old.Close())
	m.must(t, os.RemoveAll(filepath.Join(m.base, fmt.Sprintf("data-%d", m.data.Load()-1))))
	m.plan = nil
	m.openCatalog(t)
	m.open(t)
}

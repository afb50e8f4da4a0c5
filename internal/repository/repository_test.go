package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/rowhash"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/dir"
	"github.com/saypro/backupd/internal/suspicion"
)

// bench is a repository on two directory sites with everything that a test
// needs to break it.
type bench struct {
	*Repository
	options Options
	roots   map[string]string // directory of each site
	clock   *clock.Fake
	daemon  *age.X25519Identity
	escrow  *age.X25519Identity
	suspect []suspicion.Signal // what looks wrong in what is written
	stop    func()
}

// newBench makes a repository whose uploads run. At the end of the test every
// snapshot that a site claims must be readable from that site alone.
func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchOn(t, nil)
}

// newBenchOn is newBench on the given stores, on directories where there are
// none.
func newBenchOn(t *testing.T, stores map[string]storage.Store) *bench {
	t.Helper()
	b := &bench{roots: map[string]string{}, clock: clock.NewFake(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))}
	b.daemon, b.escrow = newIdentity(t), newIdentity(t)
	_ = t.TempDir() // what tests put there is to be removed after the checks, so it must be made before them
	base := keptDir(t)
	b.options = Options{
		Spool: filepath.Join(base, "spool"), Identities: []age.Identity{b.daemon},
		Clock: b.clock, Log: slog.New(slog.DiscardHandler),
	}
	for _, name := range []string{"onsite", "cloud"} {
		store := stores[name]
		if store == nil {
			b.roots[name] = filepath.Join(base, name)
			store = openDir(t, name, b.roots[name])
		}
		b.options.Sites = append(b.options.Sites, Site{Name: name, Store: store})
	}
	b.openCatalog(t, filepath.Join(base, "catalog.db"))
	if _, err := Init(t.Context(), b.options, []age.Recipient{b.daemon.Recipient(), b.escrow.Recipient()}); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	t.Cleanup(func() {
		b.checkAll(t)
		b.stop()
		if err := b.options.Catalog.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// keptDir is a temporary folder that stays when the test fails.
func keptDir(t *testing.T) string {
	t.Helper()
	path, err := os.MkdirTemp("", "backupd-repository-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the broken repository is kept for a look: %s", path)
			return
		}
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func openDir(t *testing.T, name, root string) storage.Store {
	t.Helper()
	if err := os.MkdirAll(root, 0o700); err != nil {
		t.Fatal(err)
	}
	store, err := dir.Open(dir.Options{Site: name, Path: root})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (b *bench) openCatalog(t *testing.T, path string) {
	t.Helper()
	var err error
	if b.options.Catalog, err = catalog.Open(path); err != nil {
		t.Fatal(err)
	}
}

// open opens the repository and runs its uploads.
func (b *bench) open(t *testing.T) {
	t.Helper()
	var err error
	if b.Repository, err = Open(t.Context(), b.options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.Upload(ctx) }()
	b.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// checkAll is the full check of the repository.
func (b *bench) checkAll(t *testing.T) {
	t.Helper()
	if err := b.options.Catalog.Verify(); err != nil {
		t.Error(err)
	}
	b.checkEvidence(t)
	var all []SnapshotInfo
	if err := b.Snapshots("", func(s SnapshotInfo) bool { all = append(all, s); return true }); err != nil {
		t.Error(err)
	}
	for _, info := range all {
		for site, state := range info.Sites {
			if state.State != StateDurable {
				continue
			}
			for _, p := range b.check(t, info.ID, site) {
				t.Errorf("snapshot %s at site %s: %s", info.ID, site, p)
			}
		}
	}
}

// check runs levels L0 to L2 on one copy.
func (b *bench) check(t *testing.T, id, site string) []Problem {
	t.Helper()
	ctx := context.Background()
	snap, err := b.ReadCommit(ctx, id, site)
	if err != nil {
		return []Problem{{"commit", err.Error()}}
	}
	_, problems, err := b.CheckPresent(ctx, snap, site)
	if err != nil {
		t.Error(err)
	}
	packs := t.TempDir()
	none := func(int64) {}
	_, more, err := b.Fetch(ctx, snap, site, packs, none)
	if err != nil {
		t.Error(err)
	}
	problems = append(problems, more...)
	_, more, err = b.CheckReadable(ctx, snap, packs, none)
	if err != nil {
		t.Error(err)
	}
	return append(problems, more...)
}

// write stores tables of rows as one snapshot of a function.
func (b *bench) write(t *testing.T, function string, tables map[string][]byte) *Snapshot {
	t.Helper()
	snap, err := b.tryWrite(t.Context(), function, tables)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func (b *bench) tryWrite(ctx context.Context, function string, tables map[string][]byte) (*Snapshot, error) {
	snap := &Snapshot{
		Function: function, Engine: "test", Source: json.RawMessage(`{}`), Streams: map[string]Stream{},
		RecoveryPoint: b.clock.Now(), Started: b.clock.Now(), Suspect: b.suspect,
	}
	err := b.Write(ctx, func(ctx context.Context, w *Writer) error {
		for name, rows := range tables {
			table, err := writeTable(w, name, rows)
			if err != nil {
				return err
			}
			snap.Tables = append(snap.Tables, table)
		}
		stream, err := w.Bytes(ctx, strings.NewReader("schema of "+function))
		if err != nil {
			return err
		}
		snap.Streams["schema"] = stream
		return w.Commit(ctx, snap)
	})
	return snap, err
}

// writeTable stores rows in parts of about a third, as page ranges would.
func writeTable(w *Writer, name string, rows []byte) (Table, error) {
	var parts []Part
	var digest rowhash.Digest
	for len(rows) > 0 {
		cut := bytes.IndexByte(rows[min(len(rows)-1, len(rows)/3):], '\n') + min(len(rows)-1, len(rows)/3) + 1
		s, err := w.Rows()
		if err != nil {
			return Table{}, err
		}
		_, writeErr := io.Copy(s, bytes.NewReader(rows[:cut]))
		part, err := s.Close()
		if err := errors.Join(writeErr, err); err != nil {
			return Table{}, err
		}
		digest.Merge(part.Digest)
		parts = append(parts, part)
		rows = rows[cut:]
	}
	stream, err := w.Join(parts...)
	return Table{Name: name, Rows: digest.Rows, Bytes: stream.Bytes, Digest: digest.String(), Data: stream}, err
}

// durable waits until both sites hold the snapshot.
func (b *bench) durable(t *testing.T, snap *Snapshot) {
	t.Helper()
	states, err := b.Wait(t.Context(), snap.ID, Patience{Failing: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for site, s := range states {
		if s.State != StateDurable {
			t.Fatalf("snapshot %s at site %s is %s: %s", snap.ID, site, s.State, s.Error)
		}
	}
}

func (b *bench) read(t *testing.T, snap *Snapshot, sites []string, notify func(FallThrough)) (map[string][]byte, error) {
	t.Helper()
	rd, err := b.Reader(snap, sites, notify)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, table := range snap.Tables {
		var buf bytes.Buffer
		if err := rd.Copy(t.Context(), table.Data, &buf); err != nil {
			return nil, err
		}
		out[table.Name] = buf.Bytes()
	}
	return out, nil
}

// seeded returns a generator whose seed is printed.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("TEST_SEED=%s: %v", text, err)
		}
	}
	t.Logf("TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// someRows returns n rows of COPY text, some of them long, none equal.
func someRows(rnd *rand.Rand, n int) []byte {
	var b bytes.Buffer
	for i := range n {
		width := 20 + rnd.IntN(200)
		if rnd.IntN(500) == 0 {
			width = rnd.IntN(600 << 10)
		}
		fmt.Fprintf(&b, "%d\t", i)
		for range width {
			b.WriteByte("abcdefghijklmnopqrstuvwxyz012345"[rnd.IntN(32)])
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func TestRoundTripFromEachSite(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	tables := map[string][]byte{"payments.transactions": someRows(rnd, 20_000), "payments.empty": nil, "payments.one": []byte("1\tx\n")}
	snap := b.write(t, "payments", tables)
	b.durable(t, snap)
	for _, site := range []string{"onsite", "cloud"} {
		got, err := b.read(t, snap, []string{site}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range tables {
			if !bytes.Equal(got[name], want) {
				t.Errorf("site %s: table %s: %d bytes back instead of %d", site, name, len(got[name]), len(want))
			}
		}
	}
	if len(snap.Packs) == 0 || snap.BytesNew == 0 {
		t.Errorf("snapshot names %d packs and %d new bytes", len(snap.Packs), snap.BytesNew)
	}
	left, err := os.ReadDir(b.options.Spool)
	if err != nil || len(left) != 1 { // the folder for unfinished files
		t.Errorf("spool holds %v after both sites have everything (%v)", left, err)
	}
}

func TestUnchangedDataIsNotStoredAgain(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	rows := someRows(rnd, 30_000)
	first := b.write(t, "accounts", map[string][]byte{"a": rows})
	second := b.write(t, "accounts", map[string][]byte{"a": rows})
	b.durable(t, second)
	if second.BytesNew != 0 || second.BytesStored != 0 {
		t.Errorf("second snapshot of equal rows stored %d new bytes, %d in packs", second.BytesNew, second.BytesStored)
	}
	if first.Tables[0].Data != second.Tables[0].Data {
		t.Error("equal tables have different streams")
	}
	// One row changed in the middle costs the chunk that holds it.
	at := bytes.IndexByte(rows[len(rows)/2:], '\n') + len(rows)/2 + 1
	changed := append(append(bytes.Clone(rows[:at]), "new\trow\n"...), rows[at:]...)
	third := b.write(t, "accounts", map[string][]byte{"a": changed})
	if third.BytesNew == 0 || third.BytesNew > 2*(maxChunk+600<<10) { // two chunks, each with a long row at worst
		t.Errorf("one new row stored %d bytes", third.BytesNew)
	}
}

func TestRowsLongerThanAChunk(t *testing.T) {
	b := newBench(t)
	long := bytes.Repeat([]byte("0123456789abcdef"), (11<<20)/16)
	rows := bytes.Join([][]byte{[]byte("1\tshort"), long, []byte("2\tshort"), long[:5<<20], nil}, []byte("\n"))
	snap := b.write(t, "catalog", map[string][]byte{"blobs": rows})
	b.durable(t, snap)
	got, err := b.read(t, snap, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got["blobs"], rows) {
		t.Error("long rows came back different")
	}
	var want rowhash.Writer
	_, _ = want.Write(rows)
	if digest, _ := want.Sum(); digest.String() != snap.Tables[0].Digest {
		t.Errorf("digest %s, whole rows give %s", snap.Tables[0].Digest, digest)
	}
	rd, err := b.Reader(snap, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for run, err := range rd.Runs(t.Context(), snap.Tables[0].Data, 1) {
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if err := rd.CopyRun(t.Context(), run, &buf); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(buf.Bytes(), []byte("\n")) || int64(bytes.Count(buf.Bytes(), []byte("\n"))) != run.Rows {
			t.Errorf("a run of %d rows holds %d newlines in %d bytes", run.Rows, bytes.Count(buf.Bytes(), []byte("\n")), buf.Len())
		}
	}
}

func TestCorruptObjectFallsThrough(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	rows := someRows(rnd, 3000)
	snap := b.write(t, "payments", map[string][]byte{"t": rows})
	b.durable(t, snap)
	pack := catalog.PackName(snap.Packs[0].SHA256)
	restore := flipByte(t, filepath.Join(b.roots["onsite"], pack), 1000)
	defer restore()

	var passed []FallThrough
	got, err := b.read(t, snap, nil, func(f FallThrough) { passed = append(passed, f) })
	if err != nil || !bytes.Equal(got["t"], rows) {
		t.Fatalf("with one bad copy the rows came back wrong: %v", err)
	}
	if len(passed) == 0 || passed[0].Site != "onsite" || passed[0].Object != pack {
		t.Errorf("fall-through was reported as %+v", passed)
	}
	if problems := b.check(t, snap.ID, "onsite"); len(problems) == 0 {
		t.Error("the check of the bad copy found nothing")
	}
	if problems := b.check(t, snap.ID, "cloud"); len(problems) != 0 {
		t.Errorf("the check of the good copy found %v", problems)
	}

	restoreCloud := flipByte(t, filepath.Join(b.roots["cloud"], pack), 1000)
	defer restoreCloud()
	_, err = b.read(t, snap, nil, nil)
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), pack) {
		t.Errorf("with both copies bad the error is %v", err)
	}
}

// flipByte damages a file and returns what mends it.
func flipByte(t *testing.T, path string, at int) func() {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(old)
	bad[at] ^= 1
	rewrite := func(b []byte) {
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rewrite(bad)
	return func() { rewrite(old) }
}

func TestMissingPackIsNamed(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)})
	b.durable(t, snap)
	pack := catalog.PackName(snap.Packs[0].SHA256)
	path := filepath.Join(b.roots["cloud"], pack)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Rename(path+".away", path); err != nil {
			t.Error(err)
		}
	}()
	_, problems, err := b.CheckPresent(t.Context(), snap, "cloud")
	if err != nil || len(problems) != 1 || problems[0].Object != pack {
		t.Errorf("L0 found %v (%v)", problems, err)
	}
	if _, err := b.read(t, snap, []string{"cloud"}, nil); !errors.Is(err, storage.ErrNotFound) || !strings.Contains(err.Error(), "cloud") {
		t.Errorf("reading from that site alone: %v", err)
	}
}

func TestFailedWriteListsNothing(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	rows := someRows(rnd, 5000)
	broken := errors.New("source went away")
	err := b.Write(t.Context(), func(_ context.Context, w *Writer) error {
		if _, err := writeTable(w, "t", rows); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := b.Snapshots("", func(s SnapshotInfo) bool { t.Errorf("listed: %+v", s); return true }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.tryWrite(ctx, "payments", map[string][]byte{"t": rows}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run ended with %v", err)
	}
}

func TestSiteAwayAndBack(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	away := b.roots["cloud"] + ".away"
	if err := os.Rename(b.roots["cloud"], away); err != nil {
		t.Fatal(err)
	}
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)})
	waitFor(t, func() bool { // patience is over at once
		states, err := b.Wait(t.Context(), snap.ID, Patience{})
		return err == nil && states["onsite"].State == StateDurable && states["cloud"].State == StateSpooled && states["cloud"].Error != ""
	})
	health, err := b.Health()
	if err != nil || !health["cloud"].Failing || health["cloud"].Objects == 0 || health["onsite"].Failing {
		t.Errorf("health is %+v (%v)", health, err)
	}
	if err := os.Rename(away, b.roots["cloud"]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		b.clock.Advance(time.Minute)
		states, err := b.Wait(t.Context(), snap.ID, Patience{})
		return err == nil && states["cloud"].State == StateDurable
	})
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen within 20 s")
		}
	}
}

func TestEmptiedBucketIsFilledAgainByInit(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)})
	b.durable(t, snap)
	b.stop()
	if err := os.RemoveAll(b.roots["cloud"]); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(b.roots["cloud"], 0o700); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	next, err := b.tryWrite(t.Context(), "payments", map[string][]byte{"u": someRows(rnd, 100)})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		states, err := b.Wait(t.Context(), next.ID, Patience{})
		return err == nil && strings.Contains(states["cloud"].Error, "backupd init")
	})
	b.stop()
	report, err := Init(t.Context(), b.options, []age.Recipient{b.daemon.Recipient(), b.escrow.Recipient()})
	if err != nil {
		t.Fatal(err)
	}
	if report.Sites["onsite"] != InitThere || report.Sites["cloud"] != InitMadeAgain {
		t.Errorf("init reports %v", report.Sites)
	}
	b.open(t)
	b.durable(t, snap)
	b.durable(t, next)
}

func TestNewSiteGetsEverything(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)})
	b.durable(t, snap)
	b.stop()
	b.roots["vault"] = filepath.Join(t.TempDir(), "vault")
	b.options.Sites = append(b.options.Sites, Site{Name: "vault", Store: openDir(t, "vault", b.roots["vault"])})
	if _, err := Init(t.Context(), b.options, nil); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	b.durable(t, snap)
}

func TestOtherRepositoryIsNotWrittenTo(t *testing.T) {
	b := newBench(t)
	other := newBench(t)
	o := b.options
	o.Sites = []Site{b.options.Sites[0], other.options.Sites[1]}
	_, err := Init(t.Context(), o, nil)
	if !errors.Is(err, ErrOtherRepository) || !strings.Contains(err.Error(), "cloud") {
		t.Errorf("init over two repositories: %v", err)
	}
}

func TestWrongKey(t *testing.T) {
	b := newBench(t)
	o := b.options
	o.Identities = []age.Identity{newIdentity(t)}
	o.Spool = t.TempDir()
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrWrongKey) || !strings.Contains(err.Error(), "escrow") {
		t.Errorf("opened with a wrong key: %v", err)
	}
	o.Identities = []age.Identity{b.escrow}
	if _, err := Open(t.Context(), o); err != nil {
		t.Errorf("the escrow key does not open it: %v", err)
	}
}

func TestOneRecipientIsRefused(t *testing.T) {
	b := newBench(t)
	o := b.options
	o.Sites = []Site{{Name: "x", Store: openDir(t, "x", t.TempDir())}}
	path := filepath.Join(t.TempDir(), "c.db")
	cat, err := catalog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cat.Close() }()
	o.Catalog = cat
	if _, err := Init(t.Context(), o, []age.Recipient{b.daemon.Recipient()}); err == nil || !strings.Contains(err.Error(), "escrow") {
		t.Errorf("init with one recipient: %v", err)
	}
}

func TestCommitTimesRiseWhenTheClockIsSteppedBack(t *testing.T) {
	b := newBench(t)
	first := b.write(t, "payments", map[string][]byte{"t": []byte("1\n")})
	b.clock.Advance(-time.Hour)
	second := b.write(t, "payments", map[string][]byte{"t": []byte("1\n")})
	b.durable(t, second)
	one, err := b.options.Catalog.Snapshot(first.ID)
	if err != nil {
		t.Fatal(err)
	}
	two, err := b.options.Catalog.Snapshot(second.ID)
	if err != nil {
		t.Fatal(err)
	}
	if one.Commit >= two.Commit {
		t.Errorf("commit %s does not come before %s", one.Commit, two.Commit)
	}
}

func TestReopenContinuesWhatWasLeft(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.stop() // nothing is sent
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 3000)})
	orphan := filepath.Join(b.options.Spool, "p+00+left-by-a-crash")
	if err := os.WriteFile(orphan, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	b.durable(t, snap)
	if _, err := os.Stat(orphan); !os.IsNotExist(err) {
		t.Errorf("the spool keeps what no outbox waits for: %v", err)
	}
}

func TestSpoolThatCannotBeWritten(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	if err := os.RemoveAll(filepath.Join(b.options.Spool, "tmp")); err != nil {
		t.Fatal(err)
	}
	_, err := b.tryWrite(t.Context(), "payments", map[string][]byte{"t": someRows(rnd, 100)})
	if !errors.Is(err, ErrSpool) {
		t.Errorf("write without a spool: %v", err)
	}
}

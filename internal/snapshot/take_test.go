package snapshot_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/snapshot/snaptest"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/testenv"
)

// whole is a function that is the whole database.
func whole() config.Function {
	return config.Function{Name: "payments", Source: snaptest.Source, RPO: 5 * time.Minute, RTO: time.Hour}
}

// filled returns a database with tables of some size.
func filled(t *testing.T, rows int) *testenv.PG {
	t.Helper()
	db := testenv.Postgres(t)
	db.Exec(t, fmt.Sprintf(`CREATE SCHEMA pay; CREATE TABLE pay.big (id bigint PRIMARY KEY, body text);
		INSERT INTO pay.big SELECT g, md5(g::text) || md5((g * 7)::text) FROM generate_series(1, %d) g;
		CREATE TABLE pay.small (id int PRIMARY KEY, name text); INSERT INTO pay.small SELECT g, 'n' || g FROM generate_series(1, 100) g;
		CREATE TABLE pay.none (id int)`, rows))
	return db
}

func lastRun(t *testing.T, c *catalog.Catalog) catalog.Run {
	t.Helper()
	var last *catalog.Run
	if err := c.Runs(func(r *catalog.Run) bool { last = r; return false }); err != nil {
		t.Fatal(err)
	}
	if last == nil {
		t.Fatal("no run is recorded")
	}
	return *last
}

func TestSnapshotTellsWhatItHolds(t *testing.T) {
	db := filled(t, 20000)
	b := snaptest.New(t, db.URL())
	var mu sync.Mutex
	phases := map[string]bool{}
	before := time.Now()
	r, err := b.Taker.Take(t.Context(), whole(), func(e progress.Event) {
		mu.Lock()
		defer mu.Unlock()
		phases[e.Phase] = true
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Rows != 20100 || len(r.Tables) != 3 || r.Tables[0].Name != "pay.big" || r.Tables[0].Rows != 20000 {
		t.Errorf("rows %d, tables %+v", r.Rows, r.Tables)
	}
	if r.RecoveryPoint.Before(before) || r.RecoveryPoint.After(time.Now()) || r.RecoveryPoint.Location() != time.UTC {
		t.Errorf("recovery point %s", r.RecoveryPoint)
	}
	for _, site := range snaptest.Sites {
		if st := r.Sites[site]; st.State != snapshot.StateDurable || st.DurableAt.IsZero() {
			t.Errorf("site %s: %+v", site, st)
		}
	}
	if r.Degraded || r.Error != "" || r.BytesRaw < 1<<20 || r.BytesNew < r.BytesRaw || r.BytesStored == 0 {
		t.Errorf("result %+v", r)
	}
	for _, phase := range []string{"lock", "copy", "schema", "commit", "upload"} {
		if _, ok := r.Phases[phase]; !ok || !phases[phase] {
			t.Errorf("phase %s: timed %t, reported %t", phase, ok, phases[phase])
		}
	}
	run := lastRun(t, b.Catalog)
	if run.Kind != catalog.RunSnapshot || run.Function != "payments" || run.Snapshot != r.Snapshot || run.Ended.IsZero() ||
		run.Error != "" || run.DurableSeconds <= 0 || run.DurableSeconds > r.DurationSeconds {
		t.Errorf("run %+v", run)
	}
	var recorded snapshot.Result
	if err := json.Unmarshal(run.Result, &recorded); err != nil || recorded.Rows != r.Rows || recorded.Tables != nil {
		t.Errorf("recorded %+v %v", recorded, err)
	}
}

func TestUnchangedSnapshotStoresNextToNothing(t *testing.T) {
	db := filled(t, 40000)
	b := snaptest.New(t, db.URL())
	first := b.Take(t, whole())
	second := b.Take(t, whole())
	if second.BytesNew*100 > first.BytesNew || second.BytesStored*100 > first.BytesStored {
		t.Errorf("first: %d new, %d stored; second: %d new, %d stored", first.BytesNew, first.BytesStored, second.BytesNew, second.BytesStored)
	}
	if second.Rows != first.Rows || second.BytesRaw < first.BytesRaw*9/10 {
		t.Errorf("second %+v, first %+v", second, first)
	}
	for i := range first.Tables {
		if first.Tables[i] != second.Tables[i] {
			t.Errorf("table %+v became %+v", first.Tables[i], second.Tables[i])
		}
	}
}

func TestOnlyChangedRowsAreStored(t *testing.T) {
	db := filled(t, 40000)
	b := snaptest.New(t, db.URL())
	first := b.Take(t, whole())
	db.Exec(t, `UPDATE pay.small SET name = 'changed' WHERE id = 50; INSERT INTO pay.big VALUES (100000, 'one more')`)
	second := b.Take(t, whole())
	// One chunk of each table, the ones above them, and what a row more means
	// for the sequences and the schema: far below one part in five.
	if second.BytesNew == 0 || second.BytesNew*5 > first.BytesNew {
		t.Errorf("%d bytes new after %d", second.BytesNew, first.BytesNew)
	}
	if second.Rows != first.Rows+1 || second.Tables[0].Digest == first.Tables[0].Digest {
		t.Errorf("second %+v", second.Tables)
	}
}

func TestConcurrentWritesDoNotTearTheSnapshot(t *testing.T) {
	db := testenv.Postgres(t)
	db.Exec(t, `CREATE TABLE account (id int PRIMARY KEY, money bigint); INSERT INTO account SELECT g, 100 FROM generate_series(1, 2000) g;
		CREATE TABLE journal (n bigserial, moved int)`)
	b := snaptest.New(t, db.URL())
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i := range 2 {
		conn := db.Conn(t)
		writers.Go(func() {
			for n := i; ctx.Err() == nil; n += 2 {
				_, err := conn.Exec(context.WithoutCancel(ctx), fmt.Sprintf(`BEGIN; UPDATE account SET money = money - 1 WHERE id = %d;
					UPDATE account SET money = money + 1 WHERE id = %d; INSERT INTO journal (moved) VALUES (1); COMMIT`, n%1000+1, n%1000+1001))
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 3 {
		r := b.Take(t, whole())
		if sum := money(t, b, r.Snapshot); sum != 200000 {
			t.Errorf("snapshot %s holds %d in all accounts, there were always 200000", r.Snapshot, sum)
		}
	}
	cancel()
	writers.Wait()
}

// money sums the accounts as the repository holds them.
func money(t *testing.T, b *snaptest.Bench, id string) (sum int64) {
	t.Helper()
	snap, err := b.Snapshot(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := b.Reader(snap, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range snap.Tables {
		if !strings.HasSuffix(table.Name, "account") {
			continue
		}
		var text strings.Builder
		if err := reader.Copy(t.Context(), table.Data, &text); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text.String()) {
			var account, amount int64
			if _, err := fmt.Sscan(line, &account, &amount); err != nil {
				t.Fatalf("row %q: %v", line, err)
			}
			sum += amount
		}
	}
	return sum
}

func TestFailedCapturesListNothing(t *testing.T) {
	db := filled(t, 100)
	b := snaptest.New(t, db.URL())
	t.Run("unknown source", func(t *testing.T) {
		fn := whole()
		fn.Source = "elsewhere"
		_ = failed(t, b, fn, "payments", "elsewhere", "no such source")
	})
	t.Run("schema that does not exist", func(t *testing.T) {
		fn := whole()
		fn.Schemas = []string{"pai"}
		err := failed(t, b, fn, "payments", "market", "pai")
		var scope *postgres.ScopeError
		if !errors.As(err, &scope) {
			t.Errorf("%T", err)
		}
	})
	t.Run("lock not granted", func(t *testing.T) {
		conn := db.Conn(t)
		if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE pay.big IN ACCESS EXCLUSIVE MODE"); err != nil {
			t.Fatal(err)
		}
		impatient, err := postgres.New(postgres.Options{Name: snaptest.Source, URL: db.URL(), LockTimeout: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		was := b.Taker.Sources[snaptest.Source]
		b.Taker.Sources[snaptest.Source] = impatient
		defer func() { b.Taker.Sources[snaptest.Source] = was }()
		_ = failed(t, b, whole(), "payments", "market", "pay.big")
		if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
	})
	if ids := b.Listed(t); len(ids) > 0 {
		t.Errorf("listed: %v", ids)
	}
}

// failed takes a snapshot that must fail, with an error that tells of every
// one of the words, and that is recorded.
func failed(t *testing.T, b *snaptest.Bench, fn config.Function, words ...string) error {
	t.Helper()
	r, err := b.Taker.Take(t.Context(), fn, nil)
	if err == nil {
		t.Fatalf("it succeeded: %+v", r)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not tell of %q: %v", word, err)
		}
	}
	if run := lastRun(t, b.Catalog); run.Error != err.Error() || run.Ended.IsZero() || run.Snapshot != "" || r.Error != err.Error() {
		t.Errorf("recorded %+v for %v", run, err)
	}
	if ids := b.Listed(t); len(ids) > 0 {
		t.Errorf("listed: %v", ids)
	}
	return err
}

func TestBackendKilledInTheMiddleOfCopy(t *testing.T) {
	db := filled(t, 60000)
	b := snaptest.New(t, db.URL())
	var once sync.Once
	_, err := b.Taker.Take(t.Context(), whole(), func(e progress.Event) {
		if e.Phase == "copy" && e.Done > 0 {
			once.Do(func() {
				db.Exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
					AND pid <> pg_backend_pid() AND backend_type = 'client backend'`)
			})
		}
	})
	if err == nil {
		t.Fatal("the snapshot succeeded although its sessions were killed")
	}
	for _, word := range []string{"payments", "market"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not tell of %q: %v", word, err)
		}
	}
	if ids := b.Listed(t); len(ids) > 0 {
		t.Errorf("listed: %v", ids)
	}
	b.Take(t, whole()) // and the next run is well
}

// A DROP that waits for our locks makes later readers of the table wait behind
// it, pg_dump and our own workers among them, so that the capture may have to
// give up. What must not be is a snapshot without the table's rows, or a DROP
// that waits for long.
func TestTableDroppedInTheMiddle(t *testing.T) {
	db := filled(t, 60000)
	b := snaptest.New(t, db.URL())
	for name, phase := range map[string]string{"before all is locked twice": "copy", "after": "commit"} {
		t.Run(name, func(t *testing.T) {
			db.Exec(t, "CREATE TABLE IF NOT EXISTS pay.victim AS SELECT g FROM generate_series(1, 1000) g")
			dropped := dropDuring(t, db, phase)
			r, err := b.Taker.Take(t.Context(), whole(), dropped.report)
			<-dropped.done
			switch {
			case err == nil:
				if last := r.Tables[len(r.Tables)-1]; last.Name != "pay.victim" || last.Rows != 1000 {
					t.Errorf("tables %+v", r.Tables)
				}
			case phase == "commit":
				t.Errorf("all was read when the table was dropped: %v", err)
			case !strings.Contains(err.Error(), "pay.victim") || r.Snapshot != "":
				t.Errorf("result %+v, error %v", r, err)
			}
			if n := len(b.Take(t, whole()).Tables); n != 3 {
				t.Errorf("%d tables after the drop", n)
			}
		})
	}
}

// dropping drops a table when a phase begins.
type dropping struct {
	report progress.Reporter
	done   chan struct{}
}

func dropDuring(t *testing.T, db *testenv.PG, phase string) dropping {
	var once sync.Once
	d := dropping{done: make(chan struct{})}
	d.report = func(e progress.Event) {
		if e.Phase == phase {
			once.Do(func() {
				go func() {
					defer close(d.done)
					db.Exec(t, "DROP TABLE pay.victim")
				}()
			})
		}
	}
	return d
}

func TestCancelledSnapshotListsNothing(t *testing.T) {
	db := filled(t, 60000)
	b := snaptest.New(t, db.URL())
	for _, phase := range []string{"lock", "copy", "schema", "commit"} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := b.Taker.Take(ctx, whole(), func(e progress.Event) {
			if e.Phase == phase {
				cancel()
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in %s: %v", phase, err)
		}
		if ids := b.Listed(t); len(ids) > 0 {
			t.Fatalf("cancelled in %s, listed: %v", phase, ids)
		}
		db.LetGo(t, "backupd%") // a server takes a moment to end a session
	}
	b.Take(t, whole())
}

func TestSiteAwayIsDegradedAndCatchesUp(t *testing.T) {
	db := filled(t, 1000)
	b := snaptest.New(t, db.URL())
	away := b.Dirs["cloud"] + ".away"
	if err := os.Rename(b.Dirs["cloud"], away); err != nil {
		t.Fatal(err)
	}
	r, err := b.Taker.Take(t.Context(), whole(), nil)
	if err != nil || !r.Degraded || r.Sites["cloud"].State != snapshot.StateSpooled || r.Sites["cloud"].Error == "" ||
		!strings.Contains(r.Error, "cloud") {
		t.Errorf("one site away: %+v %v", r, err)
	}
	b.Taker.MinSites = 2
	r, err = b.Taker.Take(t.Context(), whole(), nil)
	if !errors.Is(err, repository.ErrNotDurable) || !strings.Contains(err.Error(), "spool") || r.Snapshot == "" {
		t.Errorf("two sites wanted, one away: %+v %v", r, err)
	}
	if err := os.Rename(away, b.Dirs["cloud"]); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		states, err := b.Wait(t.Context(), r.Snapshot, repository.Patience{Failing: time.Second})
		if err == nil && states["cloud"].State == repository.StateDurable {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("after it came back: %+v %v", states, err)
		}
	}
}

func TestFullSpool(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a small file system, which needs root; run the tests as root or in a container")
	}
	db := filled(t, 100)
	b := snaptest.New(t, db.URL())
	mount := filepath.Join(b.Base, "spool")
	b.StopUploads()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
		b.StartUploads(t)
	}()
	full, err := repository.Open(t.Context(), b.Options)
	if err != nil {
		t.Fatal(err)
	}
	b.Taker.Repository = full
	db.Exec(t, `CREATE TABLE pay.noise AS SELECT g, md5(random()::text) || md5(random()::text) AS body FROM generate_series(1, 80000) g`)
	if err := failed(t, b, whole(), "payments", "market", "space"); !errors.Is(err, repository.ErrSpool) {
		t.Errorf("not a matter of the spool: %v", err)
	}
}

func TestWrongKey(t *testing.T) {
	db := filled(t, 100)
	b := snaptest.New(t, db.URL())
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	o := b.Options
	o.Identities = []age.Identity{stranger}
	if _, err := repository.Open(t.Context(), o); !errors.Is(err, repository.ErrWrongKey) {
		t.Errorf("opened with a stranger's key: %v", err)
	}
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/testenv"
)

// TestTablesChangeWhileTheyAreLocked is about trap 1: whatever happens between
// the planning and the locks, the rows are those of the snapshot.
func TestTablesChangeWhileTheyAreLocked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, sql string
		rows      map[string]int64
		// late is "kept out" where the locks do so, "seen" where they do not
		// and the capture begins anew, "" where that need not be tried.
		late string
	}{
		{"emptied", "TRUNCATE t; INSERT INTO t VALUES (1)", map[string]int64{"public.t": 1, "public.u": 5}, "kept out"},
		{"rewritten", "ALTER TABLE t ALTER a TYPE bigint", map[string]int64{"public.t": 10, "public.u": 5}, "kept out"},
		{"replaced", "DROP TABLE t; CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 2), (3, 4)", map[string]int64{"public.t": 2, "public.u": 5}, ""},
		{"swapped", "ALTER TABLE t RENAME TO x; ALTER TABLE u RENAME TO t; ALTER TABLE x RENAME TO u", map[string]int64{"public.t": 5, "public.u": 10}, ""},
		{"dropped", "DROP TABLE t", map[string]int64{"public.u": 5}, "kept out"},
		{"made", "CREATE TABLE new AS SELECT 1 AS a", map[string]int64{"public.t": 10, "public.u": 5, "public.new": 1}, "seen"},
		{"moved", "CREATE SCHEMA s; ALTER TABLE t SET SCHEMA s", map[string]int64{"s.t": 10, "public.u": 5}, "kept out"},
		{"column gone", "ALTER TABLE t ADD b int DEFAULT 7, DROP a", map[string]int64{"public.t": 10, "public.u": 5}, ""},
	}
	for _, tt := range tests {
		for _, when := range []string{"planned", "locked"} {
			if when == "locked" && tt.late == "" {
				continue
			}
			t.Run(tt.name+" once "+when, func(t *testing.T) {
				pg := testenv.Postgres(t)
				pg.Exec(t, `CREATE TABLE t AS SELECT generate_series(1, 10) AS a; CREATE TABLE u AS SELECT generate_series(1, 5) AS a`)
				s := newSource(t, pg.URL(), func(o *Options) { o.LockTimeout = 200 * time.Millisecond })
				tries := 0
				change := func() {
					if tries++; tries == 1 {
						pg.Exec(t, "SET lock_timeout = '10s'; "+tt.sql)
					}
				}
				want := maps.Clone(tt.rows)
				if when == "planned" {
					s.hooks.planned = change
				} else if tt.late == "seen" {
					s.hooks.locked = change
				} else {
					// The change waits for the locks of the capture and comes after it.
					s.hooks.locked = func() { go func() { execQuietly(pg, tt.sql) }(); waitForWaiter(t, pg) }
					want = map[string]int64{"public.t": 10, "public.u": 5}
				}
				c, err := s.Capture(t.Context(), whole)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close(context.Background())
				for name, got := range copyTablesUnguarded(t, c) {
					if got != want[name] {
						t.Errorf("%s has %d rows, want %d", name, got, want[name])
					}
					delete(want, name)
				}
				if len(want) > 0 {
					t.Errorf("missing: %v", want)
				}
			})
		}
	}
}

// execQuietly runs SQL that may be cut off by the end of the test.
func execQuietly(pg *testenv.PG, sql string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := New(Options{URL: pg.URL(), LockTimeout: 20 * time.Second})
	if err != nil {
		return
	}
	conn, err := s.connect(ctx, "")
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	_, _ = conn.Exec(ctx, "SET search_path = public; "+sql)
}

// waitForWaiter waits until somebody waits for an exclusive lock in pg.
func waitForWaiter(t testing.TB, pg *testenv.PG) {
	t.Helper()
	waitFor(t, func() bool {
		return pg.Value(t, `SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) != "0"
	})
}

// copyTablesUnguarded counts the rows of all tables in a session that has not
// to queue behind a waiting change: the exporter's locks are enough for the
// truth of the rows.
func copyTablesUnguarded(t testing.TB, c *Capture) map[string]int64 {
	t.Helper()
	rows := map[string]int64{}
	for _, table := range c.Tables() {
		for _, p := range table.Parts {
			n, err := c.CopyPart(t.Context(), table, p, io.Discard)
			var blocked *LockError
			if errors.As(err, &blocked) {
				// Somebody waits for the exporter, as this test wants. They
				// give up, then the table can be read.
				cancelWaiters(t, c)
				n, err = c.CopyPart(t.Context(), table, p, io.Discard)
			}
			if err != nil {
				t.Fatal(err)
			}
			rows[table.String()] += n
		}
	}
	return rows
}

func cancelWaiters(t testing.TB, c *Capture) {
	t.Helper()
	conn, err := c.source.connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	mustExec(t, conn, `SELECT pg_cancel_backend(pid) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
}

func TestTablesChangeEachTime(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	s := newSource(t, pg.URL())
	n := 0
	s.hooks.locked = func() { n++; pg.Exec(t, fmt.Sprintf("CREATE TABLE t%d (a int)", n)) }
	_, err := s.Capture(t.Context(), whole)
	if !errors.Is(err, ErrUnstable) || n != lockAttempts {
		t.Errorf("after %d attempts: %v", n, err)
	}
	mustContain(t, err, "function all", "source market", "public.t3 was made")
}

// TestLockIsNotGranted is about trap 4.
func TestLockIsNotGranted(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "CREATE TABLE free (a int); CREATE TABLE busy (a int)")
	blocker := pg.Conn(t)
	mustExec(t, blocker, "SET application_name = 'migration 7'; BEGIN")
	mustExec(t, blocker, "ALTER TABLE busy ADD secret text DEFAULT 'hunter2'")
	s := newSource(t, pg.URL(), func(o *Options) { o.LockTimeout = 200 * time.Millisecond })
	began := time.Now()
	_, err := s.Capture(t.Context(), Scope{Function: "payments"})
	if d := time.Since(began); d > 3*time.Second {
		t.Errorf("gave up after %s", d)
	}
	var lock *LockError
	if !errors.As(err, &lock) || len(lock.Blockers) != 1 || lock.Blockers[0].PID != int32(blocker.PgConn().PID()) || !lock.Blockers[0].Granted {
		t.Fatalf("error %v (%+v)", err, lock)
	}
	mustContain(t, err, "function payments", "source market", "public.busy", `"migration 7"`, "ALTER TABLE", "200ms",
		fmt.Sprint("pid ", blocker.PgConn().PID()))
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows data: %v", err)
	}
	if n := pg.Value(t, `SELECT count(*) FROM pg_locks WHERE relation = 'free'::regclass`); n != "0" {
		t.Errorf("%s locks are left", n)
	}
	mustExec(t, blocker, "COMMIT")
	openCapture(t, s, whole)
}

// TestWorkerDoesNotQueue is about traps 1 and 4: once somebody waits for the
// exporter, a worker that queued behind them would never get on.
func TestWorkerDoesNotQueue(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "CREATE TABLE t AS SELECT generate_series(1, 10) AS a")
	s := newSource(t, pg.URL(), func(o *Options) { o.LockTimeout = 300 * time.Millisecond })
	c := openCapture(t, s, whole)
	waiter := pg.Conn(t)
	mustExec(t, waiter, "SET application_name = 'impatient'")
	done := make(chan error, 1)
	go func() { _, err := waiter.Exec(context.Background(), "TRUNCATE t"); done <- err }()
	waitForWaiter(t, pg)
	table := c.Tables()[0]
	failed := make(chan error, 1)
	go func() { _, err := c.CopyPart(t.Context(), table, table.Parts[0], io.Discard); failed <- err }()
	var err error
	for err == nil {
		select {
		case err = <-failed:
		default:
			queued := pg.Value(t, "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted AND mode = 'AccessShareLock'")
			if queued != "0" {
				t.Fatal("the worker waits in the queue for the table")
			}
		}
	}
	var lock *LockError
	if !errors.As(err, &lock) || len(lock.Blockers) != 1 || lock.Blockers[0].Granted {
		t.Fatalf("error %v", err)
	}
	mustContain(t, err, "function all", "copying public.t", "TRUNCATE", `"impatient"`, "waiting for a lock on public.t")
	// Who waits and gives up soon does not harm the capture.
	go func() {
		time.Sleep(100 * time.Millisecond)
		cancelWaiters(t, c)
	}()
	rows, err := c.CopyPart(t.Context(), table, table.Parts[0], io.Discard)
	if err != nil || rows != 10 {
		t.Errorf("%d rows, %v", rows, err)
	}
	if err := <-done; err == nil {
		t.Error("the table was emptied under the capture")
	}
}

func TestStatementKindHidesData(t *testing.T) {
	tests := map[string]string{
		"alter table x add y":              "ALTER TABLE",
		"TRUNCATE secrets":                 "TRUNCATE",
		"  update t set password = 'x'":    "UPDATE",
		"VACUUM FULL;":                     "VACUUM FULL",
		"<insufficient privilege>":         "an unknown statement",
		"":                                 "an unknown statement",
		"/* who */ DROP TABLE x":           "an unknown statement",
		"REFRESH MATERIALIZED VIEW secret": "REFRESH MATERIALIZED VIEW",
	}
	for query, want := range tests {
		if got := statementKind(query); got != want {
			t.Errorf("statementKind(%q) = %q, want %q", query, got, want)
		}
	}
}

// TestLocksComeBeforeTheSnapshot is about trap 1 too: with the locks held there
// is no snapshot yet.
func TestLocksComeBeforeTheSnapshot(t *testing.T) {
	pg := testenv.Postgres(t)
	pg.Exec(t, "CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); CREATE TABLE u (a int)")
	s := newSource(t, pg.URL())
	var got [][]string
	s.hooks.locked = func() {
		got = pg.Query(t, `SELECT count(*), bool_or(a.backend_xmin IS NOT NULL) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE a.application_name = 'backupd/all' AND a.datname = current_database() AND l.mode = 'AccessShareLock' AND l.granted
			AND l.relation IN ('t'::regclass, 't1'::regclass, 'u'::regclass)`)
	}
	openCapture(t, s, whole)
	if len(got) != 1 || got[0][0] != "3" || got[0][1] != "f" {
		t.Errorf("locks held and whether there is a snapshot: %v, want 3 and f", got)
	}
}

package postgres

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/testenv"
)

// blockingWriter waits at its first write until it is released.
type blockingWriter struct {
	started chan struct{}
	release chan struct{}
	began   bool
}

func newBlockingWriter() *blockingWriter {
	return &blockingWriter{started: make(chan struct{}), release: make(chan struct{})}
}

func (w *blockingWriter) Write(p []byte) (int, error) {
	if !w.began {
		w.began = true
		close(w.started)
		<-w.release
	}
	return len(p), nil
}

// bigTable has more rows than the buffers between server and client hold.
const bigTable = "CREATE TABLE big AS SELECT repeat(md5(i::text), 30) AS a FROM generate_series(1, 40000) i"

// TestExporterIsKilled is about trap 2.
func TestExporterIsKilled(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, bigTable)
	c := openCapture(t, newSource(t, pg.URL()), Scope{Function: "payments"})
	table := c.Tables()[0]
	w := newBlockingWriter()
	result := make(chan error, 1)
	go func() {
		_, err := c.CopyPart(t.Context(), table, table.Parts[0], w)
		result <- err
	}()
	<-w.started
	pid := c.exporter.PgConn().PID()
	if killed := pg.Value(t, "SELECT pg_terminate_backend("+itoa(pid)+")"); killed != "true" && killed != "t" {
		t.Fatalf("killing the exporter: %s", killed)
	}
	waitFor(t, func() bool { return c.ctx.Err() != nil })
	close(w.release)
	err := <-result
	if !errors.Is(err, ErrSnapshotLost) {
		t.Errorf("a copy under way: %v", err)
	}
	mustContain(t, err, "function payments", "source market", "copying public.big")
	_, err = c.Structure(t.Context())
	if !errors.Is(err, ErrSnapshotLost) {
		t.Errorf("a later call: %v", err)
	}
	mustContain(t, err, "reading the structure")
	if err := c.Schema(t.Context(), io.Discard); !errors.Is(err, ErrSnapshotLost) {
		t.Errorf("a later dump: %v", err)
	}
}

func itoa(pid uint32) string { return string(appendUint(nil, pid)) }

func appendUint(b []byte, n uint32) []byte {
	if n >= 10 {
		b = appendUint(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

// TestWorkerIsKilled: the part fails, the capture goes on.
func TestWorkerIsKilled(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, bigTable)
	c := openCapture(t, newSource(t, pg.URL(), func(o *Options) { o.Connections = 1 }), Scope{Function: "payments"})
	table := c.Tables()[0]
	w := newBlockingWriter()
	result := make(chan error, 1)
	go func() {
		_, err := c.CopyPart(t.Context(), table, table.Parts[0], w)
		result <- err
	}()
	<-w.started
	killed := pg.Query(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE query LIKE 'COPY%' AND application_name = 'backupd/payments' AND datname = current_database()`)
	if len(killed) != 1 {
		t.Fatalf("killed %v", killed)
	}
	close(w.release)
	err := <-result
	mustContain(t, err, "function payments", "source market", "copying public.big")
	if errors.Is(err, ErrSnapshotLost) {
		t.Errorf("the snapshot is not lost: %v", err)
	}
	if got := copyTables(t, c)["public.big"].digest.Rows; got != 40000 {
		t.Errorf("%d rows on the second try, want 40000", got)
	}
}

// TestServerIsGone: everything fails, nothing hangs.
func TestServerIsGone(t *testing.T) {
	t.Parallel()
	pg := testenv.PrivatePostgres(t, nil)
	pg.Exec(t, bigTable)
	s := newSource(t, pg.URL())
	c := openCapture(t, s, Scope{Function: "payments"})
	table := c.Tables()[0]
	w := newBlockingWriter()
	result := make(chan error, 1)
	go func() {
		_, err := c.CopyPart(t.Context(), table, table.Parts[0], w)
		result <- err
	}()
	<-w.started
	pg.Kill()
	close(w.release)
	mustContain(t, <-result, "function payments", "source market", "copying public.big")
	if err := c.Close(context.Background()); err != nil {
		t.Logf("Close: %v", err)
	}
	_, err := s.Capture(t.Context(), Scope{Function: "payments"})
	mustContain(t, err, "function payments", "source market", "connecting")
	findings := s.Check(t.Context(), nil)
	if len(findings) != 1 || findings[0].OK || findings[0].Hint == "" {
		t.Errorf("Check: %+v", findings)
	}
}

// TestSnapshotGrowsTooOld is about trap 5.
func TestSnapshotGrowsTooOld(t *testing.T) {
	pg := testenv.Postgres(t)
	pg.Exec(t, "CREATE TABLE t AS SELECT 1 AS a")
	fake := clock.NewFake(time.Now())
	s := newSource(t, pg.URL(), func(o *Options) { o.Clock, o.MaxSnapshotAge = fake, time.Hour })
	c := openCapture(t, s, Scope{Function: "payments"})
	waitFor(t, func() bool { return fake.Sleepers() == 1 })
	fake.Advance(59 * time.Minute)
	copyTables(t, c)
	fake.Advance(time.Minute)
	waitFor(t, func() bool { return c.ctx.Err() != nil })
	_, err := c.CopyPart(t.Context(), c.Tables()[0], c.Tables()[0].Parts[0], io.Discard)
	if !errors.Is(err, ErrSnapshotAge) {
		t.Errorf("error %v", err)
	}
	mustContain(t, err, "function payments", "copying public.t", "1h0m0s", "max_snapshot_age")
	// Locks and snapshot are let go without a call of Close.
	waitFor(t, func() bool {
		return pg.Value(t, `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'backupd/%' AND datname = current_database()`) == "0"
	})
}

func TestContextEndsTheCapture(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, bigTable)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, err := newSource(t, pg.URL()).Capture(ctx, whole)
	if err != nil {
		t.Fatal(err)
	}
	w := newBlockingWriter()
	result := make(chan error, 1)
	go func() {
		_, err := c.CopyPart(context.Background(), c.Tables()[0], c.Tables()[0].Parts[0], w)
		result <- err
	}()
	<-w.started
	cancel()
	close(w.release)
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := c.Close(context.Background()); err != nil {
		t.Error(err)
	}
	waitFor(t, func() bool {
		return pg.Value(t, `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'backupd/%' AND datname = current_database()`) == "0"
	})
}

// TestImportIsChecked is about trap 3.
func TestImportIsChecked(t *testing.T) {
	pg := testenv.Postgres(t)
	pg.Exec(t, "CREATE TABLE t AS SELECT 1 AS a")
	c := openCapture(t, newSource(t, pg.URL()), whole)
	c.snapshot.horizon = "1:1:"
	_, err := c.CopyPart(t.Context(), c.Tables()[0], c.Tables()[0].Parts[0], io.Discard)
	mustContain(t, err, "the imported snapshot sees other transactions")
}

func TestWrongPasswordIsNotShown(t *testing.T) {
	for _, url := range []string{
		"postgres://me:hunter2@127.0.0.1:1/db?connect_timeout=1", "host=127.0.0.1 port=1 user=me password=hunter2 dbname=db",
	} {
		_, err := newSource(t, url).Capture(t.Context(), Scope{Function: "payments"})
		mustContain(t, err, "function payments", "source market", "connecting")
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	_, err := New(Options{Name: "market", URL: "postgres://me:hunter2@host:notaport/db"})
	mustContain(t, err, "source market")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows the password: %v", err)
	}
}

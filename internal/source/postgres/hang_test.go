package postgres

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/testenv"
)

// shortStall is the bound of these tests, and stallEnds the time within which
// what hangs has ended: pg_dump and pg_restore get seconds to end politely.
const (
	shortStall = 500 * time.Millisecond
	stallEnds  = 15 * time.Second
)

func impatient(o *Options) { o.StallTimeout = shortStall }

// firstWrite calls a function once, when the first bytes come.
type firstWrite struct {
	io.Writer
	once sync.Once
	call func()
}

func (w *firstWrite) Write(p []byte) (int, error) {
	w.once.Do(w.call)
	return w.Writer.Write(p)
}

// endsSoon fails unless f ends as stalled, with the words in its error.
func endsSoon(t *testing.T, f func() error, words ...string) {
	t.Helper()
	start := time.Now()
	err := f()
	if took := time.Since(start); took > stallEnds {
		t.Errorf("it took %s to end", took)
	}
	if !errors.Is(err, progress.ErrStalled) {
		t.Fatalf("ended with %v", err)
	}
	mustContain(t, err, append(words, "nothing has moved for", "at the network in between")...)
}

func TestFrozenServerProcessEndsACopy(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, bigTable)
	s := newSource(t, pg.URL(), impatient)
	c := openCapture(t, s, Scope{Function: "payments"})
	table := c.Tables()[0]
	var thaw func()
	w := &firstWrite{Writer: io.Discard, call: func() { thaw = pg.Freeze(t, pg.Session(t, "query LIKE 'COPY%'")) }}
	endsSoon(t, func() error {
		_, err := c.CopyPart(t.Context(), table, table.Parts[0], w)
		return err
	}, "function payments", "source market", "copying public.big", "server process", "after", "bytes")
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	thaw()
	pg.LetGo(t, "backupd/%")
	if got := copyTables(t, openCapture(t, s, Scope{Function: "payments"})); got["public.big"].digest.Rows != 40000 {
		t.Errorf("the next capture copies %d rows", got["public.big"].digest.Rows)
	}
}

// A network that hangs leaves every session where it is; each phase of a
// capture ends by itself, and all is let go at the source when the network is
// back.
func TestHungNetworkEndsEveryPhase(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, bigTable)
	phases := map[string]func(c *Capture) error{
		"copying public.big": func(c *Capture) error {
			_, err := c.CopyPart(t.Context(), c.Tables()[0], c.Tables()[0].Parts[0], io.Discard)
			return err
		},
		"dumping the schema":           func(c *Capture) error { return c.Schema(t.Context(), io.Discard) },
		"reading the structure":        func(c *Capture) error { _, err := c.Structure(t.Context()); return err },
		"reading roles and extensions": func(c *Capture) error { _, err := c.Globals(t.Context()); return err },
		"reading the sequences":        func(c *Capture) error { _, err := c.Sequences(t.Context()); return err },
	}
	pg.Exec(t, "CREATE SEQUENCE counter")
	for phase, do := range phases {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			link, address := pg.Link(t)
			c := openCapture(t, newSource(t, address, impatient), Scope{Function: "phase " + phase})
			// A session that has been used before is quicker to hang than one
			// that is still connecting.
			if _, err := c.Globals(t.Context()); err != nil {
				t.Fatal(err)
			}
			link.Hang()
			endsSoon(t, func() error { return do(c) }, "function phase "+phase, "source market", phase)
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
			link.Restore()
			pg.LetGo(t, "backupd/phase "+phase)
		})
	}
	t.Run("starting the capture", func(t *testing.T) {
		t.Parallel()
		link, address := pg.Link(t)
		s := newSource(t, address, impatient)
		s.hooks.locked = link.Hang
		endsSoon(t, func() error {
			_, err := s.Capture(t.Context(), Scope{Function: "start"})
			return err
		}, "function start", "source market", "starting the capture")
		link.Restore()
		pg.LetGo(t, "backupd/start")
	})
}

// The process of pg_dump's session is stopped in the middle of its work.
func TestFrozenServerProcessEndsADump(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, `DO $$ BEGIN FOR i IN 1 .. 3000 LOOP EXECUTE 'CREATE FUNCTION f' || i || '() RETURNS int LANGUAGE sql AS ''SELECT 1'''; END LOOP; END $$`)
	c := openCapture(t, newSource(t, pg.URL(), impatient), Scope{Function: "payments"})
	thaw := make(chan func(), 1)
	go func() {
		thaw <- pg.Freeze(t, pg.Session(t, "application_name = 'backupd/payments' AND pid <> "+itoa(c.exporter.PgConn().PID())))
	}()
	endsSoon(t, func() error { return c.Schema(t.Context(), io.Discard) }, "function payments", "source market", "dumping the schema", "pg_dump")
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	(<-thaw)()
	pg.LetGo(t, "backupd/%")
}

// What is slow, or waits for us, is not hung.
func TestSlowIsNotHung(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, `CREATE TABLE big AS SELECT repeat(md5(i::text), 30) AS a FROM generate_series(1, 2000) i`)
	link, address := pg.Link(t)
	c := openCapture(t, newSource(t, address, impatient), Scope{Function: "payments"})
	link.Throttle(1 << 20)
	if got := copyTable(t, c, c.Tables()[0]); got.digest.Rows != 2000 {
		t.Errorf("%d rows", got.digest.Rows)
	}
	link.Restore()
	slowTaker := &firstWrite{Writer: io.Discard, call: func() { time.Sleep(3 * shortStall) }}
	if rows, err := c.CopyPart(t.Context(), c.Tables()[0], c.Tables()[0].Parts[0], slowTaker); err != nil || rows != 2000 {
		t.Errorf("with a slow taker: %d rows, %v", rows, err)
	}
}

// rowsOf gives rows as long as they are asked for, and calls a function when
// some have gone.
type rowsOf struct {
	after int
	call  func()
}

func (r *rowsOf) Read(p []byte) (int, error) {
	if r.after--; r.after == 0 {
		r.call()
	}
	return copy(p, strings.Repeat("x\n", len(p)/2)), nil
}

func TestFrozenTargetEndsALoad(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "CREATE TABLE t (a text)")
	target := into(t, pg.URL(), TargetOptions{StallTimeout: shortStall})
	table := Table{Schema: "public", Name: "t", Columns: []string{"a"}}
	rows := &rowsOf{after: 10, call: func() { pg.Freeze(t, pg.Session(t, "query LIKE 'COPY%'")) }}
	endsSoon(t, func() error {
		_, err := target.CopyIn(t.Context(), table, rows)
		return err
	}, "target", "load public.t", "server process")
}

// A site may need minutes for the rows: the target has done nothing wrong.
func TestTargetThatWaitsForRowsIsNotHung(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "CREATE TABLE t (a text)")
	target := into(t, pg.URL(), TargetOptions{StallTimeout: shortStall})
	table := Table{Schema: "public", Name: "t", Columns: []string{"a"}}
	out, in := io.Pipe()
	go func() {
		_, _ = in.Write([]byte("first\n")) // never fails
		time.Sleep(3 * shortStall)
		_, _ = in.Write([]byte("second\n")) // never fails
		_ = in.Close()                      // never fails
	}()
	if n, err := target.CopyIn(t.Context(), table, out); n != 2 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
}

// Long work moves no bytes: it goes on as long as the server answers, and no
// longer.
func TestLongWorkEndsWithTheServersAnswers(t *testing.T) {
	t.Parallel()
	source := testenv.Postgres(t)
	source.Exec(t, `CREATE TABLE t AS SELECT 1 AS a; CREATE MATERIALIZED VIEW slow AS SELECT a, pg_sleep(2)::text FROM t`)
	s := save(t, source, Scope{Function: "payments"})
	db := source.NewDatabase(t)
	target, err := Connect(t.Context(), TargetOptions{URL: db.URL(), Jobs: 2, StallTimeout: shortStall})
	must(t, err)
	must(t, s.load(target))
	if _, err := target.PostData(t.Context(), s.archive, 2, nil); err != nil {
		t.Errorf("work of two seconds with a bound of %s: %v", shortStall, err)
	}
	must(t, target.Close(t.Context()))

	db = source.NewDatabase(t)
	link, address := db.Link(t)
	target, err = Connect(t.Context(), TargetOptions{URL: address, Jobs: 2, StallTimeout: shortStall})
	must(t, err)
	must(t, s.load(target))
	go func() {
		_ = db.Session(t, "query LIKE 'REFRESH%'")
		link.Hang()
	}()
	endsSoon(t, func() error {
		_, err := target.PostData(t.Context(), s.archive, 2, nil)
		return err
	}, "target", "finish it")
	must(t, target.Close(t.Context()))
	link.Restore()
	db.LetGo(t, "backupd%")
}

// A program that hangs while its server answers others is bounded by them
// being one server; one whose network hangs ends.
func TestHungNetworkEndsPgRestore(t *testing.T) {
	t.Parallel()
	source := testenv.Postgres(t)
	source.Exec(t, `CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(5); RETURN $1; END';
		CREATE TABLE t (a int); CREATE INDEX slowly ON t (slow(a))`)
	s := save(t, source, Scope{Function: "payments"})
	s.rows["public.t"] = []byte("1\n")
	db := source.NewDatabase(t)
	link, address := db.Link(t)
	target, err := Connect(t.Context(), TargetOptions{URL: address, Jobs: 1, StallTimeout: shortStall})
	must(t, err)
	must(t, target.PreData(t.Context(), s.archive, s.globals))
	if _, err := target.CopyIn(t.Context(), s.tables[0], bytes.NewReader(s.rows["public.t"])); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = db.Session(t, "query LIKE 'CREATE INDEX%'")
		link.Hang()
	}()
	endsSoon(t, func() error {
		_, err := target.PostData(context.WithoutCancel(t.Context()), s.archive, 1, nil)
		return err
	}, "target", "finish it", "pg_restore")
	must(t, target.Close(t.Context()))
	link.Restore()
	db.LetGo(t, "backupd%")
}

// Sessions that nobody hears of any more are ended by the source itself.
func TestSourceIsToldToLetGo(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	s := newSource(t, pg.URL(), func(o *Options) { o.MaxSnapshotAge = time.Hour; o.StallTimeout = 4 * time.Minute })
	conn, err := s.connect(t.Context(), "payments")
	must(t, err)
	defer func() { _ = hangUp(conn) }()
	for name, want := range map[string]string{"idle_in_transaction_session_timeout": "1h1min", "statement_timeout": "0"} {
		var got string
		must(t, conn.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&got))
		if got != want && !(name == "idle_in_transaction_session_timeout" && got == "61min") {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

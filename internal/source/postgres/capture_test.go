package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/rowhash"
	"github.com/saypro/backupd/internal/testenv"
)

// TestCaptureReadsEveryKindOfTable is about traps 8, 9, 12, 14, 15 and 17.
func TestCaptureReadsEveryKindOfTable(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	zoo(t, pg)
	pg.Exec(t, "CREATE TEMP TABLE passing (a int)")
	c := openCapture(t, newSource(t, pg.URL()), whole)
	got := copyTables(t, c)
	want := []struct {
		table, kind string
		rows        int64
		columns     string
	}{
		{"shop.customers", KindTable, 100, "id mail home tags name notes"},
		{"shop.orders_2024", KindPartition, 365, ""},
		{"shop.orders_2025_new", KindPartition, 84, ""},
		{"shop.orders_2025_rest", KindPartition, 251, ""},
		{"shop.spread_0", KindPartition, 0, ""},
		{"shop.spread_1", KindPartition, 0, ""},
		{"shop.parent", KindTable, 10, "a b later"},
		{"shop.child", KindTable, 20, "a b c later"},
		{`shop."We""ird Näme.x"`, KindTable, 3, "Sp ace select ü"},
		{"shop.nothing", KindTable, 7, ""},
		{"shop.only_generated", KindTable, 3, ""},
		{"shop.cache", KindUnlogged, 1, "k"},
		{"shop.empty", KindTable, 0, "a"},
	}
	var names []string
	for _, w := range want {
		names = append(names, w.table)
		g, ok := got[w.table]
		if !ok {
			t.Errorf("%s is missing", w.table)
			continue
		}
		if g.Kind != w.kind || (w.rows != 0 && g.digest.Rows != w.rows) {
			t.Errorf("%s: kind %s with %d rows, want %s with %d", w.table, g.Kind, g.digest.Rows, w.kind, w.rows)
		}
		if columns := strings.Join(g.Columns, " "); w.columns != "" && columns != w.columns {
			t.Errorf("%s: columns %q, want %q", w.table, columns, w.columns)
		}
	}
	for name := range got {
		if !slices.Contains(names, name) {
			t.Errorf("%s should not be captured", name)
		}
	}
	if n := got["shop.spread_0"].digest.Rows + got["shop.spread_1"].digest.Rows; n != 50 {
		t.Errorf("the hash partitions have %d rows, want 50", n)
	}
	if text, want := string(got[`shop."We""ird Näme.x"`].text), "1\ttab\\t nl\\n bs\\\\ \\\\. \t{1,NULL}\n\\N\t\t\\N\n\\N\t\\\\N\t\\N\n"; text != want {
		t.Errorf("the strange table reads\n%q, want\n%q", text, want)
	}
	notes := strings.Join(c.Notes(), "\n")
	for _, w := range []string{"public.distant is a foreign table", "shop.summary is a materialized view"} {
		if !strings.Contains(notes, w) {
			t.Errorf("the notes do not say %q:\n%s", w, notes)
		}
	}
	if !strings.Contains(got["shop.cache"].Note, "unlogged") {
		t.Errorf("the note on the unlogged table is %q", got["shop.cache"].Note)
	}
}

// TestCaptureTextDoesNotDependOnSettings is about trap 12: settings of the
// database and of the role change what a session prints.
func TestCaptureTextDoesNotDependOnSettings(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	zoo(t, pg)
	before := copyTables(t, openCapture(t, newSource(t, pg.URL()), whole))
	for _, set := range []string{
		"DateStyle = 'SQL, DMY'", "IntervalStyle = 'iso_8601'", "TimeZone = 'Asia/Tokyo'", "extra_float_digits = 0",
		"bytea_output = 'escape'", "search_path = 'shop'", "xmloption = 'document'", "client_encoding = 'LATIN1'",
		"standard_conforming_strings = off", "statement_timeout = '10min'", "enable_tidscan = off", "row_security = on",
		"quote_all_identifiers = on", "default_transaction_isolation = 'serializable'", "default_transaction_read_only = on", // this one last
	} {
		pg.Exec(t, "ALTER DATABASE "+pg.Database+" SET "+set)
	}
	after := copyTables(t, openCapture(t, newSource(t, pg.URL()), whole))
	for name, b := range before {
		if a := after[name]; a.digest != b.digest {
			t.Errorf("%s prints differently:\n%.300s\n%.300s", name, b.text, a.text)
		}
	}
}

func TestCaptureOfOtherEncodings(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		name := fmt.Sprintf("%s_%s", pg.Database, strings.ToLower(encoding))
		pg.Exec(t, "CREATE DATABASE "+name+" ENCODING '"+encoding+"' LOCALE 'C' TEMPLATE template0")
		t.Cleanup(func() { pg.Exec(t, "DROP DATABASE "+name+" WITH (FORCE)") })
		s := newSource(t, pg.URLOf(name))
		conn, err := s.connect(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, conn, `CREATE TABLE public.t (a text); INSERT INTO public.t VALUES (convert_from('\xe4', '`+encoding+`'))`)
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		c := openCapture(t, s, whole)
		want := "ä\n"
		if encoding == "SQL_ASCII" {
			want = "\xe4\n"
		}
		if got := string(copyTables(t, c)["public.t"].text); got != want {
			t.Errorf("%s: read %q, want %q", encoding, got, want)
		}
		if c.Point().Encoding != encoding {
			t.Errorf("the point says %s, want %s", c.Point().Encoding, encoding)
		}
		dump(t, c)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestPartsAreTheWholeTable is about traps 10, 11 and 24: wide rows outside
// the heap, a table that was never analysed, rows dead and alive.
func TestPartsAreTheWholeTable(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, `CREATE TABLE wide (a int, b text) WITH (autovacuum_enabled = off);
		ALTER TABLE wide ALTER b SET STORAGE EXTERNAL;
		INSERT INTO wide SELECT i, repeat(md5(i::text), CASE i % 10 WHEN 0 THEN 300 ELSE i % 20 END) FROM generate_series(1, 5000) i;
		DELETE FROM wide WHERE a % 7 = 0; UPDATE wide SET a = -a WHERE a % 5 = 0;
		CREATE TABLE x_child () INHERITS (wide); INSERT INTO x_child SELECT * FROM wide`)
	s := newSource(t, pg.URL())
	s.partBytes = 256 << 10
	c := openCapture(t, s, whole)
	pg.Exec(t, `INSERT INTO wide SELECT i FROM generate_series(1, 5000) i; DELETE FROM wide WHERE a % 2 = 0`)
	table := c.Tables()[0]
	if len(table.Parts) < 8 {
		t.Fatalf("only %d parts: %+v", len(table.Parts), table.Parts)
	}
	if last := table.Parts[len(table.Parts)-1]; last.To != 0 || table.Parts[0].From != 0 {
		t.Errorf("the parts do not cover everything: %+v", table.Parts)
	}
	got := copyTable(t, c, table)
	var text bytes.Buffer
	var sum rowhash.Writer
	rows, err := c.CopyPart(t.Context(), table, Part{Whole: true}, io.MultiWriter(&text, &sum))
	if err != nil {
		t.Fatal(err)
	}
	digest, _ := sum.Sum()
	if rows != 4286 || got.digest != digest || !bytes.Equal(got.text, text.Bytes()) {
		t.Errorf("parts give %v, the whole gives %v with %d rows, want 4286", got.digest, digest, rows)
	}
	plan := pg.Query(t, "EXPLAIN "+strings.TrimSuffix(strings.TrimPrefix(copyOutSQL(table, table.Parts[1]), "COPY ("), ") TO STDOUT"))
	if !strings.Contains(plan[0][0], "Tid Range Scan") {
		t.Errorf("a part is read by %s", plan[0][0])
	}
}

func TestPartsStayTheSameWhileTheTableGrows(t *testing.T) {
	const mb = 1 << 20
	tests := []struct{ heap, total, wantParts, wantStep int64 }{
		{0, 0, 1, 0},
		{8192, 8192, 1, 0},
		{60 * mb, 60 * mb, 1, 0},
		{64 * mb, 64 * mb, 1, 0},
		{64*mb + 8192, 65 * mb, 2, 8192},
		{1000 * mb, 1010 * mb, 16, 8192},
		{1500 * mb, 1510 * mb, 24, 8192},
		{100 * mb, 400 * mb, 7, 2048},
		{mb, 2000 * mb, 32, 4},
		{80 << 10, 100000 * mb, 10, 1},
	}
	for _, tt := range tests {
		parts := cut(tt.heap, tt.total, 8192, defaultPartBytes)
		if int64(len(parts)) != tt.wantParts {
			t.Errorf("heap %d, total %d: %d parts, want %d", tt.heap, tt.total, len(parts), tt.wantParts)
		}
		if len(parts) == 1 {
			if !parts[0].Whole {
				t.Errorf("heap %d: one part and not the whole: %+v", tt.heap, parts)
			}
			continue
		}
		for i, p := range parts {
			last := i == len(parts)-1
			if p.Whole || p.From != int64(i)*tt.wantStep || (!last && p.To != p.From+tt.wantStep) || (last && p.To != 0) {
				t.Errorf("heap %d: part %d is %+v with a step of %d", tt.heap, i, p, tt.wantStep)
			}
		}
	}
}

func TestCaptureDoesNotSeeLaterWrites(t *testing.T) {
	pg := testenv.Postgres(t)
	pg.Exec(t, `CREATE TABLE t (id serial, a int); INSERT INTO t (a) SELECT generate_series(1, 100)`)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.FixedZone("", 7200))
	fake := clock.NewFake(now)
	s := newSource(t, pg.URL(), func(o *Options) { o.Clock = fake })
	s.hooks.exported = func() { fake.Advance(time.Hour) }
	c := openCapture(t, s, whole)
	pg.Exec(t, `UPDATE t SET a = -1; INSERT INTO t (a) SELECT generate_series(1, 50); CREATE TABLE later (a int)`)
	got := copyTables(t, c)
	if n := got["public.t"].digest.Rows; n != 100 || bytes.Contains(got["public.t"].text, []byte("-1")) || len(got) != 1 {
		t.Errorf("%d tables, %d rows, changed ones: %t", len(got), n, bytes.Contains(got["public.t"].text, []byte("-1")))
	}
	sequences, err := c.Sequences(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(sequences) != 1 || sequences[0] != (Sequence{"public", "t_id_seq", 150, true}) {
		t.Errorf("sequences %+v, want one that is ahead of the rows, at 150", sequences)
	}
	p := c.Point()
	if !p.Time.Equal(now) || p.Time.Location() != time.UTC {
		t.Errorf("the time is %s, want %s in UTC, from before the snapshot", p.Time, now)
	}
	if p.Database != pg.Database || p.LSN == "" || p.SystemIdentifier == "" || p.ServerVersionNum < 120000 || p.DatabaseTime.IsZero() {
		t.Errorf("the point lacks something: %+v", p)
	}
}

// TestCaptureLeavesTheSourceAsItWas compares everything in the catalog and the
// settings before and after.
func TestCaptureLeavesTheSourceAsItWas(t *testing.T) {
	pg := testenv.Postgres(t)
	zoo(t, pg)
	state := func() string {
		return pg.Value(t, `SELECT md5(concat(
			(SELECT string_agg(to_jsonb(c)::text, '' ORDER BY oid) FROM (SELECT oid, relname, relfilenode, relacl, reloptions, relkind FROM pg_class) c),
			(SELECT string_agg(to_jsonb(s)::text, '' ORDER BY name) FROM (SELECT name, setting FROM pg_settings WHERE name NOT LIKE 'application%') s),
			(SELECT string_agg(to_jsonb(p)::text, '' ORDER BY oid) FROM (SELECT oid, proname FROM pg_proc) p),
			(SELECT string_agg(to_jsonb(d)::text, '') FROM pg_db_role_setting d),
			(SELECT string_agg(to_jsonb(r)::text, '' ORDER BY oid) FROM pg_roles r),
			(SELECT string_agg(last_value::text, '') FROM (SELECT last_value FROM shop.tickets UNION ALL SELECT last_value FROM shop.unused) q),
			(SELECT count(*) FROM pg_prepared_xacts), (SELECT count(*) FROM pg_replication_slots)))`)
	}
	before := state()
	c := openCapture(t, newSource(t, pg.URL()), whole)
	copyTables(t, c)
	dump(t, c)
	for _, f := range []func() error{
		func() error { _, err := c.Structure(t.Context()); return err },
		func() error { _, err := c.Globals(t.Context()); return err },
		func() error { _, err := c.Sequences(t.Context()); return err },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	modes := pg.Query(t, `SELECT DISTINCT mode FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE a.application_name LIKE 'backupd/%' AND locktype = 'relation' AND a.datname = current_database()`)
	if len(modes) != 1 || modes[0][0] != "AccessShareLock" {
		t.Errorf("the capture holds locks of the modes %v", modes)
	}
	writers := pg.Value(t, `SELECT count(*) FROM pg_stat_activity
		WHERE backend_xid IS NOT NULL AND application_name LIKE 'backupd/%' AND datname = current_database()`)
	if writers != "0" {
		t.Errorf("%s sessions have a transaction number, so they wrote something", writers)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if state() != before {
		t.Error("the source has changed")
	}
	waitFor(t, func() bool {
		return pg.Value(t, `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'backupd%' AND datname = current_database()`) == "0"
	})
}

// waitFor waits until what is true.
func waitFor(t testing.TB, what func() bool) {
	t.Helper()
	for range 4000 {
		if what() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("waited in vain")
}

func TestCaptureIsClosed(t *testing.T) {
	pg := testenv.Postgres(t)
	pg.Exec(t, "CREATE TABLE t (a int)")
	c := openCapture(t, newSource(t, pg.URL()), Scope{Function: "f", Tables: []string{"public.t"}})
	for range 2 {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	_, err := c.CopyPart(t.Context(), c.Tables()[0], c.Tables()[0].Parts[0], io.Discard)
	if !errors.Is(err, ErrClosed) {
		t.Errorf("CopyPart after Close: %v", err)
	}
	mustContain(t, err, "function f", "source market", "copying public.t")
}

func TestCaptureStopsAtErrorsOfTheReader(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "CREATE TABLE t (a text); INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
	c := openCapture(t, newSource(t, pg.URL(), func(o *Options) { o.Connections = 1 }), whole)
	full := errors.New("disk full")
	_, err := c.CopyPart(t.Context(), c.Tables()[0], c.Tables()[0].Parts[0], failingWriter{full})
	if !errors.Is(err, full) {
		t.Errorf("the reader's error is lost: %v", err)
	}
	if got := copyTables(t, c); got["public.t"].digest.Rows != 20000 {
		t.Errorf("%d rows after that, want 20000", got["public.t"].digest.Rows)
	}
	err = c.Schema(t.Context(), failingWriter{full})
	if !errors.Is(err, full) {
		t.Errorf("the reader's error is lost: %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

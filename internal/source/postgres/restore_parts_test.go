package postgres

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/testenv"
)

func TestRestoreOfNamedTables(t *testing.T) {
	t.Parallel()
	source := testenv.Postgres(t)
	source.Exec(t, `
		CREATE SCHEMA s;
		CREATE TYPE s.state AS ENUM ('on', 'off');
		CREATE FUNCTION s.next() RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE FUNCTION s.fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE FUNCTION s.unused() RETURNS int LANGUAGE sql AS 'SELECT 1';
		CREATE TABLE s.users (id serial PRIMARY KEY);
		CREATE TABLE s."odd orders" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n serial, who int REFERENCES s.users,
			before int REFERENCES s."odd orders", state s.state, x int DEFAULT s.next());
		CREATE INDEX by_state ON s."odd orders" (state);
		CREATE TRIGGER fire BEFORE INSERT ON s."odd orders" FOR EACH ROW EXECUTE FUNCTION s.fire();
		COMMENT ON INDEX s.by_state IS 'fast';
		CREATE TABLE s.parts (id int, n int) PARTITION BY RANGE (id);
		CREATE TABLE s.parts_1 PARTITION OF s.parts FOR VALUES FROM (0) TO (10);
		CREATE TABLE s.parts_2 PARTITION OF s.parts FOR VALUES FROM (10) TO (20);
		CREATE INDEX parts_n ON s.parts (n);
		CREATE VIEW s.v AS SELECT * FROM s.users;
		INSERT INTO s.users DEFAULT VALUES;
		INSERT INTO s."odd orders" (who, before, state) VALUES (1, 1, 'on'), (1, 2, 'off');
		INSERT INTO s.parts SELECT n, n FROM generate_series(0, 19) n;`)
	s := save(t, source, Scope{Function: "f"})

	t.Run("one with a reference", func(t *testing.T) {
		db := source.NewDatabase(t)
		target := into(t, db.URL(), TargetOptions{Tables: []TableName{{"s", "odd orders"}}})
		left := s.restore(t, target)
		if len(left) != 1 || left[0].ToTable != "users" || left[0].Table != "odd orders" || !strings.HasPrefix(left[0].Definition, "FOREIGN KEY (who)") {
			t.Errorf("left %+v", left)
		}
		want := "by_state i, odd orders r, odd orders_id_seq S, odd orders_n_seq S, odd orders_pkey i"
		if got := db.Value(t, "SELECT string_agg(relname || ' ' || relkind::text, ', ' ORDER BY relname) FROM pg_class WHERE relnamespace = 's'::regnamespace"); got != want {
			t.Errorf("relations %s, want %s", got, want)
		}
		if got := db.Value(t, "SELECT string_agg(proname, ',' ORDER BY proname) FROM pg_proc WHERE pronamespace = 's'::regnamespace"); got != "fire,next" {
			t.Errorf("functions %s", got)
		}
		if got := db.Value(t, "SELECT string_agg(conname, ',' ORDER BY conname) FROM pg_constraint WHERE conrelid = 's.\"odd orders\"'::regclass"); got != "odd orders_before_fkey,odd orders_pkey" {
			t.Errorf("constraints %s", got)
		}
		db.Exec(t, `INSERT INTO s."odd orders" (who, state) VALUES (1, 'on')`)
		if got := db.Value(t, `SELECT string_agg(id || '/' || n || '/' || x, ' ' ORDER BY id) FROM s."odd orders"`); got != "1/1/1 2/2/1 3/3/1" {
			t.Errorf("rows %s", got)
		}
		if got := db.Value(t, "SELECT obj_description('s.by_state'::regclass) || count(*) FROM pg_trigger WHERE tgname = 'fire'"); got != "fast1" {
			t.Errorf("comment and trigger: %s", got)
		}
	})
	t.Run("partitioned", func(t *testing.T) {
		names, err := SelectTables(s.archive, []TableName{{"s", "parts"}})
		must(t, err)
		if len(names) != 3 {
			t.Errorf("tables %v", names)
		}
		db := source.NewDatabase(t)
		target := into(t, db.URL(), TargetOptions{Tables: names})
		s.restore(t, target)
		if got := db.Value(t, "SELECT count(*) FROM s.parts"); got != "20" {
			t.Errorf("%s rows", got)
		}
		if got := db.Value(t, "SELECT count(*) FROM pg_inherits WHERE inhparent IN ('s.parts'::regclass, 's.parts_n'::regclass)"); got != "4" {
			t.Errorf("%s attached tables and indexes", got)
		}
	})
	t.Run("one partition", func(t *testing.T) {
		db := source.NewDatabase(t)
		target := into(t, db.URL(), TargetOptions{Tables: []TableName{{"s", "parts_1"}}})
		s.restore(t, target)
		if got := db.Value(t, "SELECT count(*) FROM s.parts_1"); got != "10" {
			t.Errorf("%s rows", got)
		}
		if notes := strings.Join(target.Notes(), "\n"); !strings.Contains(notes, "table attach s.parts_1 is left out") {
			t.Errorf("notes %q", notes)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		target := into(t, source.NewDatabase(t).URL(), TargetOptions{Tables: []TableName{{"s", "nowhere"}, {"s", "users"}}})
		wantError(t, target.PreData(context.Background(), s.archive, s.globals), "s.nowhere")
	})
}

// TestLargeObjectsLoadInAnyOrder loads the rows of large objects shuffled and
// over several connections.
func TestLargeObjectsLoadInAnyOrder(t *testing.T) {
	t.Parallel()
	const seed = 7
	t.Logf("seed %d", seed)
	source := testenv.Postgres(t)
	source.Exec(t, `SELECT lo_from_bytea(n::oid, convert_to(repeat(n::text, 100000 * (n % 5)), 'UTF8')) FROM generate_series(900001, 900012) n`)
	s := save(t, source, Scope{Function: "f", LargeObjects: true})
	rows := bytes.SplitAfter(bytes.TrimSuffix(s.rows[KindLargeObjects], nil), []byte("\n"))
	rows = slices.DeleteFunc(rows, func(r []byte) bool { return len(r) == 0 })
	rand.New(rand.NewPCG(seed, seed)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })

	target := into(t, source.NewDatabase(t).URL(), TargetOptions{})
	must(t, target.PreData(context.Background(), s.archive, s.globals))
	var group errgroup.Group
	var loaded [3]int64
	for i := range loaded {
		group.Go(func() (err error) {
			part := rows[i*len(rows)/len(loaded) : (i+1)*len(rows)/len(loaded)]
			loaded[i], err = target.CopyIn(context.Background(), s.tables[0], bytes.NewReader(bytes.Join(part, nil)))
			return err
		})
	}
	must(t, group.Wait())
	if sum := loaded[0] + loaded[1] + loaded[2]; sum != int64(len(rows)) || len(rows) < 20 {
		t.Errorf("%d rows loaded of %d", sum, len(rows))
	}
	s.checkSame(t, target)
	_, err := target.CopyIn(context.Background(), s.tables[0], strings.NewReader("900001\tx\t\\\\x00\n"))
	wantError(t, err, "row 1")
}

func TestSequencesAheadTellsThoseBehind(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	db.Exec(t, `
		CREATE TABLE ok (id serial, down int); INSERT INTO ok DEFAULT VALUES;
		CREATE TABLE empty (id serial);
		CREATE TABLE behind (id bigint GENERATED BY DEFAULT AS IDENTITY); INSERT INTO behind VALUES (5);
		CREATE TABLE fresh (id serial); INSERT INTO fresh VALUES (1);
		CREATE SEQUENCE down INCREMENT -1; ALTER TABLE ok ALTER down SET DEFAULT nextval('down');
		SELECT nextval('down'), nextval('down'); UPDATE ok SET down = -3;
		CREATE TABLE parts (id serial) PARTITION BY RANGE (id);
		CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100); INSERT INTO parts VALUES (50);`)
	target := into(t, db.URL(), TargetOptions{})
	got, err := target.SequencesAhead(context.Background())
	must(t, err)
	want := []string{
		"public.behind_id_seq stands at 1 and public.behind.id at 5",
		"public.down stands at -2 and public.ok.down at -3",
		"public.fresh_id_seq stands at 1 and public.fresh.id at 1",
		"public.parts_id_seq stands at 1 and public.parts.id at 50",
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%q does not tell that %s", got, w)
		}
	}
	for _, g := range got {
		if strings.Contains(g, "ok_id") || strings.Contains(g, "empty") {
			t.Errorf("tells %q", g)
		}
	}
	must(t, target.SetSequences(context.Background(), []Sequence{
		{"public", "behind_id_seq", 5, true}, {"public", "down", -3, true}, {"public", "fresh_id_seq", 2, false}, {"public", "parts_id_seq", 50, true},
	}))
	if got, err := target.SequencesAhead(context.Background()); err != nil || len(got) > 0 {
		t.Errorf("after setting them: %q, error %v", got, err)
	}
	wantError(t, target.SetSequences(context.Background(), []Sequence{{"public", "gone", 1, true}}), "public.gone")
}

func TestDigestInParts(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	db.Exec(t, "CREATE TABLE big (id int, t text); INSERT INTO big SELECT n, repeat('x', n % 100) FROM generate_series(1, 20000) n")
	target := into(t, db.URL(), TargetOptions{})
	table := Table{Schema: "public", Name: "big", Columns: []string{"id", "t"}, Kind: KindTable}
	whole, bytesWhole, err := target.Digest(context.Background(), table)
	must(t, err)
	parts := cut(1<<21, 1<<21, 8192, 1<<18)
	if len(parts) < 4 {
		t.Fatalf("%d parts", len(parts))
	}
	got, bytesParts, err := target.digest(context.Background(), table, parts)
	must(t, err)
	if got != whole || bytesParts != bytesWhole || whole.Rows != 20000 {
		t.Errorf("in parts %v of %d bytes, whole %v of %d", got, bytesParts, whole, bytesWhole)
	}
	var out bytes.Buffer
	must(t, target.CopyOut(context.Background(), table, &out))
	if int64(out.Len()) != bytesWhole {
		t.Errorf("CopyOut gives %d bytes, want %d", out.Len(), bytesWhole)
	}
}

func TestEmptyTellsWhatIsThere(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	target := into(t, db.URL(), TargetOptions{})
	for _, c := range []struct{ sql, found, undo string }{
		{"SELECT 1", "", "SELECT 1"},
		{"DROP SCHEMA public; CREATE SCHEMA public", "", "SELECT 1"},
		{"CREATE TEMP TABLE x()", "", "SELECT 1"},
		{"CREATE TABLE x()", "table public.x", "DROP TABLE x"},
		{"CREATE SCHEMA x", "schema x", "DROP SCHEMA x"},
		{"CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'", "function public.x()", "DROP FUNCTION x"},
		{"CREATE TYPE x AS ENUM ()", "type public.x", "DROP TYPE x"},
		{"CREATE EXTENSION hstore", "extension hstore", "DROP EXTENSION hstore"},
		{"SELECT lo_create(42)", "large object 42", "SELECT lo_unlink(42)"},
		{"CREATE PUBLICATION x", "publication x", "DROP PUBLICATION x"},
		{"CREATE TABLE a(); CREATE TABLE b(); CREATE TABLE c(); CREATE TABLE d(); CREATE TABLE e()", "and 2 more", "SELECT 1"},
	} {
		db.Exec(t, c.sql)
		empty, found, err := target.Empty(context.Background())
		must(t, err)
		if empty != (c.found == "") || !strings.Contains(found, c.found) {
			t.Errorf("after %s: empty %v, found %q, want %q", c.sql, empty, found, c.found)
		}
		db.Exec(t, c.undo)
	}
}

func TestUnfinishedRestoreIsMarked(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := testenv.Postgres(t)
	db.Exec(t, fmt.Sprintf("COMMENT ON DATABASE %s IS 'it''s \\mine'", db.Database))
	target := into(t, db.URL(), TargetOptions{})
	must(t, target.MarkUnfinished(ctx, "payments, snapshot 12"))
	empty, found, err := target.Empty(ctx)
	must(t, err)
	if empty || !strings.Contains(found, "payments, snapshot 12") {
		t.Errorf("empty %v, found %q", empty, found)
	}
	all, err := UnfinishedDatabases(ctx, db.URLOf("postgres"))
	must(t, err)
	if all[db.Database] != "payments, snapshot 12" {
		t.Errorf("unfinished databases %q", all)
	}
	must(t, target.MarkUnfinished(ctx, "again"))
	must(t, target.MarkFinished(ctx))
	if empty, found, err = target.Empty(ctx); err != nil || !empty {
		t.Errorf("empty %v, found %q, error %v", empty, found, err)
	}
	if got := db.Value(t, "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"); got != `it's \mine` {
		t.Errorf("comment %q", got)
	}
}

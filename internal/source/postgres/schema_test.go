package postgres

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/testenv"
)

func TestSchemaOfTheSameDefinitionsIsTheSameBytes(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	zoo(t, pg)
	s := newSource(t, pg.URL())
	first := openCapture(t, s, whole)
	one := dump(t, first)
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, "INSERT INTO shop.parent VALUES (1); SELECT nextval('shop.tickets')")
	time.Sleep(1100 * time.Millisecond) // the time in the header is in seconds
	c := openCapture(t, s, whole)
	two := dump(t, c)
	if !bytes.Equal(one, two) {
		t.Error("two dumps of unchanged definitions differ")
	}
	list := pgRestore(t, two, "--list")
	if !strings.Contains(list, "TABLE shop customers") || !strings.Contains(list, "Archive created at 2000-01-0") {
		t.Errorf("the list of the archive:\n%.500s", list)
	}
	pg.Exec(t, "CREATE TABLE shop.one_more (a int)")
	if bytes.Equal(dump(t, openCapture(t, s, whole)), two) {
		t.Error("a new table makes no difference")
	}
	if strings.Contains(pgRestore(t, dump(t, c), "--list"), "one_more") {
		t.Error("the archive holds a table that came after the snapshot")
	}
}

func TestHeaderPassesWhatItDoesNotKnow(t *testing.T) {
	for _, archive := range []string{
		"", "PG", "PGDMP", strings.Repeat("x", 1000), "PGDMP\x02\x0e\x00" + strings.Repeat("\x04", 200),
		"PGDMP\x01\x63\x00" + strings.Repeat("\x04", 200), "PGDMP\x01\x0e\x00\x04\x08\x01" + "\x00\x01", "PGDMP\x01\x0e\x00\xff\xff\x01" + strings.Repeat("\x04", 300),
	} {
		for _, step := range []int{1, 7, 1000} {
			var out bytes.Buffer
			h := &headerWriter{w: &out}
			for rest := []byte(archive); len(rest) > 0; {
				n := min(step, len(rest))
				if _, err := h.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := h.flush(); err != nil {
				t.Fatal(err)
			}
			if out.String() != archive {
				t.Errorf("%q became %q", archive, out.String())
			}
		}
	}
}

func TestHeaderTime(t *testing.T) {
	integer := func(v ...byte) string {
		var out []byte
		for _, b := range v {
			out = append(out, 0, b, 1, 0, 0)
		}
		return string(out)
	}
	fixed := "\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00" + "\x00\x01\x00\x00\x00" + "\x00\x00\x00\x00\x00" + "\x00\x64\x00\x00\x00" + "\x00\x00\x00\x00\x00"
	for _, head := range []string{
		"PGDMP\x01\x0e\x00\x04\x08\x01" + integer(9), // 1.14: the compression is an integer
		"PGDMP\x01\x0f\x00\x04\x08\x01" + "\x02",     // 1.15: a byte
		"PGDMP\x01\x10\x00\x04\x08\x01" + "\x02",
	} {
		got := []byte(head + integer(5, 6, 7, 8, 9, 126, 1) + "after")
		setArchiveTime(got)
		if want := head + fixed + "after"; string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSchemaIsDumpedWithoutSecretsInArguments(t *testing.T) {
	env, err := clientEnvironment("postgres://me:hunter2@db.internal:6432/market?sslmode=require", "backupd/f")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"PGHOST=db.internal", "PGPORT=6432", "PGUSER=me", "PGPASSWORD=hunter2", "PGDATABASE=market",
		"PGSSLMODE=require", "PGAPPNAME=backupd/f", "LC_MESSAGES=C",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment lacks %s", want)
		}
	}
	pg := testenv.Postgres(t)
	c := openCapture(t, newSource(t, pg.URL()), whole)
	for _, arg := range c.dumpArguments() {
		if strings.Contains(arg, "host") || strings.Contains(arg, "://") || strings.Contains(arg, "password=") {
			t.Errorf("argument %s", arg)
		}
	}
}

func TestConnectionParameters(t *testing.T) {
	tests := []struct {
		address string
		want    map[string]string
	}{
		{"postgres://u:p@h1:1,h2,[::1]:3/db?sslmode=prefer", map[string]string{"host": "h1,h2,::1", "port": "1,5432,3", "sslmode": "prefer"}},
		{"postgresql:///db?host=/run/pg&port=5", map[string]string{"host": "/run/pg", "port": "5"}},
		{`host=h user='a b' password='it\'s' sslmode = disable`, map[string]string{"host": "h", "user": "a b", "password": "it's", "sslmode": "disable"}},
	}
	for _, tt := range tests {
		got := connectionParameters(tt.address)
		for k, v := range tt.want {
			if got[k] != v {
				t.Errorf("%s: %s is %q, want %q", tt.address, k, got[k], v)
			}
		}
	}
}

// TestEnvironmentReachesTheServer runs a real client in it.
func TestEnvironmentReachesTheServer(t *testing.T) {
	pg := testenv.Postgres(t)
	program, err := Binary("psql")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGDATABASE", "nowhere")
	t.Setenv("PGOPTIONS", "-c search_path=nowhere")
	env, err := clientEnvironment(pg.URL(), "backupd/f")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-XAtc", "SELECT current_database(), current_setting('application_name'), current_setting('search_path')")
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	if want := pg.Database + `|backupd/f|"$user", public` + "\n"; err != nil || string(out) != want {
		t.Errorf("%v, %q, want %q", err, out, want)
	}
}

func TestSchemaTellsWhyItFailed(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "CREATE TABLE t (a int)")
	c := openCapture(t, newSource(t, pg.URL()), Scope{Function: "payments", Schemas: []string{"public"}})
	c.snapshot.name = "00000003-0000001B-1"
	err := c.Schema(t.Context(), &bytes.Buffer{})
	mustContain(t, err, "function payments", "source market", "dumping the schema", "pg_dump", "snapshot")
	future := Point{ServerVersionNum: 990000}
	_, err = dumpProgram(future)
	mustContain(t, err, "install postgresql-client-99")
}

func TestDumpPatternTakesNamesAsTheyAre(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	names := []string{"A", "a.b", "a?", "a|b", `q"q`, "sp ace", "$1", "ü", `b\d`, "(x)", "[y]", "^z", "a%", "--c", "'", "_"}
	var make strings.Builder
	var schemas, tables []string
	for _, n := range names {
		make.WriteString("CREATE SCHEMA " + quoted("", n) + "; CREATE TABLE " + quoted(n, n) + " (a int);")
		schemas = append(schemas, quoted("", n))
		tables = append(tables, quoted(n, n))
	}
	// None of these may come along.
	make.WriteString(`CREATE SCHEMA a; CREATE TABLE a.a (); CREATE SCHEMA axb; CREATE TABLE axb.axb (); CREATE SCHEMA "1"; CREATE TABLE "1"."1" ();
		CREATE SCHEMA b1; CREATE TABLE b1.b1 (); CREATE SCHEMA x; CREATE TABLE x.x (); CREATE SCHEMA y; CREATE TABLE y.y ()`)
	pg.Exec(t, make.String())
	for _, scope := range []Scope{{Schemas: schemas}, {Tables: tables}} {
		list := pgRestore(t, dump(t, openCapture(t, newSource(t, pg.URL()), scope)), "--list")
		for _, n := range names {
			if !strings.Contains(list, " TABLE "+n+" "+n+" ") {
				t.Errorf("%q is not in\n%s", n, list)
			}
		}
		if got := strings.Count(list, " TABLE "); got != len(names) {
			t.Errorf("%d tables, want %d, in\n%s", got, len(names), list)
		}
	}
}

package snaptest

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/testenv"
)

//go:embed sql/difficult.sql
var difficultSQL string

var roleSerial atomic.Int64

// Difficult returns a database with much of what a copy can get wrong. The
// roles that it needs are removed when the test ends.
func Difficult(t *testing.T) *testenv.PG {
	t.Helper()
	role := fmt.Sprintf("difficult_%d", roleSerial.Add(1))
	server := testenv.Postgres(t)
	t.Cleanup(func() { // after all databases are gone, which is last in, first out
		server.Exec(t, fmt.Sprintf("DROP ROLE IF EXISTS %[1]s_owner, %[1]s_app", role))
	})
	db := server.NewDatabase(t)
	db.Exec(t, strings.ReplaceAll(difficultSQL, "{{role}}", role))
	return db
}

// Same fails the test unless two databases hold the same, as far as programs
// that are not ours can tell: the schema as pg_dump writes it, and the rows of
// every table in the order of their text.
func Same(t *testing.T, a, b *testenv.PG) {
	t.Helper()
	if x, y := dumped(t, a.URL()), dumped(t, b.URL()); x != y {
		t.Errorf("the schemas differ as pg_dump writes them: %s", firstDifference(x, y))
	}
	sums, want := Rows(t, b), Rows(t, a)
	for table, sum := range want {
		if sums[table] != sum {
			t.Errorf("table %s: %s in the source, %q restored", table, sum, sums[table])
		}
	}
	if len(sums) != len(want) {
		t.Errorf("%d tables restored, the source has %d", len(sums), len(want))
	}
}

// Rows counts and sums the rows of every table and materialized view, and of
// the large objects.
func Rows(t *testing.T, db *testenv.PG) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, r := range db.Query(t, `SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`) {
		out[r[0]] = db.Value(t, `SELECT count(*) || ' rows, md5 ' || coalesce(md5(string_agg(md5(x::text), '' ORDER BY md5(x::text))), 'none') FROM ONLY `+r[0]+` x`)
	}
	out["large objects"] = db.Value(t, `SELECT coalesce(string_agg(oid || ' ' || pg_get_userbyid(lomowner) || ' ' || md5(lo_get(oid)), ', ' ORDER BY oid), 'none')
		FROM pg_largeobject_metadata`)
	for _, r := range db.Query(t, `SELECT quote_ident(schemaname) || '.' || quote_ident(sequencename), last_value FROM pg_sequences`) {
		out["sequence "+r[0]] = r[1]
	}
	return out
}

func dumped(t *testing.T, url string) string {
	t.Helper()
	program, err := postgres.Binary("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--schema-only", "--dbname="+url)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, `\restrict`) && !strings.HasPrefix(line, `\unrestrict`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) || x[i] != y[i] {
			other := "the end"
			if i < len(y) {
				other = y[i]
			}
			return fmt.Sprintf("line %d: %q and %q", i+1, x[i], other)
		}
	}
	return fmt.Sprintf("the second one has %d more lines", len(y)-len(x))
}

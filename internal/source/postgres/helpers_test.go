package postgres

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/rowhash"
	"github.com/saypro/backupd/internal/testenv"
)

// newSource returns a source for the database; change changes its options.
func newSource(t testing.TB, url string, change ...func(*Options)) *Source {
	t.Helper()
	opts := Options{Name: "market", URL: url, Connections: 3, LockTimeout: 2 * time.Second}
	for _, f := range change {
		f(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openCapture starts a capture that ends with the test.
func openCapture(t testing.TB, s *Source, scope Scope) *Capture {
	t.Helper()
	c, err := s.Capture(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) }) // tests of Close look at its error themselves
	return c
}

// whole is the scope of the whole database.
var whole = Scope{Function: "all"}

// copied is what came of one table.
type copied struct {
	Table
	text   []byte // of all parts in order
	digest rowhash.Digest
}

// copyTables copies all parts of all tables at once.
func copyTables(t testing.TB, c *Capture) map[string]copied {
	t.Helper()
	all := map[string]copied{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, table := range c.Tables() {
		wg.Go(func() {
			result := copyTable(t, c, table)
			mu.Lock()
			defer mu.Unlock()
			all[table.String()] = result
		})
	}
	wg.Wait()
	return all
}

func copyTable(t testing.TB, c *Capture, table Table) copied {
	result := copied{Table: table}
	for _, p := range table.Parts {
		var text bytes.Buffer
		var sum rowhash.Writer
		rows, err := c.CopyPart(t.Context(), table, p, &text)
		if err != nil {
			t.Errorf("%v", err)
			return result
		}
		if _, err := sum.Write(text.Bytes()); err != nil {
			t.Error(err)
		}
		digest, _ := sum.Sum()
		if digest.Rows != rows {
			t.Errorf("%s: CopyPart says %d rows and wrote %d", table, rows, digest.Rows)
		}
		result.digest.Merge(digest)
		result.text = append(result.text, text.Bytes()...)
	}
	return result
}

// zooRoles makes the roles that the zoo needs, once for the shared server.
var zooRoles sync.Once

// zoo fills the database with one of everything.
func zoo(t testing.TB, pg *testenv.PG) {
	t.Helper()
	zooRoles.Do(func() {
		pg.Exec(t, `CREATE ROLE zoo_owner NOLOGIN; CREATE ROLE zoo_reader LOGIN PASSWORD 'hidden' CONNECTION LIMIT 7;
			CREATE ROLE zoo_member; CREATE ROLE zoo_stranger; GRANT zoo_reader TO zoo_member WITH ADMIN OPTION;
			GRANT pg_monitor TO zoo_reader; ALTER ROLE zoo_reader SET work_mem = '5MB'; COMMENT ON ROLE zoo_owner IS 'owns'`)
	})
	sql, err := os.ReadFile("testdata/zoo.sql")
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(string(sql), "-- commit\n") {
		pg.Exec(t, part)
	}
}

// as returns the address of the database for another role.
func as(url, role string) string {
	return strings.Replace(url, "postgres://postgres@", "postgres://"+role+"@", 1)
}

// mustContain fails unless the error's text has all the words.
func mustContain(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error lacks %q:\n%v", w, err)
		}
	}
}

// mustExec runs SQL on a connection of the test.
func mustExec(t testing.TB, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

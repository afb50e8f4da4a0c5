package postgres

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/testenv"
)

var patient = Patience{Each: 10 * time.Second, All: 30 * time.Second}

func ledger(t *testing.T) *testenv.PG {
	t.Helper()
	db := testenv.Postgres(t)
	db.Exec(t, `CREATE SCHEMA pay; CREATE TABLE pay.entries (id int PRIMARY KEY, amount numeric, note text);
		INSERT INTO pay.entries SELECT g, CASE g % 2 WHEN 0 THEN 1.5 ELSE -1.5 END, repeat('x', g) FROM generate_series(1, 1000) g;
		CREATE FUNCTION pay.wipe() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM pay.entries; RETURN 1; END'`)
	return db
}

// wrongQueries answer nothing that could be compared, by a word of the reason.
var wrongQueries = map[string]string{
	"SELECT id FROM pay.entries":              "several rows",
	"SELECT id FROM pay.entries WHERE id < 0": "no row",
	"SELECT 1, 2": "2 columns",
	"SELECT max(id) FROM pay.entries WHERE id < 0": "NULL",
	"SELECT string_agg(note, '') FROM pay.entries": "more than 200",
	"SELECT count(*) FROM entries":                 "does not exist",
	"SELECT 1/0":                                   "division by zero",
	"SELECT 1; SELECT 2":                           "multiple commands",
	"SELECT 1; DELETE FROM pay.entries":            "multiple commands",
	"DELETE FROM pay.entries":                      "syntax error",
	"WITH gone AS (DELETE FROM pay.entries RETURNING 1) SELECT count(*) FROM gone": "data-modifying",
	"SELECT pay.wipe()":             "read-only",
	"COMMIT":                        "syntax error",
	"SELECT nextval('pay.counter')": "does not exist",
}

func TestObserveSeesTheSnapshot(t *testing.T) {
	db := ledger(t)
	c := openCapture(t, newSource(t, db.URL()), whole)
	db.Exec(t, "INSERT INTO pay.entries VALUES (2000, 7, '')")
	got := c.Observe(t.Context(), []string{
		"SELECT count(*) FROM pay.entries", "SELECT sum(amount) FROM pay.entries;", "SELECT 'a b' -- with a comment", "VALUES (true)",
		"SELECT set_config('search_path', 'pay', false)", "SELECT current_setting('search_path')", "SELECT current_setting('TimeZone')",
	}, patient)
	for i, want := range []string{"1000", "0.0", "a b", "t", "pay", `""`, "UTC"} {
		if got[i].Value != strings.Trim(want, `"`) || got[i].Err != nil {
			t.Errorf("query %d: %q, %v, want %q", i, got[i].Value, got[i].Err, want)
		}
	}
	if rows := copyTables(t, c)["pay.entries"].digest.Rows; rows != 1000 {
		t.Errorf("%d rows were copied afterwards", rows)
	}
}

func TestObserveOfWrongQueriesTouchesNothing(t *testing.T) {
	db := ledger(t)
	c := openCapture(t, newSource(t, db.URL(), func(o *Options) { o.Connections = 1 }), whole)
	var queries []string
	for sql := range wrongQueries {
		queries = append(queries, sql)
	}
	for i, got := range c.Observe(t.Context(), append(queries, "SELECT count(*) FROM pay.entries"), patient) {
		if i == len(queries) {
			if got.Value != "1000" || got.Err != nil {
				t.Errorf("after the wrong ones: %q, %v", got.Value, got.Err)
			}
		} else if word := wrongQueries[queries[i]]; got.Err == nil || !strings.Contains(got.Err.Error(), word) {
			t.Errorf("%s: %q, %v, want %q", queries[i], got.Value, got.Err, word)
		}
	}
	if rows := copyTables(t, c)["pay.entries"].digest.Rows; rows != 1000 {
		t.Errorf("%d rows were copied afterwards", rows)
	}
}

// Slow queries, and those that wait for a lock, end in time, and the capture
// goes on.
func TestObserveEndsInTime(t *testing.T) {
	db := ledger(t)
	db.Exec(t, "CREATE TABLE public.locked ()")
	c := openCapture(t, newSource(t, db.URL(), func(o *Options) { o.Connections = 1; o.LockTimeout = 300 * time.Millisecond }), Scope{Function: "pay", Schemas: []string{"pay"}})
	holder := db.Conn(t)
	if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE public.locked IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	got := c.Observe(t.Context(), []string{
		"SELECT pg_sleep(60)::text", "SELECT count(*) FROM public.locked", "SELECT 7", "SELECT pg_sleep(0.4)::text", "SELECT 8",
	}, Patience{Each: 600 * time.Millisecond, All: 1200 * time.Millisecond})
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	for i, word := range []string{"statement timeout", "lock timeout", "", "", "time for all checks"} {
		if i != 3 && (got[i].Err == nil) != (word == "") || got[i].Err != nil && i != 3 && !strings.Contains(got[i].Err.Error(), word) {
			t.Errorf("query %d: %q, %v, want %q", i, got[i].Value, got[i].Err, word)
		}
	}
	if got[2].Value != "7" {
		t.Errorf("after a timeout: %+v", got[2])
	}
	if rows := copyTables(t, c)["pay.entries"].digest.Rows; rows != 1000 {
		t.Errorf("%d rows were copied afterwards", rows)
	}
}

func TestTargetObserveOnlyReads(t *testing.T) {
	db := ledger(t)
	to, err := Connect(t.Context(), TargetOptions{URL: db.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close(t.Context())
	for sql, word := range wrongQueries {
		if got, err := to.Observe(t.Context(), sql, time.Minute); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %q, %v, want %q", sql, got, err, word)
		}
	}
	if _, err := to.Observe(t.Context(), "SELECT pg_sleep(60)::text", 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), "statement timeout") {
		t.Errorf("a slow query: %v", err)
	}
	if got, err := to.Observe(t.Context(), "SELECT count(*) FROM pay.entries", time.Minute); got != "1000" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := to.Observe(t.Context(), "SELECT 1, 2", time.Minute); !errors.Is(err, ErrNotOneValue) {
		t.Errorf("two columns: %v", err)
	}
}

func TestCheckQueries(t *testing.T) {
	db := ledger(t)
	role, url := limited(t, db, "")
	db.Exec(t, "GRANT USAGE ON SCHEMA pay TO "+role)
	s := newSource(t, url)
	scope := Scope{Function: "pay", Schemas: []string{"pay"}}
	queries := []Query{
		{Name: "good", SQL: "SELECT current_user", Scope: scope},
		{Name: "denied", SQL: "SELECT count(*) FROM pay.entries", Scope: scope},
		{Name: "unqualified", SQL: "SELECT count(*) FROM entries", Scope: scope},
		{Name: "wide", SQL: "SELECT 1, 2", Scope: scope},
		{Name: "two", SQL: "SELECT 1; SELECT 2", Scope: scope},
		{Name: "writes", SQL: "DELETE FROM pay.entries", Scope: scope},
		{Name: "slow", SQL: "SELECT pg_sleep(60)::text", Scope: scope}, // it is not run
	}
	got := s.CheckQueries(t.Context(), queries)
	for i, hint := range []string{"", "grant", "schema.table", "count(*)", "one SELECT", "one SELECT", ""} {
		if f := got[i]; f.OK != (hint == "") || !strings.Contains(f.Hint, hint) || f.Subject != "function pay: check "+queries[i].Name {
			t.Errorf("%s: %+v", queries[i].Name, f)
		}
	}
}

// A check that reads more than the function holds passes in the source and fails
// on every copy; one at capture that costs as much as the copying is told of.
func TestCheckQueriesAgainstTheScope(t *testing.T) {
	db := ledger(t)
	db.Exec(t, `
		CREATE SCHEMA crm;
		CREATE TABLE crm.users (id bigint PRIMARY KEY, name text);
		CREATE TABLE crm.old (id bigint, at date NOT NULL) PARTITION BY RANGE (at);
		CREATE TABLE crm.old_2020 PARTITION OF crm.old FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
		CREATE SEQUENCE crm.numbers;
		CREATE VIEW pay.known AS SELECT e.* FROM pay.entries e JOIN crm.users u ON u.id = e.id;
		CREATE FUNCTION pay.users() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM crm.users';
		CREATE FUNCTION pay.all_users() RETURNS SETOF crm.users STABLE LANGUAGE sql AS 'SELECT * FROM crm.users';
		CREATE TABLE pay.big AS SELECT g AS id, repeat('x', 900) AS note FROM generate_series(1, 20000) g;
		CREATE INDEX ON pay.big (id); ANALYZE pay.big; ANALYZE pay.entries;`)
	s := newSource(t, db.URL())
	schemas, one := Scope{Function: "pay", Schemas: []string{"pay"}}, Scope{Function: "pay", Tables: []string{"pay.entries"}}
	for _, c := range []struct {
		sql     string
		scope   Scope
		outside string
		dear    bool
	}{
		{"SELECT count(*) FROM pay.entries", schemas, "", false},
		{"SELECT count(*) FROM pay.entries", one, "", false},
		{"SELECT count(*) FROM pg_class", one, "", false},
		{"SELECT count(*) FROM pay.entries e WHERE NOT EXISTS (SELECT FROM crm.users u WHERE u.id = e.id)", schemas, "crm.users", false},
		{"SELECT count(*) FROM pay.entries e LEFT JOIN crm.users u USING (id)", schemas, "crm.users", false}, // the plan has no such join
		{"SELECT count(*) FROM crm.old WHERE at < '2019-01-01'", schemas, "crm.old", false},                  // all partitions are pruned
		{"SELECT count(*) FROM pay.all_users()", schemas, "crm.users", false},
		{"SELECT last_value FROM crm.numbers", schemas, "crm.numbers", false},
		{"SELECT count(*) FROM pay.big", one, "pay.big", false},
		{"SELECT md5(string_agg(note, '')) FROM pay.big", schemas, "", true},
		{"SELECT max(id) FROM pay.big", schemas, "", false},
	} {
		f := s.CheckQueries(t.Context(), []Query{{Name: "x", SQL: c.sql, Scope: c.scope, AtCapture: true}})[0]
		if f.OK != (c.outside == "") || !strings.Contains(f.Detail, c.outside) || !f.OK && !strings.Contains(f.Hint, "scope") {
			t.Errorf("%s: %+v", c.sql, f)
		}
		if f.OK && strings.Contains(f.Hint, "at every snapshot") != c.dear {
			t.Errorf("%s: dear %t: %+v", c.sql, c.dear, f)
		}
	}
	if f := s.CheckQueries(t.Context(), []Query{{Name: "x", SQL: "SELECT count(*) FROM pay.known", Scope: schemas}})[0]; f.OK || !strings.Contains(f.Hint, "no views") {
		t.Errorf("a view: %+v", f)
	}
	// What runs on copies alone may cost what it likes.
	if f := s.CheckQueries(t.Context(), []Query{{Name: "x", SQL: "SELECT md5(string_agg(note, '')) FROM pay.big", Scope: schemas}})[0]; f.Hint != "" {
		t.Errorf("%+v", f)
	}
}

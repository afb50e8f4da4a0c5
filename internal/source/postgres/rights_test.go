package postgres

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/testenv"
)

// limited makes a role for one test and returns the address for it.
func limited(t testing.TB, pg *testenv.PG, attributes string) (role, url string) {
	t.Helper()
	role = pg.Database + "_role"
	pg.Exec(t, "CREATE ROLE "+role+" LOGIN "+attributes)
	t.Cleanup(func() { pg.Exec(t, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	url = as(pg.URL(), role)
	if url == pg.URL() {
		t.Fatalf("cannot make the address of %s out of that of the superuser", role)
	}
	return role, url
}

// TestRowSecurityIsRefused is about trap 6: without the refusal the rows would
// just be missing.
func TestRowSecurityIsRefused(t *testing.T) {
	pg := testenv.Postgres(t)
	role, url := limited(t, pg, "IN ROLE pg_read_all_data")
	pg.Exec(t, `CREATE TABLE open (a int); CREATE TABLE filtered (a int); INSERT INTO filtered VALUES (1), (2);
		ALTER TABLE filtered ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON filtered USING (a = 1)`)
	s := newSource(t, url)
	scope := Scope{Function: "payments"}
	_, err := s.Capture(t.Context(), scope)
	var rights *RightsError
	if !errors.As(err, &rights) || len(rights.Problems) != 1 {
		t.Fatalf("error %v", err)
	}
	mustContain(t, err, "function payments", "source market", "public.filtered", "BYPASSRLS", "pg_read_all_data", role)
	findings := s.Check(t.Context(), []Scope{scope})
	if !slices.ContainsFunc(findings, func(f Finding) bool {
		return !f.OK && f.Subject == "function payments" && strings.Contains(f.Detail, "BYPASSRLS") && f.Hint != ""
	}) {
		t.Errorf("Check does not tell: %+v", findings)
	}
	// Were that overlooked, the server would still refuse.
	conn, err := s.connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var rows strings.Builder
	table := Table{Schema: "public", Name: "filtered", Columns: []string{"a"}}
	if _, err := copyOut(t.Context(), conn.PgConn(), copyOutSQL(table, Part{Whole: true}), &rows); err == nil || rows.Len() > 0 {
		t.Errorf("the server filters without an error: %v, %q", err, rows.String())
	}
	// The owner sees all rows, unless the table forces the policy on them too.
	pg.Exec(t, "ALTER TABLE filtered OWNER TO "+role)
	count := func() int64 {
		c := openCapture(t, s, scope)
		defer c.Close(t.Context())
		return copyTables(t, c)["public.filtered"].digest.Rows
	}
	if got := count(); got != 2 {
		t.Errorf("the owner reads %d rows, want 2", got)
	}
	pg.Exec(t, "ALTER TABLE filtered FORCE ROW LEVEL SECURITY")
	if _, err := s.Capture(t.Context(), scope); !errors.As(err, &rights) {
		t.Errorf("forced on the owner: %v", err)
	}
	pg.Exec(t, "ALTER ROLE "+role+" BYPASSRLS")
	if got := count(); got != 2 {
		t.Errorf("with BYPASSRLS %d rows, want 2", got)
	}
}

func TestMissingRightsAreNamed(t *testing.T) {
	pg := testenv.Postgres(t)
	role, url := limited(t, pg, "")
	pg.Exec(t, `CREATE SCHEMA closed; CREATE TABLE closed.t (a int); CREATE TABLE public.given (a int); CREATE TABLE public."De nied" (a int);
		CREATE SEQUENCE public.numbers; SELECT lo_create(4711); CREATE VIEW public.v AS SELECT 1 AS a;
		GRANT SELECT ON closed.t, public.given TO `+role)
	s := newSource(t, url)
	_, err := s.Capture(t.Context(), Scope{Function: "payments"})
	var rights *RightsError
	if !errors.As(err, &rights) || len(rights.Problems) != 4 || rights.Role != role {
		t.Fatalf("error %v", err)
	}
	mustContain(t, err, "function payments", "source market",
		`GRANT USAGE ON SCHEMA "closed" TO `+role, `GRANT SELECT ON TABLE "public"."De nied" TO `+role,
		`GRANT SELECT ON SEQUENCE "public"."numbers" TO `+role, "4711")
	// A scope that needs none of these is fine.
	openCapture(t, s, Scope{Tables: []string{"public.given"}})
	// What the error proposes is enough.
	pg.Exec(t, `GRANT USAGE ON SCHEMA closed TO `+role+`; GRANT SELECT ON TABLE public."De nied" TO `+role+`;
		GRANT SELECT ON SEQUENCE public.numbers TO `+role+`; GRANT SELECT ON LARGE OBJECT 4711 TO `+role)
	c := openCapture(t, s, whole)
	copyTables(t, c)
	dump(t, c)
	if _, err := c.Sequences(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBackupRoleIsEnough: the role that Check proposes can do all of it.
func TestBackupRoleIsEnough(t *testing.T) {
	pg := testenv.Postgres(t)
	zoo(t, pg)
	_, url := limited(t, pg, "BYPASSRLS IN ROLE pg_read_all_data")
	s := newSource(t, url)
	for _, f := range s.Check(t.Context(), []Scope{whole}) {
		if !f.OK {
			t.Errorf("%s", f)
		}
	}
	c := openCapture(t, s, whole)
	mine := copyTables(t, c)
	roots := openCapture(t, newSource(t, pg.URL()), whole)
	for name, want := range copyTables(t, roots) {
		if mine[name].digest != want.digest {
			t.Errorf("%s reads differently for the backup role", name)
		}
	}
	dump(t, c)
	own, err := c.Structure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	full, err := roots.Structure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range full.Diff(own) {
		t.Errorf("the backup role sees another structure: %+v", d)
	}
	if _, err := c.Globals(t.Context()); err != nil {
		t.Error(err)
	}
}

package postgres

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/testenv"
)

func TestGlobals(t *testing.T) {
	pg := testenv.Postgres(t)
	zoo(t, pg)
	pg.Exec(t, `COMMENT ON DATABASE `+pg.Database+` IS 'the shop'; ALTER DATABASE `+pg.Database+` SET work_mem = '7MB';
		ALTER ROLE zoo_reader IN DATABASE `+pg.Database+` SET work_mem = '9MB'; GRANT CONNECT ON DATABASE `+pg.Database+` TO zoo_reader`)
	c := openCapture(t, newSource(t, pg.URL()), whole)
	g, err := c.Globals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	roles := map[string]Role{}
	for _, r := range g.Roles {
		roles[r.Name] = r
	}
	if _, ok := roles["zoo_stranger"]; ok {
		t.Error("a role that has nothing to do with the database is listed")
	}
	want := Role{Name: "zoo_reader", Inherit: true, Login: true, ConnectionLimit: 7, Settings: []string{"work_mem=5MB"}}
	if !reflect.DeepEqual(roles["zoo_reader"], want) {
		t.Errorf("zoo_reader is %+v, want %+v", roles["zoo_reader"], want)
	}
	if r := roles["zoo_owner"]; r.Comment != "owns" || r.Login {
		t.Errorf("zoo_owner is %+v", r)
	}
	if _, ok := roles["zoo_member"]; !ok || !roles["postgres"].Superuser {
		t.Errorf("roles %+v lack the member of a granted role or the owner", g.Roles)
	}
	var memberships []string
	for _, m := range g.Memberships {
		memberships = append(memberships, m.Role+"<"+m.Member)
		if m.Role == "zoo_reader" && !m.Admin {
			t.Errorf("%+v has lost its admin option", m)
		}
	}
	for _, w := range []string{"zoo_reader<zoo_member", "pg_monitor<zoo_reader"} {
		if !slices.Contains(memberships, w) {
			t.Errorf("memberships %v lack %s", memberships, w)
		}
	}
	var extensions []string
	for _, e := range g.Extensions {
		extensions = append(extensions, e.Name+" in "+e.Schema)
	}
	if got := strings.Join(extensions, ", "); got != "hstore in ext, pg_trgm in ext, plpgsql in pg_catalog" {
		t.Errorf("extensions %s", got)
	}
	d := g.Database
	if d.Owner != "postgres" || d.Comment != "the shop" || !slices.Equal(d.Settings, []string{"work_mem=7MB"}) ||
		!slices.Equal(d.RoleSettings["zoo_reader"], []string{"work_mem=9MB"}) ||
		!slices.Contains(d.Grants, Grant{Grantee: "zoo_reader", Privilege: "CONNECT"}) || len(g.Schemas) != 0 {
		t.Errorf("database %+v, schemas %+v", d, g.Schemas)
	}
	text, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hidden", "SCRAM", "secret"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the globals show %q", secret)
		}
	}
}

func TestGlobalsOfTables(t *testing.T) {
	pg := testenv.Postgres(t)
	zoo(t, pg)
	c := openCapture(t, newSource(t, pg.URL()), Scope{Tables: []string{"shop.parent"}})
	g, err := c.Globals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Schemas) != 1 {
		t.Fatalf("schemas %+v", g.Schemas)
	}
	s := g.Schemas[0]
	if s.Name != "shop" || s.Owner != "zoo_owner" || s.Comment != "sells things" ||
		!slices.Contains(s.Grants, Grant{Grantee: "zoo_reader", Privilege: "USAGE"}) {
		t.Errorf("schema %+v", s)
	}
	if len(g.Extensions) != 0 {
		t.Errorf("extensions %+v that the table does not need", g.Extensions)
	}
}

// TestLargeObjects is about trap 16.
func TestLargeObjects(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	zoo(t, pg) // for its roles
	pg.Exec(t, `SELECT lo_create(1001); SELECT lo_from_bytea(1002, 'abc'); SELECT lo_from_bytea(1003, convert_to(repeat('x', 262144), 'UTF8'));
		SELECT lo_from_bytea(1005, convert_to(repeat('y', 600000), 'UTF8')); SELECT lo_create(1006); SELECT lo_put(1006, 300000, 'end');
		ALTER LARGE OBJECT 1002 OWNER TO zoo_owner; ALTER LARGE OBJECT 1003 OWNER TO zoo_owner; GRANT SELECT ON LARGE OBJECT 1005 TO PUBLIC`)
	c := openCapture(t, newSource(t, pg.URL()), Scope{Function: "f", Schemas: []string{"ext"}, LargeObjects: true})
	pg.Exec(t, "SELECT lo_unlink(1002); SELECT lo_put(1005, 0, 'changed'); SELECT lo_create(1009)")
	got := copyTables(t, c)[KindLargeObjects]
	x := func(s string, n int) string { return `\\x` + strings.Repeat(s, n) }
	want := strings.Join([]string{
		"1001\t0\t" + x("", 0), "1002\t0\t" + x("616263", 1), "1003\t0\t" + x("78", 262144),
		"1005\t0\t" + x("79", 262144), "1005\t1\t" + x("79", 262144), "1005\t2\t" + x("79", 600000-2*262144),
		"1006\t0\t" + x("00", 262144), "1006\t1\t" + x("00", 300000-262144) + "656e64",
	}, "\n") + "\n"
	if string(got.text) != want || got.Kind != KindLargeObjects || got.digest.Rows != 8 {
		t.Errorf("%d rows, kind %q; begins\n%.200s\nwant\n%.200s", got.digest.Rows, got.Kind, got.text, want)
	}
	g, err := c.Globals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	groups := []LargeObjects{
		{Owner: "postgres", OIDs: [][2]uint32{{1005, 1005}}, Grants: []Grant{
			{Privilege: "SELECT"}, {Grantee: "postgres", Privilege: "SELECT"}, {Grantee: "postgres", Privilege: "UPDATE"},
		}},
		{Owner: "postgres", OIDs: [][2]uint32{{1001, 1001}, {1006, 1006}}},
		{Owner: "zoo_owner", OIDs: [][2]uint32{{1002, 1003}}},
	}
	if !reflect.DeepEqual(g.LargeObjects, groups) {
		t.Errorf("groups %+v\nwant %+v", g.LargeObjects, groups)
	}
	before, err := c.Structure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := before.Diff(structureAt(t, pg, Scope{Schemas: []string{"ext"}, LargeObjects: true})); len(d) == 0 {
		t.Error("a large object less makes no difference to the structure")
	}
	if !slices.ContainsFunc(g.Roles, func(r Role) bool { return r.Name == "zoo_owner" }) {
		t.Error("the owner of a large object is not among the roles")
	}
	without := openCapture(t, newSource(t, pg.URL()), Scope{Function: "f", Schemas: []string{"ext"}})
	if len(without.Tables()) != 0 {
		t.Errorf("tables %+v of a scope without large objects", without.Tables())
	}
}

// TestExtensionTables is about trap 17: an extension whose tables hold rows of
// the user.
func TestExtensionTables(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	// An extension is files of the server; these are what its script would do.
	pg.Exec(t, `CREATE EXTENSION hstore;
		CREATE TABLE settings (k text, own boolean); CREATE TABLE internals (a int); CREATE SEQUENCE settings_seq;
		INSERT INTO settings VALUES ('shipped', true), ('mine', false); INSERT INTO internals VALUES (1);
		ALTER EXTENSION hstore ADD TABLE settings; ALTER EXTENSION hstore ADD TABLE internals; ALTER EXTENSION hstore ADD SEQUENCE settings_seq;
		UPDATE pg_extension SET extconfig = ARRAY['settings'::regclass, 'settings_seq'::regclass]::oid[],
			extcondition = ARRAY['WHERE NOT own', ''] WHERE extname = 'hstore'`)
	for _, scope := range []Scope{whole, {Schemas: []string{"public"}}, {Tables: []string{"public.settings*"}}} {
		c := openCapture(t, newSource(t, pg.URL()), scope)
		got := copyTables(t, c)
		s := got["public.settings"]
		if len(got) != 1 || s.Kind != KindExtension || string(s.text) != "mine\tf\n" || s.Note == "" {
			t.Errorf("%+v: %d tables; settings: kind %q, rows %q, note %q", scope, len(got), s.Kind, s.text, s.Note)
		}
		sequences, err := c.Sequences(t.Context())
		if err != nil || len(sequences) != 1 {
			t.Errorf("sequences %+v, %v", sequences, err)
		}
		g, err := c.Globals(t.Context())
		if err != nil || !slices.ContainsFunc(g.Extensions, func(e Extension) bool { return e.Name == "hstore" }) {
			t.Errorf("extensions %+v, %v", g.Extensions, err)
		}
		if list := pgRestore(t, dump(t, c), "--list"); strings.Contains(list, "internals") {
			t.Errorf("the archive holds a table of an extension:\n%s", list)
		}
	}
}

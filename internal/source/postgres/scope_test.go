package postgres

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/testenv"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"stock", "stock", true},
		{"stock", "stocks", false},
		{"stock", "Stock", false},
		{"stock_*", "stock_", true},
		{"stock_*", "stock_a", true},
		{"stock_*", "my_stock_a", false},
		{"*", "", true},
		{"*", "x", true},
		{"*_log", "a_log", true},
		{"*_log", "a_log2", false},
		{"a*b*c", "abc", true},
		{"a*b*c", "a__b__c", true},
		{"a*b*c", "ac", false},
		{"a*b*c", "abcb", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"**", "x", true},
		{"a.c", "abc", false},
		{"[ab]", "a", false},
	}
	for _, tt := range tests {
		if got := match(tt.pattern, tt.name); got != tt.want {
			t.Errorf("match(%q, %q) = %t", tt.pattern, tt.name, got)
		}
	}
}

func TestParsePattern(t *testing.T) {
	tests := []struct {
		text, schema, name string
		ok                 bool
	}{
		{"catalog.products", "catalog", "products", true},
		{"catalog.stock_*", "catalog", "stock_*", true},
		{"Catalog.Products", "Catalog", "Products", true},
		{`"we.ird"."na""me"`, "we.ird", `na"me`, true},
		{"a.b.c", "a", "b.c", true},
		{"products", "", "", false},
		{".x", "", "", false},
		{"x.", "", "", false},
		{"", "", "", false},
		{`"a.b"`, "", "", false},
	}
	for _, tt := range tests {
		p, ok := parsePattern(tt.text)
		if ok != tt.ok || ok && (p.schema != tt.schema || p.name != tt.name) {
			t.Errorf("parsePattern(%q) = %+v, %t", tt.text, p, ok)
		}
	}
}

// market is a database of three functions that refer to each other.
const market = `
	CREATE SCHEMA accounts; CREATE SCHEMA payments; CREATE SCHEMA catalog; CREATE SCHEMA "Odd ""one""";
	CREATE TABLE accounts.users (id serial PRIMARY KEY, name text);
	CREATE TABLE payments.payments (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payer int CONSTRAINT paid_by REFERENCES accounts.users);
	CREATE TABLE payments.refunds (id int REFERENCES payments.payments);
	CREATE TABLE catalog.products (id serial PRIMARY KEY, owner int REFERENCES accounts.users);
	CREATE TABLE catalog.stock_levels (product int REFERENCES catalog.products, at date) PARTITION BY RANGE (at);
	CREATE TABLE catalog.y2025 PARTITION OF catalog.stock_levels FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
	CREATE TABLE catalog.stock_moves (n serial); CREATE TABLE catalog.moves_archive () INHERITS (catalog.stock_moves);
	CREATE TABLE catalog.prices (id int); CREATE SEQUENCE catalog.prices_seq;
	CREATE TABLE "Odd ""one"""."T.x*" (a int);
	INSERT INTO accounts.users SELECT 1; INSERT INTO "Odd ""one"""."T.x*" VALUES (1);`

func TestScopeSelects(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, market)
	odd := `"Odd ""one"""."T.x*"`
	tests := []struct {
		scope Scope
		want  string // tables and sequences
	}{
		{Scope{Schemas: []string{"payments"}}, "payments.payments payments.refunds payments.payments_id_seq"},
		{Scope{Schemas: []string{"pay*", "accounts"}}, "accounts.users payments.payments payments.refunds accounts.users_id_seq payments.payments_id_seq"},
		{
			Scope{Tables: []string{"catalog.products", "catalog.stock_*"}},
			"catalog.moves_archive catalog.products catalog.stock_moves catalog.y2025 catalog.products_id_seq catalog.stock_moves_n_seq",
		},
		{Scope{Tables: []string{"catalog.stock_levels"}}, "catalog.y2025"},
		{Scope{Tables: []string{"catalog.prices*"}}, "catalog.prices catalog.prices_seq"},
		{Scope{Tables: []string{"*.payments", "cat*.prices"}}, "catalog.prices payments.payments payments.payments_id_seq"},
		{Scope{Tables: []string{odd}}, odd},
		{Scope{Schemas: []string{`Odd "one"`}}, odd},
	}
	for _, tt := range tests {
		tt.scope.Function = "f"
		c := openCapture(t, newSource(t, pg.URL()), tt.scope)
		var got []string
		for _, table := range c.Tables() {
			got = append(got, table.String())
		}
		sequences, err := c.Sequences(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sequences {
			got = append(got, display(s.Schema, s.Name))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%+v holds\n%s, want\n%s", tt.scope, strings.Join(got, " "), tt.want)
		}
		checkScopedRestore(t, pg, c, tt.scope)
	}
}

// checkScopedRestore restores the archive of a scope into an empty database
// with nothing but what Globals names and compares the structure.
func checkScopedRestore(t *testing.T, pg *testenv.PG, c *Capture, scope Scope) {
	t.Helper()
	archive, restored := dump(t, c), pg.NewDatabase(t)
	g, err := c.Globals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range g.Schemas {
		restored.Exec(t, "CREATE SCHEMA "+quoted("", s.Name))
	}
	list := pgRestore(t, archive, "--list")
	for _, r := range c.Outside() {
		if !strings.Contains(list, r.Constraint) {
			t.Errorf("%+v is not in the archive", r)
		}
		list = withoutLine(list, " "+r.Constraint+" ")
	}
	restoreList(t, restored, archive, list)
	want, err := c.Structure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range want.Diff(structureAt(t, restored, scope)) {
		t.Errorf("%+v: %+v", scope, d)
	}
}

func TestScopeMatchesNothing(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, market)
	for _, scope := range []Scope{
		{Schemas: []string{"payments", "paymants"}},
		{Tables: []string{"catalog.products", "catalog.paymants*"}},
		{Tables: []string{"catalog.Products", "pg_catalog.pg_class", "paymants.x"}},
	} {
		scope.Function = "payments"
		_, err := newSource(t, pg.URL()).Capture(t.Context(), scope)
		var wrong *ScopeError
		if !errors.As(err, &wrong) {
			t.Errorf("%+v: %v", scope, err)
		}
		mustContain(t, err, "function payments", "source market", "paymants")
	}
	for _, scope := range []Scope{
		{Tables: []string{"products"}},
		{Schemas: []string{"payments"}, Tables: []string{"catalog.products"}},
	} {
		_, err := newSource(t, pg.URL()).Capture(t.Context(), scope)
		var wrong *ScopeError
		if !errors.As(err, &wrong) {
			t.Errorf("%+v: %v", scope, err)
		}
	}
}

func TestOutsideListsForeignKeysThatLeaveTheScope(t *testing.T) {
	pg := testenv.Postgres(t)
	pg.Exec(t, market)
	c := openCapture(t, newSource(t, pg.URL()), Scope{Schemas: []string{"payments"}})
	want := []Reference{{"payments", "payments", "paid_by", "accounts", "users", "FOREIGN KEY (payer) REFERENCES accounts.users(id)"}}
	if !slices.Equal(c.Outside(), want) {
		t.Errorf("outside: %+v, want %+v", c.Outside(), want)
	}
	c = openCapture(t, newSource(t, pg.URL()), whole)
	if len(c.Outside()) != 0 {
		t.Errorf("outside of the whole database: %+v", c.Outside())
	}
}

func TestScopeLacksWhatItNeeds(t *testing.T) {
	t.Parallel()
	base := `CREATE SCHEMA payments; CREATE SCHEMA common; CREATE TYPE common.email AS ENUM ('a'); CREATE TYPE payments.kind AS ENUM ('x');
		CREATE FUNCTION common.f() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; CREATE FUNCTION common.tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END';
		CREATE TABLE common.base (a int); CREATE SEQUENCE common.seq; CREATE TABLE payments.fine (k payments.kind, l payments.kind[]);`
	tests := []struct {
		sql   string
		scope Scope
		want  []string
	}{
		{`CREATE TABLE payments.t (mail common.email)`, Scope{Schemas: []string{"payments"}}, []string{"type common.email", "payments.t", "add common to schemas"}},
		{`CREATE TABLE payments.t (mail common.email[])`, Scope{Schemas: []string{"payments"}}, []string{"common.email[]", "payments.t"}},
		{`CREATE TABLE payments.t (a int DEFAULT common.f())`, Scope{Schemas: []string{"payments"}}, []string{"function common.f()", "payments.t.a"}},
		{`CREATE TABLE payments.t (a int); CREATE INDEX ON payments.t ((a + common.f()))`, Scope{Schemas: []string{"payments"}}, []string{"function common.f()", "index payments.t_expr_idx"}},
		{`CREATE TABLE payments.t (a int DEFAULT nextval('common.seq'))`, Scope{Schemas: []string{"payments"}}, []string{"sequence common.seq"}},
		{
			`CREATE FUNCTION common.rows() RETURNS SETOF common.base LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION common.n() RETURNS int LANGUAGE sql
				BEGIN ATOMIC SELECT count(*) FROM common.rows(); END; CREATE TABLE payments.t (a int DEFAULT common.n())`,
			Scope{Tables: []string{"payments.t"}},
			[]string{"table common.base", "needed by function common.rows()", "add common.base to tables"},
		},
		{`CREATE TABLE payments.t (a common.base[])`, Scope{Tables: []string{"payments.t"}}, []string{"table common.base", "payments.t", "add common.base to tables"}},
		{
			`CREATE TABLE common.own (id serial); CREATE TABLE payments.t (a int DEFAULT nextval('common.own_id_seq'))`,
			Scope{Tables: []string{"payments.t"}},
			[]string{"sequence common.own_id_seq", "payments.t.a", "add common.own_id_seq to tables"},
		},
		{
			`CREATE OPERATOR common.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int);
				CREATE TABLE payments.t (a int CHECK (a OPERATOR(common.===) a))`,
			Scope{Tables: []string{"payments.t"}},
			[]string{"operator common.===(integer,integer)", "schemas: [common]"},
		},
		{
			`CREATE TABLE payments.t (a int); CREATE TRIGGER x AFTER INSERT ON payments.t FOR EACH ROW EXECUTE FUNCTION common.tf()`,
			Scope{Schemas: []string{"payments"}},
			[]string{"function common.tf()", "trigger x on payments.t", "add common to schemas"},
		},
		{`CREATE VIEW payments.v AS SELECT * FROM common.base`, Scope{Schemas: []string{"payments"}}, []string{"table common.base", "payments.v"}},
		{`CREATE TABLE payments.t () INHERITS (common.base)`, Scope{Tables: []string{"payments.t"}}, []string{"table common.base", "add common.base to tables"}},
		{
			`CREATE TABLE payments.p (a int) PARTITION BY LIST (a); CREATE TABLE common.part PARTITION OF payments.p FOR VALUES IN (1)`,
			Scope{Schemas: []string{"payments"}},
			[]string{"table common.part", "table payments.p", "add common to schemas"},
		},
		{
			`CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE payments.t (a int) SERVER far`,
			Scope{Schemas: []string{"payments"}},
			[]string{"server far", "whole database"},
		},
	}
	for _, tt := range tests {
		pg := testenv.Postgres(t)
		pg.Exec(t, base+tt.sql)
		tt.scope.Function = "pay"
		s := newSource(t, pg.URL())
		_, err := s.Capture(t.Context(), tt.scope)
		var wrong *ScopeError
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %v", tt.sql, err)
			continue
		}
		mustContain(t, err, append(tt.want, "function pay", "source market")...)
		failed := slices.ContainsFunc(s.Check(t.Context(), []Scope{tt.scope}), func(f Finding) bool {
			return !f.OK && f.Hint != "" && f.Subject == "function pay" && strings.Contains(f.Detail, tt.want[0])
		})
		if !failed {
			t.Errorf("%s: Check does not tell", tt.sql)
		}
		openCapture(t, s, whole)
	}
}

// TestScopeNeedsExtensions: what belongs to an extension is not outside.
func TestScopeNeedsExtensions(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, `CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION pg_trgm SCHEMA ext; CREATE EXTENSION unaccent SCHEMA ext;
		CREATE SCHEMA s; CREATE TABLE s.t (h ext.hstore, n text); CREATE INDEX ON s.t USING gin (n ext.gin_trgm_ops)`)
	for _, scope := range []Scope{{Schemas: []string{"s"}}, {Tables: []string{"s.t"}}} {
		c := openCapture(t, newSource(t, pg.URL()), scope)
		g, err := c.Globals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range g.Extensions {
			if e.Version == "" || e.Schema != "ext" {
				t.Errorf("%+v", e)
			}
			got = append(got, e.Name)
		}
		if strings.Join(got, " ") != "hstore pg_trgm" {
			t.Errorf("extensions %v, want hstore and pg_trgm", got)
		}
		if !slices.ContainsFunc(g.Schemas, func(s Schema) bool { return s.Name == "ext" }) {
			t.Errorf("the schema of the extensions is missing: %+v", g.Schemas)
		}
	}
}

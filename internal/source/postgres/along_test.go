package postgres

import (
	"slices"
	"strings"
	"testing"

	shop "github.com/saypro/backupd/internal/market"
	"github.com/saypro/backupd/internal/testenv"
)

// stock is a schema with two tables that need one of everything a scope of
// tables takes along, and with others that must not come.
const stock = `
	CREATE SCHEMA catalog; CREATE SCHEMA common; CREATE EXTENSION citext SCHEMA common; CREATE ROLE stock_caller;
	CREATE TYPE catalog.reason AS ENUM ('sale', 'loss');
	CREATE TYPE catalog.size AS (width int, why catalog.reason);
	CREATE TYPE catalog.span AS RANGE (subtype = float8);
	CREATE FUNCTION common.has_at(text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT position(''@'' IN $1) > 0';
	CREATE DOMAIN common.email AS text CONSTRAINT has_at CHECK (common.has_at(VALUE));
	COMMENT ON CONSTRAINT has_at ON DOMAIN common.email IS 'more or less';
	CREATE FUNCTION catalog.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION catalog.two() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT catalog.one() + 1; END;
	CREATE FUNCTION catalog.positive(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0';
	CREATE FUNCTION catalog.twice(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 2 * $1; END';
	CREATE FUNCTION catalog.key(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 % 7';
	CREATE FUNCTION catalog.apply() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE catalog.prices SET n = 0; RETURN NEW; END';
	CREATE SEQUENCE catalog.numbers START 5; CREATE SEQUENCE catalog.unused_numbers;

	CREATE TABLE catalog.products (id int PRIMARY KEY, mail common.email, label common.citext, sizes catalog.size[], span catalog.span,
		number int DEFAULT nextval('catalog.numbers'), n int DEFAULT catalog.two() CHECK (catalog.positive(n)),
		doubled int GENERATED ALWAYS AS (catalog.twice(n)) STORED);
	CREATE TABLE catalog.stock_moves (id serial PRIMARY KEY, product int REFERENCES catalog.products, why catalog.reason);
	CREATE INDEX by_key ON catalog.products (catalog.key(n));
	CREATE STATISTICS catalog.together ON n, number FROM catalog.products;
	CREATE TRIGGER apply AFTER INSERT ON catalog.stock_moves FOR EACH ROW EXECUTE FUNCTION catalog.apply();
	COMMENT ON FUNCTION catalog.apply() IS 'keeps the level'; REVOKE ALL ON FUNCTION catalog.apply() FROM PUBLIC;
	GRANT EXECUTE ON FUNCTION catalog.apply() TO stock_caller; GRANT USAGE ON TYPE catalog.reason TO stock_caller;
	COMMENT ON TYPE catalog.size IS 'in mm'; COMMENT ON COLUMN catalog.size.width IS 'widest';

	CREATE TYPE catalog.other_reason AS ENUM ('x'); CREATE TYPE catalog.shell; COMMENT ON TYPE catalog.other_reason IS 'not here';
	CREATE DOMAIN catalog.other_domain AS int; ALTER DOMAIN catalog.other_domain ADD CONSTRAINT late CHECK (VALUE > 0) NOT VALID;
	CREATE FUNCTION catalog.unused() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
	REVOKE ALL ON FUNCTION catalog.unused() FROM PUBLIC; COMMENT ON FUNCTION catalog.unused() IS 'not here';
	CREATE AGGREGATE catalog.total(int) (SFUNC = int4pl, STYPE = int);
	CREATE OPERATOR catalog.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int);
	CREATE TABLE catalog.prices (id serial PRIMARY KEY, n int, why catalog.other_reason, product int REFERENCES catalog.products);
	CREATE STATISTICS catalog.apart ON id, n FROM catalog.prices;
	CREATE TRIGGER unused BEFORE INSERT ON catalog.prices FOR EACH ROW EXECUTE FUNCTION catalog.unused();
	CREATE VIEW catalog.cheap AS SELECT * FROM catalog.prices;
	ALTER DEFAULT PRIVILEGES IN SCHEMA catalog GRANT SELECT ON TABLES TO stock_caller;

	INSERT INTO catalog.products (id, mail, label, sizes, span)
		SELECT n, 'a@b', 'L', ARRAY[(n, 'sale')::catalog.size], '[1,2)' FROM generate_series(1, 100) n;
	INSERT INTO catalog.stock_moves (product, why) SELECT n, 'loss' FROM generate_series(1, 100) n;
	INSERT INTO catalog.prices (n) VALUES (1);`

func TestTablesTakeAlongWhatTheyNeed(t *testing.T) {
	t.Parallel()
	source := testenv.PrivatePostgres(t, nil)
	source.Exec(t, stock)
	// What stays behind is not even locked.
	busy := source.Conn(t)
	mustExec(t, busy, "BEGIN; LOCK TABLE catalog.prices IN ACCESS EXCLUSIVE MODE")
	s := save(t, source, Scope{Function: "catalog", Tables: []string{"catalog.products", "catalog.stock_*"}})
	mustExec(t, busy, "ROLLBACK")

	other := testenv.PrivatePostgres(t, nil)
	target := into(t, other.URL(), TargetOptions{})
	if left := s.restore(t, target); len(left) > 0 {
		t.Errorf("not restored: %v", left)
	}
	s.checkSame(t, target)
	const in = "IN ('catalog'::regnamespace, 'common'::regnamespace) AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.deptype IN ('e', 'i'))"
	for sql, want := range map[string]string{
		"SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class o WHERE relkind <> 'c' AND relnamespace " + in:             "by_key numbers products stock_moves stock_moves_id_seq",
		"SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc o WHERE pronamespace " + in:                                 "apply has_at key one positive twice two",
		"SELECT string_agg(typname, ' ' ORDER BY typname) FROM pg_type o WHERE typnamespace " + in:                                 "email reason size span",
		"SELECT string_agg(stxname, ' ') FROM pg_statistic_ext":                                                                    "together",
		"SELECT (SELECT count(*) FROM pg_operator WHERE oid >= 16384 AND oprname = '===') + (SELECT count(*) FROM pg_default_acl)": "0",
		"SELECT nextval('catalog.numbers')":                        "105",
		"SELECT proacl::text FROM pg_proc WHERE proname = 'apply'": "{postgres=X/postgres,stock_caller=X/postgres}",
		"SELECT obj_description('catalog.apply'::regproc) || obj_description(oid) FROM pg_constraint WHERE conname = 'has_at'": "keeps the levelmore or less",
		"SELECT sum(doubled) FROM catalog.products": "400",
		"SELECT count(*) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE p.proname = 'apply' AND NOT t.tgisinternal": "1",
	} {
		if got := other.Value(t, sql); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
	// The comparison tells when something that came along is lost.
	other.Exec(t, "ALTER TABLE catalog.products DROP COLUMN doubled; DROP FUNCTION catalog.twice")
	restored, err := target.Structure(t.Context(), s.scope)
	must(t, err)
	lost := Difference{Kind: "function", Name: "catalog.twice(integer)", Change: Missing}
	if !slices.ContainsFunc(s.structure.Diff(restored), func(d Difference) bool { d.Source = ""; return d == lost }) {
		t.Error("the structure does not tell that catalog.twice is gone")
	}
}

func TestTablesTakeAlongIsTold(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, `CREATE SCHEMA catalog; CREATE TABLE catalog.stock_moves (id int);
		CREATE FUNCTION catalog.apply() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER apply AFTER INSERT ON catalog.stock_moves FOR EACH ROW EXECUTE FUNCTION catalog.apply()`)
	source, scope := newSource(t, pg.URL()), Scope{Function: "catalog", Tables: []string{"catalog.stock_moves"}}
	const want = "the tables take along the SQL functions that they call: catalog.apply(); what the text of these names is not followed"
	if notes := strings.Join(openCapture(t, source, scope).Notes(), "\n"); !strings.Contains(notes, want) {
		t.Errorf("notes %q, want %q", notes, want)
	}
	for _, f := range source.Check(t.Context(), []Scope{scope}) {
		if !f.OK {
			t.Errorf("check: %s", f)
		}
		if strings.Contains(f.Detail, want) {
			return
		}
	}
	t.Errorf("check does not tell that %s", want)
}

// TestTablesOfARoleWithoutOtherRights: pg_dump of the schemas needs no right on
// the tables that stay behind.
func TestTablesOfARoleWithoutOtherRights(t *testing.T) {
	t.Parallel()
	pg := testenv.PrivatePostgres(t, nil)
	pg.Exec(t, stock+`CREATE ROLE narrow LOGIN; GRANT USAGE ON SCHEMA catalog TO narrow; GRANT SELECT ON catalog.stock_moves, catalog.stock_moves_id_seq TO narrow`)
	c := openCapture(t, newSource(t, as(pg.URL(), "narrow")), Scope{Function: "catalog", Tables: []string{"catalog.stock_moves"}})
	list := pgRestore(t, dump(t, c), "--list")
	if got := strings.Count(list, " TABLE catalog "); got != 1 || !strings.Contains(list, "FUNCTION catalog apply()") {
		t.Errorf("the archive holds\n%s", list)
	}
}

// TestTablesOfTheMarket: the canonical scope, on the canonical database.
func TestTablesOfTheMarket(t *testing.T) {
	t.Parallel()
	source := testenv.PrivatePostgres(t, nil)
	must(t, shop.Seed(t.Context(), source.URL(), shop.Options{Scale: 2}))
	s := save(t, source, Scope{Function: "catalog", Tables: []string{"catalog.products", "catalog.stock_*"}})
	target := into(t, source.NewDatabase(t).URL(), TargetOptions{})
	left := s.restore(t, target)
	if len(left) != 1 || left[0].ToTable != "categories" {
		t.Errorf("left out %v, want the foreign key to the categories alone", left)
	}
	s.checkSame(t, target)
	one := source.NewDatabase(t)
	s.restore(t, into(t, one.URL(), TargetOptions{Tables: []TableName{{"catalog", "stock_levels"}}}))
	if got := one.Value(t, "SELECT string_agg(format_type(oid, NULL), ' ') FROM pg_type WHERE typnamespace = 'catalog'::regnamespace AND typtype IN ('e', 'd')"); got != "catalog.quantity" {
		t.Errorf("one table of it came with the types %s", got)
	}
	if len(s.tables) != 3 {
		t.Errorf("tables %v, want 3", s.tables)
	}
}

// TestTablesKeepTheirStatistics: pg_dump --table alone leaves them out.
func TestTablesKeepTheirStatistics(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, `CREATE SCHEMA s; CREATE SCHEMA kept; CREATE TABLE s.t (a int, b int); CREATE STATISTICS kept.ab ON a, b FROM s.t;
		CREATE TABLE s.u (a int, b int); CREATE STATISTICS kept.u ON a, b FROM s.u; CREATE TABLE kept.other (a int)`)
	s := save(t, pg, Scope{Function: "f", Tables: []string{"s.t"}})
	db := pg.NewDatabase(t)
	target := into(t, db.URL(), TargetOptions{})
	s.restore(t, target)
	s.checkSame(t, target)
	if got := db.Value(t, "SELECT string_agg(stxname, ' ') || (SELECT count(*) FROM pg_class WHERE relname = 'other') FROM pg_statistic_ext"); got != "ab0" {
		t.Errorf("statistics and other tables: %s", got)
	}
}

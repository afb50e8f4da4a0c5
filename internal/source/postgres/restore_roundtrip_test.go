package postgres

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/testenv"
)

// TestRestoreOfDifficultDatabase restores onto another server, which has none
// of the roles.
func TestRestoreOfDifficultDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	source := testenv.Postgres(t)
	source.Exec(t, difficult("a"))
	t.Cleanup(func() { dropDifficult(t, source, "a") })
	s := save(t, source, Scope{Function: "shop"})

	other := testenv.PrivatePostgres(t, nil)
	target := into(t, other.URL(), TargetOptions{})
	must(t, target.MarkUnfinished(ctx, "shop"))
	if left := s.restore(t, target); len(left) > 0 {
		t.Errorf("not restored: %v", left)
	}
	s.checkSame(t, target)
	behind, err := target.SequencesAhead(ctx)
	must(t, err)
	if len(behind) > 0 {
		t.Errorf("sequences behind: %q", behind)
	}
	must(t, target.MarkFinished(ctx))

	for sql, want := range map[string]string{
		"SELECT rolcanlogin::text || rolconnlimit || rolconfig::text FROM pg_roles WHERE rolname = 'reader_a'": `false7{"search_path=\"$user\", shop"}`,
		"SELECT rolinherit FROM pg_roles WHERE rolname = 'Odd role; a'":                                        "f",
		"SELECT admin_option FROM pg_auth_members WHERE roleid = 'owner_a'::regrole":                           "t",
		"SELECT pg_has_role('reader_a', 'pg_monitor', 'MEMBER')":                                               "t",
		"SELECT shobj_description('owner_a'::regrole, 'pg_authid')":                                            "owns the shop's things",
		"SELECT rolpassword FROM pg_authid WHERE rolname = 'reader_a'":                                         "∅",
		"SHOW work_mem": "5MB",
		"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()":                                                     "the shop",
		"SELECT has_database_privilege('reader_a', current_database(), 'TEMPORARY')":                                                                           "f",
		"SELECT convalidated FROM pg_constraint WHERE conname = 'total_is_small'":                                                                              "f",
		"SELECT string_agg(tgname::text || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'shop.orders'::regclass": "always_onA offD",
		"SELECT md5(lo_get(777001)) = md5(decode(repeat('00ff41', 200000), 'hex')) AND lo_get(777002) = '' AND lo_get(777003) = 'short'":                       "t",
		"SELECT lomacl::text LIKE '%reader_a=r/%' AND lomowner = 'owner_a'::regrole FROM pg_largeobject_metadata WHERE oid = 777001":                           "t",
		"SELECT total FROM shop.a_second":                                                            "45150.00",
		"SELECT reltuples FROM pg_class WHERE oid = 'shop.orders'::regclass":                         "300",
		"SELECT count(*) FROM pg_subscription WHERE subenabled":                                      "0",
		"SELECT extversion || extnamespace::regnamespace FROM pg_extension WHERE extname = 'hstore'": source.Value(t, "SELECT extversion || 'ext' FROM pg_extension WHERE extname = 'hstore'"),
	} {
		if got := other.Value(t, sql); got != want {
			t.Errorf("%s\n got %s\nwant %s", sql, got, want)
		}
	}
	if notes := strings.Join(target.Notes(), "\n"); !strings.Contains(notes, "role reader_a was made without password and LOGIN") {
		t.Errorf("notes %q", notes)
	}
}

// dropDifficult removes what is not in the database.
func dropDifficult(t testing.TB, pg *testenv.PG, suffix string) {
	must(t, DropDatabase(context.Background(), pg.URLOf("postgres"), pg.Database))
	admin := *pg
	admin.Database = "postgres"
	admin.Exec(t, strings.ReplaceAll(`DROP ROLE IF EXISTS owner_$R; DROP ROLE IF EXISTS reader_$R; DROP ROLE IF EXISTS "Odd role; $R"`, "$R", suffix))
}

func TestRestoreInScratchReachesNowhere(t *testing.T) {
	t.Parallel()
	source := testenv.Postgres(t)
	source.Exec(t, difficult("b"))
	t.Cleanup(func() {
		admin := *source
		admin.Database = "postgres"
		admin.Exec(t, "DROP ROLE super_b")
	})
	t.Cleanup(func() { dropDifficult(t, source, "b") })
	source.Exec(t, `ALTER EVENT TRIGGER watch DISABLE;
		CREATE MATERIALIZED VIEW shop.far AS SELECT * FROM shop.remote WITH NO DATA;
		CREATE MATERIALIZED VIEW shop.farther AS SELECT * FROM shop.far WITH NO DATA;
		CREATE ROLE super_b SUPERUSER; ALTER EVENT TRIGGER watch OWNER TO super_b;`)
	s := save(t, source, Scope{Function: "shop"})

	other := testenv.PrivatePostgres(t, nil)
	target := into(t, other.URL(), TargetOptions{Scratch: true})
	s.restore(t, target)
	s.checkSame(t, target, "user_mapping")
	if got := other.Value(t, "SELECT count(*) FROM pg_user_mapping"); got != "0" {
		t.Errorf("%s user mappings", got)
	}
	if got := other.Value(t, "SELECT count(*) FROM pg_matviews WHERE NOT ispopulated"); got != "2" {
		t.Errorf("%s empty materialized views, want the two that read a foreign table", got)
	}
	notes := strings.Join(target.Notes(), "\n")
	for _, want := range []string{"user mapping", "shop.far stays empty", "shop.farther stays empty"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q, want %q", notes, want)
		}
	}
}

func TestRestoreRefusesOwnersThatMustBeSuperusers(t *testing.T) {
	t.Parallel()
	source := testenv.PrivatePostgres(t, nil)
	source.Exec(t, `CREATE ROLE boss SUPERUSER;
		CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
		CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION watch();
		ALTER EVENT TRIGGER watch OWNER TO boss;`)
	s := save(t, source, Scope{Function: "shop"})
	other := testenv.PrivatePostgres(t, nil)
	target := into(t, other.URL(), TargetOptions{})
	wantError(t, target.PreData(context.Background(), s.archive, s.globals), "event trigger watch", "boss", "SUPERUSER")
	again := into(t, other.NewDatabase(t).URL(), TargetOptions{NoOwner: true})
	s.restore(t, again)
}

func TestRestoreWithoutOwners(t *testing.T) {
	t.Parallel()
	source := testenv.Postgres(t)
	source.Exec(t, difficult("c"))
	t.Cleanup(func() { dropDifficult(t, source, "c") })
	s := save(t, source, Scope{Function: "shop"})
	other := testenv.PrivatePostgres(t, nil)
	target := into(t, other.URL(), TargetOptions{NoOwner: true})
	s.restore(t, target)
	restored, err := target.Structure(context.Background(), s.scope)
	must(t, err)
	for _, d := range s.structure.Diff(restored) {
		if !slices.Contains([]string{KindOwner, KindGrants, KindDefaultACL, KindPolicyRoles, KindUserMapping}, d.Kind) {
			t.Errorf("%s %s %s\n   source: %s\n restored: %s", d.Change, d.Kind, d.Name, d.Source, d.Restored)
		}
	}
	// Policies name roles, and pg_restore cannot leave them out.
	if got := other.Value(t, "SELECT string_agg(rolname, ',' ORDER BY 1) FROM pg_roles WHERE oid >= 16384"); got != "Odd role; c,reader_c" {
		t.Errorf("roles %s", got)
	}
	if got := other.Value(t, "SELECT count(*) FROM pg_class WHERE relowner <> 10"); got != "0" {
		t.Errorf("%s relations of other owners", got)
	}
}

func TestRestoreOfSchemas(t *testing.T) {
	t.Parallel()
	source := testenv.Postgres(t)
	source.Exec(t, `
		CREATE SCHEMA payments; CREATE SCHEMA accounts; CREATE EXTENSION citext SCHEMA accounts;
		CREATE TABLE accounts.users (id int PRIMARY KEY, name accounts.citext);
		INSERT INTO accounts.users VALUES (1, 'a'), (2, 'b');
		CREATE TABLE payments.orders (id int PRIMARY KEY, who int CONSTRAINT who_pays REFERENCES accounts.users, note accounts.citext);
		COMMENT ON CONSTRAINT who_pays ON payments.orders IS 'the payer';
		INSERT INTO payments.orders VALUES (1, 1, 'x'), (2, 2, 'y');`)
	scope := Scope{Function: "payments", Schemas: []string{"payments"}}
	s := save(t, source, scope)

	t.Run("alone", func(t *testing.T) {
		target := into(t, source.NewDatabase(t).URL(), TargetOptions{})
		left := s.restore(t, target)
		if len(left) != 1 || left[0].Constraint != "who_pays" || left[0].ToTable != "users" || !strings.HasPrefix(left[0].Reason, leftOut) {
			t.Errorf("left %v", left)
		}
		s.checkSame(t, target)
	})
	t.Run("beside the other table", func(t *testing.T) {
		db := source.NewDatabase(t)
		db.Exec(t, "CREATE SCHEMA accounts; CREATE TABLE accounts.users (id int PRIMARY KEY); INSERT INTO accounts.users VALUES (1), (2)")
		target := into(t, db.URL(), TargetOptions{})
		if left := s.restore(t, target); len(left) > 0 {
			t.Errorf("left %v", left)
		}
		s.checkSame(t, target)
		if got := db.Value(t, "SELECT convalidated || obj_description(oid) FROM pg_constraint WHERE conname = 'who_pays'"); got != "truethe payer" {
			t.Errorf("foreign key %s", got)
		}
	})
	t.Run("beside an older state of the other table", func(t *testing.T) {
		db := source.NewDatabase(t)
		db.Exec(t, "CREATE SCHEMA accounts; CREATE TABLE accounts.users (id int PRIMARY KEY); INSERT INTO accounts.users VALUES (1)")
		target := into(t, db.URL(), TargetOptions{})
		left := s.restore(t, target)
		if len(left) != 1 || !strings.Contains(left[0].Reason, "NOT VALID") {
			t.Errorf("left %v", left)
		}
		s.checkSame(t, target)
		if got := db.Value(t, "SELECT convalidated || obj_description(oid) FROM pg_constraint WHERE conname = 'who_pays'"); got != "falsethe payer" {
			t.Errorf("foreign key %s", got)
		}
	})
	t.Run("schema public", func(t *testing.T) {
		db := source.NewDatabase(t)
		db.Exec(t, "CREATE TABLE public.a (id serial PRIMARY KEY); INSERT INTO a DEFAULT VALUES; GRANT CREATE ON SCHEMA public TO PUBLIC")
		p := save(t, db, Scope{Function: "f", Schemas: []string{"public"}})
		target := into(t, source.NewDatabase(t).URL(), TargetOptions{})
		p.restore(t, target)
		p.checkSame(t, target)
	})
	t.Run("tables", func(t *testing.T) {
		p := save(t, source, Scope{Function: "f", Tables: []string{"payments.orders"}})
		target := into(t, source.NewDatabase(t).URL(), TargetOptions{})
		p.restore(t, target)
		p.checkSame(t, target)
	})
}

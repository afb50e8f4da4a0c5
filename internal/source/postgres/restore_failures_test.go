package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/testenv"
)

// small is a database that restores in a moment.
const small = `
	CREATE TABLE a (id int PRIMARY KEY, b text);
	INSERT INTO a VALUES (1, 'x'), (2, 'y');
	CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n, 10 / sum(id) AS part FROM a;`

func savedSmall(t testing.TB) (*testenv.PG, *saved) {
	t.Helper()
	source := testenv.Postgres(t)
	source.Exec(t, small)
	return source, save(t, source, Scope{Function: "small"})
}

func TestRestoreFailsOnTruncatedArchive(t *testing.T) {
	t.Parallel()
	source, s := savedSmall(t)
	text, err := os.ReadFile(s.archive)
	must(t, err)
	target := into(t, source.NewDatabase(t).URL(), TargetOptions{})
	cutShort := filepath.Join(t.TempDir(), "cut")
	for size := 0; size < len(text); size += 1 + len(text)/100 {
		must(t, os.WriteFile(cutShort, text[:size], 0o600))
		if _, err := openArchive(cutShort); !errors.Is(err, errArchive) {
			t.Fatalf("%d of %d bytes: error %v, want errArchive", size, len(text), err)
		}
	}
	err = target.PreData(context.Background(), cutShort, s.globals)
	wantError(t, err, "not a whole pg_dump archive", target.config.Database)
	if empty, found, err := target.Empty(context.Background()); err != nil || !empty {
		t.Errorf("empty %v, found %q, error %v", empty, found, err)
	}
}

func TestRestoreFailsOnConflictingObjects(t *testing.T) {
	t.Parallel()
	source, s := savedSmall(t)
	db := source.NewDatabase(t)
	db.Exec(t, "CREATE TABLE a (other int)")
	target := into(t, db.URL(), TargetOptions{})
	wantError(t, target.PreData(context.Background(), s.archive, s.globals), "pre-data", `relation "a" already exists`)
}

func TestRestoreFailsOnWrongRows(t *testing.T) {
	t.Parallel()
	source, s := savedSmall(t)
	t.Run("duplicate key", func(t *testing.T) {
		target := into(t, source.NewDatabase(t).URL(), TargetOptions{})
		twice := *s
		twice.rows = map[string][]byte{"public.a": append(s.rows["public.a"], "1\tagain\n"...)}
		must(t, twice.load(target))
		_, err := target.PostData(context.Background(), s.archive, 2, nil)
		wantError(t, err, "post-data", "could not create unique index", "a_pkey")
	})
	t.Run("materialized view", func(t *testing.T) {
		target := into(t, source.NewDatabase(t).URL(), TargetOptions{})
		zero := *s
		zero.rows = map[string][]byte{"public.a": []byte("0\tx\n")}
		must(t, zero.load(target))
		_, err := target.PostData(context.Background(), s.archive, 2, nil)
		wantError(t, err, "refresh materialized view public.totals", "division by zero")
	})
	t.Run("text for a number", func(t *testing.T) {
		target := into(t, source.NewDatabase(t).URL(), TargetOptions{})
		must(t, target.PreData(context.Background(), s.archive, s.globals))
		rows, err := target.CopyIn(context.Background(), s.tables[0], strings.NewReader("1\tx\nsecret\ty\n"))
		wantError(t, err, "load public.a", "line 2, column id")
		if rows != 0 {
			t.Errorf("%d rows", rows)
		}
	})
	t.Run("rows that cannot be read", func(t *testing.T) {
		db := source.NewDatabase(t)
		target := into(t, db.URL(), TargetOptions{})
		must(t, target.PreData(context.Background(), s.archive, s.globals))
		broken := errors.New("the site is gone")
		_, err := target.CopyIn(context.Background(), s.tables[0], io.MultiReader(strings.NewReader("1\tx\n"), failing{broken}))
		if !errors.Is(err, broken) && !strings.Contains(fmt.Sprint(err), broken.Error()) {
			t.Errorf("error %v, want %v in it", err, broken)
		}
		if got := db.Value(t, "SELECT count(*) FROM a"); got != "0" {
			t.Errorf("%s rows of a load that failed", got)
		}
	})
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestRestoreFailsOnMissingExtensionVersion(t *testing.T) {
	t.Parallel()
	source, s := savedSmall(t)
	target := into(t, source.NewDatabase(t).URL(), TargetOptions{})
	g := s.globals
	g.Extensions = append(g.Extensions, Extension{Name: "hstore", Version: "9.9", Schema: "public"})
	have := source.Value(t, "SELECT default_version FROM pg_available_extensions WHERE name = 'hstore'")
	wantError(t, target.PreData(context.Background(), s.archive, g), "hstore", "9.9", have)
	g.Extensions = []Extension{{Name: "no such thing", Version: "1", Schema: "public"}}
	wantError(t, target.PreData(context.Background(), s.archive, g), "no such thing", "does not have it")
}

func TestRestoreStopsWhenCancelled(t *testing.T) {
	t.Parallel()
	source := testenv.Postgres(t)
	source.Exec(t, `CREATE FUNCTION slow(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 FROM pg_catalog.pg_sleep(60)';
		CREATE TABLE a (id int); CREATE INDEX slowly ON a (slow(id));`)
	s := save(t, source, Scope{Function: "f"})
	db := source.NewDatabase(t)
	target := into(t, db.URL(), TargetOptions{})
	s.rows["public.a"] = []byte("1\n2\n")
	must(t, s.load(target))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := target.PostData(ctx, s.archive, 2, nil)
		done <- err
	}()
	busy := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX%'"
	for range 200 {
		if db.Value(t, busy) != "0" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("it does not stop")
	}
	for range 200 {
		if db.Value(t, busy+" AND state = 'active'") == "0" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the server goes on building the index")
}

func TestRestoreFailsWhenTheServerCrashed(t *testing.T) {
	t.Parallel()
	private := testenv.PrivatePostgres(t, nil)
	private.Exec(t, small)
	s := save(t, private, Scope{Function: "small"})
	target, err := Connect(context.Background(), TargetOptions{URL: private.NewDatabase(t).URL(), Jobs: 2})
	must(t, err)
	defer target.Close(context.Background()) // of lost connections
	must(t, s.load(target))
	private.Kill()
	private.Start(t)
	// Whatever it has forgotten, connections that are opened now do not know.
	must(t, target.pool.close())
	target.pool = newPool(2, target.dog(), target.open)
	_, err = target.PostData(context.Background(), s.archive, 2, nil)
	wantError(t, err)
	wantError(t, target.MarkFinished(context.Background()), "may have crashed")
}

func TestConnectNeverTellsThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://u:hidden@127.0.0.1:1/db", "postgres://u:hid%zzden@h/db", "host=127.0.0.1 port=1 password=hidden", "sslmode=never password=hidden"} {
		_, err := Connect(context.Background(), TargetOptions{URL: url})
		wantError(t, err)
		if strings.Contains(err.Error(), "hid") {
			t.Errorf("%s gives %v", url, err)
		}
	}
	if got := redact(`CREATE USER MAPPING OPTIONS (user 'u', password 'hid'' den'); CONNECTION 'host=h password=hidden x'`); strings.Contains(got, "hid") || !strings.Contains(got, "host=h") {
		t.Errorf("redacted %s", got)
	}
}

func TestPasswordIsInNoArgument(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://u:hid%20den@h:1/d'b", "host=h user=u password='hid den' dbname='d\\'b'"} {
		config, err := pgx.ParseConfig(url)
		must(t, err)
		target := &Target{opts: TargetOptions{URL: url}, config: config}
		cmd, err := target.restoreProgram("--section=pre-data")
		must(t, err)
		if args := strings.Join(cmd.Args, " "); strings.Contains(args, "hid") || !strings.Contains(args, `dbname='d\'b'`) {
			t.Errorf("arguments %s", args)
		}
		if !slices.Contains(cmd.Env, "PGPASSWORD=hid den") {
			t.Error("the environment lacks the password")
		}
	}
}

func TestRestoreWithoutItsTablespaces(t *testing.T) {
	t.Parallel()
	source := testenv.PrivatePostgres(t, map[string]string{"allow_in_place_tablespaces": "on"})
	admin := *source
	admin.Database = "postgres"
	admin.Exec(t, "CREATE TABLESPACE fast LOCATION ''")
	source.Exec(t, "CREATE TABLE a (id int PRIMARY KEY USING INDEX TABLESPACE fast) TABLESPACE fast; INSERT INTO a VALUES (1)")
	s := save(t, source, Scope{Function: "f"})
	db := testenv.Postgres(t)
	target := into(t, db.URL(), TargetOptions{})
	s.restore(t, target)
	if got := db.Value(t, "SELECT count(*) FROM a"); got != "1" {
		t.Errorf("%s rows", got)
	}
	if notes := strings.Join(target.Notes(), "\n"); !strings.Contains(notes, "tablespaces fast do not exist") {
		t.Errorf("notes %q", notes)
	}
}

package testenv

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/pgserver"
)

// PG is a database on a real, throwaway PostgreSQL server.
type PG struct {
	// Database is its name.
	Database string
	server   *pgserver.Instance
}

// shared is the server that all tests of this process use together. It ends
// with the process, see [removeAfterUs].
var shared = sync.OnceValues(func() (*pgserver.Instance, error) {
	dir := filepath.Join(serversDir(), fmt.Sprintf("shared-%d", os.Getpid()))
	server, err := startServer(dir, map[string]string{"max_connections": "200"})
	if err != nil {
		return nil, err
	}
	return server, removeAfterUs(dir)
})

// serials number the databases and private servers of this process.
var serials atomic.Int64

// Postgres returns a fresh, empty database on a server shared by all tests
// of this process; roles and other things of the whole server are shared
// too, so give them names of their own. The database is dropped when the test
// ends.
func Postgres(t testing.TB) *PG {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatalf("start the PostgreSQL server of these tests: %v", err)
	}
	return newDatabase(t, server)
}

// PrivatePostgres returns a fresh database on a server of its own, for tests
// that kill it, change its settings or need its roles for themselves. It is
// removed when the test ends.
func PrivatePostgres(t testing.TB, settings map[string]string) *PG {
	t.Helper()
	dir := filepath.Join(serversDir(), fmt.Sprintf("private-%d-%d", os.Getpid(), serials.Add(1)))
	// What was committed before a kill must be there after it.
	all := map[string]string{"synchronous_commit": "on"}
	maps.Copy(all, settings)
	server, err := startServer(dir, all)
	if err != nil {
		t.Fatalf("start a private PostgreSQL server: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Errorf("stop the private PostgreSQL server: %v", err)
		}
	})
	name := fmt.Sprintf("test_%d", serials.Add(1))
	execute(t, server.URL("postgres"), createDatabase(name))
	return &PG{Database: name, server: server}
}

// NewDatabase returns another fresh database on the same server, dropped
// when the test ends.
func (p *PG) NewDatabase(t testing.TB) *PG {
	t.Helper()
	return newDatabase(t, p.server)
}

// URL returns the address of the database, as superuser.
func (p *PG) URL() string { return p.server.URL(p.Database) }

// URLOf returns the address of another database of the same server.
func (p *PG) URLOf(database string) string { return p.server.URL(database) }

// Kill ends the server of a private database as a crash would.
func (p *PG) Kill() { p.server.Kill() }

// Start starts the server again after [PG.Kill].
func (p *PG) Start(t testing.TB) {
	t.Helper()
	if err := p.server.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Exec runs SQL, of any number of statements, in the database.
func (p *PG) Exec(t testing.TB, sql string) {
	t.Helper()
	execute(t, p.URL(), sql)
}

// Query runs one query and returns all its rows as text, NULL as "∅".
func (p *PG) Query(t testing.TB, sql string) [][]string {
	t.Helper()
	var rows [][]string
	session(t, p.URL(), func(ctx context.Context, conn *pgx.Conn) error {
		result := conn.PgConn().ExecParams(ctx, sql, nil, nil, nil, nil).Read()
		for _, values := range result.Rows {
			row := make([]string, len(values))
			for i, v := range values {
				if row[i] = string(v); v == nil {
					row[i] = "∅"
				}
			}
			rows = append(rows, row)
		}
		return result.Err
	})
	return rows
}

// Value runs a query that gives one row of one column and returns it as
// text, NULL as "∅".
func (p *PG) Value(t testing.TB, sql string) string {
	t.Helper()
	rows := p.Query(t, sql)
	if len(rows) != 1 || len(rows[0]) != 1 {
		t.Fatalf("%s\ngives not one value but %q", sql, rows)
	}
	return rows[0][0]
}

// Conn returns a connection to the database that the test closes at its end.
func (p *PG) Conn(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), p.URL())
	if err != nil {
		t.Fatalf("connect to %s: %v", p.Database, err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // may be broken by then, on purpose
	return conn
}

// createDatabase is a statement that makes a database, by copying files where
// that has to be asked for: without fsync it is four times as fast.
func createDatabase(name string) string {
	sql := "CREATE DATABASE " + name + " TEMPLATE template0"
	if serverMajor() >= 15 {
		sql += " STRATEGY file_copy"
	}
	return sql
}

var serverMajor = sync.OnceValue(func() int {
	path, err := pgserver.Binary("postgres")
	if err != nil {
		return 0
	}
	major, err := pgserver.Major(path)
	if err != nil {
		return 0
	}
	return major
})

// newDatabase makes a database that is dropped when the test ends.
func newDatabase(t testing.TB, server *pgserver.Instance) *PG {
	t.Helper()
	p := &PG{Database: fmt.Sprintf("test_%d", serials.Add(1)), server: server}
	execute(t, server.URL("postgres"), createDatabase(p.Database))
	t.Cleanup(func() {
		execute(t, server.URL("postgres"), "DROP DATABASE IF EXISTS "+p.Database+" WITH (FORCE)")
	})
	return p
}

// execute runs SQL on a connection of its own.
func execute(t testing.TB, url, sql string) {
	t.Helper()
	session(t, url, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
		return err
	})
}

// session calls f with a connection; no test of ours needs it for minutes.
func session(t testing.TB, url string, f func(context.Context, *pgx.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatalf("connect to the PostgreSQL server of this test: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }() // may be broken, on purpose
	if err := f(ctx, conn); err != nil {
		t.Fatalf("run SQL for this test: %v", err)
	}
}

// startServer starts a server in dir; what killed test processes have left
// behind is removed first.
func startServer(dir string, settings map[string]string) (*pgserver.Instance, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := sweepOnce(); err != nil {
		return nil, err
	}
	return pgserver.Start(ctx, pgserver.Options{Dir: dir, Fast: true, Settings: settings})
}

var sweepOnce = sync.OnceValue(func() error {
	// Open to pass for the user of the servers when we are root.
	if err := os.MkdirAll(serversDir(), 0o711); err != nil {
		return err
	}
	info, err := os.Lstat(serversDir())
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not ours; remove it", serversDir())
	}
	return pgserver.Sweep(context.Background(), serversDir())
})

// serversDir holds the servers of all test processes of this user. Its path
// is short because that of a socket must be.
func serversDir() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("backupd-test-%d", os.Geteuid()))
}

// lifeline is open until this process ends, however it ends.
var lifeline atomic.Pointer[os.File]

// removeAfterUs starts a small process that waits for the end of this one and
// of the server in dir, which gets a signal then, and removes dir: the
// testing package has no hook that runs after the last test.
func removeAfterUs(dir string) error {
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }() // the child has its own copy
	lifeline.Store(writer)                // kept from the garbage collector, which would close it
	cmd := exec.Command("/bin/sh", "-c", `
		cat >/dev/null
		n=0
		while [ -e "$1/data/postmaster.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
		rm -rf -- "$1"`, "remove-test-server", dir)
	cmd.Stdin = reader
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

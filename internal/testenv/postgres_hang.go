package testenv

import (
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Link returns a link to the server that a test can spoil, and the address of
// the database through it.
func (p *PG) Link(t testing.TB) (link *Link, address string) {
	t.Helper()
	u, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	link = Proxy(t, filepath.Join(query.Get("host"), ".s.PGSQL."+query.Get("port")))
	u.Host, u.RawQuery = link.Address(), "sslmode=disable"
	return link, u.String()
}

// Freeze stops the process of one session, as a server would that hangs: its
// connection stays open, its locks stay held. The returned function, which
// also runs at the end of the test, lets it go on.
func (p *PG) Freeze(t testing.TB, pid int) (thaw func()) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatalf("stop server process %d: %v", pid, err)
	}
	thaw = sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // it may have been killed since
	t.Cleanup(thaw)
	return thaw
}

// Session waits for a session in the database for which the condition on
// pg_stat_activity holds, and returns its process.
func (p *PG) Session(t testing.TB, condition string) (pid int) {
	t.Helper()
	sql := "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND " + condition
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if rows := p.Query(t, sql); len(rows) > 0 {
			pid, err := strconv.Atoi(rows[0][0])
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("within 20 s there was no session with %s", condition)
	return 0
}

// LetGo waits until no session named like the pattern is left in the database,
// and no lock and no snapshot of one.
func (p *PG) LetGo(t testing.TB, pattern string) {
	t.Helper()
	sql := "SELECT pid, application_name, state, query FROM pg_stat_activity WHERE datname = current_database() " +
		"AND pid <> pg_backend_pid() AND application_name LIKE '" + pattern + "'"
	var left [][]string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if left = p.Query(t, sql); len(left) == 0 {
			return
		}
	}
	t.Fatalf("20 s later these sessions are still there: %q", left)
}

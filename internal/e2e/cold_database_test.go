package e2e

import (
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/testenv"
)

// scratches are the scratch databases that are on the server now.
func (w *world) scratches() (names []string) {
	w.t.Helper()
	for _, row := range w.pg.Query(w.t, "SELECT datname FROM pg_database WHERE datname LIKE 'backupd_scratch_%'") {
		names = append(names, row[0])
	}
	return names
}

// A cold start into a database of a server that is given, rather than one of its
// own: it comes to L7, leaves nothing there, and what a kill leaves is swept.
func TestColdStartIntoADatabaseOfAServer(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.extra = `, checks: [{name: alive, sql: "SELECT count(*) FROM payments.transactions", expect: 20000, same_at_source: true}]`
	w.more = fmt.Sprintf("scratch: {kind: database, url: %q}\n", w.pg.URLOf("postgres"))
	w.write()
	w.must(0, "check")
	w.must(0, "snapshot", "payments")
	w.must(0, "verify", "payments", "--from", "onsite")
	usb := w.escrowFile()
	args := []string{"verify", "payments", "--cold", "--from", "cloud", "--identity", usb}
	cold := func() {
		t.Helper()
		r := answer[coldAnswer](w, 0, args...)
		if len(r) != 1 || r[0].Level != "L7" || !r[0].Passed || r[0].Catalog != "rebuilt from site cloud" {
			t.Errorf("%+v", r)
		}
		if left := w.scratches(); len(left) > 0 {
			t.Errorf("left on the server: %v", left)
		}
	}
	cold()
	d := w.serve()
	cold()
	// The service is killed while the cold start it asked for restores.
	asked := w.command(t.Context(), args...)
	if err := asked.Start(); err != nil {
		t.Fatal(err)
	}
	w.eventually("a scratch database", func() bool { return len(w.scratches()) > 0 })
	d.kill()
	if err := asked.Wait(); err == nil {
		t.Error("the service was killed and the command ended well")
	}
	// The empty host notices that nobody is there any more, and clears up; if it
	// did not come to that, the next service does.
	d = w.serve()
	w.eventually("everything to be removed", func() bool {
		dirs, err := filepath.Glob(filepath.Join(w.dir, "data", "scratch", "cold-*"))
		return err == nil && len(dirs) == 0 && len(w.scratches()) == 0
	})
	cold()
	if code := d.stop(t); code != 0 {
		t.Errorf("the service ended with %d: %s", code, d.log)
	}
}

// A server that does not let databases be made is no proof and no difference,
// and the message names it.
func TestColdStartWithoutTheRightToMakeADatabase(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	role := "nobody_" + w.pg.Database
	w.pg.Exec(t, "CREATE ROLE "+role+" LOGIN NOSUPERUSER NOCREATEDB")
	at, err := url.Parse(w.pg.URLOf("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.User(role)
	w.more = fmt.Sprintf("scratch: {kind: database, url: %q}\n", at)
	w.write()
	w.must(0, "snapshot", "payments")
	begun := time.Now()
	w.fails(1, []string{"verify", "payments", "--cold", "--from", "cloud", "--identity", w.escrowFile()}, "NOT PROVEN", "make scratch")
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %s", took)
	}
}

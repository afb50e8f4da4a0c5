package soak

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/testenv"
)

// held returns the content of a database, as COPY writes it; nothing when
// there is no such database. What a killed restore had asked the server to do
// may still be going on, and end sessions: then it asks again.
func (w *world) held(database string, b *book) map[string][]byte {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		out, err := copyOut(w.pg.URLOf(database), b)
		if err == nil {
			return out
		}
		if strings.Contains(err.Error(), "3D000") {
			return nil
		}
		if time.Now().After(end) {
			w.t.Fatalf("database %s: %v", database, err)
		}
	}
}

func copyOut(url string, b *book) (map[string][]byte, error) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, table := range []string{"state", "accounts", "entries"} {
		var rows bytes.Buffer
		name := b.function + "." + table
		if _, err := tx.Conn().PgConn().CopyTo(ctx, &rows, "COPY "+name+" TO STDOUT"); err != nil {
			return nil, err
		}
		out[name] = rows.Bytes()
	}
	return out, tx.Rollback(ctx)
}

// databases returns the databases whose names begin so, with their comments.
func (w *world) databases(prefix string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, row := range w.pg.Query(w.t, `SELECT datname, coalesce(shobj_description(oid, 'pg_database'), '')
		FROM pg_database WHERE starts_with(datname, '`+prefix+`')`) {
		out[row[0]] = row[1]
	}
	return out
}

func (w *world) oid(database string) string {
	w.t.Helper()
	return w.pg.Value(w.t, "SELECT coalesce((SELECT oid::text FROM pg_database WHERE datname = '"+database+"'), '')")
}

// stepOf returns the step that a database is at, after it has compared all of
// it with the book.
func (w *world) stepOf(database string, b *book) (int64, error) {
	tables := w.held(database, b)
	if tables == nil {
		return 0, errors.New("there is no such database")
	}
	return b.compare(tables)
}

// A restore in place of a live database leaves that as it was, wherever it is
// killed, until the very moment when the restored one has taken its place.
func TestReplacingRestoreKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.startTraffic(seed(t))
	w.start()
	w.settle()
	live := w.pg.Database + "_live"
	b := w.books[0]
	w.must("", "restore", b.function, "--to", w.pg.URLOf(live))
	for _, point := range restorePoints {
		w.settle() // another recovery point than the live one
		was, before := w.oid(live), w.held(live, b)
		w.killAt(point, "restore", b.function, "--to", w.pg.URLOf(live), "--replace", "--yes")
		if _, err := w.stepOf(live, b); err != nil {
			w.violation("after %s the live database: %v", point, err)
		}
		placed := point == crash.RestorePlaced || point == crash.RestoreEnded
		if same := w.oid(live) == was && equal(w.held(live, b), before); same == placed {
			w.violation("after %s the live database is the one of before: %t", point, same)
		}
		w.clearUnfinished(point, live)
	}
}

// A restore into a new database gives it its name at the end.
func TestRestoreIntoNewDatabaseKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t), newTally())
	w.startTraffic(seed(t))
	w.start()
	w.settle()
	b := w.books[0]
	for i, point := range restorePoints {
		if point == crash.RestoreChecked {
			continue // only what takes a place is checked before
		}
		name := w.pg.Database + "_new_" + string(rune('a'+i))
		w.killAt(point, "restore", b.function, "--to", w.pg.URLOf(name))
		placed := point == crash.RestorePlaced || point == crash.RestoreEnded
		if there := w.oid(name) != ""; there != placed {
			w.violation("after %s database %s is there: %t", point, name, there)
		}
		w.clearUnfinished(point, name)
		w.run("", "restore", b.function, "--to", w.pg.URLOf(name))
		if _, err := w.stepOf(name, b); err != nil {
			w.violation("after another restore: %v", err)
		}
		w.pg.Exec(t, "DROP DATABASE "+name)
	}
}

// clearUnfinished looks at what a killed restore has left beside its target
// and does what the program says is to be done about it.
func (w *world) clearUnfinished(point crash.Name, target string) {
	w.t.Helper()
	o := w.run("", "restore", "orders", "--to", w.pg.URLOf(target), "--plan", "--replace")
	for name := range w.databases(target + "_restoring_") {
		if !strings.Contains(o.stdout, name) {
			w.violation("after %s database %s is left, and nobody tells: %s", point, name, o)
		}
		w.pg.Exec(w.t, "DROP DATABASE "+name+" WITH (FORCE)")
	}
}

func equal(a, b map[string][]byte) bool {
	for name := range a {
		if !bytes.Equal(a[name], b[name]) {
			return false
		}
	}
	return len(a) == len(b)
}

package snapshot_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/snapshot/snaptest"
	"github.com/saypro/backupd/internal/suspicion"
)

// watched is a function with two canaries.
func watched() config.Function {
	f := whole()
	f.Suspect.Canary = map[string]config.Canary{
		"first":  {Table: "pay.big", Key: "id = 1"},
		"limits": {SQL: "SELECT count(*), min(name), NULL FROM pay.small"},
	}
	return f
}

// told says in one line what was found in a recovery point.
func told(signals []suspicion.Signal) string {
	var out []string
	for _, s := range signals {
		out = append(out, s.Kind+" "+s.Table)
	}
	return strings.Join(out, ", ")
}

// What attacks do is told of the right table, in the result, in the commit and
// in the catalog; the recovery point is made all the same.
func TestAttacksMakeASnapshotSuspect(t *testing.T) {
	db := filled(t, 5000)
	b := snaptest.New(t, db.URL())
	f := watched()
	take := func(want string) snapshot.Result {
		t.Helper()
		r := b.Take(t, f)
		if got := told(r.Suspect); got != want {
			t.Errorf("%q looks wrong, want %q: %+v", got, want, r.Suspect)
		}
		return r
	}
	live := func(points int) {
		t.Helper()
		for range points {
			db.Exec(t, `UPDATE pay.big SET body = md5(random()::text) WHERE id % 50 = 3;
				INSERT INTO pay.big SELECT max(id) + 1, 'more' FROM pay.big`)
			take("")
		}
	}
	live(5)
	for _, attack := range []struct{ sql, undo, want string }{
		{
			"CREATE TABLE pay.saved AS TABLE pay.big; DELETE FROM pay.big WHERE id > 1000",
			"INSERT INTO pay.big SELECT * FROM pay.saved WHERE id > 1000; DROP TABLE pay.saved",
			"rows collapsed pay.big",
		},
		{
			"ALTER TABLE pay.big ADD COLUMN spare text; ALTER TABLE pay.big RENAME COLUMN body TO gone",
			"ALTER TABLE pay.big RENAME COLUMN gone TO body; ALTER TABLE pay.big DROP COLUMN spare",
			"schema shrunk pay.big",
		},
		{
			"UPDATE pay.big SET body = upper(md5(body)) WHERE id > 1",
			"UPDATE pay.big SET body = lower(body) WHERE id > 1",
			"rows changed pay.big",
		},
		{
			"UPDATE pay.big SET body = 'x' WHERE id = 1",
			"UPDATE pay.big SET body = 'y' WHERE id = 1",
			"canary first",
		},
		{
			"DELETE FROM pay.small WHERE id = 1",
			"INSERT INTO pay.small VALUES (1, 'n1')",
			"canary limits",
		},
		{
			"ALTER TABLE pay.big RENAME TO lost",
			"ALTER TABLE pay.lost RENAME TO big",
			"schema shrunk pay.big, canary first",
		},
	} {
		db.Exec(t, attack.sql)
		r := take(attack.want)
		info, err := b.Repository.Info(r.Snapshot)
		if err != nil || told(info.Suspect) != attack.want || info.Cleared != "" {
			t.Errorf("the catalog says %+v (%v)", info, err)
		}
		committed, err := b.Repository.ReadCommit(t.Context(), r.Snapshot, snaptest.Sites[1])
		if err != nil || told(committed.Suspect) != attack.want {
			t.Errorf("the commit says %+v (%v)", committed.Suspect, err)
		}
		// Judged to be fine, so that the next is compared with this one.
		if err := b.Repository.Clear(t.Context(), r.Snapshot, "an exercise"); err != nil {
			t.Fatal(err)
		}
		db.Exec(t, attack.undo)
		b.Take(t, f) // whatever that looks like
		if err := clearAll(t, b); err != nil {
			t.Fatal(err)
		}
		live(1)
	}
}

func clearAll(t *testing.T, b *snaptest.Bench) error {
	t.Helper()
	doubt, err := b.Repository.Doubt("payments")
	for _, s := range doubt.Open {
		if err == nil {
			err = b.Repository.Clear(t.Context(), s.ID, "an exercise")
		}
	}
	return err
}

// While a suspicion is open the next point raises none for the same, and what
// went back to how it was raises none either; another attack does.
func TestOpenSuspicion(t *testing.T) {
	db := filled(t, 5000)
	b := snaptest.New(t, db.URL())
	clean := b.Take(t, watched())
	db.Exec(t, `CREATE TABLE saved AS TABLE pay.big; DELETE FROM pay.big WHERE id > 1000`)
	bad := b.Take(t, watched())
	if told(bad.Suspect) != "rows collapsed pay.big" {
		t.Fatalf("%+v", bad.Suspect)
	}
	if s := bad.Suspect[0]; s.Before != 5000 || s.After != 1000 || s.Limit != 2500 || !strings.Contains(s.Detail, "from 5000 rows to 1000") {
		t.Errorf("%+v", s)
	}
	next := b.Take(t, watched())
	db.Exec(t, `TRUNCATE pay.big; INSERT INTO pay.big SELECT * FROM saved; DROP TABLE saved`)
	back := b.Take(t, watched())
	if len(next.Suspect) != 0 || len(back.Suspect) != 0 {
		t.Errorf("next %+v, back %+v", next.Suspect, back.Suspect)
	}
	doubt, err := b.Repository.Doubt("payments")
	if err != nil || doubt.Clean == nil || doubt.Clean.ID != clean.Snapshot || len(doubt.Open) != 1 || doubt.Open[0].ID != bad.Snapshot {
		t.Fatalf("%+v (%v)", doubt, err)
	}
	for id, want := range map[string]string{clean.Snapshot: "", bad.Snapshot: bad.Snapshot, next.Snapshot: bad.Snapshot, back.Snapshot: bad.Snapshot} {
		info, err := b.Repository.Info(id)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if about := doubt.About(info); about != nil {
			got = about.ID
		}
		if got != want {
			t.Errorf("%s is in doubt because of %q, want %q", id, got, want)
		}
	}
}

// A catalog that knows nothing of the points before takes what the newest commit
// tells.
func TestSuspicionAfterARebuild(t *testing.T) {
	db := filled(t, 5000)
	b := snaptest.New(t, db.URL())
	b.Take(t, watched())
	forget(t, b.Catalog)
	db.Exec(t, `TRUNCATE pay.big; ALTER TABLE pay.small DROP COLUMN name`)
	r := b.Take(t, whole())
	if got := told(r.Suspect); got != "rows collapsed pay.big, schema shrunk pay.small" {
		t.Errorf("%q", got)
	}
	// The same of a memory that makes no sense.
	if err := b.Catalog.SetMeta("seen:payments", []byte("{")); err != nil {
		t.Fatal(err)
	}
	db.Exec(t, `DROP TABLE pay.small`)
	if got := told(b.Take(t, whole()).Suspect); got != "schema shrunk pay.small" {
		t.Errorf("%q", got)
	}
}

// forget takes out of the catalog what the next point is judged by, as a rebuild
// does.
func forget(t *testing.T, c *catalog.Catalog) {
	t.Helper()
	if err := c.DropMeta("seen:payments"); err != nil {
		t.Fatal(err)
	}
}

// Switched off, nothing is suspect; switched on again, the first point is
// compared with none from before.
func TestSwitchedOff(t *testing.T) {
	db := filled(t, 5000)
	b := snaptest.New(t, db.URL())
	b.Take(t, watched())
	off := watched()
	off.Suspect.Off = "an exercise"
	db.Exec(t, `DROP TABLE pay.none`)
	for i, f := range []config.Function{off, watched(), watched()} {
		if r := b.Take(t, f); len(r.Suspect) != 0 {
			t.Errorf("point %d: %+v", i, r.Suspect)
		}
		db.Exec(t, fmt.Sprintf(`CREATE TABLE pay.t%d (id int)`, i))
	}
}

// A canary never ends a run, whatever is asked for.
func TestCanariesThatCannotBeRead(t *testing.T) {
	db := filled(t, 100)
	b := snaptest.New(t, db.URL())
	for name, test := range map[string]struct {
		canary config.Canary
		want   string
	}{
		"no row":     {config.Canary{Table: "pay.big", Key: "id = 0"}, "it gives no row"},
		"no table":   {config.Canary{Table: "pay.nothing", Key: "id = 0"}, `relation "pay.nothing" does not exist`},
		"no column":  {config.Canary{Table: "pay.big", Key: "number = 0"}, `column "number" does not exist`},
		"two":        {config.Canary{SQL: "SELECT 1; SELECT 2"}, "cannot insert multiple commands"},
		"too many":   {config.Canary{SQL: "SELECT generate_series(1, 1001)"}, "more than 1000 rows"},
		"too much":   {config.Canary{SQL: "SELECT repeat('x', 600000) FROM generate_series(1, 4)"}, "or 1024 kib"},
		"divided":    {config.Canary{SQL: "SELECT 1 / 0"}, "division by zero"},
		"it writes":  {config.Canary{SQL: "WITH d AS (DELETE FROM pay.big RETURNING 1) SELECT count(*) FROM d"}, "read-only transaction"},
		"it commits": {config.Canary{SQL: "COMMIT"}, "savepoint"},
	} {
		t.Run(name, func(t *testing.T) {
			f := whole()
			f.Name = strings.ReplaceAll(name, " ", "-")
			f.Suspect.Canary = map[string]config.Canary{"bird": test.canary}
			r := b.Take(t, f)
			if told(r.Suspect) != "canary bird" || !strings.Contains(strings.ToLower(r.Suspect[0].Detail), test.want) {
				t.Errorf("%+v", r.Suspect)
			}
		})
	}
}

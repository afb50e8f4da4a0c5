package restore_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/snapshot/snaptest"
	"github.com/saypro/backupd/internal/testenv"
)

func whole() config.Function {
	return config.Function{Name: "payments", Source: snaptest.Source, RPO: 5 * time.Minute, RTO: time.Hour}
}

func pay() config.Function {
	f := whole()
	f.Schemas = []string{"pay"}
	return f
}

// restorer returns a restorer on the bench that leaves no temporary file.
func restorer(t *testing.T, b *snaptest.Bench) *restore.Restorer {
	t.Helper()
	temp := filepath.Join(b.Base, "temp")
	if err := os.MkdirAll(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("left in the folder for temporary files: %v %v", left, err)
		}
	})
	return &restore.Restorer{
		Repository: b.Repository, Catalog: b.Catalog, Sites: snaptest.Sites, Clock: clock.System, Log: b.Log, TempDir: temp, Jobs: 2,
	}
}

// filled returns a database with a schema pay of a big and a small table.
func filled(t *testing.T, rows int) *testenv.PG {
	t.Helper()
	db := testenv.Postgres(t)
	db.Exec(t, fmt.Sprintf(`CREATE SCHEMA pay; CREATE TABLE pay.big (id bigint PRIMARY KEY, body text);
		INSERT INTO pay.big SELECT g, md5(g::text) || md5((g * 7)::text) FROM generate_series(1, %d) g;
		CREATE TABLE pay.small (id int PRIMARY KEY, big bigint REFERENCES pay.big); INSERT INTO pay.small SELECT g, g FROM generate_series(1, 100) g;
		CREATE INDEX ON pay.big (body)`, rows))
	return db
}

// absent returns the address of a database that does not exist, and its name.
func absent(t *testing.T, server *testenv.PG) (address, name string) {
	t.Helper()
	name = server.NewDatabase(t).Database // a name that the end of the test drops
	server.Exec(t, "DROP DATABASE "+name)
	return server.URLOf(name), name
}

// databases lists the databases of a server whose names begin like one.
func databases(t *testing.T, server *testenv.PG, name string) []string {
	t.Helper()
	var names []string
	for _, r := range server.Query(t, "SELECT datname FROM pg_database WHERE starts_with(datname, '"+name+"') ORDER BY 1") {
		if r[0] == name || strings.HasPrefix(r[0], name+"_") {
			names = append(names, r[0])
		}
	}
	return names
}

// opened returns a database that is there by now as one of the test's.
func opened(server *testenv.PG, name string) *testenv.PG {
	copied := *server
	copied.Database = name
	return &copied
}

func TestRoundTripOfADifficultDatabase(t *testing.T) {
	db := snaptest.Difficult(t)
	b := snaptest.New(t, db.URL())
	taken := b.Take(t, whole())
	address, name := absent(t, db)
	var messages snaptest.Messages
	r, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: address}, messages.Report)
	if err != nil {
		t.Fatal(err)
	}
	snaptest.Same(t, db, opened(db, name))
	if r.Snapshot != taken.Snapshot || r.Rows != taken.Rows || len(r.Tables) != len(taken.Tables) || r.KeptDatabase != "" {
		t.Errorf("result %+v of %+v", r, taken)
	}
	for i := range r.Tables {
		if r.Tables[i].Digest != taken.Tables[i].Digest || r.Tables[i].Rows != taken.Tables[i].Rows {
			t.Errorf("table %+v, taken %+v", r.Tables[i], taken.Tables[i])
		}
	}
	for _, phase := range []string{"provision", "fetch", "load", "index"} {
		if r.Phases[phase] <= 0 {
			t.Errorf("phase %s is not timed: %v", phase, r.Phases)
		}
	}
	if r.Sites["onsite"].Bytes == 0 || r.Sites["cloud"].Bytes != 0 || len(r.FallThroughs) != 0 || messages.All() != "" {
		t.Errorf("sites %+v, fall-throughs %+v, messages %s", r.Sites, r.FallThroughs, messages.All())
	}
	if got := databases(t, db, name); len(got) != 1 {
		t.Errorf("databases %v", got)
	}
	if comment := db.Value(t, "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '"+name+"'"); comment != "∅" {
		t.Errorf("comment %q", comment)
	}
	run := lastRestore(t, b)
	if run.Snapshot != r.Snapshot || run.Ended.IsZero() || run.Error != "" {
		t.Errorf("recorded %+v", run)
	}
}

func lastRestore(t *testing.T, b *snaptest.Bench) (last catalog.Run) {
	t.Helper()
	err := b.Catalog.Runs(func(r *catalog.Run) bool {
		last = *r
		return r.Kind != catalog.RunRestore
	})
	if err != nil || last.Kind != catalog.RunRestore {
		t.Fatalf("no restore is recorded: %v", err)
	}
	return last
}

func TestRestoreIntoAnEmptyDatabase(t *testing.T) {
	db := filled(t, 5000)
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	to := db.NewDatabase(t)
	if _, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: to.URL()}, nil); err != nil {
		t.Fatal(err)
	}
	snaptest.Same(t, db, to)
}

func TestPointsInTime(t *testing.T) {
	db := filled(t, 200)
	b := snaptest.New(t, db.URL())
	first := b.Take(t, pay())
	db.Exec(t, "DELETE FROM pay.small")
	second := b.Take(t, pay())
	r := restorer(t, b)
	for name, c := range map[string]struct {
		req  restore.Request
		want string
	}{
		"newest":              {restore.Request{}, second.Snapshot},
		"between the two":     {restore.Request{At: second.RecoveryPoint.Add(-time.Nanosecond)}, first.Snapshot},
		"exactly the second":  {restore.Request{At: second.RecoveryPoint}, second.Snapshot},
		"by the id's start":   {restore.Request{Snapshot: first.Snapshot[:8]}, first.Snapshot},
		"from the other site": {restore.Request{From: "cloud"}, second.Snapshot},
	} {
		t.Run(name, func(t *testing.T) {
			c.req.Function = "payments"
			c.req.To, _ = absent(t, db)
			plan, err := r.Plan(t.Context(), c.req)
			if err != nil || plan.Snapshot != c.want {
				t.Errorf("plan of %q instead of %q: %v", plan.Snapshot, c.want, err)
			}
		})
	}
	to, _ := absent(t, db)
	loss, err := r.Plan(t.Context(), restore.Request{Function: "payments", To: to, At: first.RecoveryPoint.Add(time.Millisecond)})
	if err != nil || loss.ExpectedLossSeconds < 0.0009 || loss.ExpectedLossSeconds > 0.0011 {
		t.Errorf("expected loss %f s: %v", loss.ExpectedLossSeconds, err)
	}
}

func TestRefusedRequests(t *testing.T) {
	db := filled(t, 200)
	b := snaptest.New(t, db.URL())
	taken := b.Take(t, pay())
	r := restorer(t, b)
	to, name := absent(t, db)
	for what, c := range map[string]struct {
		req   restore.Request
		words []string
	}{
		"no function":         {restore.Request{To: to}, []string{"function"}},
		"no target":           {restore.Request{Function: "payments"}, []string{"--to"}},
		"no database":         {restore.Request{Function: "payments", To: "postgres://user:pa55@localhost"}, []string{"no database"}},
		"no address":          {restore.Request{Function: "payments", To: "mysql://user:pa55@localhost/x"}, []string{"PostgreSQL"}},
		"time and snapshot":   {restore.Request{Function: "payments", To: to, At: time.Now(), Snapshot: "ab"}, []string{"exclude"}},
		"too early":           {restore.Request{Function: "payments", To: to, At: taken.RecoveryPoint.Add(-time.Hour)}, []string{"oldest"}},
		"unknown snapshot":    {restore.Request{Function: "payments", To: to, Snapshot: "zz"}, []string{"zz"}},
		"other function's":    {restore.Request{Function: "catalog", To: to, Snapshot: taken.Snapshot}, []string{"payments", "catalog"}},
		"no recovery point":   {restore.Request{Function: "catalog", To: to}, []string{"catalog", "no recovery point"}},
		"unknown site":        {restore.Request{Function: "payments", To: to, From: "moon"}, []string{"moon"}},
		"unknown table":       {restore.Request{Function: "payments", To: to, Tables: []string{"pay.nothing"}}, []string{"pay.nothing"}},
		"table without schem": {restore.Request{Function: "payments", To: to, Tables: []string{"big"}}, []string{"schema"}},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := r.Restore(t.Context(), c.req, nil)
			if !errors.Is(err, restore.ErrRequest) {
				t.Fatalf("not refused as a wrong request: %v", err)
			}
			for _, word := range append(c.words, "") {
				if !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "pa55") {
					t.Errorf("want %q and no password in %v", word, err)
				}
			}
		})
	}
	if got := databases(t, db, name); len(got) > 0 {
		t.Errorf("databases %v", got)
	}
}

func TestTargetThatIsNotEmpty(t *testing.T) {
	db := filled(t, 500)
	b := snaptest.New(t, db.URL())
	taken := b.Take(t, pay())
	live := db.NewDatabase(t)
	live.Exec(t, "CREATE SCHEMA pay; CREATE TABLE pay.big (was text); INSERT INTO pay.big VALUES ('here before')")
	r := restorer(t, b)
	req := restore.Request{Function: "payments", To: live.URL()}
	_, err := r.Restore(t.Context(), req, nil)
	if !errors.Is(err, restore.ErrRequest) || !strings.Contains(err.Error(), "pay.big") || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("not refused: %v", err)
	}
	if plan, err := r.Plan(t.Context(), req); err != nil || !plan.Replace || len(plan.Steps) > 0 ||
		!strings.Contains(plan.Refused, "--replace") || strings.Contains(plan.Refused, "wrong request") {
		t.Errorf("plan %+v %v", plan, err)
	}
	session := live.Conn(t) // an application that is still connected
	if _, err := session.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	req.Replace = true
	result, err := r.Restore(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Exec(t, `DROP DATABASE "`+result.KeptDatabase+`"`) })
	snaptest.Same(t, db, live)
	if was := opened(db, result.KeptDatabase).Value(t, "SELECT was FROM pay.big"); was != "here before" {
		t.Errorf("the old database holds %q", was)
	}
	levels := map[string]bool{}
	for _, c := range result.Checks {
		levels[c.Level] = true
		if !c.Passed {
			t.Errorf("check %+v", c)
		}
	}
	if !levels["L4"] || !levels["L5"] || result.Snapshot != taken.Snapshot {
		t.Errorf("result %+v", result)
	}
	if got := databases(t, db, live.Database); len(got) != 2 {
		t.Errorf("databases %v", got)
	}
}

func TestReplacingWithADifferenceLeavesTheLiveDatabase(t *testing.T) {
	db := filled(t, 500)
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	for what, c := range map[string]struct{ damage, word string }{
		"changed row":   {"UPDATE pay.big SET body = 'changed' WHERE id = 77", "pay.big"},
		"missing index": {"DROP INDEX pay.big_body_idx", "big_body_idx"},
	} {
		t.Run(what, func(t *testing.T) {
			live := db.NewDatabase(t)
			live.Exec(t, "CREATE SCHEMA pay; CREATE TABLE pay.big (was int); INSERT INTO pay.big VALUES (42)")
			r := restorer(t, b)
			r.SetBeforeCheck(func(address string) {
				u, err := url.Parse(address)
				if err != nil {
					t.Error(err)
					return
				}
				opened(db, strings.TrimPrefix(u.Path, "/")).Exec(t, c.damage)
			})
			result, err := r.Restore(t.Context(), restore.Request{Function: "payments", To: live.URL(), Replace: true}, nil)
			if !errors.Is(err, restore.ErrDiffers) || !strings.Contains(err.Error(), c.word) || result.KeptDatabase != "" {
				t.Errorf("result %+v, error %v", result, err)
			}
			if got := databases(t, db, live.Database); len(got) != 1 || live.Value(t, "SELECT was FROM pay.big") != "42" {
				t.Errorf("databases %v", got)
			}
		})
	}
}

func TestReplacingIsRefusedWhenOthersLiveThere(t *testing.T) {
	db := filled(t, 200)
	db.Exec(t, "CREATE SCHEMA accounts; CREATE TABLE accounts.users (id int); CREATE VIEW accounts.everyone AS SELECT * FROM accounts.users")
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	_, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: db.URL(), Replace: true}, nil)
	if !errors.Is(err, restore.ErrRequest) || !strings.Contains(err.Error(), "accounts.users") || !strings.Contains(err.Error(), "accounts.everyone") {
		t.Errorf("the schema of another function would be gone: %v", err)
	}
	if got := databases(t, db, db.Database); len(got) != 1 {
		t.Errorf("databases %v", got)
	}
}

func TestNamedTables(t *testing.T) {
	db := snaptest.Difficult(t)
	b := snaptest.New(t, db.URL())
	b.Take(t, whole())
	address, name := absent(t, db)
	r, err := restorer(t, b).Restore(t.Context(), restore.Request{
		Function: "payments", To: address, Tables: []string{"pay.orders", `"Odd Name"."Tab""le.x"`},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	to := opened(db, name)
	want, got := snaptest.Rows(t, db), snaptest.Rows(t, to)
	for _, table := range []string{"pay.orders_2024", "pay.orders_2025_0", "pay.orders_2025_1", "pay.orders_rest", `"Odd Name"."Tab""le.x"`} {
		if got[table] == "" || got[table] != want[table] {
			t.Errorf("table %s: %q, want %q", table, got[table], want[table])
		}
	}
	if n := to.Value(t, "SELECT count(*) FROM pg_class WHERE relname IN ('rooms', 'wide', 'empty', 'top')"); n != "0" {
		t.Errorf("%s tables were restored that nobody asked for", n)
	}
	if len(r.Tables) != 5 || len(r.OutsideReferences) == 0 {
		t.Errorf("tables %+v, references %v", r.Tables, r.OutsideReferences)
	}
}

func TestCorruptPackOnOneSiteFallsThrough(t *testing.T) {
	db := filled(t, 20000)
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	b.StopUploads() // they would put right what the first restore finds
	b.Spoil(t, "onsite")
	address, name := absent(t, db)
	var messages snaptest.Messages
	r, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: address}, messages.Report)
	if err != nil {
		t.Fatal(err)
	}
	snaptest.Same(t, db, opened(db, name))
	seen := map[string]bool{}
	for _, f := range r.FallThroughs {
		if f.Site != "onsite" || f.Then != "cloud" || f.Reason == "" || f.Unreachable || strings.Contains(f.Reason, f.Object) || seen[f.Object] || !strings.Contains(messages.All(), f.Object) {
			t.Errorf("fall-through %+v", f)
		}
		seen[f.Object] = true
	}
	if len(seen) == 0 || r.Sites["cloud"].Bytes == 0 {
		t.Errorf("nothing was said of the corrupt site: %+v", r)
	}
	address, _ = absent(t, db)
	_, err = restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: address, From: "onsite"}, nil)
	if !errors.Is(err, repository.ErrUnavailable) || !strings.Contains(err.Error(), "p/") {
		t.Errorf("from the corrupt site alone: %v", err)
	}
	faults, err := b.Catalog.Faults("onsite")
	if err != nil || len(faults) != len(seen) || faults[0].Found != "restore" || !seen[faults[0].Name] {
		t.Errorf("on record: %+v (%v)", faults, err)
	}
	b.StartUploads(t)
	for until := time.Now().Add(time.Minute); len(faults) > 0 && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if faults, err = b.Catalog.Faults("onsite"); err != nil {
			t.Fatal(err)
		}
	}
	again, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: address, From: "onsite"}, nil)
	if err != nil || len(again.FallThroughs) > 0 {
		t.Errorf("from the site that was put right: %+v %v", again, err)
	}
}

func TestCorruptPackOnBothSitesFails(t *testing.T) {
	db := filled(t, 20000)
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	b.Spoil(t, "onsite")
	b.Spoil(t, "cloud")
	address, name := absent(t, db)
	r, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: address}, nil)
	if !errors.Is(err, repository.ErrUnavailable) || !errors.Is(err, repository.ErrCorrupt) {
		t.Fatalf("error %v", err)
	}
	for _, word := range []string{"payments", "onsite", "cloud", "p/"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not name %q: %v", word, err)
		}
	}
	if got := databases(t, db, name); len(got) > 0 {
		t.Errorf("databases %v are left", got)
	}
	if run := lastRestore(t, b); run.Error == "" || r.Error != run.Error {
		t.Errorf("recorded %+v", run)
	}
}

func TestMissingPackFallsThrough(t *testing.T) {
	db := filled(t, 2000)
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	b.Damaged["onsite"] = true
	for _, path := range b.Objects(t, "onsite", "p/") {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	address, name := absent(t, db)
	r, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: address}, nil)
	if err != nil || len(r.FallThroughs) == 0 {
		t.Fatalf("%+v %v", r, err)
	}
	snaptest.Same(t, db, opened(db, name))
}

func TestCancelledRestoreLeavesNothingFinished(t *testing.T) {
	db := filled(t, 60000)
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	r := restorer(t, b)
	cancelled := func(t *testing.T, req restore.Request, phase string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var once sync.Once
		_, err := r.Restore(ctx, req, func(e progress.Event) {
			if e.Phase == phase && (phase != "load" || e.Done > 0) {
				once.Do(cancel)
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in %s: %v", phase, err)
		}
	}
	for _, phase := range []string{"provision", "load", "index"} {
		t.Run("new database, "+phase, func(t *testing.T) {
			address, name := absent(t, db)
			cancelled(t, restore.Request{Function: "payments", To: address}, phase)
			if got := databases(t, db, name); len(got) > 0 {
				t.Errorf("databases %v are left", got)
			}
		})
	}
	t.Run("empty database", func(t *testing.T) {
		to := db.NewDatabase(t)
		cancelled(t, restore.Request{Function: "payments", To: to.URL()}, "load")
		comment := to.Value(t, "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()")
		if !strings.Contains(comment, "unfinished") {
			t.Errorf("the half-filled database bears the comment %q", comment)
		}
		_, err := r.Restore(t.Context(), restore.Request{Function: "payments", To: to.URL()}, nil)
		if !errors.Is(err, restore.ErrRequest) || !strings.Contains(err.Error(), "unfinished") {
			t.Errorf("restored over it: %v", err)
		}
	})
	t.Run("replace", func(t *testing.T) {
		live := db.NewDatabase(t)
		live.Exec(t, "CREATE SCHEMA pay; CREATE TABLE pay.big (was int); INSERT INTO pay.big VALUES (42)")
		cancelled(t, restore.Request{Function: "payments", To: live.URL(), Replace: true}, "validate")
		if got := databases(t, db, live.Database); len(got) != 1 || live.Value(t, "SELECT was FROM pay.big") != "42" {
			t.Errorf("databases %v", got)
		}
	})
}

func TestNotYetOnAnySite(t *testing.T) {
	db := filled(t, 100)
	b := snaptest.New(t, db.URL())
	for _, site := range snaptest.Sites {
		if err := os.Rename(b.Dirs[site], b.Dirs[site]+".away"); err != nil {
			t.Fatal(err)
		}
	}
	b.Taker.Patience = 0
	taken, err := b.Taker.Take(t.Context(), pay(), nil)
	if !errors.Is(err, repository.ErrNotDurable) {
		t.Fatal(err)
	}
	r := restorer(t, b)
	address, _ := absent(t, db)
	for _, id := range []string{"", taken.Snapshot} {
		if _, err := r.Restore(t.Context(), restore.Request{Function: "payments", To: address, Snapshot: id}, nil); !errors.Is(err, repository.ErrNotDurable) {
			t.Errorf("snapshot %q: %v", id, err)
		}
	}
}

func TestPlanTellsWhatItKnows(t *testing.T) {
	db := filled(t, 5000)
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	r := restorer(t, b)
	address, name := absent(t, db)
	secret := withPassword(t, address, "pa55word")
	plan, err := r.Plan(t.Context(), restore.Request{Function: "payments", To: secret})
	if err != nil {
		t.Fatal(err)
	}
	if plan.DurationMeasured || plan.ExpectedDurationSeconds <= 0 || !strings.Contains(plan.DurationBasis, "guess") || plan.BytesToFetch == 0 ||
		plan.Rows != 5100 || len(plan.Tables) != 2 || plan.Replace || strings.Join(plan.SiteOrder, " ") != "onsite cloud" {
		t.Errorf("plan %+v", plan)
	}
	if text := fmt.Sprintf("%+v", plan); strings.Contains(text, "pa55word") || !strings.Contains(text, name) {
		t.Errorf("plan %s", text)
	}
	if got := databases(t, db, name); len(got) > 0 {
		t.Errorf("the plan made %v", got)
	}
	result, err := r.Restore(t.Context(), restore.Request{Function: "payments", To: secret}, nil)
	if err != nil || strings.Contains(fmt.Sprintf("%+v", result), "pa55word") {
		t.Fatalf("%+v %v", result, err)
	}
	to, _ := absent(t, db)
	plan, err = r.Plan(t.Context(), restore.Request{Function: "payments", To: to})
	if err != nil || !plan.DurationMeasured || plan.ExpectedDurationSeconds <= 0 || plan.ExpectedDurationSeconds > result.DurationSeconds {
		t.Errorf("after a restore of %f s: %+v %v", result.DurationSeconds, plan, err)
	}
}

func withPassword(t *testing.T, address, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String()
}

// userOf puts another user into an address.
func userOf(t *testing.T, address, user string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(user)
	return u.String()
}

// Many partitions with indexes and with foreign keys in both directions:
// sessions that make them side by side get into each other's way.
func TestManyPartitions(t *testing.T) {
	db := testenv.Postgres(t)
	db.Exec(t, `CREATE SCHEMA pay; CREATE TABLE pay.customers (id int PRIMARY KEY);
		CREATE TABLE pay.orders (id int, customer int REFERENCES pay.customers, note text, PRIMARY KEY (id), UNIQUE (customer, id)) PARTITION BY RANGE (id);
		CREATE TABLE pay.items (n int, ord int REFERENCES pay.orders, PRIMARY KEY (n, ord)) PARTITION BY RANGE (ord);
		CREATE INDEX ON pay.orders (note); CREATE INDEX ON pay.items (n);
		DO $$ BEGIN FOR i IN 0..39 LOOP
			EXECUTE format('CREATE TABLE pay.orders_%s PARTITION OF pay.orders FOR VALUES FROM (%s) TO (%s)', i, i * 10, i * 10 + 10);
			EXECUTE format('CREATE TABLE pay.items_%s PARTITION OF pay.items FOR VALUES FROM (%s) TO (%s)', i, i * 10, i * 10 + 10);
		END LOOP; END $$;
		INSERT INTO pay.customers SELECT generate_series(1, 50); INSERT INTO pay.orders SELECT g, 1 + g % 50, 'n' FROM generate_series(0, 399) g;
		INSERT INTO pay.items SELECT 1, g FROM generate_series(0, 399) g`)
	b := snaptest.New(t, db.URL())
	b.Take(t, pay())
	to := db.NewDatabase(t)
	if _, err := restorer(t, b).Restore(t.Context(), restore.Request{Function: "payments", To: to.URL(), Jobs: 4}, nil); err != nil {
		t.Fatal(err)
	}
	snaptest.Same(t, db, to)
}

// Of a snapshot that has lost a pack for good the tables that do not need it can
// be restored, and nobody is given it who did not ask for it.
func TestWholeTablesOfADamagedSnapshot(t *testing.T) {
	db := filled(t, 5000)
	db.Exec(t, `CREATE TABLE pay.other (id int PRIMARY KEY, note text); INSERT INTO pay.other SELECT i, md5(i::text) FROM generate_series(1, 5000) i`)
	b := snaptest.New(t, db.URL())
	first := b.Take(t, pay())
	before := b.Objects(t, "onsite", "p/")
	db.Exec(t, `UPDATE pay.other SET note = md5(note)`)
	second := b.Take(t, pay())
	for _, site := range snaptest.Sites {
		b.Damaged[site] = true
		for _, path := range b.Objects(t, site, "p/") {
			if !slices.ContainsFunc(before, func(old string) bool { return filepath.Base(old) == filepath.Base(path) }) {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if _, err := b.Scrub(t.Context(), repository.ScrubOptions{All: true}, func(repository.ScrubProgress) {}); err != nil {
		t.Fatal(err)
	}
	restoreIt := func(req restore.Request) (restore.Result, string, error) {
		address, name := absent(t, db)
		req.Function, req.To = "payments", address
		r, err := restorer(t, b).Restore(t.Context(), req, nil)
		return r, name, err
	}
	if r, _, err := restoreIt(restore.Request{}); err != nil || r.Snapshot != first.Snapshot {
		t.Errorf("without a word of which: %s (%v)", r.Snapshot, err)
	}
	if _, _, err := restoreIt(restore.Request{Snapshot: second.Snapshot}); !errors.Is(err, repository.ErrUnavailable) {
		t.Errorf("all of the damaged one: %v", err)
	}
	r, name, err := restoreIt(restore.Request{Snapshot: second.Snapshot, Tables: []string{"pay.big"}})
	if err != nil {
		t.Fatalf("a whole table of the damaged one: %v", err)
	}
	if want, got := snaptest.Rows(t, db)["pay.big"], snaptest.Rows(t, opened(db, name))["pay.big"]; got == "" || got != want || len(r.Tables) != 1 {
		t.Errorf("%q, want %q, tables %+v", got, want, r.Tables)
	}
}

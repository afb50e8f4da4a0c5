package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/testenv"
)

// someData makes the schema of the function payments and gives it rows.
const someData = `
	CREATE SCHEMA payments;
	CREATE TABLE payments.transactions (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, amount numeric NOT NULL, note text);
	CREATE TABLE payments.refunds (id bigint PRIMARY KEY REFERENCES payments.transactions, reason text);
	INSERT INTO payments.transactions (amount, note)
		SELECT g * 1.25, md5(g::text) || repeat(chr(97 + g % 26), g % 90) FROM generate_series(1, 20000) g;
	INSERT INTO payments.refunds SELECT id, 'broken ' || id FROM payments.transactions WHERE id % 50 = 0;`

func TestGoodDay(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.must(0, "check")
	w.must(0, "snapshot")
	w.must(0, "snapshot", "payments")
	list := answer[snapshotsAnswer](w, 0, "snapshots", "payments")
	if len(list) != 2 {
		t.Fatalf("%d snapshots are listed", len(list))
	}
	for site, s := range list[0].Sites {
		if s.State != "durable" {
			t.Errorf("site %s: %s", site, s.State)
		}
	}
	w.pg.Exec(t, "DROP TABLE payments.refunds CASCADE")
	target := w.pg.URLOf("restored_" + fmt.Sprint(rand.Uint32()))
	w.must(0, "restore", "payments", "--to", target, "--plan")
	w.must(0, "restore", "payments", "--to", target)
	w.must(2, "restore", "payments", "--to", target) // it is not empty any more
	w.must(0, "restore", "payments", "--to", target, "--replace", "--yes")
	w.must(0, "verify", "payments", "--level", "L5")
	// Nothing looks after it, and that is no good state.
	w.fails(3, []string{"status"}, "no service is running")
	d := w.serve()
	w.must(0, "status")
	if code := d.stop(t); code != 0 {
		t.Errorf("the service ended with %d: %s", code, d.log)
	}
}

func TestWrongPassword(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.source = "postgres://nobody:wrong-secret@127.0.0.1:1/market?connect_timeout=2"
	w.write()
	w.fails(1, []string{"snapshot"}, "payments", "market")
	if o := w.run("snapshot"); strings.Contains(o.String(), "wrong-secret") {
		t.Errorf("the password is in %s", o)
	}
	w.fails(1, []string{"check"}, "market")
}

func TestBucketMissing(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.cloud.bucket = "no-such-bucket"
	w.write()
	w.fails(3, []string{"snapshot"}, "payments", "cloud", "bucket")
	w.fails(1, []string{"check"}, "cloud", "no-such-bucket")
}

func TestCredentialsRefused(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.cloud.secret = "not-the-secret-of-this-site"
	w.write()
	w.fails(3, []string{"snapshot"}, "payments", "cloud", "denied")
	w.fails(1, []string{"check"}, "cloud")
	if o := w.run("snapshot"); strings.Contains(o.String(), "not-the-secret") {
		t.Errorf("the secret is in %s", o)
	}
}

func TestNeitherSiteTakesIt(t *testing.T) {
	sites := testenv.PrivateSites(t)
	w := newWorld(t, testenv.Postgres(t), sites)
	w.pg.Exec(t, someData)
	sites.Onsite.Kill()
	sites.Cloud.Kill()
	w.fails(1, []string{"snapshot"}, "payments", "onsite", "cloud")
	sites.Onsite.Start(t)
	sites.Cloud.Start(t)
	// What waited in the spool goes out with the next one.
	w.must(0, "snapshot")
	list := answer[snapshotsAnswer](w, 0, "snapshots")
	if len(list) != 2 {
		t.Fatalf("%d snapshots are listed", len(list))
	}
	for _, s := range list {
		for site, at := range s.Sites {
			if at.State != "durable" {
				t.Errorf("snapshot %s at %s: %s", s.Snapshot, site, at.State)
			}
		}
	}
}

func TestLockNotGranted(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	conn := w.pg.Conn(t)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE payments.transactions IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	w.fails(1, []string{"snapshot"}, "payments", "transactions", "lock")
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.must(0, "snapshot")
}

func TestWrongKey(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.must(0, "snapshot")
	identity := filepath.Join(w.dir, "identity.txt")
	if err := os.Rename(identity, identity+".lost"); err != nil {
		t.Fatal(err)
	}
	w.fails(1, []string{"snapshot"}, "identity")
	// A new identity does not open the old repository, and must not hide that.
	o := w.run("init")
	w.fails(1, []string{"snapshot"}, "wrong key", "escrow")
	if err := os.Rename(identity+".lost", identity); err != nil {
		t.Fatal(err)
	}
	w.must(0, "snapshot")
	_ = o
}

func TestCorruptObjects(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.PrivateSites(t))
	w.pg.Exec(t, someData)
	w.must(0, "snapshot")
	packs := w.cloudPacks()
	for _, p := range packs {
		w.damage(p)
	}
	// The cloud is bad: its proof is red, the other's green, and a restore
	// falls through when the cloud is asked first.
	w.fails(4, []string{"verify", "payments", "--from", "cloud"}, "cloud", "p/")
	w.must(0, "verify", "payments", "--from", "onsite")
	w.fails(3, []string{"status"}, "cloud", "damaged", "p/")
	target := w.pg.URLOf("from_onsite")
	w.must(0, "restore", "payments", "--to", target)
	// What these met is put right from the other site, so it is damaged again.
	w.must(0, "sync")
	for _, p := range packs {
		w.damage(p)
	}
	w.fails(1, []string{"restore", "payments", "--to", w.pg.URLOf("from_cloud"), "--from", "cloud"}, "payments", "cloud", "p/")
	if n := w.pg.Value(t, "SELECT count(*) FROM pg_database WHERE datname LIKE 'from_cloud%'"); n != "0" {
		t.Errorf("a restore that failed left %s databases", n)
	}
	// What the restore met is put right, too. A look that does not go as deep as
	// the red proof did not take it back.
	w.must(0, "sync")
	w.must(0, "verify", "payments", "--from", "cloud", "--level", "L0")
	w.fails(3, []string{"status"}, "cloud", "p/")
	w.must(0, "verify", "payments", "--from", "cloud")
}

// cloudPacks returns the files that hold the packs of the cloud site.
func (w *world) cloudPacks() []string {
	w.t.Helper()
	var out []string
	root := w.sites.Cloud.Dir
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(path, "/p/") {
			out = append(out, path)
		}
		return err
	})
	if err != nil || len(out) == 0 {
		w.t.Fatalf("no packs below %s: %v", root, err)
	}
	return out
}

func (w *world) damage(path string) {
	w.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// The host and one site are gone; the other site and the escrow's identity are
// all that is left. Then the site that was cut off is there again.
func TestLostHost(t *testing.T) {
	for _, from := range []string{"cloud", "onsite"} {
		t.Run(from, func(t *testing.T) { lostHost(t, from) })
	}
}

func lostHost(t *testing.T, from string) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.must(0, "snapshot")
	before := answer[snapshotsAnswer](w, 0, "snapshots")
	lost := filepath.Join(w.dir, "data")
	if err := os.Rename(lost, lost+".burnt"); err != nil {
		t.Fatal(err)
	}
	w.useEscrow()
	cut, other := &w.onsite, "onsite"
	if from == "onsite" {
		cut, other = &w.cloud, "cloud"
	}
	address := cut.url
	cut.url = "http://127.0.0.1:1" // nobody there
	w.write()
	rebuilt := answer[rebuiltAnswer](w, 0, "catalog", "rebuild", "--from", from)
	if rebuilt.Snapshots != 1 || rebuilt.Packs == 0 || rebuilt.Requests.Reads == 0 {
		t.Errorf("rebuilt: %+v", rebuilt)
	}
	after := answer[snapshotsAnswer](w, 0, "snapshots")
	if len(after) != 1 || after[0].Snapshot != before[0].Snapshot || after[0].Sites[from].State != "durable" {
		t.Errorf("after the rebuild the recovery points are %+v", after)
	}
	w.must(0, "verify", "payments", "--from", from, "--level", "L5")
	w.must(2, "catalog", "rebuild", "--from", from) // there is a catalog now
	cut.url = address
	w.write()
	w.must(0, "sync")
	w.must(0, "snapshot")
	for _, s := range answer[snapshotsAnswer](w, 0, "snapshots") {
		if s.Sites[other].State != "durable" {
			t.Errorf("snapshot %s at %s is %s", s.Snapshot, other, s.Sites[other].State)
		}
	}
	w.must(0, "verify", "payments", "--from", other, "--level", "L5")
	w.must(0, "scrub", "--all")
	w.audited("taken over")
}

func TestDiskFull(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	spool := filepath.Join(w.dir, "data", "spool")
	mountSmall(t, spool)
	w.fails(1, []string{"snapshot"}, "payments", "spool", "no space left")
	if list := answer[snapshotsAnswer](w, 0, "snapshots"); len(list) != 0 {
		t.Errorf("%d snapshots are listed", len(list))
	}
}

func TestDatabaseGoneInTheMiddle(t *testing.T) {
	pg := testenv.PrivatePostgres(t, nil)
	w := newWorld(t, pg, testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.pg.Exec(t, "INSERT INTO payments.transactions (amount, note) SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 300000) g")
	watch := pg.Conn(t)
	done := make(chan outcome, 1)
	go func() { done <- w.run("snapshot", "payments") }()
	for copying, end := 0, time.Now().Add(time.Minute); copying == 0; time.Sleep(time.Millisecond) {
		if err := watch.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_progress_copy").Scan(&copying); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(end) {
			t.Fatalf("no COPY was seen: %s", <-done)
		}
	}
	pg.Kill()
	o := <-done
	if o.code != 1 || !strings.Contains(o.stderr, "payments") || !strings.Contains(o.stderr, "market") {
		t.Errorf("the database went away: %s", o)
	}
	if list := answer[snapshotsAnswer](w, 0, "snapshots"); len(list) != 0 {
		t.Errorf("%d snapshots are listed", len(list))
	}
	pg.Start(t)
	w.must(0, "snapshot")
}

func TestTwoServicesOnOneCatalog(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	first := w.serve()
	w.fails(1, []string{"serve"}, "backupd", filepath.Join(w.dir, "data"))
	// Commands go through the service that runs.
	w.must(0, "snapshot")
	if s := answer[statusAnswer](w, 0, "status"); !s.Serving {
		t.Error("the status does not come from the service")
	}
	if code := first.stop(t); code != 0 {
		t.Errorf("the service ended with %d: %s", code, first.log)
	}
}

func TestKilledAtAnyMoment(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.extra = ", prove: {every: 10s, level: L5}"
	w.write()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	rounds := 8
	for range rounds {
		w.pg.Exec(t, "INSERT INTO payments.transactions (amount, note) SELECT g, md5(random()::text) FROM generate_series(1, 3000) g")
		d := w.serve()
		time.Sleep(time.Duration(rnd.IntN(2500)) * time.Millisecond)
		d.kill()
	}
	w.must(0, "snapshot")
	list := answer[snapshotsAnswer](w, 0, "snapshots")
	for _, s := range list {
		for site, at := range s.Sites {
			if at.State != "durable" {
				t.Errorf("snapshot %s at %s: %s", s.Snapshot, site, at.State)
			}
			w.must(0, "verify", "--snapshot", s.Snapshot, "--from", site, "--level", "L2")
		}
	}
	w.must(0, "verify", "payments", "--level", "L5")
	for _, left := range []string{"spool", "scratch", "tmp"} {
		w.empty(filepath.Join(w.dir, "data", left))
	}
	w.audited()
}

// audited checks the evidence of all that happened as an auditor does: there is
// nothing to find, and no warning but of these kinds.
func (w *world) audited(kinds ...string) {
	w.t.Helper()
	type key struct{ Public string }
	type verification struct {
		Findings []any
		Warnings []struct{ Kind, Text string }
	}
	bundle := filepath.Join(w.t.TempDir(), "evidence.zip")
	w.must(0, "audit", "bundle", "-o", bundle)
	v := answer[verification](w, 0, "audit", "verify", bundle, "--key", answer[key](w, 0, "audit", "key").Public)
	for _, f := range v.Findings {
		w.t.Errorf("found: %v", f)
	}
	for _, warning := range v.Warnings {
		if !slices.Contains(kinds, warning.Kind) {
			w.t.Errorf("warned: %s: %s", warning.Kind, warning.Text)
		}
	}
}

// empty checks that a directory holds no files.
func (w *world) empty(dir string) {
	w.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			w.t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		w.t.Error(err)
	}
}

func TestSiteKilledUnderTheService(t *testing.T) {
	sites := testenv.PrivateSites(t)
	w := newWorld(t, testenv.Postgres(t), sites)
	w.pg.Exec(t, someData)
	w.rpo = "8s"
	w.write()
	d := w.serve()
	w.eventually("a first snapshot", func() bool { return w.run("status").code == 0 })
	sites.Cloud.Kill()
	w.eventually("the alarm", func() bool {
		o := w.run("status")
		return o.code == 3 && strings.Contains(o.stdout, "cloud")
	})
	w.must(3, "snapshot")
	sites.Cloud.Start(t)
	w.eventually("the return to good", func() bool { return w.run("status").code == 0 })
	if code := d.stop(t); code != 0 {
		t.Errorf("the service ended with %d: %s", code, d.log)
	}
}

type rebuiltAnswer struct {
	Packs, Snapshots int
	Requests         struct{ Reads int64 }
}

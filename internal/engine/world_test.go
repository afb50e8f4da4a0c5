package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/testenv"
)

// world is an installation on real servers: a database with two functions, a
// MinIO server and a second S3 server, each behind a link that can be cut.
type world struct {
	*engine.Engine
	cfg   *config.Config
	db    *testenv.PG
	links map[string]*testenv.Link
	sites map[string]*testenv.Site
	where map[string]string // prefix at each site
	clock *shifted
	log   *slog.Logger
	// escrow is the identity that is kept away from the host.
	escrow string
}

// extra is what a test adds to the configuration: to that of each site, of each
// function, and to the whole.
type extra struct {
	site, function, more string
	// onsite, when not nil, is another place for the site of that name.
	onsite *config.Site
}

const schema = `
CREATE SCHEMA accounts; CREATE TABLE accounts.users (id int PRIMARY KEY, name text);
INSERT INTO accounts.users SELECT i, 'user ' || i FROM generate_series(1, 500) i;
CREATE SCHEMA payments; CREATE TABLE payments.ledger (id int PRIMARY KEY, amount int, note text);
INSERT INTO payments.ledger SELECT i, i % 97, repeat(md5(i::text), 4) FROM generate_series(1, 2000) i;`

func newWorld(t *testing.T, x extra) *world {
	t.Helper()
	w := &world{
		db: testenv.Postgres(t), links: map[string]*testenv.Link{}, sites: map[string]*testenv.Site{}, where: map[string]string{},
		clock: &shifted{}, log: slog.New(slog.NewTextHandler(testLog{t}, nil)),
	}
	w.db.Exec(t, schema)
	pair := testenv.Sites(t)
	escrow, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	w.escrow = escrow.String()
	dir := shortDir(t)
	text := fmt.Sprintf("version: 1\ndata_dir: %s/data\nkeys: {identity_file: %s/identity.txt, recipients: [%s]}\nsites:\n", dir, dir, escrow.Recipient())
	for _, s := range []*testenv.Site{pair.Onsite, pair.Cloud} {
		w.sites[s.Name], w.where[s.Name] = s, s.Prefix()
		w.links[s.Name] = testenv.Proxy(t, strings.TrimPrefix(s.Endpoint, "http://"))
		c := s.Config(w.where[s.Name])
		if x.onsite != nil && s.Name == "onsite" {
			c = *x.onsite
		}
		text += fmt.Sprintf("  %s: {kind: %s, endpoint: %q, region: us-east-1, bucket: %s, prefix: %s, access_key: %q, secret_key: %q%s}\n",
			s.Name, s.Kind, w.links[s.Name].URL(), c.Bucket, c.Prefix, c.AccessKey, c.SecretKey.Reveal(), x.site)
	}
	text += fmt.Sprintf("sources: {market: {kind: postgres, url: %q, connections: 2, max_snapshot_age: 30m}}\nfunctions:\n", w.db.URL())
	for _, f := range []string{"payments", "accounts"} {
		text += fmt.Sprintf("  %s: {source: market, schemas: [%s], rpo: 5m, rto: 1h, prove: {every: 24h, level: L2}%s}\n", f, f, x.function)
	}
	w.load(t, dir, text+x.more)
	if _, err := engine.Init(t.Context(), w.cfg, w.options()); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	t.Cleanup(func() { w.shut(t) })
	return w
}

func (w *world) load(t *testing.T, dir, text string) {
	t.Helper()
	path := filepath.Join(dir, "backupd.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.cfg, err = config.Load(path); err != nil {
		t.Fatal(err)
	}
}

func (w *world) options() engine.Options {
	return engine.Options{Clock: w.clock, Log: w.log, Version: "test"}
}

// open opens the engine, as every command and the service do.
func (w *world) open(t *testing.T) {
	t.Helper()
	var err error
	if w.Engine, err = engine.Open(t.Context(), w.cfg, w.options()); err != nil {
		t.Fatal(err)
	}
	w.Hurry()
}

// shut closes the engine, if it is open.
func (w *world) shut(t *testing.T) {
	t.Helper()
	if w.Engine == nil {
		return
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	w.Engine = nil
}

// again opens the engine anew.
func (w *world) again(t *testing.T) {
	t.Helper()
	w.shut(t)
	w.open(t)
}

// take makes a recovery point of a function.
func (w *world) take(t *testing.T, function string) snapshot.Result {
	t.Helper()
	r, err := w.Snapshot(t.Context(), []string{function}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r[0]
}

// sync brings all sites in step.
func (w *world) sync(t *testing.T) []engine.SyncResult {
	t.Helper()
	r, err := w.Sync(t.Context(), engine.SyncRequest{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// site returns how one site fares.
func (w *world) site(t *testing.T, name string) engine.SiteReport {
	t.Helper()
	all, err := w.Engine.Sites(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all.Sites {
		if s.Site == name {
			return s
		}
	}
	t.Fatalf("no site %s in %+v", name, all)
	return engine.SiteReport{}
}

// remove deletes objects behind the program's back.
func (w *world) remove(t *testing.T, site string, wanted func(name string) bool) (n int) {
	t.Helper()
	store := w.sites[site].StoreAt(t, w.where[site])
	for _, name := range objectsOf(t, store) {
		if !wanted(name) {
			continue
		}
		if err := store.Delete(context.Background(), name); err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// shifted is the clock of the machine some time from now, so that days pass in
// no time: what sleeps does so for as long as it would.
type shifted struct{ by atomic.Int64 }

func (s *shifted) Now() time.Time { return clock.System.Now().Add(time.Duration(s.by.Load())) }

func (s *shifted) Sleep(ctx context.Context, d time.Duration) error {
	return clock.System.Sleep(ctx, d)
}

func (s *shifted) advance(d time.Duration) { s.by.Add(int64(d)) }

// shortDir returns a folder whose path is short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "backupd-engine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept: %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

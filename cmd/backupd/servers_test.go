package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/saypro/backupd/internal/testenv"
)

// onServers are the scripts that get a database and two sites on real servers:
// $MARKET is the URL of the database, $TARGET that of an empty one, $ONSITE and $CLOUD stand for a site in a
// configuration, $CLOUD_FILES is the folder with the objects of the second.
var onServers = []string{"sites", "space", "scrub", "controls", "objectives", "suspect", "audit", "lostkey"}

type database struct{}

// giveServers gives a script the servers that it needs.
func giveServers(t *testing.T, env *testscript.Env) {
	name := strings.TrimPrefix(filepath.Base(env.WorkDir), "script-")
	needs := false
	for _, script := range onServers {
		needs = needs || name == script
	}
	if !needs {
		return
	}
	db := testenv.Postgres(t)
	db.Exec(t, `CREATE SCHEMA accounts; CREATE TABLE accounts.users (id int PRIMARY KEY, name text);
		CREATE SCHEMA payments; CREATE TABLE payments.ledger (id int PRIMARY KEY, note text);
		INSERT INTO payments.ledger SELECT i, md5(i::text) FROM generate_series(1, 1000) i`)
	env.Setenv("MARKET", db.URL())
	env.Setenv("TARGET", db.NewDatabase(t).URL())
	env.Values[database{}] = db
	pair := testenv.Sites(t)
	for _, s := range []*testenv.Site{pair.Onsite, pair.Cloud} {
		link := testenv.Proxy(t, strings.TrimPrefix(s.Endpoint, "http://"))
		env.Values[s.Name] = link
		prefix := s.Prefix()
		env.Setenv(strings.ToUpper(s.Name), fmt.Sprintf("kind: %s, endpoint: %q, region: us-east-1, bucket: %s, prefix: %s, access_key: %q, secret_key: %q",
			s.Kind, link.URL(), s.Bucket, prefix, s.AccessKey, s.SecretKey))
		if s == pair.Cloud {
			env.Setenv("CLOUD_FILES", filepath.Dir(s.File(t, prefix, "x")))
		}
	}
}

// scriptSQL runs a statement in the script's database: sql 'DELETE …'.
func scriptSQL(ts *testscript.TestScript, _ bool, args []string) {
	ts.Value(database{}).(*testenv.PG).Exec(failing{ts: ts}, strings.Join(args, " "))
}

// failing ends a script where a helper of tests would end a test.
type failing struct {
	testing.TB
	ts *testscript.TestScript
}

func (f failing) Helper() {}

func (f failing) Fatal(args ...any) { f.ts.Fatalf("%s", fmt.Sprint(args...)) }

func (f failing) Fatalf(format string, args ...any) { f.ts.Fatalf(format, args...) }

// scriptLink cuts or mends the link to a site: link cut cloud.
func scriptLink(ts *testscript.TestScript, _ bool, args []string) {
	link := ts.Value(args[1]).(*testenv.Link)
	switch args[0] {
	case "cut":
		link.Cut()
	case "mend":
		link.Restore()
	default:
		ts.Fatalf("link %s?", args[0])
	}
}

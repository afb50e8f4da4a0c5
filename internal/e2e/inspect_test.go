package e2e

import (
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/testenv"
)

type inspectAnswer struct {
	Object string
	Kind   string
	Sites  map[string]struct{ State string }
	Commit *struct {
		Snapshots []struct {
			Snapshot string
			Packs    int
			Missing  map[string][]string
		}
	}
	Pack *struct {
		Snapshots []struct{ Snapshot string }
	}
}

func TestInspect(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.PrivateSites(t))
	w.pg.Exec(t, someData)
	w.pg.Exec(t, "INSERT INTO payments.transactions (amount, note) VALUES (1, 'nobody reads this')")
	w.must(0, "snapshot")
	id := answer[snapshotsAnswer](w, 0, "snapshots")[0].Snapshot
	commit := answer[inspectAnswer](w, 0, "repository", "inspect", id)
	if commit.Kind != "commit" || len(commit.Commit.Snapshots) != 1 || commit.Commit.Snapshots[0].Snapshot != id || commit.Sites["cloud"].State != "right" {
		t.Fatalf("commit: %+v", commit)
	}
	path := w.cloudPacks()[0]
	pack := path[strings.LastIndex(path, "/p/")+1:]
	d := w.serve()
	defer d.kill()
	if o := w.must(0, "repository", "inspect", commit.Object); !strings.Contains(o.stdout, "payments.transactions") || strings.Contains(o.stdout, "nobody reads this") {
		t.Errorf("the commit: %s", o)
	}
	if p := answer[inspectAnswer](w, 0, "repository", "inspect", pack[5:17]); p.Object != pack || len(p.Pack.Snapshots) == 0 {
		t.Errorf("the pack: %+v", p)
	}
	w.damage(path)
	w.fails(3, []string{"repository", "inspect", pack}, "site cloud: wrong", "site onsite: right", "needed by payments")
	w.fails(0, []string{"repository", "inspect", pack, "--from", "onsite"}, "right")
	w.fails(0, []string{"repository", "inspect", "repo.json"}, "format 1")
	w.fails(2, []string{"repository", "inspect", "0000000000"}, "neither an object")
	w.fails(2, []string{"repository", "inspect", pack, "--from", "moon"}, "moon")
}

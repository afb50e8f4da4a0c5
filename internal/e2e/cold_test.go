package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/testenv"
)

type coldAnswer []struct {
	Level, Catalog, Key string
	Passed              bool
	Phases              map[string]float64
}

// A cold start by the program itself, without a service and through one: the
// identity is brought for the occasion and stays nowhere.
func TestColdStart(t *testing.T) {
	w := newWorld(t, testenv.Postgres(t), testenv.Sites(t))
	w.pg.Exec(t, someData)
	w.extra = `, checks: [{name: alive, sql: "SELECT 1", expect: 1, same_at_source: true}]`
	w.write()
	w.must(0, "snapshot", "payments")
	usb := w.escrowFile()
	cold := func() {
		t.Helper()
		r := answer[coldAnswer](w, 0, "verify", "payments", "--cold", "--from", "cloud", "--identity", usb)
		if len(r) != 1 || r[0].Level != "L7" || !r[0].Passed || r[0].Key != "the escrow's" || r[0].Catalog != "rebuilt from site cloud" || r[0].Phases["rebuild"] <= 0 {
			t.Errorf("%+v", r)
		}
	}
	cold()
	w.fails(1, []string{"verify", "payments", "--cold", "--from", "onsite"}, "NOT PROVEN", "reached L6 of L7", "the daemon's own key")
	w.fails(2, []string{"verify", "payments", "--level", "L7"}, "--cold")
	w.fails(2, []string{"verify", "payments", "--cold", "--level", "L2"}, "excludes")
	d := w.serve()
	cold()
	w.must(0, "status")
	if code := d.stop(t); code != 0 {
		t.Errorf("the service ended with %d: %s", code, d.log)
	}
	if strings.Contains(d.log.String(), w.escrowIdentity) {
		t.Error("the log of the service shows the escrow's identity")
	}
	if err := os.Remove(usb); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(w.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), w.escrowIdentity) {
			t.Errorf("%s holds the escrow's identity", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

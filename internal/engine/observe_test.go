package engine_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/config"
)

// The checks in the source need no session more than a capture needs without
// them: two that copy, the one that holds the snapshot, and that of pg_dump.
func TestChecksAtCaptureNeedNoMoreSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: coldChecks})
	role := "narrow_" + w.db.Database
	w.db.Exec(t, "CREATE ROLE "+role+" LOGIN BYPASSRLS CONNECTION LIMIT 4 IN ROLE pg_read_all_data")
	at, err := url.Parse(w.db.URL())
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.User(role)
	source := w.cfg.Sources["market"]
	source.URL = config.Secret(at.String())
	w.cfg.Sources["market"] = source
	w.again(t)
	for range 5 {
		if r := w.take(t, "payments"); strings.Contains(strings.Join(r.Notes, " "), "was not observed") {
			t.Errorf("notes %q", r.Notes)
		}
	}
}

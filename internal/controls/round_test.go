package controls

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/testenv"
)

// newRound is a round on a real MinIO server, with nothing left of it at the end
// of the test.
func newRound(t *testing.T) *Round {
	t.Helper()
	base, err := os.MkdirTemp("", "backupd-controls-")
	if err != nil {
		t.Fatal(err)
	}
	site := testenv.Sites(t).Onsite
	prefix := site.Prefix()
	r := &Round{
		Dir: filepath.Join(base, "round"), Site: site.Name, Clock: clock.System,
		Log: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Open: func(sub string) (repository.Site, error) {
			return repository.Site{Name: site.Name, Store: site.StoreAt(t, prefix+"/"+sub)}, nil
		},
	}
	if err := os.Mkdir(r.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		whole := repository.Site{Name: site.Name, Store: site.StoreAt(t, prefix)}
		if err := Clear(context.WithoutCancel(t.Context()), whole, r.Dir); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(r.Dir); !os.IsNotExist(err) {
			t.Errorf("the folder of the round is there still: %v", err)
		}
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	return r
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// show prints a round as it went.
func show(t *testing.T, c evidence.Controls) {
	t.Helper()
	t.Logf("clean %s, %.1f s", c.Clean, c.Seconds)
	for _, f := range c.Faults {
		t.Logf("%-22s red %-5t expected %-12s caught %-12s %5.1f s  %s", f.ID, f.Red, f.Expected, f.Caught, f.Seconds, f.Detail)
	}
	for _, n := range c.NotApplicable {
		t.Logf("%-22s %s", n.ID, n.Why)
	}
}

func TestEveryPlantedFaultTurnsRed(t *testing.T) {
	r := newRound(t)
	c, err := r.Run(t.Context(), nil)
	show(t, c)
	if err != nil {
		t.Fatal(err)
	}
	if c.Clean != "L5" || len(c.Faults) == 0 {
		t.Errorf("clean %q, %d faults", c.Clean, len(c.Faults))
	}
}

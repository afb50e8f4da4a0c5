package controls_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/controls"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/testenv"
	"github.com/saypro/backupd/internal/verify"
)

// TestMain makes the program of the tests an empty host too, as the real one is.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == engine.ColdStartCommand {
		log := slog.New(slog.NewTextHandler(os.Stderr, nil))
		if err := engine.ColdStart(context.Background(), os.Stdin, os.Stdout, engine.Options{Clock: clock.System, Log: log}); err != nil {
			log.Error("cold start", "error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// newRound is a round on a real MinIO server, with nothing left of it at the end
// of the test.
func newRound(t *testing.T) *controls.Round {
	t.Helper()
	base, err := os.MkdirTemp("", "backupd-controls-")
	if err != nil {
		t.Fatal(err)
	}
	site := testenv.Sites(t).Onsite
	prefix := site.Prefix()
	locked := site.Config(prefix)
	locked.Bucket = site.NewBucket(t, true)
	r := &controls.Round{
		Dir: filepath.Join(base, "round"), Site: site.Name, Clock: clock.System,
		Log: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Open: func(sub string) (repository.Site, error) {
			return repository.Site{Name: site.Name, Store: site.StoreAt(t, prefix+"/"+sub)}, nil
		},
		Locked: controls.Locked{Site: site.Name, Store: testenv.OpenSite(t, site.Name, locked, 0)},
		Cold:   engine.ColdControls(clock.System, site.Name, func(sub string) config.Site { return site.Config(prefix + "/" + sub) }),
	}
	if err := os.Mkdir(r.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		whole := repository.Site{Name: site.Name, Store: site.StoreAt(t, prefix)}
		if err := controls.Clear(context.WithoutCancel(t.Context()), whole, r.Dir); err != nil {
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

// lines keeps what a log says.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, strings.TrimSpace(string(p)))
	return len(p), nil
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.text)
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

var update = flag.Bool("update", false, "write docs/detection.md anew")

const page = "../../docs/detection.md"

// Every fault is caught at its level on a real server, and the page that says so
// is what such a round writes.
func TestThePageIsWhatARoundFinds(t *testing.T) {
	r := newRound(t)
	var said lines
	r.Log = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c, err := r.Run(t.Context(), nil)
	show(t, c)
	if err != nil {
		t.Fatal(err)
	}
	// What is planted must not look like faults of the real site in a service's log.
	marked := 0
	for _, line := range said.all() {
		if !strings.Contains(line, "level=DEBUG") || !strings.Contains(line, "planted_by_a_control=true") {
			t.Errorf("a planted fault is told as a real one: %s", line)
		}
		marked++
	}
	if marked == 0 {
		t.Error("nothing is said of any planted fault")
	}
	if c.Clean != "L7" || len(c.Faults) != len(controls.Faults()) {
		t.Errorf("clean %q, %d of %d faults", c.Clean, len(c.Faults), len(controls.Faults()))
	}
	got := controls.Page(c)
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/detection.md is not what a round finds (-page +round); when that is wanted, run 'make detection':\n%s", diff)
	}
}

// What is red without a fault finds nothing, so that a round on a clean copy
// that is red says nothing.
func TestARoundOnACopyThatIsRedAlreadyIsVoid(t *testing.T) {
	r := newRound(t)
	r.Break(func(v verify.Result) verify.Result {
		v.Passed, v.Difference = false, true
		v.Checks = []verify.Check{{Name: "anything", Level: "L0", Status: verify.Fail, Detail: "missing"}}
		return v
	})
	c, err := r.Run(t.Context(), []string{"object-missing"})
	if !errors.Is(err, controls.ErrVoid) || errors.Is(err, controls.ErrMissed) || c.Clean != "" || len(c.Faults) != 0 {
		t.Errorf("%+v: %v", c, err)
	}
}

// That the right level is red for another reason is no catch.
func TestAFindingMustNameWhatIsWrong(t *testing.T) {
	r := newRound(t)
	r.Break(func(v verify.Result) verify.Result {
		for i := range v.Checks {
			v.Checks[i].Detail = ""
		}
		return v
	})
	c, err := r.Run(t.Context(), []string{"bit-flip"})
	if !errors.Is(err, controls.ErrMissed) || len(c.Faults) != 1 {
		t.Fatalf("%+v: %v", c, err)
	}
	if f := c.Faults[0]; f.Red || f.Caught != "L1" {
		t.Errorf("%+v", f)
	}
}

func TestAVerifierThatIsBrokenOnPurposeNeverPasses(t *testing.T) {
	r := newRound(t)
	r.Break(func(v verify.Result) verify.Result { return v })
	if _, err := r.Run(t.Context(), []string{"object-missing"}); !errors.Is(err, controls.ErrVoid) {
		t.Errorf("the round ended with %v", err)
	}
}

// What a bucket does not let itself be spoilt to is not planted, and says why: it
// is no catch and no miss.
func TestLocksThatCannotBeSpoiltAreNotPlanted(t *testing.T) {
	real := []string{"lock-real-bypassed", "lock-real-unlocked", "lock-real-short"}
	site := testenv.Sites(t).Onsite
	plain := site.Config(site.Prefix()) // a bucket without object lock
	plain.Bucket = site.NewBucket(t, false)
	closed := site.Config(site.Prefix())
	closed.Bucket, closed.SecretKey = site.NewBucket(t, true), "not the secret"
	for why, locked := range map[string]controls.Locked{
		"no site has a lock":             {Why: "no site has a lock"},
		"the bucket has no object lock":  {Site: "moon", Store: testenv.OpenSite(t, "moon", plain, 0)},
		"it could not be put at site ro": {Site: "ro", Store: testenv.OpenSite(t, "ro", closed, 0)},
	} {
		r := newRound(t)
		r.Locked = locked
		c, err := r.Run(t.Context(), append(real, "object-missing"))
		if err != nil || len(c.Faults) != 1 || len(c.NotApplicable) != len(real) {
			t.Errorf("%s: %v, planted %+v, not %+v", why, err, c.Faults, c.NotApplicable)
		}
		for _, n := range c.NotApplicable {
			if !strings.Contains(n.Why, why) {
				t.Errorf("%s: %s is not planted because %s", why, n.ID, n.Why)
			}
		}
	}
}

func TestUnknownFaultsAreRefused(t *testing.T) {
	r := newRound(t)
	if _, err := r.Run(t.Context(), []string{"bit-flip", "nonsense"}); !errors.Is(err, controls.ErrUnknown) || !strings.Contains(err.Error(), "row-changed") {
		t.Errorf("%v", err)
	}
	for given, want := range map[string]string{"rows-change": "row-changed", "bitflip": "did you mean bit-flip?", "lock": "or"} {
		if err := controls.Check([]string{given}); !errors.Is(err, controls.ErrUnknown) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", given, err)
		}
	}
	for line := range strings.Lines(controls.Check([]string{"nonsense"}).Error()) {
		if len(line) > 90 {
			t.Errorf("nobody reads a line of %d letters: %s", len(line), line)
		}
	}
	seen := map[string]bool{}
	for _, f := range controls.Faults() {
		if seen[f.ID] || f.ID == "" || f.Planted == "" || f.Expected == "" {
			t.Errorf("%+v", f)
		}
		seen[f.ID] = true
	}
}

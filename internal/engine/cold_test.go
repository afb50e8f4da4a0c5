package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
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

const coldChecks = `, checks: [{name: rows, sql: "SELECT count(*) FROM payments.ledger", expect: "= 2000", same_at_source: true}]`

// coldly makes a cold start of payments from the cloud.
func (w *world) coldly(t *testing.T, identity string) (verify.Result, error) {
	t.Helper()
	r, err := w.Verify(t.Context(), engine.VerifyRequest{Functions: []string{"payments"}, From: "cloud", Cold: true, Identity: identity}, nil)
	if len(r) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	return r[0], err
}

// local lists every file of the data directory but what the catalog is in, and
// what is written beside the work.
func (w *world) local(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(w.cfg.DataDir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Base(path) != "catalog.db" {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestColdStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: coldChecks})
	taken := w.take(t, "payments")
	w.sync(t)
	w.links["onsite"].Cut() // one site alone
	objects, files := objectsOf(t, w.sites["cloud"].StoreAt(t, w.where["cloud"])), w.local(t)

	r, err := w.coldly(t, w.escrow)
	if err != nil || r.Level != "L7" || !r.Passed || r.Snapshot != taken.Snapshot || r.RequestedLevel != "L7" {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Catalog != "rebuilt from site cloud" || r.Key != "the escrow's" || r.Selection.Rule != "latest" || r.Selection.Population != 1 {
		t.Errorf("catalog %q, key %q, selection %+v", r.Catalog, r.Key, r.Selection)
	}
	for _, phase := range []string{"rebuild", "provision", "fetch", "load", "validate", "checks"} {
		if r.Phases[phase] <= 0 {
			t.Errorf("phase %s is not timed: %v", phase, r.Phases)
		}
	}
	if r.DurationSeconds < r.Phases["rebuild"]+r.Phases["provision"]+r.Phases["load"] {
		t.Errorf("%f s in all: %v", r.DurationSeconds, r.Phases)
	}
	if text := strings.Join(r.NotProven, "\n"); strings.Contains(text, "L7") || strings.Contains(text, "L6:") || !strings.Contains(text, "a host in another place") {
		t.Errorf("not proven: %s", text)
	}
	if got := objectsOf(t, w.sites["cloud"].StoreAt(t, w.where["cloud"])); !slices.Equal(got, objects) {
		t.Errorf("objects at the site before %v, after %v", objects, got)
	}
	if got := w.local(t); !slices.Equal(got, files) {
		t.Errorf("files before %v, after %v", files, got)
	}
	at := w.payments(t).Sites["cloud"]
	if at.ColdStart == nil || at.ColdStart.Level != "L7" || !at.ColdStart.Passed || at.ProvenExposureSeconds == nil {
		t.Errorf("status %+v, %+v", at, at.ColdStart)
	}

	// It was a test of the escrow at that site, and only there, and that is on record.
	keys, err := w.Keys(t.Context())
	if err != nil || len(keys.EscrowTests) != 1 || !keys.EscrowTests[0].Sites["cloud"].Passed || !slices.Equal(keys.EscrowTests[0].Untested, []string{"onsite"}) {
		t.Errorf("tests of the escrow: %+v, %v", keys.EscrowTests, err)
	}
	if told := strings.Join(keys.Warnings, "\n"); strings.Contains(told, "never tested") || !strings.Contains(told, "was never tried at 1 site (onsite)") {
		t.Errorf("warnings: %s", told)
	}
	if f := engine.EscrowFinding(keys.EscrowTests, w.clock.Now()); !strings.HasSuffix(f.Detail, "opens cloud") {
		t.Errorf("check: %+v", f)
	}
	if p := w.pair(t, evidence.ActKey); p.Key.Operation != "escrow-test" || p.Key.Site != "cloud" || p.Outcome != evidence.Done {
		t.Errorf("on record: %+v, %+v", p, p.Key)
	}
	size := w.Evidence().Size()

	// The daemon's key proves nothing about the loss of this host.
	r, err = w.coldly(t, "")
	if r.Selection.Population != 1 || r.Selection.Proven != 1 {
		t.Errorf("of %d recovery points %d are said to be proven", r.Selection.Population, r.Selection.Proven)
	}
	if more := w.Evidence().Size() - size; more != 2 {
		t.Errorf("%d more records: was the daemon's key taken for the escrow's?", more)
	}
	if err == nil || r.Level != "L6" || r.Passed || r.Difference || r.Key != "the daemon's" || !strings.Contains(err.Error(), "--identity") {
		t.Errorf("with the daemon's key: %s, %v", r.Level, err)
	}
	own, readErr := os.ReadFile(w.cfg.Keys.IdentityFile)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if r, err = w.coldly(t, string(own)); err == nil || r.Key != "the daemon's" {
		t.Errorf("with the daemon's key as the escrow's: %s, %v", r.Key, err)
	}
	// That is no difference of the copy, and no false claim in the evidence.
	public, keyErr := w.EvidenceKey(t.Context())
	if keyErr != nil {
		t.Fatal(keyErr)
	}
	for _, f := range w.check(t, public.Public).Findings {
		t.Errorf("the evidence of cold starts: %s: %s", f.Kind, f.Text)
	}
	// A stranger's opens nothing.
	stranger, keyErr := age.GenerateX25519Identity()
	if keyErr != nil {
		t.Fatal(keyErr)
	}
	if r, err = w.coldly(t, stranger.String()); err == nil || r.Level != "" || r.Difference || strings.Contains(fmt.Sprint(err, r), stranger.String()) {
		t.Errorf("with a stranger's key: %+v, %v", r, err)
	}
	if got := w.local(t); !slices.Equal(got, files) {
		t.Errorf("files before %v, after failures %v", files, got)
	}
}

// That a cold start with the daemon's own key cannot reach L7 is said before it
// begins, not only when it has failed; with another key nothing of it is said.
func TestColdStartWithTheDaemonsKeyIsWarnedOfAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: coldChecks})
	w.take(t, "payments")
	w.sync(t)
	for identity, want := range map[string]bool{"": true, w.escrow: false} {
		var mu sync.Mutex
		var first, said string
		report := func(e progress.Event) {
			mu.Lock()
			defer mu.Unlock()
			if first == "" {
				first = e.Phase + ": " + e.Message
			}
			said += e.Message
		}
		req := engine.VerifyRequest{Functions: []string{"payments"}, From: "cloud", Cold: true, Identity: identity}
		if _, err := w.Verify(t.Context(), req, report); (err != nil) != want {
			t.Errorf("warned %t: %v", want, err)
		}
		warned := strings.Contains(first, "cannot reach L7") && strings.Contains(first, "--identity") && strings.Contains(first, "keys.drill_identity_file")
		if warned != want || !want && strings.Contains(said, "L7") {
			t.Errorf("first %q, all that was said %q", first, said)
		}
	}
}

// Whoever is killed, and whenever, nothing is left that is not swept.
func TestColdStartThatIsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: coldChecks})
	w.take(t, "payments")
	w.sync(t)
	files := w.local(t)
	for name, end := range map[string]func(host *os.Process, in func()){
		"both":       func(host *os.Process, _ func()) { _ = host.Kill() },
		"the parent": func(_ *os.Process, in func()) { in() },
	} {
		for _, stage := range []string{"catalog.db", "scratch/server-*/backupd-instance.json"} {
			host, in, dir := w.StartCold(t, "payments", "cloud", w.escrow)
			begun := time.Now()
			for found := 0; found == 0; {
				matches, err := filepath.Glob(filepath.Join(dir, stage))
				if err != nil || time.Since(begun) > 30*time.Second {
					t.Fatalf("%s, %s: it has not come so far: %v", name, stage, err)
				}
				found = len(matches)
				time.Sleep(time.Millisecond)
			}
			end(host.Process, func() { _ = in.Close() })
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = host.Wait() // it was killed
			}()
			if name == "both" {
				<-ended // a process that is dead and not waited for still looks alive
			}
			if err := w.SweepCold(t.Context()); err != nil {
				t.Errorf("%s, %s: %v", name, stage, err)
			}
			if name != "both" {
				<-ended
			}
			if got := w.local(t); !slices.Equal(got, files) {
				t.Errorf("%s, %s: files before %v, after %v", name, stage, files, got)
			}
			if left, err := filepath.Glob(filepath.Join(w.cfg.DataDir, "scratch", "*")); err != nil || len(left) > 0 {
				t.Errorf("%s, %s: left %v, %v", name, stage, left, err)
			}
		}
	}
	// An operator who gives up leaves nothing either.
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(1500*time.Millisecond, cancel)
	r, err := w.Verify(ctx, engine.VerifyRequest{Functions: []string{"payments"}, From: "cloud", Cold: true, Identity: w.escrow}, nil)
	if err == nil || ctx.Err() == nil || len(r) != 1 || r[0].Passed {
		t.Errorf("given up: %+v, %v", r, err)
	}
	if left, err := filepath.Glob(filepath.Join(w.cfg.DataDir, "scratch", "*")); err != nil || len(left) > 0 {
		t.Errorf("given up: left %v, %v", left, err)
	}
}

func TestColdStartsOnSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: strings.Replace(coldChecks, ", checks", ", priority: 1, checks", 1)})
	if f, _, due := w.ColdDue(nil); due {
		t.Errorf("due although nobody wants any: %s", f)
	}
	drill := filepath.Join(shortDir(t), "drill.txt")
	if err := os.WriteFile(drill, []byte(w.escrow+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.cfg.Keys.DrillIdentityFile = drill
	f := w.cfg.Functions["payments"]
	f.Prove.ColdEvery = 24 * time.Hour
	w.cfg.Functions["payments"] = f
	w.again(t)
	if _, _, due := w.ColdDue(nil); due {
		t.Error("due although there is no recovery point")
	}
	w.take(t, "payments")
	w.sync(t)
	if text := strings.Join(w.payments(t).Warnings, "\n"); !strings.Contains(text, "site cloud: there was no cold start yet") {
		t.Errorf("warnings %q", text)
	}
	for _, want := range []string{"onsite", "cloud"} {
		function, site, due := w.ColdDue(nil)
		if !due || function != "payments" || site != want {
			t.Fatalf("due %s from %s, %t; want %s", function, site, due, want)
		}
		w.ColdOnSchedule(t.Context(), function, site)
		if at := w.payments(t).Sites[site]; at.ColdStart == nil || at.ColdStart.Level != "L7" {
			t.Errorf("from %s: %+v", site, at.ColdStart)
		}
	}
	if _, site, due := w.ColdDue(nil); due {
		t.Errorf("due again from %s", site)
	}
	if w := w.payments(t).Warnings; len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
	w.clock.advance(25 * time.Hour)
	if _, site, due := w.ColdDue(map[string]time.Time{"onsite": w.clock.Now().Add(-time.Minute)}); !due || site != "cloud" {
		t.Errorf("a day later, just tried onsite: %s, %t", site, due)
	}
}

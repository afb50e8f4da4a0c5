package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/controls"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/testenv"
	"github.com/saypro/backupd/internal/verify"
)

// recorded returns what the evidence tells of rounds.
func (w *world) recorded(t *testing.T) (records []evidence.Record) {
	t.Helper()
	for r, err := range w.Evidence().Find(evidence.ActControls, "", time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// nothingLeft looks whether anything of a round is left, at the site or here.
func (w *world) nothingLeft(t *testing.T, site string) {
	t.Helper()
	for _, name := range objectsOf(t, w.sites[site].StoreAt(t, w.where[site])) {
		if strings.HasPrefix(name, "drill-") {
			t.Errorf("site %s: %s is left", site, name)
		}
	}
	entries, err := os.ReadDir(w.ControlsDir())
	if err != nil || len(entries) > 0 {
		t.Errorf("left on this host: %v, %v", entries, err)
	}
}

func TestARoundOfControlsIsOnRecordAndLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	w.take(t, "payments")
	before := objectsOf(t, w.sites["cloud"].StoreAt(t, w.where["cloud"]))
	s := w.status(t)
	if s.Controls.State != engine.StateUnknown || !slices.ContainsFunc(s.Warnings, func(text string) bool { return strings.Contains(text, "drill controls") }) {
		t.Errorf("before any round: %+v, warnings %v", s.Controls, s.Warnings)
	}
	// A round of some faults does not count.
	if _, err := w.Controls(t.Context(), engine.ControlsRequest{Only: []string{"bit-flip"}, From: "cloud"}, nil); err != nil {
		t.Fatal(err)
	}
	if s := w.status(t); s.Controls.State != engine.StateUnknown {
		t.Errorf("after a round of one fault: %+v", s.Controls)
	}
	out, err := w.Controls(t.Context(), engine.ControlsRequest{From: "cloud"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.Site != "cloud" || out.StandIn != "" || out.Clean != "L7" || len(out.Faults) != len(controls.Faults())-3 || len(out.NotApplicable) != 4 {
		t.Errorf("%+v", out)
	}
	w.nothingLeft(t, "cloud")
	if after := objectsOf(t, w.sites["cloud"].StoreAt(t, w.where["cloud"])); !slices.Equal(before, after) {
		t.Errorf("the site held %v and holds %v", before, after)
	}
	if s := w.status(t); s.Controls.State != engine.StateGood || s.Controls.Red != len(out.Faults) || s.Controls.At.IsZero() {
		t.Errorf("after a good round: %+v", s.Controls)
	}
	all := w.recorded(t)
	if len(all) != 4 || all[2].Phase != evidence.Intent || all[3].Phase != evidence.Result || all[3].Outcome != evidence.Done ||
		*all[3].Intent != all[2].Sequence || len(all[3].Controls.Faults) != len(out.Faults) {
		t.Errorf("recorded: %+v", all)
	}
	w.clock.advance(15 * day)
	if s := w.status(t); s.Controls.State != engine.StateLate || !s.Degraded {
		t.Errorf("two weeks later: %+v", s.Controls)
	}
}

// The test of the tests: a verifier that does not compare content any more must
// be found out, by name.
func TestAVerifierThatSkipsALevelIsFoundOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	w.BreakVerifier(func(r verify.Result) verify.Result {
		if r.Level == "L4" { // L5 failed
			r.Checks = slices.DeleteFunc(r.Checks, func(c verify.Check) bool { return c.Level == "L5" })
			r.Level, r.Passed, r.Difference = "L5", true, false
		}
		return r
	})
	out, err := w.Controls(t.Context(), engine.ControlsRequest{}, nil)
	if !errors.Is(err, controls.ErrMissed) {
		t.Fatalf("the round ended with %v", err)
	}
	for _, f := range out.Faults {
		if f.Red == (f.Expected == "L5") {
			t.Errorf("%s, expected at %s: red %t", f.ID, f.Expected, f.Red)
		}
	}
	s := w.status(t)
	if s.Controls.State != engine.StateMissed || !s.Degraded || !slices.Contains(s.Controls.Missed, "row-changed") ||
		!slices.ContainsFunc(s.Reasons, func(text string) bool { return strings.Contains(text, "cannot be relied on") }) {
		t.Errorf("%+v, reasons %v", s.Controls, s.Reasons)
	}
	all := w.recorded(t)
	if last := all[len(all)-1]; last.Outcome != evidence.Different || !strings.Contains(last.Error, "row-changed") {
		t.Errorf("recorded: %+v", last)
	}
	w.nothingLeft(t, "onsite")
}

// The same for cold starts: one that takes whatever comes back for proven is
// found out by every fault of L7.
func TestAColdStartThatTakesEverythingForProvenIsFoundOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	w.BreakVerifier(func(r verify.Result) verify.Result {
		if r.RequestedLevel == "L7" {
			r.Level, r.Passed, r.Error = "L7", true, ""
		}
		return r
	})
	var cold []string
	for _, f := range controls.Faults() {
		if f.Expected == "L7" {
			cold = append(cold, f.ID)
		}
	}
	out, err := w.Controls(t.Context(), engine.ControlsRequest{Only: cold}, nil)
	if !errors.Is(err, controls.ErrMissed) || len(out.Faults) != len(cold) || len(cold) < 7 {
		t.Fatalf("%d of %d faults, %v", len(out.Faults), len(cold), err)
	}
	for _, f := range out.Faults {
		if f.Red {
			t.Errorf("%s is red: %s", f.ID, f.Detail)
		}
	}
	w.nothingLeft(t, "onsite")
}

func TestARoundThatCannotBeMadeIsNotGreen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	w.links["onsite"].Cut()
	if _, err := w.Controls(t.Context(), engine.ControlsRequest{}, nil); err == nil {
		t.Error("the site was away and the round went well")
	}
	if s := w.status(t); s.Controls.State != engine.StateFailed || !s.Degraded {
		t.Errorf("%+v", s.Controls)
	}
	for _, req := range []engine.ControlsRequest{{From: "moon"}, {From: "cloud", Only: []string{"no such fault"}}} {
		if _, err := w.Controls(t.Context(), req, nil); !errors.Is(err, engine.ErrUsage) {
			t.Errorf("%+v: %v", req, err)
		}
	}
}

func TestAFolderStandsInForASiteThatLetsNothingBeRemoved(t *testing.T) {
	t.Parallel()
	onsite := testenv.Sites(t).Onsite
	bucket := onsite.NewBucket(t, false)
	writer := holder(t, onsite, bucket, "writer")
	w := newWorld(t, extra{onsite: &writer})
	before := objectsOf(t, testenv.OpenSite(t, "onsite", writer, 0))
	out, err := w.Controls(t.Context(), engine.ControlsRequest{Only: []string{"object-missing"}}, nil)
	if err != nil || !strings.Contains(out.StandIn, "may not delete") {
		t.Errorf("stands in because %q: %v", out.StandIn, err)
	}
	if after := objectsOf(t, testenv.OpenSite(t, "onsite", writer, 0)); !slices.Equal(before, after) {
		t.Errorf("the site held %v and holds %v", before, after)
	}
	entries, err := os.ReadDir(w.ControlsDir())
	if err != nil || len(entries) > 0 {
		t.Errorf("left on this host: %v, %v", entries, err)
	}
}

// Where a site has a lock, retentions that do not bind are planted in its bucket,
// whose objects are otherwise left alone.
func TestLocksAreTriedOnTheBucketOfASiteWithALock(t *testing.T) {
	t.Parallel()
	onsite := testenv.Sites(t).Onsite
	c := onsite.Config(onsite.Prefix())
	c.Bucket = onsite.NewBucket(t, true)
	w := newWorld(t, extra{onsite: &c})
	site := w.cfg.Sites["onsite"]
	site.Lock = &config.Lock{Mode: "compliance", For: 14 * day}
	w.cfg.Sites["onsite"] = site
	w.again(t)
	real := []string{"lock-real-bypassed", "lock-real-unlocked", "lock-real-short"}
	for _, from := range []string{"onsite", "cloud"} {
		out, err := w.Controls(t.Context(), engine.ControlsRequest{From: from, Only: real}, nil)
		if err != nil || len(out.Faults) != len(real) || len(out.NotApplicable) > 0 || (out.StandIn != "") != (from == "onsite") {
			t.Errorf("from %s: %+v, %v", from, out, err)
		}
	}
	for _, name := range objectsOf(t, testenv.OpenSite(t, "onsite", c, 0)) {
		if strings.HasPrefix(name, "drill-") {
			t.Errorf("%s is left", name)
		}
	}
}

// What a crash leaves, at the site and here, goes before the next round begins.
func TestWhatACrashLeftOfARoundIsRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	const name = "drill-0123456789ab"
	dir := filepath.Join(w.ControlsDir(), name)
	if err := os.MkdirAll(filepath.Join(dir, "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := `{"site": "onsite", "prefix": "` + name + `"}`
	if err := os.WriteFile(filepath.Join(dir, "place.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	unnoted := filepath.Join(w.ControlsDir(), "drill-ba9876543210")
	if err := os.Mkdir(unnoted, 0o700); err != nil {
		t.Fatal(err)
	}
	left := w.sites["onsite"].StoreAt(t, w.where["onsite"]+"/"+name)
	storagetest.Put(t, left, "base/p/ab/object", []byte("left by a crash"))
	if _, err := w.Controls(t.Context(), engine.ControlsRequest{Only: []string{"object-missing"}, From: "cloud"}, nil); err != nil {
		t.Fatal(err)
	}
	w.nothingLeft(t, "onsite")
	w.nothingLeft(t, "cloud")
}

func TestACancelledRoundLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, err := w.Controls(ctx, engine.ControlsRequest{}, func(e progress.Event) {
		if strings.HasPrefix(e.Message, "row-changed") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || len(out.Faults) == 0 {
		t.Errorf("%d faults, %v", len(out.Faults), err)
	}
	w.nothingLeft(t, "onsite")
	if s := w.status(t); s.Controls.State != engine.StateUnknown {
		t.Errorf("a round that was cancelled says something: %+v", s.Controls)
	}
}

func TestTheServiceMakesARoundByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	w.HurryControls()
	w.serve(t)
	w.untilWithin(t, 5*time.Minute, "a round", func(s engine.Status) bool { return s.Controls.State == engine.StateGood })
}

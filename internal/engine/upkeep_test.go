package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
)

// serve runs the service until stop is called.
func (w *world) serve(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil // it may be stopped again
	}
	t.Cleanup(stop)
	return stop
}

func (w *world) status(t *testing.T) engine.Status {
	t.Helper()
	s, err := w.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// until waits until the status is as wanted.
func (w *world) until(t *testing.T, what string, wanted func(engine.Status) bool) engine.Status {
	t.Helper()
	return w.untilWithin(t, 30*time.Second, what, wanted)
}

// untilWithin is until for what takes long.
func (w *world) untilWithin(t *testing.T, patience time.Duration, what string, wanted func(engine.Status) bool) engine.Status {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s := w.status(t)
		if wanted(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: did not come: %+v, %+v", what, s, s.Upkeep)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func swept(s engine.Status) bool { return s.Upkeep.LastSweep != nil && !s.Upkeep.Next.IsZero() }

func TestTheServicePrunesAndSweepsOnceAndAgainWhenItIsDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: ", keep: {last: 1}", more: "sweep: {every: 6h, grace: 2h}\n"})
	w.history(t, 2)
	if s := w.status(t); s.Upkeep == nil || s.Upkeep.LastPrune != nil || !s.Upkeep.Next.IsZero() {
		t.Errorf("before: %+v", s.Upkeep)
	}
	stop := w.serve(t)
	first := w.until(t, "the first sweep", swept)
	if first.Upkeep.LastPrune == nil || first.Upkeep.LastPrune.Error != "" || first.Upkeep.LastSweep.Error != "" {
		t.Errorf("%+v, %+v", first.Upkeep.LastPrune, first.Upkeep.LastSweep)
	}
	if next := first.Upkeep.Next.Sub(first.Upkeep.LastPrune.Started); next != 6*time.Hour {
		t.Errorf("the next comes %s after the first", next)
	}
	stop()
	doomed := 0
	for _, p := range w.points(t) {
		if !p.Condemned.IsZero() {
			doomed++
		}
	}
	if doomed == 0 {
		t.Error("nothing was given up")
	}

	// A restart neither repeats it …
	w.again(t)
	stop = w.serve(t)
	again := w.until(t, "the plan after a restart", func(s engine.Status) bool { return !s.Upkeep.Next.IsZero() })
	time.Sleep(500 * time.Millisecond) // it would begin within the time that Hurry leaves
	if s := w.status(t); !s.Upkeep.LastSweep.Started.Equal(first.Upkeep.LastSweep.Started) || !again.Upkeep.Next.Equal(first.Upkeep.Next) {
		t.Errorf("after a restart: %+v", s.Upkeep)
	}
	stop()

	// … nor skips it.
	w.shut(t)
	w.clock.advance(7 * time.Hour)
	w.open(t)
	stop = w.serve(t)
	w.until(t, "the second sweep", func(s engine.Status) bool {
		return swept(s) && s.Upkeep.LastSweep.Started.After(first.Upkeep.LastSweep.Started)
	})
	stop()
	for id, p := range w.points(t) {
		if !p.Condemned.IsZero() && p.GoesAt.Before(w.clock.Now().Add(-time.Minute)) {
			t.Errorf("%s is still there: %+v", id, p)
		}
	}
}

func TestASweepThatFailsIsToldAndTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{function: ", keep: {last: 1}", more: "sweep: {every: 6h, grace: 2h}\n"})
	w.history(t, 2)
	w.links["cloud"].Cut()
	stop := w.serve(t)
	failed := w.until(t, "the failed sweep", func(s engine.Status) bool {
		return s.Upkeep.LastSweep != nil && s.Upkeep.LastSweep.Error != "" && !s.Upkeep.Next.IsZero()
	})
	stop()
	reasons := strings.Join(failed.Reasons, "; ")
	if !failed.Degraded || !strings.Contains(reasons, "the last sweep failed: nothing was deleted: every site must be in step for that: site cloud: ") {
		t.Errorf("%+v", failed)
	}
	ended := failed.Upkeep.LastSweep.Started.Add(time.Duration(failed.Upkeep.LastSweep.DurationSeconds * float64(time.Second)))
	if wait := failed.Upkeep.Next.Sub(ended); wait < 59*time.Minute || wait > 61*time.Minute {
		t.Errorf("the next try comes after %s", wait)
	}
}

func TestStatusTellsOfSitesAndSpool(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{more: "spool: {max_bytes: 128MiB}\n"})
	w.take(t, "payments")
	w.sync(t)
	good := w.status(t)
	if good.Upkeep != nil || len(good.Reasons) != 0 || good.Spool.MaxBytes != 128<<20 || good.Sites[0].State != "in step" || *good.Sites[1].LagSeconds != 0 {
		t.Errorf("%+v", good)
	}
	pack := func(name string) bool { return strings.HasPrefix(name, "p/") }
	w.remove(t, "onsite", pack)
	w.remove(t, "cloud", pack)
	if _, err := w.Sync(t.Context(), engine.SyncRequest{}, nil); err == nil {
		t.Fatal("in step without its packs")
	}
	bad := w.status(t)
	if !bad.Degraded || len(bad.Reasons) != 2 || !strings.Contains(bad.Reasons[0], "site onsite: ") ||
		!strings.Contains(bad.Reasons[0], "lost at every site") || bad.Sites[0].FaultCount == 0 {
		t.Errorf("%+v", bad)
	}
}

package schedule

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// TestClockSteps steps the wall clock far in both directions and back. Each
// step may cost one extra run; none may stop the runs or start a storm.
func TestClockSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			w.durations["f"] = []time.Duration{time.Minute}
			w.take = func(string, int) (time.Duration, error) { return 30 * time.Second, nil }
		}, Job{Function: "f", RPO: 15 * time.Minute, ProveEvery: time.Hour})
		for _, step := range []time.Duration{0, 48 * time.Hour, 0, -300 * time.Hour, -299 * time.Hour, 10 * time.Minute, 0} {
			b.wall.set(step)
			pass(2 * time.Minute) // the step is noticed, at the latest after a nap
			before, proofsBefore := b.w.count("f"), b.w.count("f/onsite", "f/cloud")
			pass(3 * time.Hour)
			runs, proofs := b.w.count("f")-before, b.w.count("f/onsite", "f/cloud")-proofsBefore
			if runs < 12 || runs > 15 {
				t.Errorf("clock at %v: %d runs in three hours, want 12 to 15", step, runs)
			}
			if proofs < 2 || proofs > 4 {
				t.Errorf("clock at %v: %d proofs in three hours, want 2 to 4", step, proofs)
			}
		}
		b.stop()
	})
}

func TestClockStepWhileARetryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			w.take = func(_ string, n int) (time.Duration, error) {
				if n < 5 {
					return time.Second, errPlanned
				}
				return time.Second, nil
			}
		}, Job{Function: "f", RPO: 4 * time.Hour})
		pass(20 * time.Second)
		b.wall.set(-100 * time.Hour)
		pass(20 * time.Minute)
		if _, ok := b.w.LastPoint("f"); !ok {
			t.Errorf("no point 20 minutes after the clock was stepped back; runs: %v", b.w.log(b.from))
		}
		b.stop()
	})
}

// TestFakeClock drives the scheduler by hand, step by step.
func TestFakeClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
		c := clock.NewFake(start)
		w := newWorld(c)
		w.durations["f"] = []time.Duration{2 * time.Minute}
		s, err := New(Options{Jobs: []Job{{Function: "f", RPO: 15 * time.Minute}}, Runner: w, History: w, Clock: c})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		step := func(d time.Duration) { synctest.Wait(); c.Advance(d); synctest.Wait() }
		for range 24 * 60 * 6 { // a day
			step(10 * time.Second)
		}
		// Each cycle takes 12m30s from point to start and up to 30s of spread.
		if n := w.count("f"); n < 24*60*2/26 || n > 24*60*2/25+1 {
			t.Errorf("%d runs in a day", n)
		}
		cancel()
		if err := <-ended; err != nil || c.Sleepers() != 0 {
			t.Errorf("Run: %v; %d still asleep", err, c.Sleepers())
		}
		if w.worst["f"] > 15*time.Minute {
			t.Errorf("exposed for %v", w.worst["f"])
		}
	})
}

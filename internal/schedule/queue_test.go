package schedule

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// heads returns the first words of log lines such as "payments@1s".
func heads(log []string) []string {
	var out []string
	for _, l := range log {
		name, _, _ := strings.Cut(l, "@")
		out = append(out, name)
	}
	return out
}

func TestEarliestDeadlineGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			o.Slots = 1
			now := w.clock.Now()
			// All are late. Deadlines: near in 1m, middle in 5m, far in 10m; none has no point.
			w.points["far"], w.points["near"], w.points["middle"] = now.Add(-50*time.Minute), now.Add(-14*time.Minute), now.Add(-15*time.Minute)
		},
			Job{Function: "far", RPO: time.Hour, Priority: 1}, Job{Function: "middle", RPO: 20 * time.Minute, Priority: 1},
			Job{Function: "near", RPO: 15 * time.Minute, Priority: 9}, Job{Function: "none", RPO: 24 * time.Hour, Priority: 9})
		pass(10 * time.Second)
		if diff := cmp.Diff([]string{"none", "near", "middle", "far"}, heads(b.w.log(b.from))); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		b.stop()
	})
}

func TestPriorityDecidesBetweenEqualDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) { o.Slots = 1 },
			Job{Function: "c", RPO: time.Hour, Priority: 3}, Job{Function: "a", RPO: time.Hour, Priority: 2},
			Job{Function: "b", RPO: time.Minute, Priority: 1}, Job{Function: "d", RPO: time.Hour, Priority: 2})
		pass(5 * time.Second)
		if diff := cmp.Diff([]string{"b", "a", "d", "c"}, heads(b.w.log(b.from))); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		b.stop()
	})
}

func TestCatchesUpAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			now := w.clock.Now()
			for _, f := range []string{"late", "fresh"} {
				w.durations[f] = []time.Duration{2 * time.Minute}
			}
			w.points["late"], w.points["fresh"] = now.Add(-3*time.Hour), now.Add(-time.Minute)
		},
			Job{Function: "late", RPO: 15 * time.Minute}, Job{Function: "fresh", RPO: 15 * time.Minute}, Job{Function: "new", RPO: time.Hour})
		pass(2 * time.Second)
		got := heads(b.w.log(b.from))
		if slices.Sort(got); !slices.Equal(got, []string{"late", "new"}) {
			t.Errorf("started at once: %v, want what is late or new", got)
		}
		// The other follows the formula: 15m − 2m − 30s spread after its point, minus the wait of 2 minutes.
		next, point := b.s.Next("fresh"), b.from.Add(-time.Minute)
		if at := next.Sub(point); at < 10*time.Minute+30*time.Second || at >= 11*time.Minute {
			t.Errorf("next run %v after the point, want 10m30s to 11m", at)
		}
		b.stop()
	})
}

func TestRetriesSoonAndNotInATightLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			w.points["f"] = w.clock.Now().Add(-30 * time.Minute)
			w.durations["f"] = []time.Duration{time.Minute}
			w.take = func(string, int) (time.Duration, error) { return 0, errPlanned }
		}, Job{Function: "f", RPO: time.Hour, Tolerate: 1})
		pass(30 * time.Minute)
		if gaps := b.w.gaps(); len(gaps) < 3 || gaps[0] > 15*time.Second {
			t.Fatalf("a failed run is not tried again soon: after %v", gaps)
		}
		pass(24 * time.Hour)
		// Every five minutes at most, once the first quick attempts are over.
		if n := len(b.w.log(b.from)); n < 24*12-10 || n > 24*12+15 {
			t.Errorf("%d attempts in a day of failures", n)
		}
		for _, gap := range b.w.gaps() {
			if gap < minRetry || gap > maxRetry {
				t.Errorf("attempts %v apart", gap)
			}
		}
		if !strings.Contains(b.logs.String(), "planned failure") {
			t.Error("the failure is not in the log")
		}
		b.stop()
	})
}

func TestRetryMakesTheDeadlineWhenItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The source is away for most of the RPO and comes back before its end.
		b := run(t, func(w *world, o *Options) {
			w.durations["f"] = []time.Duration{10 * time.Second}
			back := w.clock.Now().Add(13*time.Minute + 40*time.Second)
			w.points["f"] = w.clock.Now()
			w.take = func(string, int) (time.Duration, error) {
				if w.clock.Now().Before(back) {
					return time.Second, errPlanned
				}
				return 10 * time.Second, nil
			}
		}, Job{Function: "f", RPO: 15 * time.Minute})
		pass(time.Hour)
		b.stop()
		if b.w.worst["f"] > 15*time.Minute {
			t.Errorf("exposed for %v", b.w.worst["f"])
		}
	})
}

func TestPanicIsAFailureOfTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			w.take = func(f string, n int) (time.Duration, error) {
				if n == 0 {
					panic("index out of range")
				}
				return time.Second, nil
			}
		}, Job{Function: "f", RPO: time.Minute})
		pass(time.Minute)
		if _, ok := b.w.LastPoint("f"); !ok || !strings.Contains(b.logs.String(), "index out of range") {
			t.Errorf("no point after a panic, or no word of it; log:\n%s", b.logs)
		}
		b.stop()
	})
}

func TestStuckFunctionDoesNotStarveOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			o.Slots = 1
			for _, f := range []string{"stuck", "stuck too", "f"} {
				w.durations[f] = []time.Duration{10 * time.Second}
				w.points[f] = w.clock.Now()
			}
			w.take = func(f string, n int) (time.Duration, error) {
				if f != "f" {
					return 1000 * time.Hour, nil
				}
				return 10 * time.Second, nil
			}
		},
			Job{Function: "stuck", RPO: 2 * time.Minute, Priority: 1}, Job{Function: "stuck too", RPO: 2 * time.Minute, Priority: 1},
			Job{Function: "f", RPO: 15 * time.Minute, Priority: 9})
		pass(24 * time.Hour)
		b.stop()
		if b.w.worst["f"] > 15*time.Minute || b.w.runs["f"] < 90 {
			t.Errorf("exposed for %v in %d runs", b.w.worst["f"], b.w.runs["f"])
		}
		if b.w.runs["stuck"] != 1 || b.w.most != 3 || strings.Count(b.logs.String(), "lasts far longer") != 2 {
			t.Errorf("%d runs of the stuck one, %d at once, log:\n%s", b.w.runs["stuck"], b.w.most, b.logs)
		}
	})
}

func TestLongRunKeepsItsSlotWhileOthersCanWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			o.Slots = 1
			w.durations["long"], w.durations["f"] = []time.Duration{time.Second}, []time.Duration{time.Second}
			w.points["f"] = w.clock.Now().Add(-50 * time.Minute)
			w.take = func(f string, n int) (time.Duration, error) {
				if f == "long" {
					return 5 * time.Minute, nil // far over its p99, yet f has time until its deadline
				}
				return time.Second, nil
			}
		}, Job{Function: "long", RPO: 4 * time.Hour}, Job{Function: "f", RPO: time.Hour})
		pass(time.Hour)
		b.stop()
		if b.w.most != 1 || b.w.worst["f"] > time.Hour {
			t.Errorf("%d at once; f exposed for %v", b.w.most, b.w.worst["f"])
		}
	})
}

func TestStopWaitsForRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			w.deaf["slow"] = true
			w.take = func(string, int) (time.Duration, error) { return time.Minute, nil }
		}, Job{Function: "slow", RPO: time.Hour}, Job{Function: "quick", RPO: time.Hour})
		pass(10 * time.Second)
		before := b.w.clock.Now()
		b.stop()
		// quick hears the end of its context at once; slow is waited for.
		if waited := b.w.clock.Now().Sub(before); waited != 50*time.Second {
			t.Errorf("stopped after %v, want 50s", waited)
		}
		if len(b.w.active) != 0 || b.w.runs["quick"] != 1 {
			t.Errorf("left behind: %v; quick ran %d times", b.w.active, b.w.runs["quick"])
		}
		if strings.Contains(b.logs.String(), "failed") {
			t.Errorf("a stopped run is reported as failed:\n%s", b.logs)
		}
	})
}

func TestRunOfNothingStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, nil)
		pass(time.Hour)
		b.stop()
	})
}

func TestRunAfterTheEndDoesNothing(t *testing.T) {
	w := newWorld(&wall{})
	s, err := New(Options{Jobs: []Job{{Function: "f", RPO: time.Hour}}, Runner: w, History: w, Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil || len(w.started) != 0 {
		t.Errorf("%v; started %v", err, w.started)
	}
}

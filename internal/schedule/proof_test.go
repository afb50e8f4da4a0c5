package schedule

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// proofs picks the proofs out of a log.
func proofs(log []string) []string {
	return slices.DeleteFunc(log, func(l string) bool { return !strings.Contains(l, "/") })
}

func TestProofsTakeTurnsOverSites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			now := w.clock.Now()
			w.points["f"], w.points["g"] = now, now
			w.proofs["f/onsite"], w.proofs["f/cloud"] = now.Add(-2*time.Hour), now.Add(-8*time.Hour)
		}, Job{Function: "f", RPO: 24 * time.Hour, ProveEvery: 6 * time.Hour}, Job{Function: "g", RPO: 24 * time.Hour})
		pass(23 * time.Hour)
		b.stop()
		got := heads(proofs(b.w.log(b.from)))
		if diff := cmp.Diff([]string{"f/cloud", "f/onsite", "f/cloud", "f/onsite"}, got); diff != "" {
			t.Errorf("proofs (-want +got):\n%s", diff)
		}
		if at := b.w.times[slices.Index(heads(b.w.log(b.from)), "f/cloud")].Sub(b.from); at != 4*time.Hour {
			t.Errorf("first proof after %v, want 4h", at)
		}
	})
}

func TestProofNeedsAPointAndComesSoonAfterTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			w.take = func(string, int) (time.Duration, error) { return time.Minute, nil }
		}, Job{Function: "f", RPO: 6 * time.Hour, ProveEvery: 24 * time.Hour})
		pass(10 * time.Minute)
		b.stop()
		if diff := cmp.Diff([]string{"f@0s", "f/onsite@1m0s"}, b.w.log(b.from)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestFailedProofIsTriedAtTheNextSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			now := w.clock.Now()
			w.points["f"] = now
			w.prove = func(_, site string) (time.Duration, error) {
				if site == "onsite" {
					return time.Second, errPlanned
				}
				return time.Second, nil
			}
		}, Job{Function: "f", RPO: 240 * time.Hour, ProveEvery: 2 * time.Hour})
		pass(5 * time.Hour)
		b.stop()
		// Half an hour after a failure, two hours after a proof that passed.
		want := []string{"f/onsite@0s", "f/cloud@30m1s", "f/onsite@2h30m2s", "f/cloud@3h0m3s"}
		if diff := cmp.Diff(want, proofs(b.w.log(b.from))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestProofsNeverStartWhileASnapshotWaits has one slot for two functions that
// are both late: no proof may start before both have theirs.
func TestProofsNeverStartWhileASnapshotWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			o.Slots = 1
			for _, f := range []string{"f", "g"} {
				w.points[f] = w.clock.Now().Add(-2 * time.Hour)
			}
			w.take = func(string, int) (time.Duration, error) { return 10 * time.Minute, nil }
		}, Job{Function: "f", RPO: 2 * time.Hour, ProveEvery: time.Hour}, Job{Function: "g", RPO: 2 * time.Hour, ProveEvery: time.Hour})
		pass(30 * time.Minute)
		b.stop()
		want := []string{"f/onsite@10m0s", "f@0s", "g/onsite@10m1s", "g@10m0s"}
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(b.w.log(b.from)))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestProofsDoNotDelaySnapshots runs proofs that last longer than the RPO.
func TestProofsDoNotDelaySnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			o.Slots = 1
			w.durations["f"] = []time.Duration{time.Minute}
			w.take = func(string, int) (time.Duration, error) { return time.Minute, nil }
			w.prove = func(_, _ string) (time.Duration, error) { return 3 * time.Hour, nil }
		}, Job{Function: "f", RPO: 15 * time.Minute, ProveEvery: 4 * time.Hour})
		pass(48 * time.Hour)
		b.stop()
		if b.w.worst["f"] > 15*time.Minute || b.w.runs["f/onsite"] < 3 || b.w.runs["f/cloud"] < 3 {
			t.Errorf("exposed for %v; proofs %v", b.w.worst["f"], b.w.runs)
		}
	})
}

func TestStuckProofDoesNotStarveOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			w.points["f"], w.points["g"] = w.clock.Now(), w.clock.Now()
			w.prove = func(f, _ string) (time.Duration, error) {
				if f == "f" {
					return 1000 * time.Hour, nil
				}
				return time.Minute, nil
			}
		}, Job{Function: "f", RPO: 240 * time.Hour, ProveEvery: time.Hour}, Job{Function: "g", RPO: 240 * time.Hour, ProveEvery: time.Hour})
		pass(12 * time.Hour)
		b.stop()
		if n := b.w.runs["g/onsite"] + b.w.runs["g/cloud"]; n < 10 || b.w.runs["f/onsite"] != 1 {
			t.Errorf("%d proofs of g beside a stuck one of f: %v", n, b.w.runs)
		}
	})
}

package schedule

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAChangeIsProvenAtOnceAndMovesNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			now := w.clock.Now()
			w.points["f"] = now
			w.proofs["f/onsite"], w.proofs["f/cloud"] = now.Add(-time.Hour), now.Add(-7*time.Hour)
		}, Job{Function: "f", RPO: 240 * time.Hour, ProveEvery: 6 * time.Hour})
		pass(time.Hour)
		if at, site, why := b.s.NextProof("f"); at.Sub(b.from) != 5*time.Hour || site != "cloud" || why != DueTurn {
			t.Errorf("before the change: %v from %s, %s", at.Sub(b.from), site, why)
		}
		b.w.change("f", "onsite")
		if at, site, why := b.s.NextProof("f"); at.Sub(b.from) != time.Hour || site != "onsite" || why != DueSchema {
			t.Errorf("after the change: %v from %s, %s", at.Sub(b.from), site, why)
		}
		pass(30 * time.Minute)
		b.w.change("f", "onsite", "cloud") // again, too soon after the last
		if at, site, why := b.s.NextProof("f"); at.Sub(b.from) != 2*time.Hour+31*time.Minute || site != "cloud" || why != DueSchema {
			t.Errorf("after the second change: %v from %s, %s", at.Sub(b.from), site, why)
		}
		pass(5 * time.Hour)
		b.stop()
		// The clock is looked at every minute.
		want := []string{"f/onsite!@1h1m0s", "f/cloud!@2h31m0s", "f/cloud@5h0m0s"}
		if diff := cmp.Diff(want, proofs(b.w.log(b.from))); diff != "" {
			t.Errorf("proofs (-want +got):\n%s", diff)
		}
	})
}

// A function whose definitions change all the time takes no turn from another
// one, and moves none of its own, though its proofs are long.
func TestChangesStarveNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hours = 96
		b := run(t, func(w *world, o *Options) {
			w.points["f"], w.points["g"], w.points["h"] = w.clock.Now(), w.clock.Now(), w.clock.Now()
			w.prove = func(string, string) (time.Duration, error) { return 50 * time.Minute, nil }
		}, Job{Function: "f", RPO: 2400 * time.Hour, ProveEvery: 4 * time.Hour},
			Job{Function: "g", RPO: 2400 * time.Hour, ProveEvery: 4 * time.Hour}, Job{Function: "h", RPO: 2400 * time.Hour, ProveEvery: 4 * time.Hour})
		for range hours * 2 {
			b.w.change("f", "onsite", "cloud")
			pass(30 * time.Minute)
		}
		b.stop()
		extra := b.w.count("f/onsite!", "f/cloud!")
		if most := hours; extra > most || extra < hours/8 {
			t.Errorf("%d proofs of changes in %d hours, one an hour is the most", extra, hours)
		}
		for _, f := range []string{"f", "g", "h"} {
			// A proof that ends late by one proof of another moves the next.
			if n := b.w.count(f+"/onsite", f+"/cloud"); n < hours/6 {
				t.Errorf("%d proofs of %s in %d hours: %v", n, f, hours, b.w.runs)
			}
			if d := b.w.count(f+"/onsite") - b.w.count(f+"/cloud"); d < -1 || d > 1 {
				t.Errorf("%s does not take turns: %v", f, b.w.runs)
			}
		}
	})
}

// What fails is tried again within the same bound, and a function that nobody
// wants proven is not.
func TestAChangeThatCannotBeProven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			now := w.clock.Now()
			w.points["f"], w.points["g"] = now, now
			w.proofs["f/onsite"], w.proofs["f/cloud"] = now, now
			w.prove = func(string, string) (time.Duration, error) { return time.Second, errPlanned }
			w.changes["f"], w.changes["g"] = Change{Sites: []string{"cloud"}, Since: now}, Change{Sites: []string{"cloud"}, Since: now}
		}, Job{Function: "f", RPO: 240 * time.Hour, ProveEvery: 8 * time.Hour}, Job{Function: "g", RPO: 240 * time.Hour})
		pass(7 * time.Hour)
		b.stop()
		want := []string{"f/cloud!@0s", "f/cloud!@2h0m0s", "f/cloud!@4h0m0s", "f/cloud!@6h0m0s"}
		if diff := cmp.Diff(want, proofs(b.w.log(b.from))); diff != "" {
			t.Errorf("proofs (-want +got):\n%s", diff)
		}
		if text := b.logs.String(); !strings.Contains(text, "proof of changed definitions failed") {
			t.Errorf("the log does not tell: %s", text)
		}
	})
}

// The first proof of a function is its turn, and shows its definitions too: it
// is not proven twice.
func TestTheFirstProofIsNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			w.points["f"] = w.clock.Now()
			w.changes["f"] = Change{Sites: []string{"onsite", "cloud"}, Since: w.clock.Now()}
			w.prove = func(string, string) (time.Duration, error) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.changes["f"] = Change{}
				return time.Minute, nil
			}
		}, Job{Function: "f", RPO: 240 * time.Hour, ProveEvery: 24 * time.Hour})
		pass(time.Hour)
		b.stop()
		if got := heads(proofs(b.w.log(b.from))); !slices.Equal(got, []string{"f/onsite"}) {
			t.Errorf("proofs %v", got)
		}
	})
}

package repository

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/testenv"
)

// pace takes some snapshots and returns how long each took until it was
// durable at a site: the median.
func (b *liarBench) pace(t *testing.T, site string, n int) time.Duration {
	t.Helper()
	var took []time.Duration
	for range n {
		took = append(took, b.durableAt(t, b.take(t), site, 20*time.Second))
	}
	slices.Sort(took)
	return took[n/2]
}

// A site that hangs, in whatever it is asked, costs the other nothing.
func TestHungSiteDoesNotSlowTheOther(t *testing.T) {
	for _, op := range []string{testenv.OpPut, testenv.OpList, ""} {
		t.Run(fmt.Sprintf("in %q", op), func(t *testing.T) {
			b := newLiarBenchWith(t, 10*time.Second)
			before := b.pace(t, "onsite", 5)
			b.durable(t, b.take(t))
			b.liars["cloud"].Tell(testenv.Lie{Op: op, Say: testenv.SayNothing})
			// Both are to be compared, the one that hangs first.
			b.uploads.ask("cloud")
			b.wake()
			b.take(t)
			waitFor(t, func() bool { return b.liars["cloud"].Lied() > 0 })
			b.uploads.ask("onsite")
			b.wake()
			during := b.pace(t, "onsite", 5)
			t.Logf("durable at the honest site after %s, %s with the other one hung", before, during)
			if during > 3*before+200*time.Millisecond {
				t.Errorf("it took %s with the other site hung, %s before", during, before)
			}
			b.liars["cloud"].Honest()
			b.inStep(t)
		})
	}
}

// A bucket that was made anew is seen to be empty: what it was said to hold it
// does not hold, and it is filled again when somebody says that it may be.
func TestBucketMadeAnew(t *testing.T) {
	b := newLiarBench(t)
	first := b.take(t)
	b.durable(t, first)
	b.liars["cloud"].Recreate(t)
	second := b.take(t)
	b.durableAt(t, second, "onsite", 5*time.Second)
	waitFor(t, func() bool {
		h, err := b.Health()
		return err == nil && h["cloud"].Failing
	})
	for _, snap := range []*Snapshot{first, second} {
		if st := b.states(t, snap.ID)["cloud"]; st.State == StateDurable || st.Error == "" {
			t.Errorf("snapshot %s is said to be %s at a bucket without a repository: %s", snap.ID, st.State, st.Error)
		}
	}
	if err := b.same(t, b.Repository, first, "cloud", "onsite"); err != nil {
		t.Error(err)
	}
	b.stop()
	report, err := Init(t.Context(), b.options, nil)
	if err != nil || report.Sites["cloud"] != InitMadeAgain {
		t.Fatalf("init: %+v %v", report, err)
	}
	b.open(t)
	b.inStep(t)
}

// What lies at a site in another length is found by the next comparison and
// put right; a reading falls through to the other site before that.
func TestObjectsThatBecameEmpty(t *testing.T) {
	b := newLiarBench(t)
	first := b.take(t)
	b.durable(t, first)
	record, err := b.catalog.Snapshot(first.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{catalog.PackName(first.Packs[0].SHA256), record.Commit} {
		b.liars["onsite"].Replace(t, name, nil)
	}
	if err := b.same(t, b.Repository, first, "onsite", "cloud"); err != nil {
		t.Error(err)
	}
	if _, err := b.Sync(t.Context(), []string{"onsite"}, time.Minute, nil); err != nil {
		t.Error(err)
	}
	b.inStep(t)
}

// An object of the right length with the bytes of an older one is never taken
// for the right one, and a mending does not trust a site that lies about it.
func TestObjectsOfOthers(t *testing.T) {
	b := newLiarBench(t)
	first := b.take(t)
	second := b.take(t)
	b.durable(t, second)
	pack := catalog.PackName(second.Packs[len(second.Packs)-1].SHA256)
	older := bytes.Repeat([]byte{7}, int(second.Packs[len(second.Packs)-1].Size))
	b.liars["onsite"].Replace(t, pack, older)
	for _, snap := range []*Snapshot{first, second} {
		if err := b.same(t, b.Repository, snap, "onsite", "cloud"); err != nil {
			t.Error(err)
		}
	}
	if err := b.same(t, b.Repository, second, "onsite"); err == nil {
		t.Error("the bytes of another object were read")
	}
	// As when a catalog was rebuilt: all of it is queued for the site again.
	if _, err := b.catalog.ResetSite("onsite"); err != nil {
		t.Fatal(err)
	}
	b.liars["onsite"].Tell(about(packs, lie(testenv.SayFlipped, testenv.OpGet))...)
	b.wake()
	waitFor(t, func() bool { return b.liars["onsite"].Lied() > 2 })
	b.liars["onsite"].Honest()
	b.inStep(t)
}

// A catalog that was rebuilt from yesterday's listing learns the rest by
// itself.
func TestRebuildFromAStaleListing(t *testing.T) {
	b := newLiarBench(t)
	first := b.take(t)
	b.durable(t, first)
	stale := b.liars["cloud"].SayStale(t)
	second := b.take(t)
	b.durable(t, second)
	b.stop()
	b.liars["cloud"].Tell(lie(stale, testenv.OpList)...)
	old := b.options.Catalog
	b.openCatalog(t, t.TempDir()+"/new.db")
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.Repository, err = Open(t.Context(), b.options); err != nil {
		t.Fatal(err)
	}
	out, err := b.Rebuild(t.Context(), "cloud", nil)
	if err != nil || out.Snapshots != 1 {
		t.Fatalf("from yesterday's listing: %+v %v", out, err)
	}
	b.open(t)
	b.liars["cloud"].Honest()
	b.take(t)
	waitFor(t, func() bool { return len(b.claimed(t, "cloud")) == 3 || b.cloudLater(t) })
	b.inStep(t)
}

// cloudLater lets a day pass, after which every site is compared.
func (b *liarBench) cloudLater(*testing.T) bool {
	b.clock.Advance(time.Hour)
	b.wake()
	return false
}

// Both sites lie about anything at any time, while snapshots are taken.
func TestLiesAtRandom(t *testing.T) {
	b := newLiarBench(t)
	all := liesOfSites()
	names := slices.Sorted(maps.Keys(all))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var lying sync.WaitGroup
	for site, liar := range b.liars {
		rnd := rand.New(rand.NewPCG(b.rnd.Uint64(), 1))
		lying.Go(func() {
			for ctx.Err() == nil {
				name := names[rnd.IntN(len(names))]
				t.Logf("%s: %s", site, name)
				liar.Tell(all[name]...)
				time.Sleep(time.Duration(50+rnd.IntN(500)) * time.Millisecond)
				liar.Honest()
				time.Sleep(time.Duration(rnd.IntN(200)) * time.Millisecond)
			}
		})
	}
	for ctx.Err() == nil {
		snap := b.take(t)
		if err := b.same(t, b.Repository, snap); err != nil {
			t.Logf("could not be read just now: %v", err)
		}
		for site := range b.liars {
			b.restores(t, site, b.claimed(t, site)...)
		}
	}
	lying.Wait()
	for _, liar := range b.liars {
		liar.Honest()
	}
	b.inStep(t)
}

// A sweep deletes nothing that is needed, whatever a site says meanwhile, and
// is finished by the next one when the lies are over.
func TestSweepOfASiteThatLies(t *testing.T) {
	gone := testenv.SayError(404, "NoSuchKey", "The specified key does not exist.")
	for name, lies := range map[string][]testenv.Lie{
		"nothing is listed":      lie(testenv.SayNothingThere, testenv.OpList),
		"objects vanish":         lie(gone, testenv.OpGet, testenv.OpHead),
		"slow down":              lie(testenv.SaySlowDown),
		"an error inside":        lie(testenv.SayErrorInside),
		"empty objects":          lie(testenv.SayEmpty, testenv.OpGet, testenv.OpHead),
		"deleting is denied":     lie(testenv.SayError(403, "AccessDenied", "Access Denied."), testenv.OpDelete),
		"deleting hangs":         lie(testenv.SayNothing, testenv.OpDelete),
		"deleted and not":        lie(testenv.SayDeleted, testenv.OpDelete),
		"flipped bits":           about(packs, lie(testenv.SayFlipped, testenv.OpGet)),
		"other commits":          about(commits, lie(testenv.SayOther, testenv.OpGet)),
		"commits of last minute": about(commits, lie(testenv.SayNothingThere, testenv.OpList)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newLiarBench(t)
			var snaps []*Snapshot
			for range 4 {
				snaps = append(snaps, b.take(t))
				b.clock.Advance(time.Hour)
			}
			for _, s := range snaps {
				b.durable(t, s)
			}
			doomed := map[string]string{snaps[0].ID: "a rule", snaps[2].ID: "a rule"}
			// What a site said to have deleted and did not comes back with the
			// next comparison, whole, for the next pruning to condemn.
			b.doomed = map[string]bool{snaps[0].ID: true, snaps[2].ID: true}
			if err := b.Condemn(t.Context(), doomed); err != nil {
				t.Fatal(err)
			}
			o := SweepOptions{Grace: day, MaxRewrite: 1 << 30}
			b.untilSwept(t, o)
			b.clock.Advance(day + time.Minute)
			b.liars["cloud"].Tell(lies...)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			out, err := b.Sweep(ctx, o, nil)
			cancel()
			t.Logf("with the lie: %+v %v", out, err)
			for site := range b.liars {
				b.restores(t, site, snaps[1].ID, snaps[3].ID)
			}
			b.liars["cloud"].Honest()
			b.untilSwept(t, o)
			b.clock.Advance(day + time.Minute)
			b.untilSwept(t, o)
			b.inStep(t)
		})
	}
}

// untilSwept sweeps again and again until that works.
func (b *liarBench) untilSwept(t *testing.T, o SweepOptions) {
	t.Helper()
	start := time.Now()
	for {
		_, err := b.Sweep(t.Context(), o, nil)
		if err == nil {
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("no sweep works: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A scrub of a site that gives wrong bytes for a while does no harm.
func TestScrubOfASiteThatLies(t *testing.T) {
	b := newLiarBench(t)
	for range 2 {
		b.durable(t, b.take(t))
	}
	for _, lies := range [][]testenv.Lie{
		about(packs, lie(testenv.SayFlipped, testenv.OpGet)), lie(testenv.SayEmpty, testenv.OpGet, testenv.OpHead),
		lie(testenv.SayError(404, "NoSuchKey", "x"), testenv.OpGet, testenv.OpHead), about(commits, lie(testenv.SayOther, testenv.OpGet)),
	} {
		b.liars["onsite"].Tell(lies...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		out, err := b.Scrub(ctx, ScrubOptions{}, func(ScrubProgress) {})
		cancel()
		t.Logf("with the lie: %+v %v", out, err)
		b.restores(t, "cloud", b.claimed(t, "cloud")...)
		b.restores(t, "onsite", b.claimed(t, "onsite")...)
		b.liars["onsite"].Honest()
		b.inStep(t)
	}
}

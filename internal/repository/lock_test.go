package repository

import (
	"errors"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/testenv"
)

const lockFor = 4 * day

// newLockedBench is a bench whose first site is a real server that protects
// what it holds. The clock begins at the server's time.
func newLockedBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.stop()
	b.clock = clock.NewFake(clock.System.Now())
	b.options.Clock = b.clock
	server := testenv.Sites(t).Onsite
	conf := server.Config("locked")
	conf.Bucket = server.NewBucket(t, true)
	store := testenv.OpenSite(t, "onsite", conf, 0)
	b.options.Sites[0] = Site{
		Name: "onsite", Store: storage.WithLock(store, storage.Governance, lockFor, b.clock), Lock: lockFor, LockMode: storage.Governance,
	}
	delete(b.roots, "onsite")
	if _, err := Init(t.Context(), b.options, []age.Recipient{b.daemon.Recipient(), b.escrow.Recipient()}); err != nil {
		t.Fatal(err)
	}
	b.open(t)
	return b
}

func TestWhatIsNeededStaysProtected(t *testing.T) {
	b, rnd := newLockedBench(t), seeded(t)
	snaps, want := b.history(t, rnd, 2, 1)
	start := b.clock.Now()
	if fresh, err := b.Locks("onsite"); err != nil || fresh.Unprotected > 0 || fresh.Horizon.Before(start.Add(lockFor/2)) {
		t.Errorf("as it was written: %+v (%v)", fresh, err)
	}
	if _, err := b.ExtendLocks(t.Context(), "onsite", nil); err != nil {
		t.Fatal(err)
	}
	locks, err := b.Locks("onsite")
	if err != nil || locks.Unprotected > 0 || locks.Horizon.Before(start.Add(lockFor/2)) {
		t.Errorf("protected: %+v (%v)", locks, err)
	}
	site, err := b.Site("onsite")
	if err != nil {
		t.Fatal(err)
	}
	pack := catalog.PackName(snaps[0].Packs[0].SHA256)
	if err := storage.Purge(t.Context(), site.Store, pack); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("a protected pack can be deleted: %v", err)
	}
	b.clock.Advance(lockFor/2 + time.Hour)
	before, err := storage.RetentionOf(t.Context(), site.Store, pack)
	if err != nil {
		t.Fatal(err)
	}
	if locks, err = b.ExtendLocks(t.Context(), "onsite", nil); err != nil || locks.Extended < 4 || locks.Horizon.Before(b.clock.Now().Add(lockFor/2)) {
		t.Errorf("extended: %+v (%v)", locks, err)
	}
	after, err := storage.RetentionOf(t.Context(), site.Store, pack)
	if err != nil || !after.Until.After(before.Until) {
		t.Errorf("protected until %s, then %s (%v)", before.Until, after.Until, err)
	}
	b.matches(t, snaps, want)
}

func TestSweepLeavesWhatASiteProtects(t *testing.T) {
	b, rnd := newLockedBench(t), seeded(t)
	snaps, want := b.history(t, rnd, 2, 1)
	if err := b.Condemn(t.Context(), map[string]string{snaps[0].ID: "no rule keeps it"}); err != nil {
		t.Fatal(err)
	}
	b.sweep(t, SweepOptions{})
	b.clock.Advance(day + time.Hour)
	out := b.sweep(t, SweepOptions{})
	if out.Locked == 0 || out.Commits.Objects > 0 || !out.LockedUntil.After(b.clock.Now()) {
		t.Errorf("swept what is protected: %+v", out)
	}
	b.matches(t, snaps, want)
	// The server's clock is behind ours: it still refuses when we no longer
	// expect it to.
	b.clock.Advance(lockFor)
	out = b.sweep(t, SweepOptions{})
	if out.Locked == 0 || out.Commits.Objects+out.Packs.Objects > 0 {
		t.Errorf("swept: %+v", out)
	}
	b.matches(t, snaps[1:], want)
}

package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/testenv"
)

// liarStall is how long a request of these tests may go without a byte.
const liarStall = time.Second

// liarBench is a repository on two real servers that lie when told to. Its
// clock runs fifty times as fast as that on the wall.
type liarBench struct {
	*bench
	liars map[string]*testenv.Liar
	rnd   *rand.Rand

	mu    sync.Mutex
	taken map[string]map[string][]byte // rows of each snapshot, by id and table
	rows  []byte                       // of the table that changes from snapshot to snapshot

	doomed map[string]bool // snapshots that may be gone, or back
}

func newLiarBench(t *testing.T) *liarBench {
	t.Helper()
	return newLiarBenchWith(t, liarStall)
}

func newLiarBenchWith(t *testing.T, stall time.Duration) *liarBench {
	t.Helper()
	pair := testenv.Sites(t)
	b := &liarBench{liars: map[string]*testenv.Liar{}, rnd: seeded(t), taken: map[string]map[string][]byte{}}
	stores := map[string]storage.Store{}
	few := storage.RetryPolicy{Attempts: 2, Base: 10 * time.Millisecond, Max: 50 * time.Millisecond}
	for _, site := range []*testenv.Site{pair.Onsite, pair.Cloud} {
		b.liars[site.Name] = testenv.NewLiar(t, site)
		stores[site.Name] = storage.WithRetry(b.liars[site.Name].Store(t, stall), few, clock.System, nil)
	}
	b.bench = newBenchOn(t, stores)
	ctx, stop := context.WithCancel(context.Background())
	var ticking sync.WaitGroup
	ticking.Go(func() {
		for ctx.Err() == nil {
			b.clock.Advance(250 * time.Millisecond)
			time.Sleep(5 * time.Millisecond)
		}
	})
	t.Cleanup(func() {
		stop()
		ticking.Wait()
		if t.Failed() {
			b.keep(t)
		}
	})
	b.rows = someRows(b.rnd, 2000)
	return b
}

// keep copies what the sites hold into the folder that is kept.
func (b *liarBench) keep(t *testing.T) {
	for name, liar := range b.liars {
		truth := liar.Truth(t)
		err := truth.List(context.Background(), "", "", func(o storage.Info) error {
			body, err := truth.Get(context.Background(), o.Name, 0, -1)
			if err != nil {
				return err
			}
			defer body.Close()
			path := filepath.Join(filepath.Dir(b.options.Spool), name, filepath.FromSlash(o.Name))
			content, err := io.ReadAll(body)
			if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700)); err != nil {
				return err
			}
			return os.WriteFile(path, content, 0o600)
		})
		if err != nil {
			t.Logf("site %s could not be kept: %v", name, err)
		}
	}
}

// take takes a snapshot in which some rows are new and some are as before.
func (b *liarBench) take(t *testing.T) *Snapshot {
	t.Helper()
	b.rows = append(bytes.Clone(b.rows), someRows(b.rnd, 300)...)
	tables := map[string][]byte{"pay.grows": b.rows, "pay.new": someRows(b.rnd, 300)}
	snap := b.write(t, "payments", tables)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken[snap.ID] = tables
	return snap
}

// states returns what is said of a snapshot.
func (b *liarBench) states(t *testing.T, id string) map[string]SiteState {
	t.Helper()
	info, err := b.Info(id)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sites
}

// durableAt waits until the snapshot is said to be durable at a site, and
// returns how long that took.
func (b *liarBench) durableAt(t *testing.T, snap *Snapshot, site string, patience time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	for b.states(t, snap.ID)[site].State != StateDurable {
		if time.Since(start) > patience {
			health, err := b.Health()
			t.Fatalf("snapshot %s is not durable at %s after %s: %+v (%v)", snap.ID, site, patience, health[site], err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(start)
}

// restores checks that a site alone, past its liar, gives back every snapshot
// of the list byte for byte, on an empty host with the key of the escrow.
func (b *liarBench) restores(t *testing.T, site string, ids ...string) {
	t.Helper()
	truth := Site{Name: site, Store: b.liars[site].Truth(t)}
	fresh := b.elsewhere(t, truth)
	if _, err := fresh.Rebuild(t.Context(), site, nil); err != nil {
		t.Errorf("rebuild from %s: %v", site, err)
		return
	}
	for _, id := range ids {
		snap, err := fresh.Snapshot(t.Context(), id)
		if err != nil {
			t.Errorf("snapshot %s is said to be durable at %s, which does not give it back: %v", id, site, err)
			continue
		}
		if err := b.same(t, fresh, snap); err != nil {
			t.Errorf("snapshot %s from %s: %v", id, site, err)
		}
	}
}

// same reads a snapshot and compares it with what was captured.
func (b *liarBench) same(t *testing.T, r *Repository, snap *Snapshot, sites ...string) error {
	t.Helper()
	rd, err := r.Reader(snap, sites, nil)
	if err != nil {
		return err
	}
	for _, table := range snap.Tables {
		var rows bytes.Buffer
		if err := rd.Copy(t.Context(), table.Data, &rows); err != nil {
			return err
		}
		b.mu.Lock()
		want := b.taken[snap.ID][table.Name]
		b.mu.Unlock()
		if !bytes.Equal(rows.Bytes(), want) {
			t.Errorf("snapshot %s: table %s: %d bytes that are not the %d captured were read from %v",
				snap.ID, table.Name, rows.Len(), len(want), sites)
		}
	}
	return nil
}

// claimed returns the snapshots that are said to be durable at a site.
func (b *liarBench) claimed(t *testing.T, site string) []string {
	t.Helper()
	var ids []string
	err := b.Snapshots("", func(s SnapshotInfo) bool {
		if s.Sites[site].State == StateDurable {
			ids = append(ids, s.ID)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// inStep waits until both sites are in step and hold every snapshot, without
// doing anything for it, and checks that it is so.
func (b *liarBench) inStep(t *testing.T) {
	t.Helper()
	start := time.Now()
	for !b.calm(t) {
		if time.Since(start) > 20*time.Second {
			health, err := b.Health()
			t.Fatalf("not in step 20 s after the lies: %+v (%v)", health, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for site := range b.liars {
		ids := b.claimed(t, site)
		for id := range b.taken {
			if !slices.Contains(ids, id) && !b.doomed[id] {
				t.Errorf("site %s does not hold snapshot %s", site, id)
			}
		}
		b.restores(t, site, ids...)
	}
}

// calm reports whether both sites are in step and hold every snapshot.
func (b *liarBench) calm(t *testing.T) bool {
	t.Helper()
	health, err := b.Health()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range health {
		if h.State != SiteInStep || h.Objects > 0 || len(h.Faults) > 0 {
			return false
		}
	}
	calm := true
	err = b.Snapshots("", func(s SnapshotInfo) bool {
		calm = calm && s.Holders() == len(b.liars)
		return calm
	})
	if err != nil {
		t.Fatal(err)
	}
	return calm
}

func lie(say testenv.Say, ops ...string) []testenv.Lie {
	if len(ops) == 0 {
		ops = []string{""}
	}
	var out []testenv.Lie
	for _, op := range ops {
		out = append(out, testenv.Lie{Op: op, Say: say})
	}
	return out
}

// about makes lies be about some objects only.
func about(part string, lies []testenv.Lie) []testenv.Lie {
	for i := range lies {
		lies[i].Part = part
	}
	return lies
}

// now and then makes every lie be told a few times only, after some truth.
func sometimes(lies []testenv.Lie) []testenv.Lie {
	for i := range lies {
		lies[i].Skip, lies[i].Times = 2, 4
	}
	return lies
}

const (
	packs   = "/p/"
	commits = "/c/"
)

// liesOfSites are what a site may say instead of the truth.
func liesOfSites() map[string][]testenv.Lie {
	put, get, head, list := testenv.OpPut, testenv.OpGet, testenv.OpHead, testenv.OpList
	half := func(b []byte) []byte { return b[:len(b)/2] }
	none := func([]byte) []byte { return nil }
	notFound := testenv.SayError(404, "NoSuchKey", "The specified key does not exist.")
	noBucket := testenv.SayError(404, "NoSuchBucket", "The specified bucket does not exist.")
	exists := testenv.SayError(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	return map[string][]testenv.Lie{
		"slow down":                  lie(testenv.SaySlowDown),
		"slow down now and then":     sometimes(lie(testenv.SaySlowDown)),
		"internal errors":            lie(testenv.SayError(500, "InternalError", "We encountered an internal error.")),
		"expired credentials":        lie(testenv.SayExpired),
		"unknown credentials":        lie(testenv.SayWrongKey),
		"no bucket":                  lie(noBucket),
		"uploads break off":          lie(testenv.SayBrokenOff(1000), put),
		"commits break off":          about(commits, lie(testenv.SayBrokenOff(10), put)),
		"downloads break off":        lie(testenv.SayBrokenOff(50), get),
		"answers stop half way":      lie(testenv.SayHalf(50), get, list),
		"bodies end early":           lie(testenv.SayShort(50), get),
		"an error inside of success": lie(testenv.SayErrorInside),
		"lost packs":                 about(packs, lie(testenv.SayDone, put)),
		"lost commits":               about(commits, lie(testenv.SayDone, put)),
		"packs stored empty":         about(packs, lie(testenv.SayDoneWith(none), put)),
		"commits stored empty":       about(commits, lie(testenv.SayDoneWith(none), put)),
		"packs stored in half":       about(packs, lie(testenv.SayDoneWith(half), put)),
		"commits stored in half":     about(commits, lie(testenv.SayDoneWith(half), put)),
		"no answer to uploads":       lie(testenv.SayNothing, put),
		"no answer to anything":      lie(testenv.SayNothing),
		"empty objects":              lie(testenv.SayEmpty, get, head),
		"other packs":                about(packs, lie(testenv.SayOther, get)),
		"other commits":              about(commits, lie(testenv.SayOther, get)),
		"another repo.json":          about("repo.json", lie(testenv.SayOther, get)),
		"flipped bits":               about(packs, lie(testenv.SayFlipped, get)),
		"objects vanish":             lie(notFound, get, head),
		"packs vanish":               about(packs, lie(notFound, get, head)),
		"everything exists":          lie(exists, put),
		"nothing is listed":          lie(testenv.SayNothingThere, list),
	}
}

// Under every lie of one site: captures go on, the honest site is given them
// as if nothing were, nothing wrong is read, nothing is said to be durable
// that the liar does not give back, and when the lies end all is in step
// without anybody's help.
func TestSiteThatLies(t *testing.T) {
	sites := []string{"onsite", "cloud"}
	all := liesOfSites()
	for turn, name := range slices.Sorted(maps.Keys(all)) {
		lies, liar, honest := all[name], sites[turn%2], sites[1-turn%2]
		t.Run(fmt.Sprintf("%s at %s", name, liar), func(t *testing.T) {
			t.Parallel()
			b := newLiarBench(t)
			first := b.take(t)
			b.durable(t, first)
			b.liars[liar].Tell(lies...)
			for range 2 {
				snap := b.take(t)
				b.durableAt(t, snap, honest, 5*time.Second)
				if err := b.same(t, b.Repository, snap, honest); err != nil {
					t.Errorf("from the honest site: %v", err)
				}
			}
			// The liar may fail, as long as what it gives is right.
			_ = b.same(t, b.Repository, first, liar)
			if there, err := b.ReadCommit(t.Context(), first.ID, liar); err == nil && there.ID != first.ID {
				t.Errorf("the commit of another snapshot was read: %s", there.ID)
			}
			if err := b.same(t, b.Repository, first, liar, honest); err != nil {
				t.Errorf("with the honest site behind the liar: %v", err)
			}
			// A comparison with a site that lies must not do harm.
			syncCtx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			_, _ = b.Sync(syncCtx, []string{liar}, time.Minute, nil)
			cancel()
			// What is said now must hold, whatever the liar says.
			b.restores(t, liar, b.claimed(t, liar)...)
			if b.liars[liar].Lied() == 0 {
				t.Error("nobody lied")
			}
			b.liars[liar].Honest()
			b.inStep(t)
		})
	}
}

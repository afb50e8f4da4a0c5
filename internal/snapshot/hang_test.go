package snapshot_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/snapshot/snaptest"
	"github.com/saypro/backupd/internal/source/postgres"
)

// hurry makes the bench's source end what hangs after a second.
func hurry(t *testing.T, b *snaptest.Bench, url string) {
	t.Helper()
	source, err := postgres.New(postgres.Options{
		Name: snaptest.Source, URL: url, Connections: 2, LockTimeout: time.Second, MaxSnapshotAge: time.Minute,
		StallTimeout: time.Second, Log: b.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Taker.Sources[snaptest.Source] = source
}

// hangs takes a snapshot during which something hangs, once the phase has
// begun to move, and checks how it ends: soon, with a telling error, and
// without anything that could be listed.
func hangs(t *testing.T, b *snaptest.Bench, phase string, hang func()) {
	t.Helper()
	listed := len(b.Listed(t))
	var once sync.Once
	start := time.Now()
	_, err := b.Taker.Take(t.Context(), whole(), func(e progress.Event) {
		if e.Phase == phase && (phase != "copy" || e.Done > 0) {
			once.Do(hang)
		}
	})
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("it ended after %s", took)
	}
	if !errors.Is(err, progress.ErrStalled) {
		t.Fatalf("ended with %v", err)
	}
	for _, word := range []string{"function payments", "source market", "nothing has moved for", "stall_timeout"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not tell of %q: %v", word, err)
		}
	}
	if run := lastRun(t, b.Catalog); run.Error != err.Error() || run.Ended.IsZero() || run.Snapshot != "" {
		t.Errorf("recorded %+v", run)
	}
	if ids := b.Listed(t); len(ids) != listed {
		t.Errorf("listed: %v", ids)
	}
}

func TestHungNetworkEndsARun(t *testing.T) {
	for _, phase := range []string{"lock", "schema", "copy"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			db := filled(t, 60000)
			link, address := db.Link(t)
			b := snaptest.New(t, address)
			hurry(t, b, address+"&connect_timeout=3")
			first := b.Take(t, whole())
			hang := link.Hang
			if phase == "lock" { // which is told of before there is a connection to hang
				hang = func() { time.AfterFunc(20*time.Millisecond, link.Hang) }
			}
			hangs(t, b, phase, hang)
			link.Restore()
			db.LetGo(t, "backupd/%")
			if next := b.Take(t, whole()); next.Rows != first.Rows || next.BytesNew > first.BytesNew/10 {
				t.Errorf("the next run: %+v", next)
			}
		})
	}
}

func TestFrozenServerProcessEndsARun(t *testing.T) {
	db := filled(t, 60000)
	b := snaptest.New(t, db.URL())
	hurry(t, b, db.URL())
	var thaw func()
	hangs(t, b, "copy", func() { thaw = db.Freeze(t, db.Session(t, "state = 'active' AND query LIKE 'COPY%'")) })
	// All but the frozen one are gone already: no snapshot is held back but
	// its own, which it lets go when it wakes.
	waitFor(t, func() bool {
		return db.Value(t, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'backupd/%' AND datname = current_database()") == "1"
	})
	thaw()
	db.LetGo(t, "backupd/%")
	if locks := db.Value(t, "SELECT count(*) FROM pg_locks WHERE relation = 'pay.big'::regclass AND pid <> pg_backend_pid()"); locks != "0" {
		t.Errorf("%s locks are left", locks)
	}
	b.Take(t, whole())
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen within 20 s")
		}
	}
}

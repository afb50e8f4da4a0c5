package engine

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
)

// A crash loses no more than was counted since the last minute.
func TestCountersAreWrittenDownEveryMinuteAndAtTheEnd(t *testing.T) {
	cat, err := catalog.Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Close()
	start := time.Date(2026, 11, 30, 23, 58, 0, 0, time.UTC)
	fake := clock.NewFake(start)
	traffic := &storage.Traffic{}
	m := newMeter(cat, map[string]*storage.Traffic{"cloud": traffic}, fake, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.run(ctx) }()
	written := func(at time.Time) catalog.Traffic {
		t.Helper()
		all, err := cat.Traffic(at)
		if err != nil {
			t.Fatal(err)
		}
		return all["cloud"]
	}
	minute := func() {
		t.Helper()
		for fake.Sleepers() == 0 {
			time.Sleep(time.Millisecond)
		}
		fake.Advance(time.Minute)
		for fake.Sleepers() == 0 { // it sleeps again when it has written
			time.Sleep(time.Millisecond)
		}
	}

	traffic.Wrote()
	if w := written(start); w.Writes != 0 {
		t.Errorf("written before its time: %+v", w)
	}
	minute()
	if w := written(start); w.Writes != 1 || !w.From.Equal(start) || !w.Until.Equal(start.Add(time.Minute)) {
		t.Errorf("after a minute: %+v", w)
	}
	traffic.Wrote()
	now, err := m.month()
	if err != nil || now["cloud"].Writes != 2 {
		t.Errorf("what is not written yet counts too: %+v, %v", now, err)
	}

	// Over the end of a month.
	minute()
	traffic.Asked()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	december := start.Add(2 * time.Minute)
	if old, fresh := written(start), written(december); old.Writes != 1 || fresh.Writes != 1 || fresh.Reads != 1 || !fresh.From.Equal(december) {
		t.Errorf("November %+v, December %+v", old, fresh)
	}
}

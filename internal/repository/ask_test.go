package repository

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/faulty"
)

// slowOnsite returns a repository with one snapshot, whose first site can be
// made slow, and a reader of little patience.
func slowOnsite(t *testing.T) (b *bench, onsite *faulty.Store, snap *Snapshot, read func() ([]byte, error)) {
	t.Helper()
	b = newBench(t)
	rows := someRows(seeded(t), 300)
	snap = b.write(t, "payments", map[string][]byte{"t": rows})
	b.durable(t, snap)
	onsite = faulty.New(b.options.Sites[0].Store, "onsite")
	b.reopen(t, Site{Name: "onsite", Store: onsite}, b.options.Sites[1])
	rd, err := b.Reader(snap, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	rd.patience = 100 * time.Millisecond
	onsite.ResetCounts()
	return b, onsite, snap, func() ([]byte, error) {
		var out bytes.Buffer
		err := rd.Copy(t.Context(), snap.Tables[0].Data, &out)
		if err == nil && !bytes.Equal(out.Bytes(), rows) {
			t.Error("other rows were read")
		}
		return out.Bytes(), err
	}
}

// A site that hangs is passed over soon, left alone for a while, and for twice
// as long when it hangs again.
func TestReadingDoesNotWaitForAHungSite(t *testing.T) {
	b, onsite, _, read := slowOnsite(t)
	var asked atomic.Int32
	count := func() bool { asked.Add(1); return true }
	answers := onsite.Inject(faulty.Rule{Op: "get", Name: "p/*", Latency: time.Hour, If: count})
	for i, step := range []struct {
		wait time.Duration
		asks int32 // how often the site is asked in all
	}{{0, 1}, {0, 1}, {29 * time.Second, 1}, {2 * time.Second, 2}, {31 * time.Second, 2}, {31 * time.Second, 3}} {
		b.clock.Advance(step.wait)
		start := time.Now()
		if _, err := read(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("step %d took %s", i, took)
		}
		if got := asked.Load(); got != step.asks {
			t.Errorf("step %d: the hung site was asked %d times in all, want %d", i, got, step.asks)
		}
	}
	answers()
	b.clock.Advance(siteRestMax)
	for range 3 {
		before := onsite.Count("get")
		if _, err := read(); err != nil {
			t.Fatal(err)
		}
		if onsite.Count("get") == before {
			t.Error("the site answers again and is not asked")
		}
	}
}

// What only a slow site has is read from there, in its own time.
func TestReadingWaitsWhenNoOtherSiteHasIt(t *testing.T) {
	b, onsite, snap, read := slowOnsite(t)
	pack := filepath.Join(b.roots["cloud"], catalog.PackName(snap.Packs[0].SHA256))
	if err := os.Rename(pack, pack+".away"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Rename(pack+".away", pack); err != nil {
			t.Error(err)
		}
	}()
	slow := onsite.Inject(faulty.Rule{Op: "get", Name: "p/*", Latency: 2 * time.Second})
	if _, err := read(); err != nil {
		t.Fatal(err)
	}
	slow()
	defer onsite.Inject(faulty.Rule{Op: "get", Err: storage.ErrNotFound})()
	_, err := read()
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "onsite") || !strings.Contains(err.Error(), "cloud") {
		t.Errorf("what nobody has: %v", err)
	}
}

// deaf is a folder on a share that hangs: nothing ends its reading.
type deaf struct {
	storage.Store
	wake chan struct{}
}

func (d deaf) Get(context.Context, string, int64, int64) (io.ReadCloser, error) {
	<-d.wake
	return nil, errors.New("the share is back")
}

func TestReadingDoesNotWaitForAHungShare(t *testing.T) {
	b, _, snap, _ := slowOnsite(t)
	share := deaf{b.options.Sites[0].Store, make(chan struct{})}
	defer close(share.wake)
	rd, err := b.Reader(snap, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	rd.patience = 100 * time.Millisecond
	rd.sites = []Site{{Name: "onsite", Store: share}, b.options.Sites[1]}
	if err := rd.Copy(t.Context(), snap.Tables[0].Data, io.Discard); err != nil {
		t.Error(err)
	}
	rd.sites = rd.sites[:1]
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := rd.Copy(ctx, snap.Tables[0].Data, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with that site alone: %v", err)
	}
}

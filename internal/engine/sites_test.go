package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/storage"
)

func objectsOf(t *testing.T, store storage.Store) (names []string) {
	t.Helper()
	err := store.List(context.Background(), "", "", func(i storage.Info) error {
		names = append(names, i.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestSitesTellOfAnOutageAndOfItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{site: ", request_prices: {write: 5, read: 0.4}"})
	if s := w.site(t, "cloud"); s.State != repository.SiteUnknown || !s.Degraded || !s.LastContact.IsZero() {
		t.Errorf("before any contact: %+v", s)
	}
	w.take(t, "payments")
	w.sync(t)
	good := w.site(t, "cloud")
	if good.State != repository.SiteInStep || good.Degraded || good.LastContact.IsZero() || good.LastComparison.IsZero() ||
		good.WaitingObjects != 0 || good.LagSeconds == nil || *good.LagSeconds != 0 || good.FaultCount != 0 {
		t.Errorf("in step: %+v", good)
	}
	if tr := good.Traffic; tr == nil || tr.Writes < 4 || tr.Reads < 4 || tr.SentBytes < 1000 || tr.Cost == nil || *tr.Cost <= 0 ||
		tr.EstimatedMonthCost != nil {
		t.Errorf("traffic: %+v", good.Traffic)
	}

	w.links["cloud"].Cut()
	w.db.Exec(t, "INSERT INTO payments.ledger VALUES (0, 1, 'new')")
	if r, err := w.Snapshot(t.Context(), nil, nil); !errors.Is(err, engine.ErrDegraded) {
		t.Fatalf("with a site away: %+v, %v", r, err)
	}
	away := w.site(t, "cloud")
	if away.State != repository.SiteAway || !away.Degraded || away.AwaySince.IsZero() || away.Error == "" ||
		away.WaitingSnapshots != 2 || away.WaitingBytes == 0 {
		t.Errorf("away: %+v", away)
	}
	if away.LagSeconds != nil || away.LagFunction != "accounts" {
		t.Errorf("it holds nothing of accounts, but its lag is %v of %s", away.LagSeconds, away.LagFunction)
	}
	if s := w.site(t, "onsite"); s.State == repository.SiteAway || s.WaitingObjects != 0 || *s.LagSeconds != 0 {
		t.Errorf("the other site: %+v", s)
	}

	// A sync says so within its patience and with the status for degraded.
	results, err := w.Sync(t.Context(), engine.SyncRequest{Sites: []string{"cloud"}}, nil)
	if !errors.Is(err, engine.ErrDegraded) || len(results) != 1 || results[0].InStep || results[0].Error == "" || !results[0].ComparedAt.IsZero() {
		t.Errorf("sync of a site that is away: %+v, %v", results, err)
	}

	w.links["cloud"].Restore()
	var seen phases
	results, err = w.Sync(t.Context(), engine.SyncRequest{}, seen.report)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 || !results[0].InStep || results[0].Site != "cloud" || results[0].Listed == 0 || results[0].Missing != 0 {
		t.Errorf("sync after the return: %+v", results)
	}
	if s := w.site(t, "cloud"); s.Degraded || s.LagSeconds == nil || *s.LagSeconds != 0 || s.State != repository.SiteInStep {
		t.Errorf("after the return: %+v", s)
	}
	if !seen.any("send", "cloud") {
		t.Errorf("nothing was told of what was sent: %v", seen.all)
	}
}

// A site that returns may have hours of copies to take: whoever waits for it
// does not give up meanwhile.
func TestSyncWaitsForASiteThatIsSlowToCatchUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	w.links["cloud"].Cut()
	w.db.Exec(t, `INSERT INTO payments.ledger SELECT i, 0, md5(random()::text) || md5(random()::text) || md5(random()::text)
		FROM generate_series(10000, 20000) i`)
	if _, err := w.Snapshot(t.Context(), []string{"payments"}, nil); !errors.Is(err, engine.ErrDegraded) {
		t.Fatal(err)
	}
	w.links["cloud"].Restore()
	w.links["cloud"].Throttle(64 << 10)
	start := time.Now()
	w.sync(t)
	if took := time.Since(start); took < 7*time.Second {
		t.Errorf("it took %s, less than the patience with sites that fail: nothing was shown", took)
	}
}

func TestSyncBringsBackWhatASiteHasLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	w.take(t, "payments")
	w.sync(t)
	lost := w.remove(t, "onsite", func(name string) bool { return strings.HasPrefix(name, "p/") })
	if lost == 0 {
		t.Fatal("there was no pack to lose")
	}
	r := w.sync(t)
	if r[1].Site != "onsite" || int(r[1].Missing) != lost || !r[1].InStep || r[1].FaultCount != 0 {
		t.Errorf("%d packs were removed: %+v", lost, r[1])
	}
	again := w.sync(t)
	if again[1].Missing != 0 || again[1].Listed != r[1].Listed+int64(lost) {
		t.Errorf("once more: %+v", again[1])
	}
	if _, err := w.Verify(t.Context(), engine.VerifyRequest{From: "onsite", Functions: []string{"payments"}}, nil); err != nil {
		t.Error(err)
	}
}

func TestSitesShowWhatIsLostEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	taken := w.take(t, "payments")
	w.sync(t)
	pack := func(name string) bool { return strings.HasPrefix(name, "p/") }
	n := w.remove(t, "onsite", pack)
	w.remove(t, "cloud", pack)
	r, err := w.Sync(t.Context(), engine.SyncRequest{}, nil)
	if !errors.Is(err, engine.ErrDegraded) || r[0].InStep || r[0].LostCount != n {
		t.Fatalf("%d packs are lost: %+v, %v", n, r, err)
	}
	s := w.site(t, "cloud")
	if s.LostCount != n || !s.Degraded || s.Faults[0].Object == "" || !s.Faults[0].Lost || s.Faults[0].Since.IsZero() {
		t.Errorf("%+v", s)
	}
	points, err := w.Snapshots(t.Context(), "payments")
	if err != nil {
		t.Fatal(err)
	}
	if at := points[0].Sites["cloud"]; points[0].Snapshot != taken.Snapshot || at.State != repository.StateDamaged || at.Error == "" {
		t.Errorf("%+v", points[0])
	}
	// The next snapshot writes anew what is lost.
	w.take(t, "payments")
	if _, err := w.Verify(t.Context(), engine.VerifyRequest{From: "cloud", Functions: []string{"payments"}}, nil); err != nil {
		t.Error(err)
	}
}

func TestSyncKnowsItsSites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	_, err := w.Sync(t.Context(), engine.SyncRequest{Sites: []string{"nowhere"}}, nil)
	if !errors.Is(err, engine.ErrUsage) || !strings.Contains(err.Error(), `site "nowhere" is not configured`) {
		t.Error(err)
	}
}

func TestTrafficIsWrittenDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	w.take(t, "accounts")
	before := w.site(t, "onsite").Traffic
	w.again(t)
	after := w.site(t, "onsite").Traffic
	if after.Writes < before.Writes || after.SentBytes < before.SentBytes || !after.Since.Equal(before.Since) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if before.Cost != nil {
		t.Errorf("a site without prices costs %v", *before.Cost)
	}
}

func TestRateBoundsCopiesAndNotRestores(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{site: ", max_rate: 64KiB"})
	w.db.Exec(t, `INSERT INTO payments.ledger SELECT i, 0, md5(random()::text) || md5(random()::text) FROM generate_series(10000, 16000) i`)
	start := time.Now()
	r := w.take(t, "payments")
	took := time.Since(start)
	if least := time.Duration(float64(r.BytesStored) / (64 << 10) * float64(time.Second)); took < least/2 || least < 2*time.Second {
		t.Errorf("%d bytes were sent in %s at 64KiB per second", r.BytesStored, took)
	}
	start = time.Now()
	if _, err := w.Verify(t.Context(), engine.VerifyRequest{From: "onsite", Level: "L1", Functions: []string{"payments"}}, nil); err != nil {
		t.Fatal(err)
	}
	if read := time.Since(start); read > took/2 {
		t.Errorf("reading it took %s, sending %s: reading must not be slowed", read, took)
	}
}

// phases collects what an operation tells of itself.
type phases struct {
	mu  sync.Mutex
	all []progress.Event
}

func (p *phases) report(e progress.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, e)
}

func (p *phases) any(phase, site string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.all {
		if e.Phase == phase && e.Site == site {
			return true
		}
	}
	return false
}

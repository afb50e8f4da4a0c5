package engine

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/storage"
)

// trafficEvery is how often the counters of traffic are written down; a crash
// loses what was counted since.
const trafficEvery = time.Minute

// newTraffic returns a counter for each site. A folder sends no requests.
func newTraffic(cfg *config.Config) map[string]*storage.Traffic {
	out := map[string]*storage.Traffic{}
	for name, s := range cfg.Sites {
		if s.Kind != "dir" {
			out[name] = &storage.Traffic{}
		}
	}
	return out
}

// meter writes down in the catalog what goes between this host and the sites.
type meter struct {
	catalog *catalog.Catalog
	clock   clock.Clock
	log     *slog.Logger
	traffic map[string]*storage.Traffic

	mu      sync.Mutex
	written map[string]storage.Requests
	since   time.Time // of what is not written yet
}

func newMeter(cat *catalog.Catalog, traffic map[string]*storage.Traffic, c clock.Clock, log *slog.Logger) *meter {
	return &meter{catalog: cat, clock: c, log: log, traffic: traffic, written: map[string]storage.Requests{}, since: c.Now()}
}

// run writes the counters down until ctx ends, and then once more.
func (m *meter) run(ctx context.Context) error {
	for m.clock.Sleep(ctx, trafficEvery) == nil {
		if err := m.write(); err != nil {
			m.log.Error("the counters of requests could not be written down", "error", err)
		}
	}
	return m.write()
}

func (m *meter) write() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, more := m.clock.Now(), m.unwritten()
	if err := m.catalog.AddTraffic(more, m.since, now); err != nil {
		return err
	}
	for site, r := range more {
		m.written[site] = m.written[site].Plus(r)
	}
	m.since = now
	return nil
}

// unwritten returns what was counted since the last writing. The caller holds
// mu.
func (m *meter) unwritten() map[string]storage.Requests {
	out := map[string]storage.Requests{}
	for site, t := range m.traffic {
		out[site] = t.Requests().Less(m.written[site])
	}
	return out
}

// month returns the traffic of this month up to now, by site.
func (m *meter) month() (map[string]catalog.Traffic, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	out, err := m.catalog.Traffic(now)
	if err != nil {
		return nil, err
	}
	for site, r := range m.unwritten() {
		t, known := out[site]
		if !known {
			t.From = m.since.UTC()
		}
		t.Until, t.Requests = now.UTC(), t.Plus(r)
		out[site] = t
	}
	// What was counted for sites that are no longer configured was paid for,
	// and is of no interest here.
	maps.DeleteFunc(out, func(site string, _ catalog.Traffic) bool { return m.traffic[site] == nil })
	return out, nil
}

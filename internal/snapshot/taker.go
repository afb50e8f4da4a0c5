package snapshot

import (
	"log/slog"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/source/postgres"
)

// defaultConnections is how many parts are copied at once from a source that
// says nothing else.
const defaultConnections = 4

// Taker takes snapshots. All fields are set before the first call of
// [Taker.Take] and not changed after; several functions may be taken at once.
type Taker struct {
	Repository *repository.Repository
	Catalog    *catalog.Catalog
	// Sources are the configured sources by name.
	Sources map[string]*postgres.Source
	// Connections is how many parts of tables are copied at once from each
	// source: its configured number of connections. 4 where it is missing.
	Connections map[string]int
	Clock       clock.Clock
	Log         *slog.Logger
	// MinSites is how many sites must hold a recovery point before it counts
	// as taken; 0 means 1.
	MinSites int
	// Patience is how long a site may fail before a run stops waiting for it.
	Patience time.Duration
	// Lag is how long a run waits for the other sites when MinSites hold its
	// recovery point, because a slow site must not keep a function from being
	// captured again; 0 means for as long as they do not fail.
	Lag time.Duration
}

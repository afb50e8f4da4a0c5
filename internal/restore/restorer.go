package restore

import (
	"log/slog"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/repository"
)

// Restorer restores recovery points. All fields are set before the first call
// and not changed after.
type Restorer struct {
	Repository *repository.Repository
	Catalog    *catalog.Catalog
	// Sites are the names of all sites in the order in which they are read.
	Sites []string
	Clock clock.Clock
	Log   *slog.Logger
	// TempDir takes schema archives while a restore runs; they hold no rows.
	// Empty means the folder of the system for temporary files.
	TempDir string
	// Jobs is how many connections load at once when a request does not say;
	// 0 means to choose by the number of processors.
	Jobs int
	// StallTimeout is how long nothing may move between us and the target
	// before it counts as hung; see [postgres.TargetOptions].
	StallTimeout time.Duration

	// beforeCheck, in tests, is called with the address of a database that is
	// loaded and is about to be checked before it takes another's place.
	beforeCheck func(url string)
}

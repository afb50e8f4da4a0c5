package verify

import (
	"log/slog"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/repository"
)

// Verifier proves recovery points. All exported fields are set before the
// first call and not changed after; several proofs may run at once.
type Verifier struct {
	Repository *repository.Repository
	Catalog    *catalog.Catalog
	// Scratch says where proofs restore to: a throwaway server on this host
	// (the default) or scratch databases on a given server.
	Scratch config.Scratch
	// Checks are the functions' own checks, by function.
	Checks map[string][]config.Check
	// Dir holds what proofs need while they run: fetched packs, throwaway
	// servers. It belongs to this Verifier alone.
	Dir   string
	Clock clock.Clock
	Log   *slog.Logger
	// Jobs is how many connections load and read back at once; 0 means to
	// choose by the number of processors.
	Jobs int
	// StallTimeout is how long nothing may move between us and scratch
	// before it counts as hung; see [postgres.TargetOptions].
	StallTimeout time.Duration

	// before, in tests, is called before the checks of each level begin.
	before func(p *proof, level string)

	mu     sync.Mutex
	active map[string]bool // ids of the workplaces of running proofs
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/verify"
)

// Options are what an engine takes from its surroundings.
type Options struct {
	Clock clock.Clock
	Log   *slog.Logger
	// Version is the version of the program, shown in the status.
	Version string
	// By names the operating system's user who runs the program, for the record.
	By string
	// Identities open the repository besides those of keys.identity_file, which
	// need not be there then.
	Identities []age.Identity

	readOnly bool // nothing may be written at a site
}

// Engine is a configuration put to work. Its methods are safe for concurrent
// use.
type Engine struct {
	cfg     *config.Config
	clock   clock.Clock
	log     *slog.Logger
	version string
	by      string

	catalog    *catalog.Catalog
	repository *repository.Repository
	sources    map[string]*postgres.Source
	taker      *snapshot.Taker
	restorer   *restore.Restorer
	verifier   *verify.Verifier
	evidence   *evidence.Log
	drills     *drill.Book
	drilling   sync.Mutex // held while an exercise touches systems

	readOnly bool          // nothing may be written at a site
	cold     chan struct{} // held by the cold start that runs
	pinning  sync.Mutex    // held by who decides what is held because of a suspicion
	upkeep   chan struct{} // held by what prunes, sweeps or extends locks
	meter    *meter
	patience time.Duration // of a sync
	settle   time.Duration // from the start of a service to its first prune
	rounds   rounds
	seen     seen // definitions
	company  company
	uploads  background
	metered  background               // writing down what the meter counts
	swept    sync.Once                // what a crash left of earlier proofs
	busy     map[string]chan struct{} // a function is captured by whoever holds its token

	witness    time.Duration // how long what goes on without a witness waits for one
	telling    chan struct{} // held by who sees to what comes before every record
	policyTold bool
	untakenErr error     // why evidence could not be taken over
	untakenAt  time.Time // and when
	publishMu  sync.Mutex
	urgent     atomic.Bool // something on record is not to wait
	lateMu     sync.Mutex
	daysClosed time.Time // today, when every day before is closed
	notOurs    []string  // evidence that lay beside ours when that was taken over
	heldTold   time.Time // when it was last looked what the sites hold of the log

	mu      sync.Mutex
	planner planner           // nil unless serving
	running map[string]string // phase of each capture that runs
	// nextSweep is when the service prunes and sweeps next; zero when it does
	// so now, or does not.
	nextSweep time.Time
	scans     map[string]scan   // by site, the last of each
	grown     map[string]growth // by function, as last read
	// otherEvidence says of which sites that they keep records that this host's
	// log does not have.
	otherEvidence []string
}

const (
	// uploadPatience is how long a snapshot command waits for a site that fails
	// before it says that the site lacks the copy.
	uploadPatience = 15 * time.Second
	// syncPatience is how long a sync waits for a site that fails: a few
	// attempts of the uploads.
	syncPatience = 10 * time.Second
)

// Open opens the catalog, the repository and the sources of a configuration.
// It connects to nothing but, when the catalog is new, to a site.
func Open(ctx context.Context, cfg *config.Config, o Options) (*Engine, error) {
	identities, err := readIdentities(cfg.Keys.IdentityFile)
	if err != nil && (len(o.Identities) == 0 || !errors.Is(err, ErrNotInitialized)) {
		return nil, err
	}
	identities = append(identities, o.Identities...)
	cat, err := openCatalog(cfg)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, clock: o.Clock, log: o.Log, version: o.Version, by: o.By, catalog: cat,
		rounds:   rounds{turn: make(chan struct{}, 1), settle: controlsSettle},
		patience: syncPatience, settle: houseSettle, upkeep: make(chan struct{}, 1), cold: make(chan struct{}, 1), telling: make(chan struct{}, 1), witness: witnessPatience,
		seen: seen{looked: map[string]map[string]bool{}, last: map[string]answered{}}, readOnly: o.readOnly, busy: map[string]chan struct{}{}, running: map[string]string{}, scans: map[string]scan{}, grown: map[string]growth{},
	}
	if e.evidence, err = openEvidence(cfg, cat, o); err != nil {
		return nil, errors.Join(err, cat.Close())
	}
	e.drills = &drill.Book{Log: e.evidence, Clock: e.clock}
	if err := e.assemble(ctx, identities); err != nil {
		return nil, errors.Join(err, cat.Close())
	}
	return e, nil
}

func (e *Engine) assemble(ctx context.Context, identities []age.Identity) error {
	traffic := newTraffic(e.cfg)
	e.meter = newMeter(e.catalog, traffic, e.clock, e.log)
	options, err := repositoryOptions(e.cfg, e.catalog, identities, e.clock, e.log, traffic, e.joinSegment)
	if err != nil {
		return err
	}
	for i := range options.Sites {
		if e.readOnly {
			s := options.Sites[i]
			options.Sites[i] = repository.Site{Name: s.Name, Store: storage.ReadOnly(s.Store)}
		}
	}
	e.repository, err = repository.Open(ctx, options)
	if errors.Is(err, repository.ErrNoRepository) {
		return fmt.Errorf("%w: run 'backupd init' first: %w", ErrNotInitialized, err)
	}
	if err != nil {
		return err
	}
	if e.sources, err = openSources(e.cfg, e.clock, e.log); err != nil {
		return err
	}
	for name := range e.cfg.Functions {
		e.busy[name] = make(chan struct{}, 1)
	}
	e.taker = &snapshot.Taker{
		Repository: e.repository, Catalog: e.catalog, Sources: e.sources, Clock: e.clock, Log: e.log,
		Connections: connections(e.cfg), MinSites: e.cfg.MinSites, Patience: uploadPatience,
	}
	e.restorer = &restore.Restorer{
		Repository: e.repository, Catalog: e.catalog, Sites: e.cfg.SiteOrder, Clock: e.clock, Log: e.log, TempDir: tempDir(e.cfg),
	}
	e.verifier = &verify.Verifier{
		Repository: e.repository, Catalog: e.catalog, Clock: e.clock, Log: e.log,
		Dir: scratchDir(e.cfg), Scratch: e.cfg.Scratch, Checks: ownChecks(e.cfg),
	}
	// What a crash left there is the definition of somebody's tables.
	err = errors.Join(os.RemoveAll(tempDir(e.cfg)), os.MkdirAll(tempDir(e.cfg), 0o700))
	if err == nil {
		e.metered.start(ctx, e.meter.run)
	}
	return err
}

// Close ends the uploads, waits for them and closes the catalog. What they did
// not send stays in the spool for the next time.
func (e *Engine) Close() error {
	return errors.Join(e.leaveEvidence(), e.uploads.stop(), e.metered.stop(), e.catalog.Close())
}

func catalogPath(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "catalog.db") }
func spoolDir(cfg *config.Config) string    { return filepath.Join(cfg.DataDir, "spool") }
func tempDir(cfg *config.Config) string     { return filepath.Join(cfg.DataDir, "tmp") }
func scratchDir(cfg *config.Config) string  { return filepath.Join(cfg.DataDir, "scratch") }

func openCatalog(cfg *config.Config) (*catalog.Catalog, error) {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	cat, err := catalog.Open(catalogPath(cfg))
	if errors.Is(err, catalog.ErrInUse) {
		return nil, fmt.Errorf("%w: another backupd works in %s; most commands reach a service through its socket there, "+
			"others (init, catalog rebuild, audit key) need it to be stopped first, and a second 'backupd serve' a data_dir of its own", ErrCatalogBusy, cfg.DataDir)
	}
	return cat, err
}

func repositoryOptions(cfg *config.Config, cat *catalog.Catalog, ids []age.Identity, c clock.Clock, log *slog.Logger, traffic map[string]*storage.Traffic,
	join func(string, uint64, int, []byte) error,
) (repository.Options, error) {
	sites, err := openSites(cfg, c, traffic)
	return repository.Options{
		Catalog: cat, Sites: sites, Spool: spoolDir(cfg), SpoolMax: int64(cfg.Spool.MaxBytes), Identities: ids, Clock: c, Log: log,
		CheckEvidence: checkSegment, JoinEvidence: join,
	}, err
}

func openSources(cfg *config.Config, c clock.Clock, log *slog.Logger) (map[string]*postgres.Source, error) {
	out := map[string]*postgres.Source{}
	for name, s := range cfg.Sources {
		source, err := postgres.New(postgres.Options{
			Name: name, URL: s.URL.Reveal(), Connections: s.Connections,
			LockTimeout: s.LockTimeout, MaxSnapshotAge: s.MaxSnapshotAge, StallTimeout: s.StallTimeout, Clock: c, Log: log,
		})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		out[name] = source
	}
	return out, nil
}

func ownChecks(cfg *config.Config) map[string][]config.Check {
	out := map[string][]config.Check{}
	for name, f := range cfg.Functions {
		out[name] = f.Checks
	}
	return out
}

func connections(cfg *config.Config) map[string]int {
	out := map[string]int{}
	for name, s := range cfg.Sources {
		out[name] = s.Connections
	}
	return out
}

// background is work that runs from the first start until stop.
type background struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan error
}

func (b *background) start(ctx context.Context, run func(context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel != nil {
		return
	}
	// It outlives the request that started it and ends with the engine.
	ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	b.done = make(chan error, 1)
	go func() { b.done <- run(ctx) }()
}

func (b *background) stop() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cancel == nil {
		return nil
	}
	b.cancel()
	err := <-b.done
	b.cancel = nil
	return err
}

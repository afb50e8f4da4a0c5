package repository

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
)

// Format is the newest format of repositories that this release reads and the
// one that it writes.
const Format = 1

// Names of the values that the catalog keeps for a repository.
const (
	metaConfig = "repo.json"
	metaKey    = "key"
	metaWriter = "writer"
	// metaRebuild holds the site of a rebuild that has not come to its end.
	metaRebuild = "rebuild"

	configName = "repo.json"
)

// Site is a place that holds a whole copy.
type Site struct {
	Name  string
	Store storage.Store
	// Background is the same place for work that nobody waits for, at a bounded
	// rate; nil means Store.
	Background storage.Store
	// Sweeper is the same place with the right to delete; nil means Store.
	Sweeper storage.Store
	// Lock is how long from its writing the site protects each object from
	// deletion, in the mode given; 0 when it does not. The stores see to it when
	// they write ([storage.WithLock]).
	Lock     time.Duration
	LockMode storage.LockMode
}

// background returns the store for work that nobody waits for.
func (s Site) background() storage.Store {
	if s.Background != nil {
		return s.Background
	}
	return s.Store
}

// quiet is the site as it is used when nobody waits.
func (s Site) quiet() Site {
	s.Store = s.background()
	return s
}

// sweeper returns the store that may delete.
func (s Site) sweeper() storage.Store {
	if s.Sweeper != nil {
		return s.Sweeper
	}
	return s.Store
}

// Options say where a repository is kept and how it is opened.
type Options struct {
	Catalog    *catalog.Catalog
	Sites      []Site // in the order in which they are read from
	Spool      string // directory; made when missing
	SpoolMax   int64  // bytes that may wait in it; 0: no bound but the disk
	Identities []age.Identity
	Clock      clock.Clock
	Log        *slog.Logger
	// CheckEvidence returns an error when content is not a whole run of records
	// of the log of evidence, signed as it must be; nil: any bytes may be. It tells
	// damage, which is mended, from other evidence, which nobody touches.
	CheckEvidence func(log string, first uint64, count int, content []byte) error
	// JoinEvidence returns an error when evidence that is found at a site cannot be
	// part of what this host has of the same log: then the log went on at two
	// places, and that is told and not taken in. Nil: all may be.
	JoinEvidence func(log string, first uint64, count int, content []byte) error

	packTarget int64 // size at which a pack is closed; 0: packTarget
}

// Repository is one repository on all its sites. Its methods are safe for
// concurrent use.
type Repository struct {
	catalog *catalog.Catalog
	sites   []Site
	spool   *spool
	clock   clock.Clock
	log     *slog.Logger

	id     [16]byte
	keys   *keyring
	idKey  []byte // names chunks
	config []byte // repo.json
	writer string

	checkEvidence func(log string, first uint64, count int, content []byte) error
	joinEvidence  func(log string, first uint64, count int, content []byte) error

	identities []age.Identity
	rotation   sync.Mutex // held by whoever adds keys
	features   features

	compressors compressorPool
	uploads     uploadState

	commitMu   sync.Mutex
	holdMu     sync.Mutex // held by who decides about a snapshot
	lastCommit string
	lastTime   time.Time

	// upkeep is held by whatever compares, deletes or rewrites: none of them may
	// see the work of another half done.
	upkeep sync.Mutex
}

// Open opens the repository with whatever site answers first, or with none
// when the catalog remembers it.
func Open(ctx context.Context, o Options) (*Repository, error) {
	if err := checkRebuilt(o.Catalog); err != nil {
		return nil, err
	}
	is, err := findConfig(ctx, o)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(is.config)
	if err != nil {
		return nil, err
	}
	r := &Repository{
		catalog: o.Catalog, sites: o.Sites, clock: o.Clock, log: o.Log, config: is.config, features: c.Features,
		identities: o.Identities, checkEvidence: o.CheckEvidence, joinEvidence: o.JoinEvidence,
	}
	if r.id, err = c.id(); err != nil {
		return nil, err
	}
	if err := r.openKeys(is); err != nil {
		return nil, err
	}
	if err := remember(o.Catalog, c, is); err != nil {
		return nil, err
	}
	return r, r.prepare(o)
}

// prepare readies the local side: who writes, what the spool holds, which
// sites are new.
func (r *Repository) prepare(o Options) error {
	var err error
	if r.writer, err = writerName(r.catalog); err != nil {
		return err
	}
	if r.spool, err = openSpool(o.Spool, o.SpoolMax/spoolScale, o.packTarget); err != nil {
		return err
	}
	if err := r.catalog.KeepSites(r.siteNames()); err != nil {
		return err
	}
	if err := r.spool.sweep(r.catalog.Spooled); err != nil {
		return err
	}
	for _, site := range r.sites {
		queued, err := r.catalog.AddSite(site.Name)
		if err != nil {
			return err
		}
		if queued > 0 {
			r.log.Info("site is new: copying what the others have", "site", site.Name, "objects", queued)
		}
	}
	r.uploads.init(r.sites)
	return r.resumeCommits()
}

// resumeCommits finds the last commit of this writer, and the last commit or
// mark of any, whose time the next one must exceed even when the clock was
// stepped back: what was decided last comes last.
func (r *Repository) resumeCommits() error {
	name, err := r.catalog.Meta(catalog.MetaLastCommit)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	r.lastCommit = string(name)
	return r.catchUpTime()
}

// catchUpTime makes sure that the next commit or mark comes behind all that are
// known. The caller holds commitMu, or nobody else has the repository yet.
func (r *Repository) catchUpTime() error {
	for _, prefix := range []string{"c/", "g/"} {
		name, err := r.catalog.LastObject(prefix)
		if err != nil {
			return err
		}
		if name == "" {
			continue
		}
		at, err := timeIn(name)
		if err != nil {
			return err
		}
		if at.After(r.lastTime) {
			r.lastTime = at
		}
	}
	return nil
}

// timeIn returns the time in the name of a commit or a mark.
func timeIn(name string) (time.Time, error) {
	const layout = "2006/01/02/150405.000"
	if len(name) < 2+len(layout) {
		return time.Time{}, fmt.Errorf("repository: the catalog names a commit or mark %q", name)
	}
	at, err := time.Parse(layout, name[2:2+len(layout)])
	if err != nil {
		return time.Time{}, fmt.Errorf("repository: the catalog names a commit or mark %q: %w", name, err)
	}
	return at, nil
}

// nextTime returns the time of the next commit or mark: now, or just behind
// the last one when the clock says otherwise. The caller holds commitMu.
func (r *Repository) nextTime() time.Time {
	now := r.clock.Now().UTC().Truncate(time.Millisecond)
	if !now.After(r.lastTime) {
		now = r.lastTime.Add(time.Millisecond)
	}
	r.lastTime = now
	return now
}

func writerName(cat *catalog.Catalog) (string, error) {
	name, err := cat.Meta(metaWriter)
	if err == nil {
		return string(name), nil
	}
	if !errors.Is(err, catalog.ErrNotFound) {
		return "", err
	}
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	fresh := hex.EncodeToString(b[:])
	return fresh, cat.SetMeta(metaWriter, []byte(fresh))
}

func (r *Repository) siteNames() []string {
	names := make([]string, len(r.sites))
	for i, s := range r.sites {
		names[i] = s.Name
	}
	return names
}

// ID returns the repository's id: 32 hexadecimal digits.
func (r *Repository) ID() string { return hex.EncodeToString(r.id[:]) }

// maxSmall bounds objects that are read whole and are known to be small.
const maxSmall = 1 << 20

func readObject(ctx context.Context, site Site, name string, limit int64) ([]byte, error) {
	body, err := site.Store.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if closeErr := body.Close(); err == nil {
		err = closeErr
	}
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrCorrupt, limit)
	}
	if err != nil {
		return nil, &ObjectError{site.Name, name, err}
	}
	return b, nil
}

func sum(b []byte) [32]byte { return sha256.Sum256(b) }

// compressorPool keeps compressors, which are costly to make.
type compressorPool struct {
	mu   sync.Mutex
	free []*compressor
}

func (p *compressorPool) get() (*compressor, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		return c, nil
	}
	return newCompressor()
}

func (p *compressorPool) put(c *compressor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, c)
}

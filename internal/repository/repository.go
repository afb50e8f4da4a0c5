package repository

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/crash"
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
	key    *masterKey // for what is written
	keys   map[keyID]*masterKey
	idKey  []byte // names chunks
	config []byte // repo.json
	sealed []byte // the wrapped key
	writer string

	features features

	compressors compressorPool
	uploads     uploadState

	commitMu   sync.Mutex
	lastCommit string
	lastTime   time.Time

	// upkeep is held by whatever compares, deletes or rewrites: none of them may
	// see the work of another half done.
	upkeep sync.Mutex
}

// config is the content of repo.json.
type config struct {
	Format     int       `json:"format"`
	Repository string    `json:"repository"`
	Created    time.Time `json:"created"`
	Key        string    `json:"key"` // id of the key that names chunks
	Chunking   chunking  `json:"chunking"`
	RowHash    string    `json:"row_hash"`
	Features   features  `json:"features"`
}

type chunking struct {
	Algorithm string `json:"algorithm"`
	Min       int    `json:"min"`
	Spacing   int    `json:"spacing"`
	Max       int    `json:"max"`
	RowPart   int    `json:"row_part"`
}

// features lists what a program must know before it may read, write, delete
// from or check the repository.
type features struct {
	Read   []string `json:"read"`
	Write  []string `json:"write"`
	Delete []string `json:"delete"`
	Check  []string `json:"check"`
}

var thisChunking = chunking{Algorithm: "row-threshold-1", Min: minChunk, Spacing: cutSpacing, Max: maxChunk, RowPart: maxRowPart}

// What Init did at a site.
const (
	// InitMade: the repository was made there.
	InitMade = "made"
	// InitThere: it was there already.
	InitThere = "there"
	// InitMadeAgain: the site had lost what it acknowledged earlier, and is
	// given everything again by the next upload.
	InitMadeAgain = "made again"
)

// InitReport says what Init did at each site.
type InitReport struct {
	Repository string            `json:"repository"`
	Sites      map[string]string `json:"sites"` // InitMade, InitThere, InitMadeAgain or what went wrong
}

// Init makes the repository on every site that has none and wraps its key for
// the recipients. It does nothing where the repository is there already. A
// site that had acknowledged objects and lost its repository is given
// everything again by the next upload.
func Init(ctx context.Context, o Options, recipients []age.Recipient) (*InitReport, error) {
	conf, wrapped, err := findConfig(ctx, o)
	if errors.Is(err, ErrNoRepository) {
		conf, wrapped, err = newConfig(o.Clock.Now(), recipients)
	}
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(conf)
	if err != nil {
		return nil, err
	}
	report := &InitReport{Repository: c.Repository, Sites: map[string]string{}}
	var errs []error
	for _, site := range o.Sites {
		done, err := initSite(ctx, o.Catalog, site, c, conf, wrapped)
		report.Sites[site.Name] = done
		errs = append(errs, err)
	}
	if err := remember(o.Catalog, conf, wrapped); err != nil {
		errs = append(errs, err)
	}
	return report, errors.Join(errs...)
}

// initSite writes the key before repo.json, which says that all is there.
func initSite(ctx context.Context, cat *catalog.Catalog, site Site, c *config, conf, wrapped []byte) (string, error) {
	there, err := readObject(ctx, site, configName, maxSmall)
	if err == nil {
		if string(there) != string(conf) {
			return "it holds another repository", &ObjectError{site.Name, configName, ErrOtherRepository}
		}
		return InitThere, nil
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return err.Error(), err
	}
	// Everything is queued before the site can be taken for a good one: a
	// crash in between is made up for by the next Init.
	queued, err := cat.ResetSite(site.Name)
	if err != nil {
		return err.Error(), err
	}
	crash.Point(crash.InitReset)
	if err := putObject(ctx, site, keyName(c.Key), wrapped); err != nil {
		return err.Error(), err
	}
	crash.Point(crash.InitKey)
	if err := putObject(ctx, site, configName, conf); err != nil {
		return err.Error(), err
	}
	crash.Point(crash.InitConfig)
	if queued > 0 {
		return InitMadeAgain, nil
	}
	return InitMade, nil
}

func newConfig(now time.Time, recipients []age.Recipient) (conf, wrapped []byte, err error) {
	if len(recipients) < 2 {
		return nil, nil, errors.New("repository: a key needs at least two recipients, the daemon and the escrow; " +
			"with one, a lost file would be the loss of every backup")
	}
	var repo [16]byte
	secret := make([]byte, 32)
	if _, err := rand.Read(repo[:]); err != nil {
		return nil, nil, err
	}
	if _, err := rand.Read(secret); err != nil {
		return nil, nil, err
	}
	key, err := newMasterKey(secret, repo)
	if err != nil {
		return nil, nil, err
	}
	if wrapped, err = key.wrap(recipients); err != nil {
		return nil, nil, err
	}
	conf, err = json.MarshalIndent(config{
		Format: Format, Repository: hex.EncodeToString(repo[:]), Created: now.UTC().Truncate(time.Second),
		Key: key.id.String(), Chunking: thisChunking, RowHash: "xxh3-128",
		Features: features{Read: []string{}, Write: []string{}, Delete: []string{}, Check: []string{}},
	}, "", "  ")
	return append(conf, '\n'), wrapped, err
}

func parseConfig(b []byte) (*config, error) {
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", configName, ErrCorrupt, err)
	}
	if c.Format != Format {
		return nil, fmt.Errorf("%s: %w: format %d, this release reads %d; use a newer backupd", configName, ErrFormat, c.Format, Format)
	}
	for _, name := range c.Features.Read {
		return nil, fmt.Errorf("%s: %w: to read it a program must know %q; use a newer backupd", configName, ErrFormat, name)
	}
	if c.Chunking != thisChunking {
		return nil, fmt.Errorf("%s: %w: chunking %+v", configName, ErrFormat, c.Chunking)
	}
	if id, err := hex.DecodeString(c.Repository); err != nil || len(id) != 16 {
		return nil, fmt.Errorf("%s: %w: repository id %q", configName, ErrCorrupt, c.Repository)
	}
	return &c, nil
}

func keyName(id string) string { return "keys/" + id + ".age" }

// findConfig returns repo.json and the wrapped key as the catalog or the first
// site that has them tells.
func findConfig(ctx context.Context, o Options) (conf, wrapped []byte, err error) {
	conf, err = o.Catalog.Meta(metaConfig)
	if err == nil {
		wrapped, err = o.Catalog.Meta(metaKey)
		return conf, wrapped, err
	}
	if !errors.Is(err, catalog.ErrNotFound) {
		return nil, nil, err
	}
	var none, unknown []error
	for _, site := range o.Sites {
		conf, wrapped, err = siteConfig(ctx, site)
		switch {
		case err == nil:
			return conf, wrapped, nil
		case errors.Is(err, ErrNoRepository):
			none = append(none, err)
		default:
			unknown = append(unknown, err)
		}
	}
	if len(unknown) > 0 {
		// It may be where we cannot look, so nobody may take it for missing.
		return nil, nil, errors.Join(unknown...)
	}
	return nil, nil, errors.Join(none...)
}

func siteConfig(ctx context.Context, site Site) (conf, wrapped []byte, err error) {
	conf, err = readObject(ctx, site, configName, maxSmall)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil, &ObjectError{site.Name, configName, fmt.Errorf("%w; run 'backupd init'", ErrNoRepository)}
	}
	if err != nil {
		return nil, nil, err
	}
	c, err := parseConfig(conf)
	if err != nil {
		return nil, nil, fmt.Errorf("site %s: %w", site.Name, err)
	}
	wrapped, err = readObject(ctx, site, keyName(c.Key), maxSmall)
	return conf, wrapped, err
}

// Look checks that a site holds a repository that one of the identities opens.
func Look(ctx context.Context, site Site, identities []age.Identity) error {
	conf, wrapped, err := siteConfig(ctx, site)
	if err != nil {
		return err
	}
	c, err := parseConfig(conf)
	if err != nil {
		return fmt.Errorf("site %s: %w", site.Name, err)
	}
	var id [16]byte
	if _, err := hex.Decode(id[:], []byte(c.Repository)); err != nil {
		return err
	}
	if _, err := unwrap(wrapped, identities, id); err != nil {
		return &ObjectError{site.Name, keyName(c.Key), err}
	}
	return nil
}

func remember(cat *catalog.Catalog, conf, wrapped []byte) error {
	if err := cat.SetMeta(metaKey, wrapped); err != nil {
		return err
	}
	return cat.SetMeta(metaConfig, conf)
}

// Open opens the repository with whatever site answers first, or with none
// when the catalog remembers it.
func Open(ctx context.Context, o Options) (*Repository, error) {
	if err := checkRebuilt(o.Catalog); err != nil {
		return nil, err
	}
	conf, wrapped, err := findConfig(ctx, o)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(conf)
	if err != nil {
		return nil, err
	}
	r := &Repository{
		catalog: o.Catalog, sites: o.Sites, clock: o.Clock, log: o.Log, config: conf, sealed: wrapped, features: c.Features,
	}
	if _, err := hex.Decode(r.id[:], []byte(c.Repository)); err != nil {
		return nil, err
	}
	if r.key, err = unwrap(wrapped, o.Identities, r.id); err != nil {
		return nil, err
	}
	if r.key.id.String() != c.Key {
		return nil, fmt.Errorf("%w: %s does not hold the key that its name says", ErrCorrupt, keyName(c.Key))
	}
	r.keys = map[keyID]*masterKey{r.key.id: r.key}
	if r.idKey, err = r.key.derive(purposeChunk, nil, 32); err != nil {
		return nil, err
	}
	if err := remember(o.Catalog, conf, wrapped); err != nil {
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
	if r.spool, err = openSpool(o.Spool, o.SpoolMax/spoolScale); err != nil {
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

// resumeCommits finds the last commit of this writer, whose time the next one
// must exceed even when the clock was stepped back.
func (r *Repository) resumeCommits() error {
	name, err := r.catalog.Meta(catalog.MetaLastCommit)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	const layout = "c/2006/01/02/150405.000"
	if len(name) < len(layout) {
		return fmt.Errorf("repository: the catalog names a commit %q", name)
	}
	r.lastCommit = string(name)
	r.lastTime, err = time.Parse(layout, string(name[:len(layout)]))
	return err
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

// may refuses what this release cannot do without harm: needed is what a
// program must know for it.
func (r *Repository) may(needed []string, do string) error {
	if len(needed) > 0 {
		return fmt.Errorf("%s: %w: to %s the repository a program must know %q; use a newer backupd", configName, ErrFormat, do, needed)
	}
	return nil
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

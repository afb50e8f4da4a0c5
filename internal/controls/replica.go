package controls

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/dir"
	"github.com/saypro/backupd/internal/verify"
)

// copyParallel is how many objects are copied at once.
const copyParallel = 8

// replica is a whole disposable repository: objects at two sites, catalog, spool,
// and the code that writes and proves. Whatever is done to it, no other is
// touched.
type replica struct {
	*stage
	name     string
	dir      string
	tested   repository.Site // where faults are planted
	other    repository.Site
	alone    bool // the other site is not known
	catalog  *catalog.Catalog
	repo     *repository.Repository
	verifier *verify.Verifier

	stop func() error // ends the uploads; nil when they do not run
}

// newReplica makes a repository that holds nothing yet.
func (s *stage) newReplica(ctx context.Context, name string) (*replica, error) {
	c, err := s.place(name)
	if err != nil {
		return nil, err
	}
	if err := c.openCatalog(); err != nil {
		return nil, err
	}
	if _, err := repository.Init(ctx, c.options(s.daemon), recipients(s.daemon, s.escrow)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, c.open(ctx, s.daemon)
}

// replica makes a copy of the base: its objects, and what its catalog says.
func (s *stage) replica(ctx context.Context, name string) (*replica, error) {
	c, err := s.place(name)
	if err != nil {
		return nil, err
	}
	if err := c.copyObjects(ctx); err != nil {
		return nil, err
	}
	if err := copyFile(filepath.Join(s.Dir, baseCopy, catalogFile), filepath.Join(c.dir, catalogFile)); err != nil {
		return nil, err
	}
	if err := c.openCatalog(); err != nil {
		return nil, err
	}
	return c, c.open(ctx, s.daemon)
}

const catalogFile = "catalog.db"

func (s *stage) place(name string) (*replica, error) {
	c := &replica{stage: s, name: name, dir: filepath.Join(s.Dir, name)}
	for _, sub := range []string{"spool", "proofs", "other"} {
		if err := os.MkdirAll(filepath.Join(c.dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	var err error
	c.tested, c.other, err = s.sites(name)
	return c, err
}

func (c *replica) openCatalog() (err error) {
	c.catalog, err = catalog.Open(filepath.Join(c.dir, catalogFile))
	return err
}

func (c *replica) options(identity age.Identity) repository.Options {
	sites := []repository.Site{c.tested, c.other}
	if c.alone {
		sites = sites[:1]
	}
	return repository.Options{
		Catalog: c.catalog, Sites: sites, Spool: filepath.Join(c.dir, "spool"),
		Identities: []age.Identity{identity}, Clock: c.Clock, Log: c.Log,
	}
}

// open opens the repository with one identity. With an error all is closed.
func (c *replica) open(ctx context.Context, identity age.Identity) (err error) {
	if c.repo, err = repository.Open(ctx, c.options(identity)); err != nil {
		return errors.Join(err, c.close())
	}
	c.verifier = &verify.Verifier{
		Repository: c.repo, Catalog: c.catalog, Dir: filepath.Join(c.dir, "proofs"), Clock: c.Clock, Log: c.Log, Jobs: 2,
		Checks:  map[string][]config.Check{function: ownChecks},
		Scratch: config.Scratch{Kind: "database", URL: config.Secret(c.scratch.URL("postgres"))},
	}
	return nil
}

// close ends the uploads and closes the catalog. The objects stay for the end of
// the round.
func (c *replica) close() error {
	err := c.endUploads()
	if c.catalog != nil {
		err = errors.Join(err, c.catalog.Close())
		c.catalog = nil
	}
	return err
}

// upload has what waits sent, until the end.
func (c *replica) upload(ctx context.Context) {
	if c.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- c.repo.Upload(ctx) }()
	c.stop = func() error {
		cancel()
		return <-done
	}
}

func (c *replica) endUploads() error {
	if c.stop == nil {
		return nil
	}
	stop := c.stop
	c.stop = nil
	return stop()
}

// uploadPatience is how long a site may fail to take what a round gives it.
const uploadPatience = 15 * time.Second

// take makes a recovery point of a database of the disposable server, at both
// sites, and returns its id.
func (c *replica) take(ctx context.Context, from string) (string, error) {
	return c.takeAs(ctx, from, "", nil)
}

// takeAs is take for a user of the database, and tells how it goes on.
func (c *replica) takeAs(ctx context.Context, from, user string, report progress.Reporter) (string, error) {
	source, err := c.sourceAs(from, user)
	if err != nil {
		return "", err
	}
	c.upload(ctx)
	taker := &snapshot.Taker{
		Repository: c.repo, Catalog: c.catalog, Sources: map[string]*postgres.Source{from: source},
		Connections: map[string]int{from: 2}, Clock: c.Clock, Log: c.Log, MinSites: 2, Patience: uploadPatience,
	}
	r, err := taker.Take(ctx, functionAt(from), report)
	return r.Snapshot, err
}

// prove is the proof of every day, of the site under test unless another is
// named.
func (c *replica) prove(ctx context.Context, req verify.Request) (verify.Result, error) {
	return c.judged(c.verifier.Prove(ctx, c.complete(req), nil))
}

// proveSpoiled is the same proof while somebody spoils scratch before the checks
// of a level: see [verify.Verifier.ProveSpoiled].
func (c *replica) proveSpoiled(ctx context.Context, before, sql string) (verify.Result, error) {
	spoil := func(ctx context.Context, level, scratch string) error {
		if level != before {
			return nil
		}
		return postgres.Script(ctx, scratch, sql)
	}
	return c.judged(c.verifier.ProveSpoiled(ctx, c.complete(verify.Request{Snapshot: c.newest}), spoil, nil))
}

func (c *replica) complete(req verify.Request) verify.Request {
	req.Function = function
	if req.From == "" {
		req.From = c.Site
	}
	return req
}

// judged gives a result to the verifier that a test has broken, if there is one.
func (c *replica) judged(r verify.Result, err error) (verify.Result, error) {
	if c.Round.prove != nil && err == nil {
		r = c.Round.prove(r)
	}
	return r, err
}

// copyObjects copies the base to both sites.
func (c *replica) copyObjects(ctx context.Context) error {
	baseTested, baseOther, err := c.sites(baseCopy)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(copyParallel)
	for _, o := range c.objects {
		group.Go(func() error { return copyObject(groupCtx, baseTested.Store, c.tested.Store, o) })
		group.Go(func() error { return copyObject(groupCtx, baseOther.Store, c.other.Store, o) })
	}
	return group.Wait()
}

func copyObject(ctx context.Context, from, to storage.Store, o storage.Info) error {
	content, err := read(ctx, from, o.Name)
	if err != nil {
		return err
	}
	return put(ctx, to, o.Name, content)
}

func read(ctx context.Context, store storage.Store, name string) ([]byte, error) {
	body, err := store.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(body)
	return content, errors.Join(err, body.Close())
}

func put(ctx context.Context, store storage.Store, name string, content []byte) error {
	return store.Put(ctx, storage.Object{
		Name: name, Size: int64(len(content)), SHA256: sha256.Sum256(content), Body: bytes.NewReader(content),
	})
}

// remove removes an object of the copy under test as if it had never been.
func (c *replica) remove(ctx context.Context, name string) error {
	return storage.Purge(ctx, deleter(c.tested), name)
}

// deleter returns the store that may delete.
func deleter(site repository.Site) storage.Store {
	if site.Sweeper != nil {
		return site.Sweeper
	}
	return site.Store
}

// replace gives an object of the copy under test another content.
func (c *replica) replace(ctx context.Context, name string, change func([]byte) []byte) error {
	content, err := read(ctx, c.tested.Store, name)
	if err != nil {
		return err
	}
	if err := c.remove(ctx, name); err != nil {
		return err
	}
	return put(ctx, c.tested.Store, name, change(content))
}

// pack returns the name of the biggest pack that the newest recovery point needs.
func (c *replica) pack(ctx context.Context) (string, error) {
	snap, err := c.repo.Snapshot(ctx, c.newest)
	if err != nil {
		return "", err
	}
	var name string
	var size int64
	for _, p := range snap.Packs {
		if p.Size > size {
			name, size = catalog.PackName(p.SHA256), p.Size
		}
	}
	if name == "" {
		return "", fmt.Errorf("snapshot %s needs no pack", c.newest)
	}
	return name, nil
}

// commitOf returns the name of the commit object of a recovery point.
func (c *replica) commitOf(id string) (string, error) {
	s, err := c.catalog.Snapshot(id)
	if err != nil {
		return "", err
	}
	return s.Commit, nil
}

func openFolder(site, path string) (storage.Store, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	return dir.Open(dir.Options{Site: site, Path: path})
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

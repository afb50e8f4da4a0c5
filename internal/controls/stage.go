package controls

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/verify"
)

//go:embed sql/source.sql
var sourceSQL string

//go:embed sql/later.sql
var laterSQL string

//go:embed sql/collation.sql
var collationSQL string

//go:embed sql/extension.sql
var extensionSQL string

// Names of what a round makes.
const (
	function = "drill"
	database = "shop"
	// otherSite is the second site of the disposable repository, a folder in the
	// folder of the round: the fault is planted at the first one alone.
	otherSite = "other"
	baseCopy  = "base"
)

// stage is what all faults of a round share and none of them changes: a database,
// a server for scratch databases, and a repository with two recovery points.
type stage struct {
	*Round
	source  *postgres.Instance
	scratch *postgres.Instance
	daemon  *age.X25519Identity
	escrow  *age.X25519Identity
	// older and newest are the recovery points that every copy begins with.
	older, newest string
	objects       []storage.Info // that a copy is made of
	without       map[string]string
}

// What a server may lack, so that a fault cannot be planted.
const (
	icu       = "icu"
	extension = "extension"
)

// stage makes all of it. With an error nothing is left but what [Round.Clear]
// removes.
func (r *Round) stage(ctx context.Context) (s *stage, err error) {
	s = &stage{Round: r, without: map[string]string{}}
	if s.daemon, err = age.GenerateX25519Identity(); err != nil {
		return nil, err
	}
	if s.escrow, err = age.GenerateX25519Identity(); err != nil {
		return nil, err
	}
	if err := s.servers(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	if err := s.fill(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	if err := s.base(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// servers starts the two throwaway servers.
func (s *stage) servers(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for name, into := range map[string]**postgres.Instance{"source": &s.source, "scratch": &s.scratch} {
		group.Go(func() (err error) {
			*into, err = postgres.StartInstance(groupCtx, postgres.InstanceOptions{
				Dir: filepath.Join(s.Dir, name), Fast: true, Clock: s.Clock, Log: s.Log,
			})
			return err
		})
	}
	return group.Wait()
}

// fill makes the database that is backed up.
func (s *stage) fill(ctx context.Context) error {
	if _, _, err := postgres.CreateDatabase(ctx, s.source.URL("postgres"), database, postgres.Point{}); err != nil {
		return err
	}
	at := s.source.URL(database)
	if err := postgres.Script(ctx, at, sourceSQL); err != nil {
		return err
	}
	if err := postgres.Script(ctx, at, collationSQL); err != nil {
		s.without[icu] = "PostgreSQL on this host knows no ICU collations: " + err.Error()
	}
	for _, version := range []string{extensionBefore, extensionAfter} {
		offered, err := postgres.Offers(ctx, at, "hstore", version)
		if err != nil {
			return err
		}
		if !offered {
			s.without[extension] = "PostgreSQL on this host does not offer the extension hstore in version " + version
		}
	}
	if s.without[extension] != "" {
		return nil
	}
	return postgres.Script(ctx, at, extensionSQL)
}

// base makes the repository that all copies begin with: two recovery points,
// with business in between.
func (s *stage) base(ctx context.Context) (err error) {
	c, err := s.newReplica(ctx, baseCopy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if s.older, err = c.take(ctx, database); err != nil {
		return err
	}
	if err := postgres.Script(ctx, s.source.URL(database), laterSQL); err != nil {
		return err
	}
	if s.newest, err = c.take(ctx, database); err != nil {
		return err
	}
	s.objects, err = listed(ctx, c.tested.Store)
	return err
}

// clean proves the copy that nobody has touched, on a throwaway server as proofs
// do by default, and returns the level that holds.
func (s *stage) clean(ctx context.Context) (level string, err error) {
	c, err := s.replica(ctx, "clean")
	if err != nil {
		return "", fmt.Errorf("%w: the clean copy could not be made: %w", ErrVoid, err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	c.verifier.Scratch = config.Scratch{Kind: config.DefaultScratchKind}
	result, err := c.prove(ctx, verify.Request{Snapshot: s.newest})
	if err != nil {
		return "", fmt.Errorf("%w: the clean copy could not be proven: %w", ErrVoid, err)
	}
	if !result.Passed {
		return "", fmt.Errorf("%w: the clean copy is red: %s", ErrVoid, red(result).detail)
	}
	return result.Level, nil
}

// close ends the servers. What lies at the site is for [Round.Clear].
func (s *stage) close(ctx context.Context) error {
	var errs []error
	for _, i := range []*postgres.Instance{s.source, s.scratch} {
		if i != nil {
			errs = append(errs, i.Stop(ctx))
		}
	}
	return errors.Join(errs...)
}

// functionAt is the business function of the round, in a database of the
// disposable server.
func functionAt(source string) config.Function {
	return config.Function{Name: function, Source: source, Schemas: []string{"shop"}, RPO: time.Hour, RTO: time.Hour, Checks: ownChecks}
}

// sourceAs returns the disposable database as a source, for a user of it.
func (s *stage) sourceAs(name, user string) (*postgres.Source, error) {
	at, err := url.Parse(s.source.URL(name))
	if err != nil {
		return nil, err
	}
	if user != "" {
		at.User = url.User(user)
	}
	return postgres.New(postgres.Options{
		Name: name, URL: at.String(), Connections: 2, LockTimeout: 10 * time.Second, MaxSnapshotAge: 10 * time.Minute,
		Clock: s.Clock, Log: s.Log,
	})
}

func listed(ctx context.Context, store storage.Store) (out []storage.Info, err error) {
	err = store.List(ctx, "", "", func(i storage.Info) error {
		out = append(out, i)
		return nil
	})
	return out, err
}

func recipients(of ...*age.X25519Identity) []age.Recipient {
	out := make([]age.Recipient, len(of))
	for i, id := range of {
		out[i] = id.Recipient()
	}
	return out
}

func (s *stage) sites(name string) (tested, other repository.Site, err error) {
	if tested, err = s.Open(name); err != nil {
		return tested, other, err
	}
	tested.Name = s.Site
	other.Name = otherSite
	other.Store, err = openFolder(otherSite, filepath.Join(s.Dir, name, "other"))
	return tested, other, err
}

package engine

import (
	"context"
	"fmt"
	"os"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/dir"
	"github.com/saypro/backupd/internal/storage/minio"
	"github.com/saypro/backupd/internal/storage/s3"
)

// siteRetry bridges a lost connection, not an outage: uploads are tried again
// for as long as it takes, and a restore should go on to the next site soon.
var siteRetry = storage.RetryPolicy{Attempts: 4, Base: 250 * time.Millisecond, Max: 2 * time.Second}

// openSites returns the configured sites in order of preference, with retries,
// their locks and their limits of rate. What goes to them is counted in traffic.
func openSites(cfg *config.Config, c clock.Clock, traffic map[string]*storage.Traffic) ([]repository.Site, error) {
	var out []repository.Site
	for _, name := range cfg.SiteOrder {
		site, err := openSite(name, cfg.Sites[name], c, traffic[name])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		out = append(out, site)
	}
	return out, nil
}

func openSite(name string, s config.Site, c clock.Clock, traffic *storage.Traffic) (repository.Site, error) {
	open := func(access string, secret config.Secret) (storage.Store, error) {
		store, err := openStore(name, s, access, secret, traffic)
		if err != nil {
			return nil, err
		}
		store = storage.WithRetry(store, siteRetry, c, nil)
		if s.Lock != nil {
			store = storage.WithLock(store, storage.LockMode(s.Lock.Mode), s.Lock.For, c)
		}
		return store, nil
	}
	site := repository.Site{Name: name}
	if s.Lock != nil {
		site.Lock, site.LockMode = s.Lock.For, storage.LockMode(s.Lock.Mode)
	}
	var err error
	if site.Store, err = open(s.AccessKey, s.SecretKey); err != nil {
		return site, err
	}
	if s.MaxRate > 0 {
		site.Background = storage.WithRate(site.Store, int64(s.MaxRate), c)
	}
	if s.SweeperAccessKey != "" {
		site.Sweeper, err = open(s.SweeperAccessKey, s.SweeperSecretKey)
	}
	return site, err
}

// openStore opens a site as the owner of a key, without anything around it.
func openStore(name string, s config.Site, access string, secret config.Secret, traffic *storage.Traffic) (storage.Store, error) {
	return openStoreBy(name, s, access, secret, traffic, nil)
}

// openStoreBy opens it by a way of connecting of its own; nil: as everybody
// does.
func openStoreBy(name string, s config.Site, access string, secret config.Secret, traffic *storage.Traffic, dial storage.Dial) (storage.Store, error) {
	switch s.Kind {
	case "minio":
		return minio.Open(minio.Options{
			Site: name, Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket, Prefix: s.Prefix,
			AccessKey: access, SecretKey: secret.Reveal(), Traffic: traffic, Dial: dial,
		})
	case "s3":
		return s3.Open(s3.Options{
			Site: name, Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket, Prefix: s.Prefix,
			AccessKey: access, SecretKey: secret.Reveal(), Traffic: traffic, Dial: dial,
		})
	case "dir":
		return dir.Open(dir.Options{Site: name, Path: s.Path, Prefix: s.Prefix})
	default:
		return nil, fmt.Errorf("site %s: unknown kind %q", name, s.Kind)
	}
}

// probe finds out what a site supports, without what we put around it: a probe
// that was locked would stay.
func probe(ctx context.Context, name string, s config.Site, c clock.Clock, traffic *storage.Traffic) (storage.Capabilities, error) {
	store, err := openStore(name, s, s.AccessKey, s.SecretKey, traffic)
	if err != nil {
		return storage.Capabilities{}, err
	}
	return storage.Probe(ctx, storage.WithRetry(store, siteRetry, c, nil))
}

// readIdentities returns the identities in an age identity file.
func readIdentities(path string) ([]age.Identity, error) {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("%w: keys.identity_file: %w; 'backupd init' makes it, "+
			"or put the identity of an existing repository there", ErrNotInitialized, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: keys.identity_file: %w", ErrConfig, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	ids, err := age.ParseIdentities(f)
	if err != nil {
		return nil, fmt.Errorf("%w: keys.identity_file %s holds no age identity", ErrConfig, path)
	}
	return ids, nil
}

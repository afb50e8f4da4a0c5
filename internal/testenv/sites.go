package testenv

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	miniogo "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/minio"
	"github.com/saypro/backupd/internal/storage/s3"
)

// SitePair is the two sites of a repository, on servers of different make.
type SitePair struct {
	Onsite *Site // MinIO, through the store of kind minio
	Cloud  *Site // versitygw on a folder, through the store of kind s3
}

// Site is a bucket on a real server.
type Site struct {
	Name      string // "onsite" or "cloud"
	Kind      string // "minio" or "s3"
	Endpoint  string
	Region    string
	Bucket    string
	AccessKey string
	SecretKey string
	// Dir holds the data of the server. That of the cloud site is plain: see
	// [Site.File].
	Dir string

	server *siteServer
}

var sharedSites = sync.OnceValues(startSites)

// siteSerials number the prefixes and buckets of this process.
var siteSerials atomic.Int64

// Sites returns two sites that all tests of this process share, so never kill
// them; every prefix that [Site.Prefix] gives is fresh.
func Sites(t testing.TB) *SitePair {
	t.Helper()
	Bin(t, "minio")
	Bin(t, "versitygw")
	pair, err := sharedSites()
	if err != nil {
		t.Fatalf("start the S3 servers of these tests: %v", err)
	}
	return pair
}

// PrivateSites returns two sites on servers of their own, for tests that kill
// them or damage their data. They are removed when the test ends.
func PrivateSites(t testing.TB) *SitePair {
	t.Helper()
	Bin(t, "minio")
	Bin(t, "versitygw")
	pair, err := startSites()
	if err != nil {
		t.Fatalf("start private S3 servers: %v", err)
	}
	t.Cleanup(func() {
		pair.Onsite.server.remove()
		pair.Cloud.server.remove()
	})
	return pair
}

// startSites starts both servers at once and makes the bucket on each.
func startSites() (*SitePair, error) {
	pair := &SitePair{
		Onsite: &Site{Name: "onsite", Kind: "minio", Bucket: "backups"},
		Cloud:  &Site{Name: "cloud", Kind: "s3", Bucket: "backups"},
	}
	errs := make(chan error, 2)
	for _, site := range []*Site{pair.Onsite, pair.Cloud} {
		site.Region = "us-east-1"
		site.AccessKey = "test-" + site.Name
		site.SecretKey = "secret-" + rand.Text()
		go func() { errs <- site.start() }()
	}
	var failed error
	for range 2 {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return pair, failed
}

func (s *Site) start() error {
	dir, err := os.MkdirTemp("", "backupd-site-")
	if err != nil {
		return err
	}
	s.Dir = dir
	s.server = &siteServer{site: s, dir: dir}
	if err := s.server.guard(); err != nil {
		return err
	}
	if err := s.server.startAnywhere(); err != nil {
		return err
	}
	return s.makeBucket(s.Bucket, false)
}

// Prefix returns a prefix that nothing else uses.
func (s *Site) Prefix() string {
	return fmt.Sprintf("test-%d", siteSerials.Add(1))
}

// Store returns a store under a fresh prefix of the site.
func (s *Site) Store(t testing.TB) storage.Store {
	t.Helper()
	return s.StoreAt(t, s.Prefix())
}

// StoreAt returns a store under the given prefix of the site.
func (s *Site) StoreAt(t testing.TB, prefix string) storage.Store {
	t.Helper()
	return OpenSite(t, s.Name, s.Config(prefix), 0)
}

// Config returns the site as it stands in a configuration.
func (s *Site) Config(prefix string) config.Site {
	return config.Site{
		Kind: s.Kind, Endpoint: s.Endpoint, Region: s.Region, Bucket: s.Bucket, Prefix: prefix,
		AccessKey: s.AccessKey, SecretKey: config.Secret(s.SecretKey),
	}
}

// OpenSite opens the store of a configured site of kind minio or s3. A stall of
// 0 is the default of the store.
func OpenSite(t testing.TB, name string, c config.Site, stall time.Duration) storage.Store {
	t.Helper()
	var store storage.Store
	var err error
	switch c.Kind {
	case "minio":
		store, err = minio.Open(minio.Options{
			Site: name, Endpoint: c.Endpoint, Region: c.Region, Bucket: c.Bucket, Prefix: c.Prefix,
			AccessKey: c.AccessKey, SecretKey: c.SecretKey.Reveal(), Stall: stall,
		})
	case "s3":
		store, err = s3.Open(s3.Options{
			Site: name, Endpoint: c.Endpoint, Region: c.Region, Bucket: c.Bucket, Prefix: c.Prefix,
			AccessKey: c.AccessKey, SecretKey: c.SecretKey.Reveal(), Stall: stall,
		})
	default:
		t.Fatalf("no store of kind %q", c.Kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// NewBucket makes another bucket, with object lock if wanted, and returns its
// name.
func (s *Site) NewBucket(t testing.TB, lock bool) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", siteSerials.Add(1))
	if err := s.makeBucket(name, lock); err != nil {
		t.Fatal(err)
	}
	return name
}

func (s *Site) makeBucket(name string, lock bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := s.client()
	if err != nil {
		return err
	}
	err = client.MakeBucket(ctx, name, miniogo.MakeBucketOptions{Region: s.Region, ObjectLocking: lock})
	if err != nil {
		return fmt.Errorf("make bucket %s at site %s: %w", name, s.Name, err)
	}
	return nil
}

// client speaks to the server as its administrator.
func (s *Site) client() (*miniogo.Client, error) {
	return miniogo.New(s.server.address, &miniogo.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Region: s.Region,
	})
}

// File returns the path of the file in which the cloud site keeps an object,
// for tests that damage it behind the server's back.
func (s *Site) File(t testing.TB, prefix, name string) string {
	t.Helper()
	if s.Kind != "s3" {
		t.Fatalf("the files of site %s are not plain", s.Name)
	}
	return filepath.Join(s.Dir, "data", s.Bucket, filepath.FromSlash(prefix), filepath.FromSlash(name))
}

// Kill ends the server of a private site as a crash would.
func (s *Site) Kill() { s.server.kill() }

// Start starts the server again after [Site.Kill], on the same port and data.
func (s *Site) Start(t testing.TB) {
	t.Helper()
	if err := s.server.start(); err != nil {
		t.Fatalf("start site %s again: %v", s.Name, err)
	}
}

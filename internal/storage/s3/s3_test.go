package s3_test

import (
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/s3"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/storage/storagetest/sitetest"
	"github.com/saypro/backupd/internal/testenv"
)

func TestConformanceVersitygw(t *testing.T) {
	sitetest.Run(t, testenv.Sites(t).Cloud, "s3")
}

func TestConformanceMinIO(t *testing.T) {
	sitetest.Run(t, testenv.Sites(t).Onsite, "s3")
}

func TestOutage(t *testing.T) {
	sitetest.Outage(t, testenv.PrivateSites(t).Cloud)
}

func TestOpenRefuses(t *testing.T) {
	alone(t)
	for _, o := range []s3.Options{
		{Site: "cloud", Bucket: "b", AccessKey: "k", SecretKey: "hunter2"},
		{Site: "cloud", Bucket: "b"},
		{Site: "cloud", Endpoint: "http://k:hunter2@host", Bucket: "b"},
		{Site: "cloud", Endpoint: "http://host", Bucket: "b", Prefix: "a//b", SecretKey: "hunter2"},
	} {
		_, err := s3.Open(o)
		if !errors.Is(err, storage.ErrInvalid) || !strings.Contains(err.Error(), "cloud") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open = %v", err)
		}
	}
}

// alone hides what this machine tells the client about Amazon.
func alone(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CA_BUNDLE", "")
}

// Without keys in the configuration the client's own chain is asked: here, the
// environment.
func TestKeysOfTheEnvironment(t *testing.T) {
	alone(t)
	site := testenv.Sites(t).Cloud
	c := site.Config(site.Prefix())
	c.AccessKey, c.SecretKey = "", ""
	s := testenv.OpenSite(t, site.Name, c, 0)
	var e *storage.Error
	if _, err := s.Stat(t.Context(), "p/x"); !errors.As(err, &e) || !strings.Contains(e.Hint, "access_key") {
		t.Errorf("without any keys: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", site.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", site.SecretKey)
	s = testenv.OpenSite(t, site.Name, c, 0)
	storagetest.Put(t, s, "p/x", []byte("x"))
	if got := storagetest.Get(t, site.StoreAt(t, c.Prefix), "p/x"); string(got) != "x" {
		t.Errorf("got %q", got)
	}
	// Keys in the configuration win over those of the environment.
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	storagetest.Put(t, site.StoreAt(t, c.Prefix), "p/y", []byte("y"))
}

func TestPutIsPlain(t *testing.T) {
	site := testenv.Sites(t).Cloud
	server, seen := sitetest.Watched(t, site, false)
	c := site.Config(site.Prefix())
	c.Endpoint = server.URL
	sitetest.PlainPut(t, testenv.OpenSite(t, site.Name, c, 0), seen)
}

// Over TLS the client would by itself neither sign the body nor send it whole.
// The authority is one that only the environment names.
func TestPutIsPlainOverTLS(t *testing.T) {
	alone(t)
	site := testenv.Sites(t).Cloud
	server, seen := sitetest.Watched(t, site, true)
	c := site.Config(site.Prefix())
	c.Endpoint, c.AccessKey, c.SecretKey = server.URL, "", ""
	t.Setenv("AWS_ACCESS_KEY_ID", site.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", site.SecretKey)
	_, err := testenv.OpenSite(t, site.Name, c, 0).Stat(t.Context(), "p/x")
	var e *storage.Error
	if !errors.As(err, &e) || !strings.Contains(e.Hint, "certificate") {
		t.Errorf("unknown authority: %v", err)
	}

	bundle := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, block, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	sitetest.PlainPut(t, testenv.OpenSite(t, site.Name, c, 0), seen)
}

func TestTraffic(t *testing.T) {
	site := testenv.Sites(t).Cloud
	storagetest.Traffic(t, func(t *testing.T, traffic *storage.Traffic) storage.Store {
		s, err := s3.Open(s3.Options{
			Site: site.Name, Endpoint: site.Endpoint, Bucket: site.Bucket, Prefix: site.Prefix(),
			AccessKey: site.AccessKey, SecretKey: site.SecretKey, Traffic: traffic,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// at opens a store at an endpoint that is none of a site.
func at(t *testing.T, endpoint string) storage.Store {
	t.Helper()
	s, err := s3.Open(s3.Options{Site: "cloud", Endpoint: endpoint, Bucket: "backups", AccessKey: "k", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPutLetsGo(t *testing.T) { sitetest.LetsGo(t, at) }

func TestPaced(t *testing.T) { sitetest.Paced(t, testenv.Sites(t).Cloud) }

func TestLies(t *testing.T) { sitetest.Lies(t, at) }

func TestLiar(t *testing.T) { sitetest.Liar(t, testenv.Sites(t).Cloud) }

func TestLockVersitygw(t *testing.T) { sitetest.Lock(t, testenv.Sites(t).Cloud, "s3") }

func TestLockMinIO(t *testing.T) { sitetest.Lock(t, testenv.Sites(t).Onsite, "s3") }

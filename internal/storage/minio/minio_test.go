package minio_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/minio"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/storage/storagetest/sitetest"
	"github.com/saypro/backupd/internal/testenv"
)

func TestConformanceMinIO(t *testing.T) {
	sitetest.Run(t, testenv.Sites(t).Onsite, "minio")
}

func TestConformanceVersitygw(t *testing.T) {
	sitetest.Run(t, testenv.Sites(t).Cloud, "minio")
}

func TestOutage(t *testing.T) {
	sitetest.Outage(t, testenv.PrivateSites(t).Onsite)
}

func TestOpenRefuses(t *testing.T) {
	for _, o := range []minio.Options{
		{Site: "onsite", Bucket: "b", AccessKey: "k", SecretKey: "hunter2"},
		{Site: "onsite", Endpoint: "127.0.0.1:9000", Bucket: "b", AccessKey: "k", SecretKey: "hunter2"},
		{Site: "onsite", Endpoint: "http://k:hunter2@host", Bucket: "b"},
		{Site: "onsite", Endpoint: "http://host", Bucket: "b", Prefix: "a//b", SecretKey: "hunter2"},
	} {
		_, err := minio.Open(o)
		if !errors.Is(err, storage.ErrInvalid) || !strings.Contains(err.Error(), "onsite") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open = %v", err)
		}
	}
}

func TestPutIsPlain(t *testing.T) {
	site := testenv.Sites(t).Onsite
	server, seen := sitetest.Watched(t, site, false)
	c := site.Config(site.Prefix())
	c.Endpoint = server.URL
	sitetest.PlainPut(t, testenv.OpenSite(t, site.Name, c, 0), seen)
}

func TestTraffic(t *testing.T) {
	site := testenv.Sites(t).Onsite
	storagetest.Traffic(t, func(t *testing.T, traffic *storage.Traffic) storage.Store {
		s, err := minio.Open(minio.Options{
			Site: site.Name, Endpoint: site.Endpoint, Bucket: site.Bucket, Prefix: site.Prefix(),
			AccessKey: site.AccessKey, SecretKey: site.SecretKey, Traffic: traffic,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// What never reaches a site costs nothing there.
func TestTrafficOfNoSite(t *testing.T) {
	var traffic storage.Traffic
	s, err := minio.Open(minio.Options{
		Site: "onsite", Endpoint: "http://127.0.0.1:1", Bucket: "backups", AccessKey: "k", SecretKey: "s", Traffic: &traffic,
	})
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Away(t, s)
	if got := traffic.Requests(); got != (storage.Requests{}) {
		t.Errorf("counted %+v", got)
	}
}

// at opens a store at an endpoint that is none of a site.
func at(t *testing.T, endpoint string) storage.Store {
	t.Helper()
	s, err := minio.Open(minio.Options{Site: "onsite", Endpoint: endpoint, Bucket: "backups", AccessKey: "k", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPutLetsGo(t *testing.T) { sitetest.LetsGo(t, at) }

func TestPaced(t *testing.T) { sitetest.Paced(t, testenv.Sites(t).Onsite) }

func TestLies(t *testing.T) { sitetest.Lies(t, at) }

func TestLiar(t *testing.T) { sitetest.Liar(t, testenv.Sites(t).Onsite) }

// The other server is not tested for this: what it answers about a retention
// the client does not understand.
func TestLock(t *testing.T) { sitetest.Lock(t, testenv.Sites(t).Onsite, "minio") }

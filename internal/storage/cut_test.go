package storage_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/minio"
	"github.com/saypro/backupd/internal/storage/s3"
	"github.com/saypro/backupd/internal/testenv"
)

// openBy opens a real site by a way of connecting.
func openBy(t *testing.T, site *testenv.Site, kind string, traffic *storage.Traffic, dial storage.Dial) storage.Store {
	t.Helper()
	var store storage.Store
	var err error
	if kind == "minio" {
		store, err = minio.Open(minio.Options{
			Site: site.Name, Endpoint: site.Endpoint, Bucket: site.Bucket, Prefix: site.Prefix(),
			AccessKey: site.AccessKey, SecretKey: site.SecretKey, Traffic: traffic, Dial: dial,
		})
	} else {
		store, err = s3.Open(s3.Options{
			Site: site.Name, Endpoint: site.Endpoint, Bucket: site.Bucket, Prefix: site.Prefix(),
			AccessKey: site.AccessKey, SecretKey: site.SecretKey, Traffic: traffic, Dial: dial,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestCut(t *testing.T) {
	pair := testenv.Sites(t)
	for _, kind := range []string{"minio", "s3"} {
		t.Run(kind, func(t *testing.T) {
			cut := storage.NewCut(pair.Onsite.Endpoint)
			var traffic storage.Traffic
			gone := openBy(t, pair.Onsite, kind, &traffic, cut.Dial)
			_, err := gone.Stat(t.Context(), "repo.json")
			if !errors.Is(err, storage.ErrCut) || storage.Permanent(err) || !strings.Contains(err.Error(), "nothing was sent") {
				t.Errorf("a line that is cut: %v", err)
			}
			if cut.Attempts() != 1 || traffic.Requests() != (storage.Requests{}) {
				t.Errorf("%d attempts, traffic %+v", cut.Attempts(), traffic.Requests())
			}
			// The other site answers, by a dialler that knows of the cut.
			other := openBy(t, pair.Cloud, kind, nil, storage.DialAround(cut))
			if _, err := other.Stat(t.Context(), "repo.json"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("the other site: %v", err)
			}
			// One that lies at the same endpoint is gone with it.
			same := openBy(t, pair.Onsite, kind, nil, storage.DialAround(cut))
			if _, err := same.Stat(t.Context(), "repo.json"); !errors.Is(err, storage.ErrCut) || cut.Attempts() != 2 {
				t.Errorf("a site at the same endpoint: %v, %d attempts", err, cut.Attempts())
			}
			// And whoever uses the site as always notices nothing.
			if _, err := openBy(t, pair.Onsite, kind, nil, nil).Stat(t.Context(), "repo.json"); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("the site itself: %v", err)
			}
		})
	}
}

func TestCutKnowsThePortOfAScheme(t *testing.T) {
	for endpoint, address := range map[string]string{
		"http://host": "host:80", "https://host": "host:443", "https://host:9000": "host:9000", "http://[::1]": "[::1]:80",
	} {
		cut := storage.NewCut(endpoint)
		if _, err := storage.DialAround(cut)(t.Context(), "tcp", address); !errors.Is(err, storage.ErrCut) {
			t.Errorf("%s: %s is dialled: %v", endpoint, address, err)
		}
	}
}

func TestCutOfAFolder(t *testing.T) {
	cut := storage.NewCut("")
	store := cut.Store("disk")
	_, getErr := store.Get(t.Context(), "a", 0, -1)
	_, statErr := store.Stat(t.Context(), "a")
	for _, err := range []error{
		getErr, statErr, store.Put(t.Context(), storage.Object{Name: "a"}), store.Delete(t.Context(), "a"),
		store.List(t.Context(), "", "", func(storage.Info) error { return nil }),
	} {
		var where *storage.Error
		if !errors.Is(err, storage.ErrCut) || !errors.As(err, &where) || where.Site != "disk" {
			t.Errorf("%v", err)
		}
	}
	if cut.Attempts() != 5 {
		t.Errorf("%d attempts", cut.Attempts())
	}
	// Without an endpoint it keeps nobody else from anywhere.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := storage.DialAround(cut)(context.Background(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

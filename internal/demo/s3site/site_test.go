package s3site_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/demo/s3site"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/minio"
	"github.com/saypro/backupd/internal/storage/s3"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

const key, secret = "demo", "demo-secret"

func start(t *testing.T) *s3site.Site {
	t.Helper()
	site, err := s3site.Start(s3site.Options{Dir: filepath.Join(t.TempDir(), "site"), Bucket: "backups", AccessKey: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	return site
}

type opener func(t *testing.T, endpoint, bucket, prefix, key string) storage.Store

func openMinio(t *testing.T, endpoint, bucket, prefix, key string) storage.Store {
	t.Helper()
	s, err := minio.Open(minio.Options{Site: "onsite", Endpoint: endpoint, Bucket: bucket, Prefix: prefix, AccessKey: key, SecretKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openS3(t *testing.T, endpoint, bucket, prefix, key string) storage.Store {
	t.Helper()
	s, err := s3.Open(s3.Options{Site: "cloud", Endpoint: endpoint, Bucket: bucket, Prefix: prefix, AccessKey: key, SecretKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var clients = map[string]opener{"minio": openMinio, "s3": openS3}

// The demonstration shows nothing when its sites are easier to please than
// real ones: they pass the suite that MinIO and versitygw pass.
func TestConformance(t *testing.T) {
	for name, open := range clients {
		t.Run(name, func(t *testing.T) {
			storagetest.Suite{
				Open: func(t *testing.T) storage.Store { return open(t, start(t).Endpoint(), "backups", "market", key) },
				Sibling: func(t *testing.T) (a, b storage.Store) {
					site := start(t)
					return open(t, site.Endpoint(), "backups", "NAME", key), open(t, site.Endpoint(), "backups", "NAME2", key)
				},
				NoBucket: func(t *testing.T) storage.Store { return open(t, start(t).Endpoint(), "absent", "market", key) },
				Denied: func(t *testing.T) (storage.Store, string) {
					return open(t, start(t).Endpoint(), "backups", "market", "stranger"), secret
				},
			}.Run(t)
		})
	}
}

func TestProbe(t *testing.T) {
	for name, open := range clients {
		t.Run(name, func(t *testing.T) {
			site := start(t)
			got, err := storage.Probe(t.Context(), open(t, site.Endpoint(), "backups", "market", key))
			if err != nil {
				t.Fatal(err)
			}
			if !got.ConditionalPut || !got.Checksum || !got.ListAfterPut || !got.RangedGet || !got.Delete || got.ObjectLock || len(got.Notes) > 0 {
				t.Errorf("%+v", got)
			}
			if n, b := site.Held(); n != 0 || b != 0 {
				t.Errorf("%d objects, %d bytes left behind", n, b)
			}
		})
	}
}

func put(t *testing.T, s storage.Store, name string, body io.ReadSeeker, content []byte) error {
	t.Helper()
	return s.Put(t.Context(), storage.Object{Name: name, Size: int64(len(content)), SHA256: sha256.Sum256(content), Body: body})
}

func TestCutAndReturn(t *testing.T) {
	for name, open := range clients {
		t.Run(name, func(t *testing.T) {
			site := start(t)
			store := open(t, site.Endpoint(), "backups", "market", key)
			content := bytes.Repeat([]byte("marketplace "), 1000)
			if err := put(t, store, "kept", bytes.NewReader(content), content); err != nil {
				t.Fatal(err)
			}
			before := site.Endpoint()
			if err := errors.Join(site.Cut(), site.Cut()); err != nil {
				t.Fatal(err)
			}
			if err := put(t, store, "refused", bytes.NewReader(content), content); err == nil || storage.Permanent(err) {
				t.Errorf("put to a site that is away: %v", err)
			}
			if err := site.Return(); err != nil {
				t.Fatal(err)
			}
			if site.Endpoint() != before {
				t.Errorf("the address was %s and is %s", before, site.Endpoint())
			}
			body, err := store.Get(t.Context(), "kept", 0, -1)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = body.Close() }() // only read
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
		})
	}
}

// A connection that breaks in the middle of an object leaves no object.
func TestCutWhileWriting(t *testing.T) {
	site := start(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(site.Endpoint(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	request := "PUT /backups/torn HTTP/1.1\r\nHost: x\r\nAuthorization: Credential=" + key + "/\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 50000)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // most of it has arrived; right in any case
	if err := errors.Join(site.Cut(), conn.Close(), site.Return()); err != nil {
		t.Fatal(err)
	}
	store := openS3(t, site.Endpoint(), "backups", "", key)
	if _, err := store.Stat(t.Context(), "torn"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("stat of what was torn: %v", err)
	}
	content := []byte("whole")
	if err := put(t, store, "torn", bytes.NewReader(content), content); err != nil {
		t.Errorf("put again: %v", err)
	}
}

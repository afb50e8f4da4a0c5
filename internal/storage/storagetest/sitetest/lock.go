package sitetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	miniogo "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/internal/wire"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/testenv"
)

// Lock tests retention and purging through the store of the given kind against
// a site's server.
func Lock(t *testing.T, site *testenv.Site, kind string) {
	t.Parallel() // most of it is waiting
	open := func(t *testing.T, lock bool) *bucket {
		c := site.Config("market")
		c.Kind, c.Bucket = kind, site.NewBucket(t, lock)
		return &bucket{Store: testenv.OpenSite(t, site.Name, c, 0), site: site, name: c.Bucket}
	}
	for _, mode := range []storage.LockMode{storage.Compliance, storage.Governance} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			testRetention(t, open(t, true), mode)
		})
		t.Run("Tamper "+string(mode), func(t *testing.T) { testTamper(t, open(t, true), mode) })
	}
	// Once is enough, and versitygw does not take an object again that was
	// deleted: see Purge.
	if kind == "minio" {
		name := site.NewBucket(t, true)
		t.Run("Conformance", func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) storage.Store {
				c := site.Config(site.Prefix())
				c.Kind, c.Bucket = kind, name
				return storage.WithLock(testenv.OpenSite(t, site.Name, c, 0), storage.Compliance, time.Minute, clock.System)
			})
		})
	}
	t.Run("Decorated", func(t *testing.T) { testDecorated(t, open(t, true)) })
	t.Run("Purge", func(t *testing.T) { testPurge(t, open(t, true)) })
	t.Run("WithoutLock", func(t *testing.T) { testWithoutLock(t, open(t, false)) })
}

// bucket is a store with a look behind it.
type bucket struct {
	storage.Store
	site *testenv.Site
	name string
}

func (b *bucket) Unwrap() storage.Store { return b.Store }

// versions counts all versions and marks in the bucket.
func (b *bucket) versions(t *testing.T) int {
	t.Helper()
	client, err := miniogo.New(strings.TrimPrefix(b.site.Endpoint, "http://"), &miniogo.Options{
		Creds: credentials.NewStaticV4(b.site.AccessKey, b.site.SecretKey, ""), Region: b.site.Region,
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for v := range client.ListObjectsIter(t.Context(), b.name, miniogo.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		if v.Err != nil {
			t.Fatal(v.Err)
		}
		n++
	}
	return n
}

// locked is an object with a retention.
func locked(name string, mode storage.LockMode, until time.Time) storage.Object {
	obj := storagetest.Object(name, []byte("content of "+name))
	obj.Retention = storage.Retention{Mode: mode, Until: until}
	return obj
}

// refused checks that a retention was the reason, and that it is told.
func refused(t *testing.T, what string, err error, until time.Time) {
	t.Helper()
	var e *storage.Error
	if !errors.Is(err, storage.ErrLocked) || !storage.Permanent(err) || !errors.As(err, &e) {
		t.Errorf("%s: %v, want ErrLocked", what, err)
		return
	}
	if told := wire.Until(until).Format(time.RFC3339); !strings.Contains(e.Hint, told) {
		t.Errorf("%s: hint %q does not tell %s", what, e.Hint, told)
	}
}

func testRetention(t *testing.T, s *bucket, mode storage.LockMode) {
	const name, hold = "p/object", 4 * time.Second
	start := time.Now()
	until := start.Add(hold)
	obj := locked(name, mode, until)
	if err := s.Put(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	states(t, s, name, storage.Retention{Mode: mode, Until: until})
	refused(t, "purge", storage.Purge(t.Context(), s, name), until)
	if got := storagetest.Get(t, s, name); string(got) != "content of p/object" {
		t.Errorf("after a refused purge: %q", got)
	}
	if err := s.Put(t.Context(), obj); !errors.Is(err, storage.ErrExists) {
		t.Errorf("second Put = %v", err)
	}

	// Put off, not sooner, not weaker, not ended.
	until = start.Add(2 * hold)
	if err := storage.Retain(t.Context(), s, name, storage.Retention{Mode: mode, Until: until}); err != nil {
		t.Error(err)
	}
	states(t, s, name, storage.Retention{Mode: mode, Until: until})
	refused(t, "shorten", storage.Retain(t.Context(), s, name, storage.Retention{Mode: mode, Until: until.Add(-time.Second)}), until)
	if mode == storage.Compliance {
		weaker := storage.Retention{Mode: storage.Governance, Until: until.Add(time.Hour)}
		refused(t, "weaken", storage.Retain(t.Context(), s, name, weaker), until)
	}
	for _, r := range []storage.Retention{{}, {Mode: mode}, {Until: until}, {Mode: "legal", Until: until}, {Mode: mode, Until: start.Add(-time.Minute)}} {
		if err := storage.Retain(t.Context(), s, name, r); !errors.Is(err, storage.ErrInvalid) {
			t.Errorf("Retain(%v) = %v", r, err)
		}
	}
	states(t, s, name, storage.Retention{Mode: mode, Until: until})

	// Delete hides the object, which a lock does not prevent; purging what is
	// hidden is refused all the same, and works when the time has come.
	if err := s.Delete(t.Context(), name); err != nil {
		t.Error(err)
	}
	if _, err := s.Stat(t.Context(), name); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Stat of what is hidden = %v", err)
	}
	if _, err := storage.RetentionOf(t.Context(), s, name); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("retention of what is hidden = %v", err)
	}
	refused(t, "purge of what is hidden", storage.Purge(t.Context(), s, name), until)
	if n := s.versions(t); n != 2 {
		t.Errorf("%d versions, want the object and the mark of its deletion", n)
	}
	time.Sleep(time.Until(until.Add(1100 * time.Millisecond)))
	if err := storage.Purge(t.Context(), s, name); err != nil {
		t.Errorf("purge afterwards: %v", err)
	}
	if n := s.versions(t); n != 0 {
		t.Errorf("%d versions are left", n)
	}
	if err := s.Put(t.Context(), locked(name, mode, time.Now().Add(hold))); err != nil {
		t.Errorf("Put afterwards: %v", err)
	}
}

// states checks what a site says about a retention: no less than was asked
// for, and no more than the rest of a second.
func states(t *testing.T, s storage.Store, name string, want storage.Retention) {
	t.Helper()
	got, err := storage.RetentionOf(t.Context(), s, name)
	if err != nil || got.Mode != want.Mode || got.Until.Before(want.Until) || got.Until.Sub(want.Until) >= time.Second {
		t.Errorf("retention of %s = %v, %v; want %v", name, got, err, want)
	}
}

func testPurge(t *testing.T, s *bucket) {
	for _, name := range []string{"p/a", "p/ab", "p/a-b"} {
		storagetest.Put(t, s, name, []byte(name))
	}
	// Hidden and stored again, twice, where the server takes it.
	for range 2 {
		if err := s.Delete(t.Context(), "p/a"); err != nil {
			t.Fatal(err)
		}
		err := s.Put(t.Context(), storagetest.Object("p/a", []byte("again")))
		if s.site.Kind == "minio" && err != nil || s.site.Kind != "minio" && (err == nil || storage.Permanent(err)) {
			t.Errorf("Put of what is hidden = %v", err)
		}
	}
	if err := s.Delete(t.Context(), "p/a"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := storage.Purge(t.Context(), s, "p/a"); err != nil {
			t.Error(err)
		}
	}
	if n := s.versions(t); n != 2 {
		t.Errorf("%d versions are left, want the two objects of other names", n)
	}
	if got := storagetest.List(t, s, "", ""); len(got) != 2 {
		t.Errorf("List = %q", got)
	}
	if r, err := storage.RetentionOf(t.Context(), s, "p/ab"); err != nil || r != (storage.Retention{}) {
		t.Errorf("retention of an object without = %v, %v", r, err)
	}
	if err := storage.Purge(t.Context(), s, "p/../a"); !errors.Is(err, storage.ErrInvalid) {
		t.Errorf("Purge of an invalid name = %v", err)
	}
}

func testWithoutLock(t *testing.T, s *bucket) {
	until := time.Now().Add(time.Hour)
	storagetest.Put(t, s, "p/plain", []byte("content"))
	for what, err := range map[string]error{
		"put":    s.Put(t.Context(), locked("p/locked", storage.Compliance, until)),
		"retain": storage.Retain(t.Context(), s, "p/plain", storage.Retention{Mode: storage.Governance, Until: until}),
		"tamper": tampered(t, s, storage.Compliance),
	} {
		var e *storage.Error
		if !errors.Is(err, storage.ErrUnsupported) || !errors.As(err, &e) || !strings.Contains(e.Hint, "without object lock") {
			t.Errorf("%s: %v, want ErrUnsupported", what, err)
		}
	}
	if err := storage.Purge(t.Context(), s, "p/plain"); err != nil {
		t.Error(err)
	}
	if _, err := s.Stat(t.Context(), "p/plain"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Stat of what was purged = %v", err)
	}
	for _, name := range []string{"p/plain", "p/never"} {
		if err := storage.Purge(t.Context(), s, name); err != nil {
			t.Errorf("Purge of what does not exist: %v", err)
		}
	}
}

func testDecorated(t *testing.T, s *bucket) {
	hold := time.Hour
	d := storage.WithRetry(storage.WithRate(storage.WithLock(s, storage.Governance, hold, clock.System), 1<<30, clock.System),
		storage.DefaultRetry, clock.System, nil)
	storagetest.Put(t, d, "p/object", []byte("content"))
	until := time.Now().Add(hold)
	r, err := storage.RetentionOf(t.Context(), d, "p/object")
	if err != nil || r.Mode != storage.Governance || r.Until.Sub(until).Abs() > time.Minute {
		t.Errorf("retention = %v, %v", r, err)
	}
	refused(t, "purge", storage.Purge(t.Context(), d, "p/object"), r.Until)
	r.Until = r.Until.Add(time.Hour)
	if err := storage.Retain(t.Context(), d, "p/object", r); err != nil {
		t.Error(err)
	}
	states(t, d, "p/object", r)
	// What tests of the site leave is not held for that long.
	found, err := storage.Probe(t.Context(), d)
	if err != nil || !found.ObjectLock || !found.Delete || len(found.Notes) != 0 {
		t.Errorf("Probe = %+v, %v", found, err)
	}
	if n := s.versions(t); n != 1 {
		t.Errorf("the probe left %d versions", n-1)
	}
}

func tampered(t *testing.T, s storage.Store, mode storage.LockMode) error {
	_, err := storage.TamperTest(t.Context(), s, mode, clock.System)
	return err
}

func testTamper(t *testing.T, s *bucket, mode storage.LockMode) {
	r, err := storage.TamperTest(t.Context(), s, mode, clock.System)
	// The key of this test may do anything, so that governance does not bind it.
	bypassed := r.Bypass != nil && !r.Bypass.Refused
	if free := mode == storage.Governance; err != nil || free != bypassed || free != (r.Err() != nil) {
		t.Fatalf("%+v, %v, %v", r, err, r.Err())
	}
	for what, refusal := range map[string]storage.Refusal{"delete": r.Delete, "shorten": r.Shorten} {
		if !refusal.Refused || refusal.By != "lock" || !strings.Contains(refusal.Answer, "HTTP 40") {
			t.Errorf("%s: %+v", what, refusal)
		}
	}
	if !strings.HasPrefix(r.Object, "probe/") || r.Stated.Mode != mode {
		t.Errorf("%+v", r)
	}

	// A second test does not mind what the first had to leave.
	if err := tampered(t, s, mode); err != nil {
		t.Error(err)
	}
	// Sites that do not keep what they promise are found out.
	if r, err := storage.TamperTest(t.Context(), &forgetful{bucket: s}, mode, clock.System); err != nil || r.Err() == nil {
		t.Errorf("a site that forgets the retention: %+v, %v", r, err)
	}
	r, err = storage.TamperTest(t.Context(), &forgetful{bucket: s, claims: r.Stated}, mode, clock.System)
	if err != nil || r.Err() == nil || r.Delete.Refused || r.Readable {
		t.Errorf("a site that claims a retention: %+v, %v", r, err)
	}
}

// forgetful is a site that takes objects without their retention, and may
// claim one all the same.
type forgetful struct {
	*bucket
	claims storage.Retention
}

func (f *forgetful) Put(ctx context.Context, obj storage.Object) error {
	if f.claims != (storage.Retention{}) {
		f.claims.Until = obj.Retention.Until
	}
	obj.Retention = storage.Retention{}
	return f.bucket.Put(ctx, obj)
}

func (f *forgetful) Retain(context.Context, string, storage.Retention) error {
	return storage.ErrLocked
}

func (f *forgetful) Retention(context.Context, string) (storage.Retention, error) {
	return f.claims, nil
}

package storage_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	miniogo "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/testenv"
)

// holder is somebody with the rights of one of the policies that operators are
// given, on a bucket of their own and the prefix that the policies name.
type holder struct {
	storage.Store
	site   *testenv.Site
	config config.Site
}

func (h holder) Unwrap() storage.Store { return h.Store }

// holders makes a bucket, and a holder of each of the policies in the files.
// The first one returned may do anything.
func holders(t *testing.T, lock bool, policies ...string) []holder {
	t.Helper()
	site := testenv.Sites(t).Onsite
	base := site.Config("market")
	base.Bucket = site.NewBucket(t, lock)
	out := []holder{{Store: testenv.OpenSite(t, site.Name, base, 0), site: site, config: base}}
	for _, name := range policies {
		text, err := os.ReadFile(filepath.Join("..", "..", "configs", "policies", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("market-backups/market/*")) {
			t.Fatalf("%s.json names no market-backups/market/*", name)
		}
		c := base
		access, secret := site.NewUser(t, bytes.ReplaceAll(text, []byte("market-backups"), []byte(base.Bucket)))
		c.AccessKey, c.SecretKey = access, config.Secret(secret)
		out = append(out, holder{Store: testenv.OpenSite(t, site.Name, c, 0), site: site, config: c})
	}
	return out
}

// raw returns a client for what a store never does.
func (h holder) raw(t *testing.T) *miniogo.Client {
	t.Helper()
	client, err := miniogo.New(strings.TrimPrefix(h.config.Endpoint, "http://"), &miniogo.Options{
		Creds: credentials.NewStaticV4(h.config.AccessKey, h.config.SecretKey.Reveal(), ""), Region: h.config.Region,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// version returns the one version of an object.
func (h holder) version(t *testing.T, name string) string {
	t.Helper()
	info, err := h.raw(t).StatObject(t.Context(), h.config.Bucket, "market/"+name, miniogo.StatObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return info.VersionID
}

// read returns the content of one version.
func (h holder) read(t *testing.T, name, version string) string {
	t.Helper()
	object, err := h.raw(t).GetObject(t.Context(), h.config.Bucket, "market/"+name, miniogo.GetObjectOptions{VersionID: version})
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// put stores an object under lock.
func (h holder) put(t *testing.T, name string, mode storage.LockMode) {
	t.Helper()
	s := storage.WithLock(h.Store, mode, time.Hour, clock.System)
	storagetest.Put(t, s, name, []byte("content of "+name))
}

// mischief is what a thief of a key would do to a bucket that has the object,
// each on its own.
func mischief(t *testing.T, thief holder, object, version string) map[string]error {
	t.Helper()
	client, bucket, key := thief.raw(t), thief.config.Bucket, "market/"+object
	days, unit, mode := uint(1), miniogo.Days, miniogo.Governance
	return map[string]error{
		"delete":           thief.Delete(t.Context(), object),
		"delete elsewhere": client.RemoveObject(t.Context(), bucket, "other/object", miniogo.RemoveObjectOptions{}),
		"put elsewhere":    put(t, client, bucket, "other/object"),
		"bypass": client.RemoveObject(t.Context(), bucket, key,
			miniogo.RemoveObjectOptions{VersionID: version, GovernanceBypass: true}),
		"policy":     client.SetBucketPolicy(t.Context(), bucket, `{"Version":"2012-10-17","Statement":[]}`),
		"lock":       client.SetObjectLockConfig(t.Context(), bucket, &mode, &days, &unit),
		"versioning": client.SuspendVersioning(t.Context(), bucket),
		"bucket":     client.RemoveBucket(t.Context(), bucket),
		"new bucket": client.MakeBucket(t.Context(), bucket+"-more", miniogo.MakeBucketOptions{}),
	}
}

func put(t *testing.T, client *miniogo.Client, bucket, key string) error {
	_, err := client.PutObject(t.Context(), bucket, key, strings.NewReader("x"), 1, miniogo.PutObjectOptions{})
	return err
}

// denied checks that mischief was refused for lack of rights.
func denied(t *testing.T, who string, attempts map[string]error) {
	t.Helper()
	for what, err := range attempts {
		if !errors.Is(err, storage.ErrDenied) && miniogo.ToErrorResponse(err).Code != "AccessDenied" {
			t.Errorf("%s: %s = %v, want it denied", who, what, err)
		}
	}
}

func TestPolicyWriter(t *testing.T) {
	all := holders(t, false, "writer")
	writer := all[1]
	storagetest.RunWriter(t, func(t *testing.T) storage.Store {
		c := writer.config
		c.Prefix = "market/" + writer.site.Prefix()
		return testenv.OpenSite(t, "onsite", c, 0)
	})
	found, err := storage.Probe(t.Context(), writer)
	if err != nil || found.Suffices() != nil || !found.Delete || len(found.Notes) != 0 {
		t.Errorf("Probe = %+v, %v", found, err)
	}
	storagetest.Put(t, writer, "p/object", []byte("content"))
	storagetest.Put(t, all[0], "p/others", []byte("content"))
	denied(t, "writer", mischief(t, writer, "p/object", "null"))
	for _, name := range []string{"p/object", "p/others"} {
		if err := storage.Purge(t.Context(), writer, name); !errors.Is(err, storage.ErrDenied) {
			t.Errorf("purge of %s = %v", name, err)
		}
		if got := storagetest.Get(t, writer, name); string(got) != "content" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := storagetest.List(t, all[0], "probe/", ""); len(got) != 0 {
		t.Errorf("the probe left %q", got)
	}
}

func TestPolicyWriterLocked(t *testing.T) {
	all := holders(t, true, "writer-locked", "writer")
	root, writer, plain := all[0], all[1], all[2]
	for object, mode := range map[string]storage.LockMode{"p/compliance": storage.Compliance, "p/governance": storage.Governance} {
		writer.put(t, object, mode)
		denied(t, "writer", mischief(t, writer, object, root.version(t, object)))
		if err := storage.Purge(t.Context(), writer, object); !errors.Is(err, storage.ErrDenied) {
			t.Errorf("purge of %s = %v", object, err)
		}
	}
	found, err := storage.TamperTest(t.Context(), writer, storage.Compliance, clock.System)
	if err != nil || found.Err() != nil || found.Delete.By != "lock" || found.Shorten.By != "lock" {
		t.Errorf("tamper test: %+v, %v, %v", found, err, found.Err())
	}

	// A key without the rights may lock nothing.
	r := storage.Retention{Mode: storage.Compliance, Until: time.Now().Add(time.Hour)}
	obj := storagetest.Object("p/new", nil)
	obj.Retention = r
	attempts := map[string]error{
		"put under lock": plain.Put(t.Context(), obj),
		"retain":         storage.Retain(t.Context(), plain, "p/compliance", r),
	}
	denied(t, "writer without lock", attempts)
	// What was denied can be done: by one who may bypass.
	if err := root.raw(t).RemoveObject(t.Context(), root.config.Bucket, "market/p/governance",
		miniogo.RemoveObjectOptions{VersionID: root.version(t, "p/governance"), GovernanceBypass: true}); err != nil {
		t.Errorf("an administrator cannot bypass: %v", err)
	}
}

// The end of a retention may be put off, but not for ever: the bucket would
// grow without an end.
func TestPolicyBoundsTheLock(t *testing.T) {
	writer := holders(t, true, "writer-locked")[1]
	writer.put(t, "p/object", storage.Compliance)
	day := 24 * time.Hour
	r := storage.Retention{Mode: storage.Compliance, Until: time.Now().Add(69 * day)}
	if err := storage.Retain(t.Context(), writer, "p/object", r); err != nil {
		t.Errorf("put off: %v", err)
	}
	r.Until = time.Now().Add(100 * 365 * day)
	if err := storage.Retain(t.Context(), writer, "p/object", r); !errors.Is(err, storage.ErrDenied) {
		t.Errorf("put off for ever: %v", err)
	}
	// MinIO does not ask that of a new object.
	obj := storagetest.Object("p/long", nil)
	obj.Retention = r
	if err := writer.Put(t.Context(), obj); err != nil {
		t.Errorf("a new object, locked for ever: %v; if MinIO refuses now, say so in docs/operations.md", err)
	}
}

// MinIO lets everybody shorten a governance retention who may set one, right
// to bypass or not. The tamper test tells: on MinIO, only compliance counts.
func TestPolicyGovernanceOnMinIO(t *testing.T) {
	writer := holders(t, true, "writer-locked")[1]
	found, err := storage.TamperTest(t.Context(), writer, storage.Governance, clock.System)
	if err != nil || found.Bypass == nil || found.Bypass.Refused || found.Err() == nil {
		t.Errorf("tamper test: %+v, %v; if MinIO refuses now, say so in docs/operations.md", found, err)
	}
}

// Whoever may put may put something else on top, without the condition that a
// store always makes. Where versions are kept, what was there is still there.
func TestPolicyThiefOverwrites(t *testing.T) {
	all := holders(t, true, "writer-locked")
	root, thief := all[0], all[1]
	root.put(t, "p/object", storage.Compliance)
	version := root.version(t, "p/object")
	client, bucket := root.raw(t), root.config.Bucket
	if err := put(t, thief.raw(t), bucket, "market/p/object"); err != nil {
		t.Fatal(err)
	}
	if got := storagetest.Get(t, root, "p/object"); string(got) != "x" {
		t.Fatalf("not overwritten: %q", got)
	}
	err := client.RemoveObject(t.Context(), bucket, "market/p/object",
		miniogo.RemoveObjectOptions{VersionID: root.version(t, "p/object")})
	if err != nil {
		t.Fatal(err)
	}
	if got := storagetest.Get(t, root, "p/object"); string(got) != "content of p/object" || root.version(t, "p/object") != version {
		t.Errorf("not brought back: %q", got)
	}
}

func TestPolicySweeper(t *testing.T) {
	for _, lock := range []bool{false, true} {
		all := holders(t, lock, "sweeper")
		root, sweeper := all[0], all[1]
		storagetest.Put(t, root, "p/loose", []byte("x"))
		if err := storage.Purge(t.Context(), sweeper, "p/loose"); err != nil {
			t.Errorf("lock %t: purge = %v", lock, err)
		}
		if _, err := root.Stat(t.Context(), "p/loose"); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("lock %t: Stat = %v", lock, err)
		}
		storagetest.Put(t, sweeper, "g/mark", []byte("x"))
		if !lock {
			continue
		}
		for object, mode := range map[string]storage.LockMode{"p/compliance": storage.Compliance, "p/governance": storage.Governance} {
			root.put(t, object, mode)
			if err := storage.Purge(t.Context(), sweeper, object); !errors.Is(err, storage.ErrLocked) {
				t.Errorf("purge of %s = %v", object, err)
			}
			if got := storagetest.Get(t, sweeper, object); string(got) != "content of "+object {
				t.Errorf("after a refused purge: %q", got)
			}
			version := root.version(t, object)
			attempts := mischief(t, sweeper, object, version)
			if err := attempts["delete"]; err != nil {
				t.Errorf("hide %s: %v", object, err) // mending does so before it stores a good copy
			}
			delete(attempts, "delete")
			if err := attempts["bypass"]; mode == storage.Compliance && err != nil {
				delete(attempts, "bypass") // the lock itself refuses, there is nothing to bypass
			}
			denied(t, "sweeper", attempts)
			sweeper.put(t, object, mode)
			if got := root.read(t, object, version); got != "content of "+object {
				t.Errorf("what was locked: %q", got)
			}
		}
	}
}

func TestPolicyReader(t *testing.T) {
	all := holders(t, true, "reader")
	root, reader := all[0], all[1]
	root.put(t, "p/object", storage.Compliance)
	if got := storagetest.Get(t, reader, "p/object"); string(got) != "content of p/object" {
		t.Errorf("got %q", got)
	}
	if got := storagetest.List(t, reader, "", ""); len(got) != 1 {
		t.Errorf("List = %q", got)
	}
	if _, err := reader.Stat(t.Context(), "p/none"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Stat = %v", err)
	}
	attempts := mischief(t, reader, "p/object", root.version(t, "p/object"))
	attempts["put"] = reader.Put(t.Context(), storagetest.Object("p/new", nil))
	attempts["purge"] = storage.Purge(t.Context(), reader, "p/object")
	attempts["retain"] = storage.Retain(t.Context(), reader, "p/object",
		storage.Retention{Mode: storage.Compliance, Until: time.Now().Add(2 * time.Hour)})
	denied(t, "reader", attempts)
}

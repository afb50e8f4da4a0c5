package engine_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/testenv"
)

// holder returns a user of a MinIO site with one of the policies that operators
// are given, for a bucket and the prefix that they name.
func holder(t *testing.T, site *testenv.Site, bucket, policy string) config.Site {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "configs", "policies", policy+".json"))
	if err != nil {
		t.Fatal(err)
	}
	c := site.Config("market")
	access, secret := site.NewUser(t, bytes.ReplaceAll(text, []byte("market-backups"), []byte(bucket)))
	c.Bucket, c.AccessKey, c.SecretKey = bucket, access, config.Secret(secret)
	return c
}

// finding returns the line of a check about a site that says something.
func (w *world) finding(t *testing.T, site, says string) engine.Finding {
	t.Helper()
	all := engine.Check(t.Context(), w.cfg, w.options())
	for _, f := range all {
		if f.Group == "site" && f.Subject == site && strings.Contains(f.Detail, says) {
			return f
		}
	}
	t.Fatalf("nothing says %q of site %s: %+v", says, site, all)
	return engine.Finding{}
}

func TestTheWriterNeedNotDeleteWhenTheSweeperMay(t *testing.T) {
	t.Parallel()
	onsite := testenv.Sites(t).Onsite
	bucket := onsite.NewBucket(t, false)
	writer, sweeper := holder(t, onsite, bucket, "writer"), holder(t, onsite, bucket, "sweeper")
	w := newWorld(t, extra{function: ", keep: {last: 1}", more: "sweep: {grace: 2h}\n", onsite: &writer})
	w.history(t, 2)
	w.prune(t, false)
	w.clock.advance(day)
	_, err := w.Sweep(t.Context(), engine.SweepRequest{}, nil)
	if err == nil || !strings.Contains(err.Error(), "sweeper_access_key") {
		t.Errorf("a sweep with the writer's key: %v", err)
	}
	if f := w.finding(t, "onsite", "may not delete"); f.OK || !strings.Contains(f.Hint, "sweeper_access_key") {
		t.Errorf("%+v", f)
	}
	if f := w.finding(t, "cloud", "may delete"); !f.OK {
		t.Errorf("%+v", f)
	}

	c := w.cfg.Sites["onsite"]
	c.SweeperAccessKey, c.SweeperSecretKey = sweeper.AccessKey, sweeper.SecretKey
	w.cfg.Sites["onsite"] = c
	w.again(t)
	if f := w.finding(t, "onsite", "sweeper_access_key may delete"); !f.OK {
		t.Errorf("%+v", f)
	}
	if r := w.sweep(t); r.DeletedCommits.Objects != 1 {
		t.Errorf("%+v", r)
	}
	w.sync(t) // what was written anew is on its way
	if left := objectsOf(t, testenv.OpenSite(t, "onsite", writer, 0)); len(left) != w.objects(t, "cloud") {
		t.Errorf("onsite: %v\ncloud: %v", left, objectsOf(t, w.sites["cloud"].StoreAt(t, w.where["cloud"])))
	}
}

// Who takes the secret for the public key must not find it in a log.
func TestASecretThatIsGivenAsARecipientIsNotRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t, extra{})
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{id.String(), strings.ToLower(id.String()), " " + id.String(), id.String()[20:]} {
		_, err := w.AddKey(t.Context(), engine.KeyAddRequest{Recipients: []string{text}}, nil)
		if !errors.Is(err, engine.ErrUsage) || strings.Contains(strings.ToUpper(err.Error()), id.String()[20:60]) {
			t.Errorf("%v", err)
		}
	}
}

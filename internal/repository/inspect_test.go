package repository

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage/faulty"
)

func (b *bench) inspect(t *testing.T, object string, sites ...string) *Inspection {
	t.Helper()
	out, err := b.Inspect(t.Context(), object, sites)
	if err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	return out
}

func TestInspectTellsWhatAnObjectIs(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	first := b.write(t, "payments", map[string][]byte{"payments.ledger": someRows(rnd, 3000)})
	turned := b.rotate(t)
	b.clock.Advance(time.Minute)
	second := b.write(t, "payments", map[string][]byte{"payments.ledger": someRows(rnd, 10)})
	if err := b.Hold(t.Context(), first.ID, "audit"); err != nil {
		t.Fatal(err)
	}
	b.durable(t, second)
	if _, err := b.Sync(t.Context(), nil, time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	good := func(i *Inspection, kind string) {
		t.Helper()
		if i.Kind != kind || !i.Known || i.From != "onsite" || i.Problem != "" || !i.Opens && kind != KindOfConfig {
			t.Errorf("%s: %+v", i.Object, i)
		}
		for site, c := range i.Sites {
			if c.State != CopyRight || c.Size != i.Size || c.SHA256 != i.SHA256 || c.Waiting || c.Fault != "" || !c.Good() {
				t.Errorf("%s at site %s: %+v", i.Object, site, c)
			}
		}
		if len(i.Sites) != 2 {
			t.Errorf("%s: sites %+v", i.Object, i.Sites)
		}
	}

	digest := first.Packs[0].SHA256
	text := hex.EncodeToString(digest[:])
	for _, name := range []string{catalog.PackName(digest), text, text[:15]} {
		i := b.inspect(t, name)
		good(i, catalog.KindPack)
		if i.SealedWith != turned.Before || len(i.Pack.Snapshots) == 0 || len(i.Pack.Chunks) == 0 || !i.Pack.Condemned.IsZero() || i.Pack.Lost {
			t.Errorf("pack: %+v", i.Pack)
		}
		var rows InspectedChunks
		for _, c := range i.Pack.Chunks {
			if c.Kind == "rows" {
				rows = c
			}
		}
		if rows.Count == 0 || rows.Raw == 0 || rows.Stored == 0 || rows.Stored >= i.Size {
			t.Errorf("chunks: %+v", i.Pack.Chunks)
		}
	}

	i := b.inspect(t, second.ID[:8])
	good(i, catalog.KindCommit)
	if i.Object != commitNameOf(t, b, second) || i.SealedWith != turned.Key || len(i.Commit.Snapshots) != 1 {
		t.Fatalf("commit: %+v", i.Commit)
	}
	s := i.Commit.Snapshots[0]
	want := []InspectedTable{{Name: "payments.ledger", Rows: 10, Bytes: second.Tables[0].Bytes, Digest: second.Tables[0].Digest}}
	if diff := cmp.Diff(want, s.Tables); diff != "" || s.Snapshot != second.ID || s.Packs != len(second.Packs) || len(s.Missing["onsite"])+len(s.Missing["cloud"]) > 0 {
		t.Errorf("snapshot: %+v: %s", s, diff)
	}

	marks, err := b.options.Catalog.Objects(catalog.KindMark)
	if err != nil || len(marks) != 2 {
		t.Fatalf("marks %+v (%v)", marks, err)
	}
	if i = b.inspect(t, marks[0].Name); i.Mark.Key != turned.Key || i.SealedWith != turned.Before {
		t.Errorf("mark: %+v sealed with %s", i.Mark, i.SealedWith)
	}
	good(i, catalog.KindMark)
	if i = b.inspect(t, marks[1].Name); i.Mark.Hold != first.ID || i.Mark.Reason != "audit" {
		t.Errorf("mark: %+v", i.Mark)
	}

	i = b.inspect(t, keyName(turned.Key))
	good(i, catalog.KindKey)
	if k := i.Wrapped; k.ID != turned.Key || k.Recipients != 2 || !k.Current || k.Names || !slices.Equal(k.OpenedBy, []string{b.daemon.Recipient().String()}) {
		t.Errorf("key: %+v", k)
	}
	i = b.inspect(t, configName)
	good(i, KindOfConfig)
	if i.Repository.ID != b.ID() || !i.Repository.Ours || i.Repository.Key != turned.Before {
		t.Errorf("repository: %+v", i.Repository)
	}
	noSecrets(t, b, i, b.inspect(t, keyName(turned.Key)), b.inspect(t, second.ID))
}

// noSecrets looks for the keys in what is told.
func noSecrets(t *testing.T, b *bench, told ...*Inspection) {
	t.Helper()
	for _, i := range told {
		text, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range b.keys.all() {
			if strings.Contains(string(text), hex.EncodeToString(key.secret)) {
				t.Errorf("%s: a key is told", i.Object)
			}
		}
	}
}

func TestInspectTellsWhatIsWrong(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 1000)})
	b.durable(t, snap)
	pack := catalog.PackName(snap.Packs[0].SHA256)
	path := filepath.Join(b.roots["onsite"], pack)
	undo := flipByte(t, path, 100)
	i := b.inspect(t, pack)
	if i.From != "cloud" || i.Problem != "" || i.Sites["onsite"].State != CopyWrong || i.Sites["cloud"].State != CopyRight {
		t.Errorf("with a flipped bit: %+v", i)
	}
	if at := i.Sites["onsite"]; at.Good() || at.SHA256 == i.SHA256 {
		t.Errorf("with a flipped bit: %+v", at)
	}
	if i = b.inspect(t, pack, "onsite"); i.From != "onsite" || len(i.Sites) != 1 || len(i.Pack.Chunks) == 0 {
		t.Errorf("from there: %+v", i) // the footer is whole
	}
	undo()

	away := path + ".away"
	if err := os.Rename(path, away); err != nil {
		t.Fatal(err)
	}
	if i = b.inspect(t, pack); i.Sites["onsite"].State != CopyMissing || i.From != "cloud" {
		t.Errorf("without it: %+v", i)
	}
	if i = b.inspect(t, snap.ID); !slices.Equal(i.Commit.Snapshots[0].Missing["onsite"], []string{pack}) || len(i.Commit.Snapshots[0].Missing["cloud"]) > 0 {
		t.Errorf("its commit: %+v", i.Commit)
	}
	if err := os.Rename(away, path); err != nil {
		t.Fatal(err)
	}

	cloud := faulty.New(b.options.Sites[1].Store, "cloud")
	cloud.SetDown(true)
	b.reopen(t, b.options.Sites[0], Site{Name: "cloud", Store: cloud})
	if i = b.inspect(t, snap.ID); i.Sites["cloud"].State != CopyUnreachable || i.Sites["cloud"].Error == "" || i.Commit == nil || i.Commit.Snapshots[0].Unasked["cloud"] == "" {
		t.Errorf("with the cloud away: %+v", i)
	}
	cloud.SetDown(false)
}

// What nobody knows is told as far as it goes.
func TestInspectOfStrangers(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 1000)})
	b.durable(t, snap)
	for _, nothing := range []string{"ffffffffffffffff", "zzz", "a b", ""} {
		if out, err := b.Inspect(t.Context(), nothing, nil); !errors.Is(err, catalog.ErrNotFound) && !errors.Is(err, ErrAmbiguous) {
			t.Errorf("%q: %+v (%v)", nothing, out, err)
		}
	}
	for name, kind := range map[string]string{"notes/todo.txt": KindUnknown, "c/2026/03/01/garbage": catalog.KindCommit, "keys/0123456789abcdef.age": catalog.KindKey} {
		b.plant(t, "cloud", name, []byte("what somebody put there"))
		i := b.inspect(t, name)
		if i.Kind != kind || i.Known || i.Problem == "" || i.From != "cloud" || i.Sites["cloud"].State != CopyUnjudged || i.Sites["onsite"].State != CopyMissing {
			t.Errorf("%s: %+v", name, i)
		}
	}
	// A pack of a catalog that was lost is found by the beginning of its digest.
	fresh := b.elsewhere(t, b.options.Sites[0])
	digest := hex.EncodeToString(snap.Packs[0].SHA256[:])
	i, err := fresh.Inspect(t.Context(), digest[:10], nil)
	if err != nil || i.Known || i.Sites["onsite"].State != CopyRight || len(i.Pack.Chunks) == 0 {
		t.Errorf("%+v (%v)", i, err)
	}
	if _, err := b.Inspect(t.Context(), snap.ID, []string{"moon"}); err == nil {
		t.Error("there is a site on the moon")
	}
}

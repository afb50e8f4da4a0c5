package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
)

// needing makes the repository of a bench one that a newer release made, with a
// feature that this one does not know.
func (b *bench) needing(t *testing.T, change func(*features)) {
	t.Helper()
	b.stop()
	c, err := parseConfig(b.config)
	if err != nil {
		t.Fatal(err)
	}
	change(&c.Features)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for site := range b.roots {
		b.plant(t, site, configName, text)
	}
	if err := b.options.Catalog.SetMeta(metaConfig, text); err != nil {
		t.Fatal(err)
	}
}

// plain makes it one again that this release knows.
func (b *bench) plain(t *testing.T) {
	t.Helper()
	b.needing(t, func(f *features) { *f = features{} })
	b.open(t)
}

var unknown = []string{"holographic-chunks"}

func refused(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), unknown[0]) {
		t.Errorf("%s: %v", what, err)
	}
}

func TestFeatureThatReadersMustKnow(t *testing.T) {
	b := newBench(t)
	b.needing(t, func(f *features) { f.Read = unknown })
	_, err := Open(t.Context(), b.options)
	refused(t, "open", err)
	_, err = Look(t.Context(), b.options.Sites[0], b.options.Identities)
	refused(t, "look", err)
	fresh := b.options
	fresh.Catalog = newCatalog(t)
	_, err = Open(t.Context(), fresh)
	refused(t, "open on an empty host", err)
	_, err = Init(t.Context(), fresh, b.both())
	refused(t, "init", err)
	c, err := json.Marshal(map[string]any{"format": 1, "chunking": "of another shape", "features": features{Read: unknown}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = parseConfig(c)
	refused(t, "a configuration of another shape", err)
	b.stop = func() {}
	b.plain(t)
}

func TestFeatureThatWritersMustKnow(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	rows := someRows(rnd, 1000)
	snap := b.write(t, "payments", map[string][]byte{"t": rows})
	b.durable(t, snap)
	before := listing(t, b.roots["onsite"])
	b.needing(t, func(f *features) { f.Write = unknown })
	b.open(t)
	if got, err := b.read(t, snap, nil, nil); err != nil || !bytes.Equal(got["t"], rows) {
		t.Errorf("restore: %v", err)
	}
	if problems := b.check(t, snap.ID, "cloud"); len(problems) > 0 {
		t.Errorf("check: %v", problems)
	}
	_, err := b.tryWrite(t.Context(), "payments", map[string][]byte{"t": rows})
	refused(t, "snapshot", err)
	refused(t, "hold", b.Hold(t.Context(), snap.ID, "audit"))
	refused(t, "prune", b.addMark(t.Context(), &mark{Condemn: &condemnMark{}}, nil))
	_, err = b.RotateKey(t.Context(), b.both(), 1, 0)
	refused(t, "rotate", err)
	_, err = b.AddRecipients(t.Context(), b.both(), nil, 0)
	refused(t, "add", err)
	if after := listing(t, b.roots["onsite"]); !slices.Equal(before, after) {
		t.Errorf("the site holds %v, before %v", after, before)
	}
	b.plain(t)
}

// commitNameOf returns the name of a snapshot's commit.
func commitNameOf(t *testing.T, b *bench, snap *Snapshot) string {
	t.Helper()
	info, err := b.Info(snap.ID)
	if err != nil {
		t.Fatal(err)
	}
	return info.Commit
}

// newCatalog returns an empty catalog.
func newCatalog(t *testing.T) *catalog.Catalog {
	t.Helper()
	cat, err := catalog.Open(filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cat.Close() })
	return cat
}

// listing returns the names of the files below a directory.
func listing(t *testing.T, root string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestFeatureThatDeletersMustKnow(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	first := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)})
	b.clock.Advance(time.Minute)
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)}))
	b.needing(t, func(f *features) { f.Delete = unknown })
	b.open(t)
	refused(t, "condemn", b.Condemn(t.Context(), map[string]string{first.ID: "a test"}))
	_, err := b.Sweep(t.Context(), SweepOptions{Grace: time.Hour}, nil)
	refused(t, "sweep", err)
	// Writing goes on, and what is damaged stays as it is and is told.
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 10)}))
	path := filepath.Join(b.roots["cloud"], commitNameOf(t, b, first))
	undo := flipByte(t, path, 60)
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o, err := b.options.Catalog.Object(commitNameOf(t, b, first))
	if err != nil {
		t.Fatal(err)
	}
	e := catalog.Entry{Kind: o.Kind, Name: o.Name, Size: o.Size, SHA256: o.SHA256, Snapshot: o.Snapshot}
	refused(t, "mend", b.mend(t.Context(), b.options.Sites[1], e))
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the damaged object was touched (%v)", err)
	}
	undo()
	b.plain(t)
}

func TestFeatureThatCheckersMustKnow(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)})
	b.durable(t, snap)
	b.needing(t, func(f *features) { f.Check = unknown })
	b.open(t)
	none := func(int64) {}
	_, _, err := b.CheckPresent(t.Context(), snap, "cloud")
	refused(t, "L0", err)
	_, _, err = b.Fetch(t.Context(), snap, "cloud", t.TempDir(), none)
	refused(t, "L1", err)
	_, _, err = b.CheckReadable(t.Context(), snap, t.TempDir(), none)
	refused(t, "L2", err)
	_, err = b.Scrub(t.Context(), ScrubOptions{All: true}, func(ScrubProgress) {})
	refused(t, "scrub", err)
	found, err := b.Sync(t.Context(), nil, time.Minute, nil)
	if err != nil || len(found["cloud"].Problems) != 1 || !strings.Contains(found["cloud"].Problems[0].Detail, unknown[0]) {
		t.Errorf("sync: %+v (%v)", found, err)
	}
	if h, err := b.Health(); err != nil || h["cloud"].State == SiteInStep {
		t.Errorf("the site is said to be in step: %+v (%v)", h["cloud"], err)
	}
	// Reading and writing go on.
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 10)}))
	b.plain(t)
}

func TestOtherFormatIsRefused(t *testing.T) {
	for _, text := range []string{
		`{"format": 2, "chunking": 7}`, `{"format": 0}`,
	} {
		if _, err := parseConfig([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{``, `{}`, `[]`, `{"format": "1"}`} {
		if _, err := parseConfig([]byte(text)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", text, err)
		}
	}
	is, err := newConfig(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), []age.Recipient{newIdentity(t).Recipient(), newIdentity(t).Recipient()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseConfig(is.config); err != nil {
		t.Error(err)
	}
	if _, err := parseConfig(bytes.Replace(is.config, []byte("xxh3-128"), []byte("xxh9-128"), 1)); !errors.Is(err, ErrFormat) {
		t.Errorf("another row hash: %v", err)
	}
}

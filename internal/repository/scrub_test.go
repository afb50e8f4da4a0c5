package repository

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

func noProgress(ScrubProgress) {}

// scrubAll reads everything of all sites.
func (b *bench) scrubAll(t *testing.T, sites ...string) map[string]Scrubbed {
	t.Helper()
	out, err := b.Scrub(t.Context(), ScrubOptions{Sites: sites, All: true}, noProgress)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rewrite replaces what a site holds under a name.
func (b *bench) rewrite(t *testing.T, site, name string, change func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(b.roots[site], name)
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, change(bytes.Clone(old)), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func flipped(b []byte) []byte { b[len(b)/2] ^= 4; return b }

// Whatever becomes of an object at one site, a scrub finds it and puts it right
// from the other.
func TestScrubMendsWhatIsWrong(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 2000)})
	other := b.write(t, "accounts", map[string][]byte{"t": someRows(rnd, 2000)})
	b.durable(t, snap)
	b.durable(t, other)
	record, err := b.options.Catalog.Snapshot(snap.ID)
	if err != nil {
		t.Fatal(err)
	}
	pack := catalog.PackName(snap.Packs[0].SHA256)
	swap := filepath.Join(b.roots["cloud"], catalog.PackName(other.Packs[0].SHA256))
	objects := []string{pack, record.Commit, keyName(b.keys.first.String()), configName}
	damages := map[string]func(name string){
		"flipped": func(name string) { b.rewrite(t, "cloud", name, flipped) },
		"cut":     func(name string) { b.rewrite(t, "cloud", name, func(b []byte) []byte { return b[:len(b)/2] }) },
		"emptied": func(name string) { b.rewrite(t, "cloud", name, func([]byte) []byte { return nil }) },
		"longer":  func(name string) { b.rewrite(t, "cloud", name, func(b []byte) []byte { return append(b, 0) }) },
		"swapped": func(name string) {
			b.rewrite(t, "cloud", name, func([]byte) []byte {
				there, err := os.ReadFile(swap)
				if err != nil {
					t.Fatal(err)
				}
				return there
			})
		},
		"deleted": func(name string) {
			if err := os.Remove(filepath.Join(b.roots["cloud"], name)); err != nil {
				t.Fatal(err)
			}
		},
	}
	for what, damage := range damages {
		for _, name := range objects {
			if what == "deleted" && name == configName {
				continue // the site is empty then, and init fills it
			}
			t.Run(what+" "+strings.SplitN(name, "/", 2)[0], func(t *testing.T) {
				want, err := os.ReadFile(filepath.Join(b.roots["onsite"], name))
				if err != nil {
					t.Fatal(err)
				}
				damage(name)
				out := b.scrubAll(t)
				missing := 0
				if what == "deleted" {
					missing = 1
				}
				if s := out["cloud"]; s.Bad != 1-missing || s.Missing != missing || s.Mended != 1 || len(s.Wrong) > 0 {
					t.Errorf("the damaged site: %+v", s)
				}
				if s := out["onsite"]; s.Bad+s.Missing+s.Mended > 0 || s.Objects < 4 {
					t.Errorf("the other site: %+v", s)
				}
				if got, err := os.ReadFile(filepath.Join(b.roots["cloud"], name)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("not put right (%v)", err)
				}
			})
		}
	}
}

func TestScrubSaysWhatIsLost(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	rows := someRows(rnd, 2000)
	snap := b.write(t, "payments", map[string][]byte{"t": rows})
	b.durable(t, snap)
	pack := catalog.PackName(snap.Packs[0].SHA256)
	for site := range b.roots {
		b.rewrite(t, site, pack, flipped)
	}
	b.scrubAll(t)
	for site, s := range b.scrubAll(t) { // what is known stays in the answer
		if len(s.Wrong) != 1 || !s.Wrong[0].Lost || s.Wrong[0].Object != pack || !slices.Equal(s.Wrong[0].Snapshots, []string{snap.ID}) {
			t.Errorf("site %s: %+v", site, s)
		}
		info, err := b.Info(snap.ID)
		if err != nil || info.Sites[site].State != StateDamaged {
			t.Errorf("site %s: the snapshot is %+v (%v)", site, info.Sites[site], err)
		}
	}
	// A comparison sees the names and does not take the objects for good ones.
	if _, err := b.Sync(t.Context(), nil, time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	if lost, err := b.options.Catalog.Lost(pack); err != nil || !lost {
		t.Errorf("a corrupt pack was taken for the lost one (%v)", err)
	}
	// The next snapshot writes anew what it held.
	b.clock.Advance(time.Minute)
	next := b.write(t, "payments", map[string][]byte{"t": rows})
	b.durable(t, next)
	// Somebody brings the right bytes back.
	b.rewrite(t, "onsite", pack, flipped)
	if _, err := b.Sync(t.Context(), nil, time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		info, err := b.Info(snap.ID)
		return err == nil && info.Holders() == 2
	})
}

// keeper is a store that refuses to delete.
type keeper struct{ storage.Store }

func (k keeper) Delete(_ context.Context, name string) error {
	return &storage.Error{Site: "cloud", Op: "delete", Name: name, Err: storage.ErrDenied}
}

func TestScrubOfASiteThatDoesNotLetGo(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.reopen(t, b.options.Sites[0], Site{Name: "cloud", Store: keeper{b.options.Sites[1].Store}})
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 2000)})
	b.durable(t, snap)
	pack := catalog.PackName(snap.Packs[0].SHA256)
	b.rewrite(t, "cloud", pack, flipped)
	s := b.scrubAll(t, "cloud")["cloud"]
	if s.Bad != 1 || s.Mended != 0 || len(s.Wrong) != 1 || s.Wrong[0].Lost || !strings.Contains(s.Wrong[0].Detail, "sweeper_access_key") {
		t.Errorf("the answer is %+v", s)
	}
	// It does not hold up the rest, and is mended when somebody lends a hand.
	b.clock.Advance(time.Minute)
	b.durable(t, b.write(t, "accounts", map[string][]byte{"t": someRows(rnd, 200)}))
	b.rewrite(t, "cloud", pack, flipped)
	if s := b.scrubAll(t, "cloud")["cloud"]; s.Bad != 0 || len(s.Wrong) != 0 {
		t.Errorf("after it was put right by hand: %+v", s)
	}
	b.durable(t, snap)
}

// rotten is a store that cannot read an object until it is written anew.
type rotten struct {
	storage.Store
	name atomic.Pointer[string]
}

func (r *rotten) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if bad := r.name.Load(); bad != nil && *bad == name {
		return nil, &storage.Error{Site: "cloud", Op: "get", Name: name, Err: errors.New("503 SlowDown: resource requested is unreadable")}
	}
	return r.Store.Get(ctx, name, offset, length)
}

func (r *rotten) Delete(ctx context.Context, name string) error {
	r.name.Store(nil)
	return r.Store.Delete(ctx, name)
}

// Some servers answer a rotten object with an error like that of a site that is
// overloaded. It holds up nothing and is replaced.
func TestObjectThatCannotBeRead(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	cloud := &rotten{Store: b.options.Sites[1].Store}
	b.reopen(t, b.options.Sites[0], Site{Name: "cloud", Store: cloud})
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 2000)})
	b.durable(t, snap)
	pack := catalog.PackName(snap.Packs[0].SHA256)
	cloud.name.Store(&pack)
	if s := b.scrubAll(t, "cloud")["cloud"]; s.Bad != 1 || s.Mended != 1 || len(s.Wrong) > 0 {
		t.Errorf("the answer is %+v", s)
	}
}

func TestScrubOfASiteThatIsAway(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 2000)}))
	b.clock.Advance(time.Hour)
	if err := os.Rename(b.roots["cloud"], b.roots["cloud"]+".away"); err != nil {
		t.Fatal(err)
	}
	out, err := b.Scrub(t.Context(), ScrubOptions{All: true}, noProgress)
	if err == nil || !strings.Contains(err.Error(), "cloud") || strings.Contains(err.Error(), "onsite") {
		t.Errorf("the error is %v", err)
	}
	if s := out["onsite"]; s.Error != "" || s.Objects == 0 || !s.Unread.Oldest.Equal(b.clock.Now()) {
		t.Errorf("the site that is there: %+v", s)
	}
	if s := out["cloud"]; s.Error == "" || s.Missing > 0 || s.Unread.Oldest.Equal(b.clock.Now()) {
		t.Errorf("the site that is away: %+v", s)
	}
	if err := os.Rename(b.roots["cloud"]+".away", b.roots["cloud"]); err != nil {
		t.Fatal(err)
	}
}

// The oldest come first, and no more is read than the budget says.
func TestScrubWithinABudget(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	for range 4 {
		b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 500)}))
		b.clock.Advance(time.Hour)
	}
	out, err := b.Scrub(t.Context(), ScrubOptions{Sites: []string{"cloud"}, Budget: 1}, noProgress)
	if err != nil || out["cloud"].Objects != 1 {
		t.Errorf("with a budget of a byte: %+v (%v)", out, err)
	}
	due := ScrubOptions{Sites: []string{"cloud"}, Every: 2*time.Hour + time.Minute}
	if out, err = b.Scrub(t.Context(), due, noProgress); err != nil || out["cloud"].Objects != 4 { // the key, two packs and two commits, less one
		t.Errorf("what is due: %+v (%v)", out, err)
	}
	if want := b.clock.Now().Add(-2 * time.Hour); !out["cloud"].Unread.Oldest.Equal(want) {
		t.Errorf("oldest unread %v, want %v", out["cloud"].Unread.Oldest, want)
	}
	if out, err = b.Scrub(t.Context(), due, noProgress); err != nil || out["cloud"].Objects != 0 {
		t.Errorf("what is due again: %+v (%v)", out, err)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a proof has read whole need not be read again soon.
func TestWhatAProofHasReadIsRead(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 2000)})
	b.durable(t, snap)
	written := b.clock.Now()
	b.clock.Advance(time.Hour)
	restore := flipByte(t, filepath.Join(b.roots["cloud"], catalog.PackName(snap.Packs[0].SHA256)), 1000)
	if problems := b.check(t, snap.ID, "cloud"); len(problems) == 0 {
		t.Error("the damage was not found")
	}
	if u, err := b.Unread("cloud"); err != nil || !u.Oldest.Equal(written) {
		t.Errorf("the pack is damaged, and read at %v (%v)", u.Oldest, err)
	}
	restore()
	if problems := b.check(t, snap.ID, "cloud"); len(problems) > 0 {
		t.Error(problems)
	}
	if u, err := b.Unread("cloud"); err != nil || !u.Oldest.Equal(b.clock.Now()) {
		t.Errorf("unread since %v at %v (%v)", u.Oldest, b.clock.Now(), err)
	}
}

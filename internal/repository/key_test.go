package repository

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage/faulty"
)

// both are who the keys of a bench are wrapped for.
func (b *bench) both() []age.Recipient {
	return []age.Recipient{b.daemon.Recipient(), b.escrow.Recipient()}
}

// rotate puts a new key to use.
func (b *bench) rotate(t *testing.T) KeyRotated {
	t.Helper()
	b.clock.Advance(time.Minute)
	out, err := b.RotateKey(t.Context(), b.both(), 2, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sealedWith returns the keys of the packs that a snapshot names.
func (b *bench) sealedWith(t *testing.T, snap *Snapshot) []string {
	t.Helper()
	var out []string
	for _, ref := range snap.Packs {
		n, _, err := b.options.Catalog.PackNamed(ref.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.options.Catalog.PackAt(n)
		if err != nil {
			t.Fatal(err)
		}
		if id := keyID(p.Key).String(); !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func sorted(texts ...string) []string {
	slices.Sort(texts)
	return texts
}

func TestRotatedKeySealsWhatIsNewAndTheOldOneReadsTheRest(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	rows := someRows(rnd, 3000)
	first := b.write(t, "payments", map[string][]byte{"t": rows})
	turned := b.rotate(t)
	if turned.Key == turned.Before || turned.Before != b.keys.first.String() {
		t.Fatalf("rotated: %+v", turned)
	}
	second := b.write(t, "payments", map[string][]byte{"t": append(someRows(rnd, 3000), rows...)})
	b.durable(t, second)
	if got := b.sealedWith(t, first); !slices.Equal(got, []string{turned.Before}) {
		t.Errorf("the first snapshot is sealed with %v, want %s", got, turned.Before)
	}
	if got := b.sealedWith(t, second); !slices.Equal(got, sorted(turned.Before, turned.Key)) {
		t.Errorf("the second snapshot is sealed with %v, want both keys: half of it is old", got)
	}
	b.checkKeys(t, b.Repository, turned, true)
	b.stop()
	b.open(t) // from the catalog
	b.checkKeys(t, b.Repository, turned, true)
	for _, site := range b.options.Sites {
		fresh := b.elsewhere(t, site)
		if out, err := fresh.Rebuild(t.Context(), site.Name, nil); err != nil || out.Snapshots != 2 || len(out.Damaged) > 0 {
			t.Fatalf("rebuild from %s: %+v (%v)", site.Name, out, err)
		}
		b.checkKeys(t, fresh, turned, false)
		for _, snap := range []*Snapshot{first, second} {
			got, err := (&bench{Repository: fresh}).read(t, snap, nil, nil)
			if err != nil || len(got["t"]) != int(snap.BytesRaw-snap.Streams["schema"].Bytes) {
				t.Errorf("from %s: snapshot %s: %d bytes (%v)", site.Name, snap.ID, len(got["t"]), err)
			}
		}
	}
}

// checkKeys compares what a catalog knows of the keys.
func (b *bench) checkKeys(t *testing.T, r *Repository, turned KeyRotated, daemon bool) {
	t.Helper()
	keys, err := r.Keys()
	if err != nil {
		t.Fatal(err)
	}
	opener := b.escrow.Recipient().String()
	if daemon {
		opener = b.daemon.Recipient().String()
	}
	want := []KeyInfo{
		{ID: turned.Before, Names: true, Opens: true, Wraps: []KeyWrap{{keyName(turned.Before), 2, []string{opener}}}},
		{ID: turned.Key, Current: true, Opens: true, Wraps: []KeyWrap{{keyName(turned.Key), 2, []string{opener}}}},
	}
	for i := range keys {
		if keys[i].Since.IsZero() || keys[i].Packs == 0 || keys[i].Bytes == 0 {
			t.Errorf("key %s since %s, %d packs of %d bytes", keys[i].ID, keys[i].Since, keys[i].Packs, keys[i].Bytes)
		}
		keys[i].Since, keys[i].Packs, keys[i].Bytes = time.Time{}, 0, 0
	}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("keys (-want +got): %s", diff)
	}
}

// The site that was away is given the key before anything that it seals.
func TestEverySiteHasAKeyBeforeWhatItSeals(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	cloud := faulty.New(openDir(t, "cloud", b.roots["cloud"]), "cloud")
	b.reopen(t, b.options.Sites[0], Site{Name: "cloud", Store: cloud})
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)}))
	cloud.SetDown(true)
	b.clock.Advance(time.Minute)
	turned, err := b.RotateKey(t.Context(), b.both(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if turned.Sites["cloud"].State != StateSpooled || turned.Sites["cloud"].Error == "" || turned.Sites["onsite"].State != StateDurable {
		t.Errorf("the key is at %+v", turned.Sites)
	}
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)})
	next, err := b.options.Catalog.Next("cloud", 100)
	if err != nil || len(next) != 1 || next[0].Kind != catalog.KindKey || next[0].Name != keyName(turned.Key) {
		t.Errorf("what goes first to the cloud is %+v (%v)", next, err)
	}
	cloud.SetDown(false)
	b.comesBack(t, snap)
	if _, err := os.Stat(filepath.Join(b.roots["cloud"], keyName(turned.Key))); err != nil {
		t.Error(err)
	}
}

// comesBack waits until every site has tried again and holds the snapshot.
func (b *bench) comesBack(t *testing.T, snap *Snapshot) {
	t.Helper()
	waitFor(t, func() bool {
		b.clock.Advance(time.Minute)
		states, err := b.Wait(t.Context(), snap.ID, Patience{})
		return err == nil && holders(states) == len(b.options.Sites)
	})
}

// A key that no site took is not used, neither now nor after the next start.
func TestRotationThatComesToNothing(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)}))
	sites := slices.Clone(b.options.Sites)
	var stores []*faulty.Store
	var away []Site
	for _, s := range sites {
		store := faulty.New(s.Store, s.Name)
		store.SetDown(true)
		stores, away = append(stores, store), append(away, Site{Name: s.Name, Store: store})
	}
	b.reopen(t, away...)
	_, err := b.RotateKey(t.Context(), b.both(), 1, 0)
	if !errors.Is(err, ErrNotRotated) || !strings.Contains(err.Error(), "site ") {
		t.Fatalf("rotated with no site: %v", err)
	}
	b.stop()
	b.open(t)
	for _, s := range stores {
		s.SetDown(false)
	}
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)})
	b.comesBack(t, snap)
	if got := b.sealedWith(t, snap); !slices.Equal(got, []string{b.keys.first.String()}) {
		t.Errorf("sealed with %v although no site had taken the new key", got)
	}
	keys, err := b.Keys()
	if err != nil || len(keys) != 2 || !keys[1].Since.IsZero() || keys[1].Current || !keys[0].Current {
		t.Errorf("keys %+v (%v)", keys, err)
	}
}

// Whoever can write to a site and knows the daemon's public key can make a key
// that the daemon opens; nothing that it seals may be believed.
func TestKeysThatTheFirstDoesNotVouchForAreNotTaken(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)})
	b.durable(t, snap)
	evil, err := randomKey(b.id)
	if err != nil {
		t.Fatal(err)
	}
	for _, vouch := range [][]byte{nil, make([]byte, 32)} {
		evil.vouch = vouch
		wrapped, err := evil.wrap(b.both())
		if err != nil {
			t.Fatal(err)
		}
		b.plant(t, "onsite", laterKeyName(evil.id, wrapped), wrapped)
	}
	turn := &mark{Format: Format, Writer: "0badcafe", Sequence: 1, Time: b.clock.Now(), Key: evil.id.String()}
	object, err := sealObject(evil, markSeal, markName(turn), turn)
	if err != nil {
		t.Fatal(err)
	}
	b.plant(t, "onsite", markName(turn), object)
	forged := *snap
	forged.ID = "0123456789ab"
	c := &commit{Format: Format, Writer: "0badcafe", Sequence: 2, Time: b.clock.Now(), Snapshots: []*Snapshot{&forged}}
	if object, err = sealObject(evil, commitSeal, commitName(c), c); err != nil {
		t.Fatal(err)
	}
	b.plant(t, "onsite", commitName(c), object)

	found, err := b.Sync(t.Context(), []string{"onsite"}, time.Minute, nil)
	if err != nil || len(found["onsite"].Problems) != 4 || found["onsite"].Adopted != 0 {
		t.Errorf("compared: %+v (%v)", found, err)
	}
	fresh := b.elsewhere(t, b.options.Sites[0])
	out, err := fresh.Rebuild(t.Context(), "onsite", nil)
	if err != nil || out.Snapshots != 1 || len(out.Damaged) < 2 {
		t.Errorf("rebuilt: %+v (%v)", out, err)
	}
	for _, r := range []*Repository{b.Repository, fresh} {
		if _, err := r.keys.get(evil.id); !errors.Is(err, ErrWrongKey) {
			t.Errorf("the key is taken (%v)", err)
		}
		if keys, err := r.Keys(); err != nil || len(keys) != 1 || !keys[0].Current {
			t.Errorf("keys %+v (%v)", keys, err)
		}
	}
}

// plant puts an object into a site behind our back.
func (b *bench) plant(t *testing.T, site, name string, body []byte) {
	t.Helper()
	path := filepath.Join(b.roots[site], name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The daemon's identity is lost: the escrow's opens the repository and wraps its
// keys for a new one.
func TestNewRecipientOpensEverything(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	first := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 1000)})
	turned := b.rotate(t)
	second := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 1000)})
	b.durable(t, second)
	b.daemon = newIdentity(t)
	b.options.Identities = []age.Identity{b.daemon}
	b.stop()
	if _, err := Open(t.Context(), b.options); !errors.Is(err, ErrWrongKey) || !strings.Contains(err.Error(), turned.Before) {
		t.Errorf("opened with an identity that nobody knows: %v", err)
	}
	b.options.Identities = []age.Identity{b.escrow}
	b.open(t)
	added, err := b.AddRecipients(t.Context(), []age.Recipient{b.daemon.Recipient()}, nil, time.Minute)
	if err != nil || len(added.Objects) != 2 || len(added.Closed) != 0 || holders(added.Sites) != 2 {
		t.Fatalf("added: %+v (%v)", added, err)
	}
	b.stop()
	b.options.Identities = []age.Identity{b.daemon}
	b.open(t)
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 10)}))
	for _, site := range b.options.Sites {
		for _, id := range []*age.X25519Identity{b.daemon, b.escrow} {
			if n, err := Look(t.Context(), site, []age.Identity{id}); err != nil || n != 3 {
				t.Errorf("site %s: for %d recipients (%v)", site.Name, n, err)
			}
		}
		escrow := b.escrow
		b.escrow = b.daemon // who opens elsewhere
		fresh := b.elsewhere(t, site)
		b.escrow = escrow
		if out, err := fresh.Rebuild(t.Context(), site.Name, nil); err != nil || out.Snapshots != 3 || len(out.Damaged) > 0 {
			t.Errorf("rebuild from %s: %+v (%v)", site.Name, out, err)
		}
		for _, snap := range []*Snapshot{first, second} {
			if _, err := (&bench{Repository: fresh}).read(t, snap, nil, nil); err != nil {
				t.Errorf("from %s: %v", site.Name, err)
			}
		}
	}
}

// Another catalog of the repository turned the key: this one takes it over.
func TestKeyOfAnotherCatalogIsTakenOver(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)}))
	other := b.elsewhere(t, b.options.Sites...)
	if _, err := other.Rebuild(t.Context(), "cloud", nil); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- other.Upload(ctx) }()
	turned, err := other.RotateKey(t.Context(), b.both(), 2, time.Minute)
	if err == nil {
		_, err = other.Sync(t.Context(), nil, time.Minute, nil)
	}
	cancel()
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	if found, err := b.Sync(t.Context(), nil, time.Minute, nil); err != nil || found["onsite"].Adopted+found["cloud"].Adopted < 2 {
		t.Errorf("compared: %+v (%v)", found, err)
	}
	snap := b.write(t, "accounts", map[string][]byte{"t": someRows(rnd, 100)})
	b.durable(t, snap)
	if got := b.sealedWith(t, snap); !slices.Equal(got, []string{turned.Key}) {
		t.Errorf("sealed with %v, want %s", got, turned.Key)
	}
}

// A key that is damaged at a site is replaced from the catalog, also when no
// other site is there.
func TestDamagedKeyIsReplaced(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.durable(t, b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)}))
	turned := b.rotate(t)
	b.reopen(t, b.options.Sites[:1]...)
	for _, id := range []string{turned.Before, turned.Key} {
		path := filepath.Join(b.roots["onsite"], keyName(id))
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		if found, err := b.Sync(t.Context(), nil, time.Minute, nil); err != nil || found["onsite"].Wrong != 1 {
			t.Errorf("compared: %+v (%v)", found, err)
		}
		if got, err := os.ReadFile(path); err != nil || !slices.Equal(got, want) {
			t.Errorf("key %s was not replaced (%v)", id, err)
		}
	}
}

func TestEmptiedSiteGetsEveryKey(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	snap := b.write(t, "payments", map[string][]byte{"t": someRows(rnd, 100)})
	turned := b.rotate(t)
	b.durable(t, snap)
	b.stop()
	if err := os.RemoveAll(b.roots["cloud"]); err != nil {
		t.Fatal(err)
	}
	b.options.Sites[1].Store = openDir(t, "cloud", b.roots["cloud"])
	report, err := Init(t.Context(), b.options, b.both())
	if err != nil || report.Sites["cloud"] != InitMadeAgain {
		t.Fatalf("init: %+v (%v)", report, err)
	}
	for _, id := range []string{turned.Before, turned.Key} {
		if _, err := os.Stat(filepath.Join(b.roots["cloud"], keyName(id))); err != nil {
			t.Error(err)
		}
	}
	b.open(t)
	b.durable(t, snap)
}

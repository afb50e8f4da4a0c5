package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/faulty"
)

// modelSite is a site of the model. What the repository does goes through faults
// and is noted; the model itself looks and damages behind its back.
type modelSite struct {
	name  string
	raw   storage.Store // what is really there
	store *faulty.Store // what the repository sees

	mu    sync.Mutex
	known map[string]string   // object → what is wrong with it; empty: nothing
	harm  map[string]struct{} // objects that the model damaged and nobody mended yet
	down  bool
	in    bool // in the configuration
	// emptied: everything was taken away and init did not run since.
	emptied bool
}

// tap notes which objects the repository writes and deletes, and what they must
// be.
type tap struct {
	storage.Store
	place *modelSite
	truth *truth
}

// truth is the digest of every object that was ever written.
type truth struct {
	mu     sync.Mutex
	digest map[string][32]byte
}

func (t *truth) learn(name string, sha [32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.digest[name]; !ok {
		t.digest[name] = sha
	}
}

func (t *truth) of(name string) (sha [32]byte, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sha, ok = t.digest[name]
	return sha, ok
}

func (t tap) Unwrap() storage.Store { return t.Store }

func (t tap) Put(ctx context.Context, o storage.Object) error {
	t.truth.learn(o.Name, o.SHA256)
	defer t.place.forget(o.Name)
	return t.Store.Put(ctx, o)
}

func (t tap) Delete(ctx context.Context, name string) error {
	defer t.place.forget(name)
	return t.Store.Delete(ctx, name)
}

func (t tap) Purge(ctx context.Context, name string) error {
	defer t.place.forget(name)
	return storage.Purge(ctx, t.Store, name)
}

// newPlace makes a site of the model over a store. acts is asked about each
// operation whether it is to fail: see [machine.passes].
func newPlace(name string, raw storage.Store, known *truth, acts func() bool) *modelSite {
	p := &modelSite{name: name, raw: raw, known: map[string]string{}, harm: map[string]struct{}{}, in: true}
	p.store = faulty.New(tap{raw, p, known}, name)
	p.store.Inject(faulty.Rule{If: acts, Err: faulty.ErrDown})
	return p
}

func (p *modelSite) forget(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, name)
}

// list returns the names of what is really there.
func (p *modelSite) list(t rapid.TB, prefix string) (names []string) {
	t.Helper()
	err := p.raw.List(context.Background(), prefix, "", func(i storage.Info) error {
		names = append(names, i.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func (p *modelSite) read(name string) ([]byte, error) {
	body, err := p.raw.Get(context.Background(), name, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(body)
	return b, errors.Join(err, body.Close())
}

// wrong says what is wrong with an object there; nothing when it is right. What
// was mended is not the model's doing any more.
func (p *modelSite) wrong(t rapid.TB, truth *truth, name string) string {
	t.Helper()
	p.mu.Lock()
	why, ok := p.known[name]
	p.mu.Unlock()
	if ok {
		return why
	}
	b, err := p.read(name)
	sha, written := truth.of(name)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		why = "missing"
	case err != nil:
		t.Fatal(err)
	case !written:
		why = "nobody wrote it"
	case sum(b) != sha:
		why = fmt.Sprintf("%d other bytes", len(b))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[name] = why
	if why == "" {
		delete(p.harm, name)
	}
	return why
}

func (p *modelSite) harmed(name string) bool {
	_, ok := p.harm[name]
	return ok
}

// put replaces an object behind everybody's back.
func (p *modelSite) put(t rapid.TB, name string, body []byte) {
	t.Helper()
	ctx := context.Background()
	err := errors.Join(
		p.raw.Delete(ctx, name),
		p.raw.Put(ctx, storage.Object{Name: name, Size: int64(len(body)), SHA256: sum(body), Body: bytes.NewReader(body)}))
	if err != nil {
		t.Fatal(err)
	}
	p.forget(name)
}

// damage spoils an object: it is gone, cut short, another one, empty, or a bit
// of it is another. It returns what was done.
func (p *modelSite) damage(t rapid.TB, name, how string) {
	t.Helper()
	old, err := p.read(name)
	if err != nil {
		t.Fatal(err)
	}
	switch how {
	case "lost":
		if err := p.raw.Delete(context.Background(), name); err != nil {
			t.Fatal(err)
		}
	case "short":
		p.put(t, name, old[:len(old)/2])
	case "empty":
		p.put(t, name, nil)
	case "flipped":
		bad := bytes.Clone(old)
		bad[len(bad)/2] ^= 1
		p.put(t, name, bad)
	default:
		t.Fatal(how)
	}
	p.forget(name)
	p.harm[name] = struct{}{}
}

// empty removes everything, as when a bucket is made anew.
func (p *modelSite) empty(t rapid.TB) {
	t.Helper()
	for _, name := range p.list(t, "") {
		if err := p.raw.Delete(context.Background(), name); err != nil {
			t.Fatal(err)
		}
	}
	clear(p.known)
	clear(p.harm)
}

// isObject tells commits, packs and marks from what no outbox knows.
func isObject(name string) bool {
	return strings.HasPrefix(name, "c/") || strings.HasPrefix(name, "p/") || strings.HasPrefix(name, "g/")
}

// heal ends the faults that wait to happen.
func (p *modelSite) heal(m *machine) {
	p.store = faulty.New(tap{p.raw, p, m.truth}, p.name)
	p.store.Inject(faulty.Rule{If: m.passes, Err: faulty.ErrDown})
}

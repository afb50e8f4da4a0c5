package repository

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// EscrowTest is the outcome of a test of an identity that is kept elsewhere.
type EscrowTest struct {
	At time.Time `json:"at"`
	// Recipients are the public parts of the identities that were tested.
	Recipients []string `json:"recipients"`
	// Passed: from every site alone these identities open all keys, the newest
	// recovery point and a piece of what is sealed with each key.
	Passed bool                  `json:"passed"`
	Sites  map[string]EscrowSite `json:"sites"`
	// Untested are the sites from which these identities were never tried.
	Untested []string `json:"untested,omitempty"`
}

// Since is since when the test says what it says: when its oldest part was made.
func (t EscrowTest) Since() time.Time {
	since := t.At
	for _, s := range t.Sites {
		if !s.At.IsZero() && s.At.Before(since) {
			since = s.At
		}
	}
	return since
}

// EscrowSite is the outcome at one site.
type EscrowSite struct {
	Passed bool `json:"passed"`
	// At is when it was tried there; zero in tests of earlier versions, which were
	// of all sites at once.
	At time.Time `json:"at,omitzero"`
	// Keys that were opened; Snapshot whose commit was; Chunks that were.
	Keys     []string `json:"keys"`
	Snapshot string   `json:"snapshot,omitempty"`
	Chunks   int      `json:"chunks"`
	// Note says what there was not to test.
	Note  string `json:"note,omitempty"`
	Error string `json:"error,omitempty"`
}

// metaEscrow holds the []EscrowTest of the catalog: the last one of each set of
// identities.
const metaEscrow = "escrow_tests"

// TestEscrow finds out whether identities that are kept elsewhere still open
// everything, from each site alone and with nothing but them, and remembers the
// outcome. With names of sites only these are tried, and what is known of the
// others stays.
func (r *Repository) TestEscrow(ctx context.Context, identities []age.Identity, only ...string) (EscrowTest, error) {
	out := EscrowTest{At: r.clock.Now().UTC().Truncate(time.Second), Recipients: []string{}, Sites: map[string]EscrowSite{}}
	for _, id := range identities {
		out.Recipients = append(out.Recipients, Recipient(id))
	}
	slices.Sort(out.Recipients)
	before, err := r.escrowTestOf(out.Recipients)
	if err != nil {
		return out, err
	}
	for _, site := range r.sites {
		known, tried := before.Sites[site.Name]
		switch {
		case len(only) == 0 || slices.Contains(only, site.Name):
			result, err := r.testEscrowAt(ctx, site, identities)
			if ctx.Err() != nil {
				return out, ctx.Err()
			}
			if result.Passed, result.At = err == nil, out.At; err != nil {
				result.Error = err.Error()
			}
			out.Sites[site.Name] = result
		case !tried:
			out.Untested = append(out.Untested, site.Name)
		default:
			if known.At.IsZero() {
				known.At = before.At
			}
			out.Sites[site.Name] = known
		}
	}
	out.Passed = len(out.Untested) == 0
	for _, s := range out.Sites {
		out.Passed = out.Passed && s.Passed
	}
	return out, r.rememberEscrow(out)
}

// escrowTestOf returns the last test of a set of identities; an empty one when
// there was none.
func (r *Repository) escrowTestOf(recipients []string) (EscrowTest, error) {
	tests, err := r.EscrowTests()
	for _, t := range tests {
		if slices.Equal(t.Recipients, recipients) {
			return t, err
		}
	}
	return EscrowTest{}, err
}

func (r *Repository) rememberEscrow(t EscrowTest) error {
	tests, err := r.EscrowTests()
	if err != nil {
		return err
	}
	tests = slices.DeleteFunc(tests, func(old EscrowTest) bool { return slices.Equal(old.Recipients, t.Recipients) })
	b, err := json.Marshal(append(tests, t))
	if err != nil {
		return err
	}
	return r.catalog.SetMeta(metaEscrow, b)
}

// EscrowTests returns the last test of each set of identities, the newest last.
func (r *Repository) EscrowTests() ([]EscrowTest, error) {
	return escrowTests(r.catalog.Meta(metaEscrow))
}

// PeekEscrowTests returns what the catalog at path knows of tests of the escrow.
// The error matches [catalog.ErrInUse] while somebody works with it.
func PeekEscrowTests(path string) ([]EscrowTest, error) {
	return escrowTests(catalog.Peek(path, metaEscrow))
}

func escrowTests(b []byte, err error) ([]EscrowTest, error) {
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var tests []EscrowTest
	return tests, json.Unmarshal(b, &tests)
}

func (r *Repository) testEscrowAt(ctx context.Context, site Site, identities []age.Identity) (out EscrowSite, err error) {
	out.Keys = []string{}
	is, err := siteConfig(ctx, site)
	if err != nil {
		return out, err
	}
	if !bytes.Equal(is.config, r.config) {
		return out, &ObjectError{site.Name, configName, ErrOtherRepository}
	}
	ring, locked, err := openAll(is, identities)
	if err != nil {
		return out, fmt.Errorf("site %s: %w", site.Name, err)
	}
	for _, key := range ring.all() {
		out.Keys = append(out.Keys, key.id.String())
	}
	if err := r.lacksKeys(site, ring, locked); err != nil {
		return out, err
	}
	if out.Snapshot, err = r.openNewestCommit(ctx, site, ring); err != nil {
		return out, err
	}
	if out.Snapshot == "" {
		out.Note = "the site holds no recovery point yet: only the keys were tested"
	}
	for _, key := range ring.all() {
		pack, ok, err := r.catalog.PackOfKey(key.id, site.Name)
		if err == nil && ok {
			err = openOneChunk(ctx, ring, site, pack)
			out.Chunks++
		}
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// lacksKeys makes sure that all keys were opened that the site must hold.
func (r *Repository) lacksKeys(site Site, ring *keyring, locked map[keyID]error) error {
	must, err := r.keysAt(site.Name)
	if err != nil {
		return err
	}
	for _, o := range must {
		id, err := keyIDOf(o.Name)
		if err != nil {
			return err
		}
		if _, err := ring.get(id); err == nil {
			continue
		}
		if why := locked[id]; why != nil {
			return &ObjectError{site.Name, o.Name, why}
		}
		return &ObjectError{site.Name, o.Name, storage.ErrNotFound}
	}
	return nil
}

// openNewestCommit opens the commit of the newest recovery point that the site
// holds, and returns its id; none when there is none.
func (r *Repository) openNewestCommit(ctx context.Context, site Site, ring *keyring) (id string, err error) {
	var newest *catalog.Snapshot
	err = r.catalog.Snapshots("", func(s *catalog.Snapshot) bool {
		if !s.Durable[site.Name].IsZero() && (newest == nil || s.Commit > newest.Commit) {
			newest = s
		}
		return true
	})
	if err != nil || newest == nil {
		return "", err
	}
	object, err := readObject(ctx, site, newest.Commit, maxCommit)
	if err != nil {
		return "", err
	}
	c, err := openCommitObject(ring, newest.Commit, object)
	if err != nil {
		return "", &ObjectError{site.Name, newest.Commit, err}
	}
	if !slices.ContainsFunc(c.Snapshots, func(s *Snapshot) bool { return s.ID == newest.ID }) {
		return "", &ObjectError{site.Name, newest.Commit, fmt.Errorf("%w: it does not tell of snapshot %s", ErrCorrupt, newest.ID)}
	}
	return newest.ID, nil
}

// openOneChunk reads one chunk of a pack, from header to content.
func openOneChunk(ctx context.Context, ring *keyring, site Site, pack catalog.Pack) error {
	name := catalog.PackName(pack.SHA256)
	_, entries, aead, err := openPackAt(ctx, ring, site, storage.Info{Name: name, Size: pack.Size})
	if err == nil && len(entries) == 0 {
		err = fmt.Errorf("%w: it holds no chunk", ErrCorrupt)
	}
	if err != nil {
		return &ObjectError{site.Name, name, err}
	}
	e := entries[0]
	sealed, err := readRange(ctx, site, name, headerSize, int64(e.Stored))
	if err != nil {
		return &ObjectError{site.Name, name, err}
	}
	first, err := ring.get(ring.first)
	if err != nil {
		return err
	}
	if err := openEntry(first, aead, e, headerSize, sealed); err != nil {
		return &ObjectError{site.Name, name, err}
	}
	return nil
}

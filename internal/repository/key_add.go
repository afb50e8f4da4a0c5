package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/storage"
)

// KeysAdded says what came of wrapping keys for more recipients.
type KeysAdded struct {
	// Objects are the new wrapped keys, one for each key that opens here.
	Objects []string `json:"objects"`
	// Closed are the keys that no identity here opens: the new recipients do
	// not get those.
	Closed []string `json:"closed,omitempty"`
	// Sites says how far the new objects came.
	Sites map[string]SiteState `json:"sites"`
}

// AddRecipients wraps every key that opens here, or with one of the identities
// given, for further recipients too. What was wrapped before stays: nobody loses
// access. It waits until the sites have the new objects, or fail for longer than
// patience. The uploads must run.
func (r *Repository) AddRecipients(ctx context.Context, recipients []age.Recipient, with []age.Identity, patience time.Duration) (out KeysAdded, err error) {
	if err := r.mayWrite(); err != nil {
		return out, err
	}
	r.rotation.Lock()
	defer r.rotation.Unlock()
	is, err := rememberedConfig(r.catalog)
	if err != nil {
		return out, err
	}
	ring, locked, err := openAll(is, slices.Concat(r.identities, with))
	if err != nil {
		return out, err
	}
	for _, key := range ring.all() {
		name, err := r.wrapAgain(key, recipients)
		if err != nil {
			return out, err
		}
		out.Objects = append(out.Objects, name)
	}
	for id := range locked {
		out.Closed = append(out.Closed, id.String())
	}
	slices.Sort(out.Closed)
	r.wake()
	out.Sites, err = r.awaitObjects(ctx, out.Objects, patience)
	return out, err
}

// wrapAgain wraps a key for further recipients and queues it for every site.
func (r *Repository) wrapAgain(key *masterKey, recipients []age.Recipient) (name string, err error) {
	wrapped, err := key.wrap(recipients)
	if err != nil {
		return "", err
	}
	name = laterKeyName(key.id, wrapped)
	// It may be for us, and the first that is.
	if err := r.keys.take(name, wrapped, r.identities, r.id); err != nil && !errors.Is(err, ErrWrongKey) {
		return "", err
	}
	return name, r.catalog.AddKey(name, wrapped)
}

// KeyRotated says what came of a rotation.
type KeyRotated struct {
	Before string               `json:"before"` // id of the key that was current
	Key    string               `json:"key"`    // id of the one that is current now
	Sites  map[string]SiteState `json:"sites"`
}

// ErrNotRotated means that too few sites took a new key; the one before stays
// in use.
var ErrNotRotated = errors.New("the key stays as it was")

// RotateKey makes a new key, wrapped for the recipients, and puts it to use for
// packs, commits and marks from here on, when enough sites have it. What was
// written before stays as it is and is read with the keys before. When the host
// fails in the middle the key before stays in use. The uploads must run.
func (r *Repository) RotateKey(ctx context.Context, recipients []age.Recipient, enough int, patience time.Duration) (out KeyRotated, err error) {
	if err := r.mayWrite(); err != nil {
		return out, err
	}
	r.rotation.Lock()
	defer r.rotation.Unlock()
	before, err := r.keys.sealing()
	if err != nil {
		return out, err
	}
	out.Before, out.Key = before.id.String(), before.id.String()
	key, name, err := r.newKey(recipients)
	if err != nil {
		return out, err
	}
	if out.Sites, err = r.awaitObjects(ctx, []string{name}, patience); err != nil {
		return out, err
	}
	if have := holders(out.Sites); have < enough {
		return out, fmt.Errorf("%w: %d sites have the new key, %d must have it before anything is sealed with it: %w",
			ErrNotRotated, have, enough, firstError(out.Sites))
	}
	crash.Point(crash.KeyTaken)
	m := &mark{Key: key.id.String()}
	err = r.addMark(ctx, m, func(o catalog.Object) error {
		return r.catalog.UseKey(m.Key, m.Time, o, r.siteNames())
	})
	if err != nil {
		return out, err
	}
	out.Key = key.id.String()
	return out, r.keys.setUses(r.catalog)
}

// newKey makes a key that the first one vouches for, and queues it for every
// site. One that would not open here is refused.
func (r *Repository) newKey(recipients []age.Recipient) (key *masterKey, name string, err error) {
	if len(recipients) < 2 {
		return nil, "", errors.New("repository: a key needs at least two recipients, the daemon and the escrow")
	}
	first, err := r.keys.get(r.keys.first)
	if err != nil {
		return nil, "", err
	}
	if key, err = randomKey(r.id); err != nil {
		return nil, "", err
	}
	if key.vouch, err = first.vouchFor(key); err != nil {
		return nil, "", err
	}
	wrapped, err := key.wrap(recipients)
	if err != nil {
		return nil, "", err
	}
	name = keyName(key.id.String())
	if err := r.keys.take(name, wrapped, r.identities, r.id); err != nil {
		return nil, "", fmt.Errorf("the new key would not open here: %w", err)
	}
	if err := r.catalog.AddKey(name, wrapped); err != nil {
		return nil, "", err
	}
	crash.Point(crash.KeyQueued)
	r.wake()
	return key, name, nil
}

func firstError(sites map[string]SiteState) error {
	for site, s := range sites {
		if s.State != StateDurable {
			return fmt.Errorf("site %s: %s", site, s.Error)
		}
	}
	return nil
}

// awaitObjects waits until every site has the objects, or fails for longer than
// patience or for good, and says how far each came.
func (r *Repository) awaitObjects(ctx context.Context, names []string, patience time.Duration) (map[string]SiteState, error) {
	start := r.clock.Now()
	for {
		change := r.uploads.change()
		out := map[string]SiteState{}
		over := true
		for _, site := range r.siteNames() {
			state, err := r.stateOf(site, names)
			if err != nil {
				return nil, err
			}
			out[site] = state
			f, failing := r.uploads.failure(site)
			given := failing && (storage.Permanent(f.err) || r.clock.Now().Sub(start) >= patience)
			over = over && (state.State == StateDurable || given)
		}
		if over {
			return out, nil
		}
		if err := r.pause(ctx, change); err != nil {
			return out, err
		}
	}
}

// stateOf says how far objects came at a site.
func (r *Repository) stateOf(site string, names []string) (SiteState, error) {
	for _, name := range names {
		waiting, err := r.catalog.Waits(site, name)
		if err != nil {
			return SiteState{}, err
		}
		if !waiting {
			continue
		}
		state := SiteState{State: StateSpooled}
		if f, failing := r.uploads.failure(site); failing {
			state.Error = f.err.Error()
		}
		return state, nil
	}
	return SiteState{State: StateDurable}, nil
}

package repository

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"filippo.io/age"

	"github.com/saypro/backupd/internal/catalog"
)

// keyring holds the keys of a repository that one of our identities opens.
type keyring struct {
	first keyID // the one that repo.json names: it names chunks and vouches for the others

	mu   sync.RWMutex
	keys map[keyID]*masterKey
	uses []keyID // that were put to use for what is new, the newest last
}

// errNotOurs: a key that opens and that the repository's first key does not
// vouch for.
var errNotOurs = errors.New("it does not belong to this repository")

// openAll opens every wrapped key that one of the identities opens; locked are
// the others, with the reason of each. The first key must be among them. Objects
// that turn out to hold no key of the repository are taken out of is.
func openAll(is identity, identities []age.Identity) (ring *keyring, locked map[keyID]error, err error) {
	c, err := parseConfig(is.config)
	if err != nil {
		return nil, nil, err
	}
	repo, err := c.id()
	if err != nil {
		return nil, nil, err
	}
	ring = &keyring{keys: map[keyID]*masterKey{}}
	if ring.first, err = parseKeyID(c.Key); err != nil {
		return nil, nil, err
	}
	locked = map[keyID]error{}
	names := slices.Sorted(maps.Keys(is.wrapped))
	// The first key before the others, because it vouches for them.
	for _, first := range []bool{true, false} {
		for _, name := range names {
			id, err := keyIDOf(name)
			if err != nil || (id == ring.first) != first || ring.keys[id] != nil {
				continue
			}
			if err := ring.take(name, is.wrapped[name], identities, repo); err != nil {
				locked[id] = worse(locked[id], fmt.Errorf("%s: %w", name, err))
				if errors.Is(err, ErrCorrupt) {
					delete(is.wrapped, name)
				}
				continue
			}
			delete(locked, id)
		}
		if ring.keys[ring.first] == nil && locked[ring.first] == nil {
			return nil, nil, fmt.Errorf("%w: %s is nowhere", ErrWrongKey, keyName(ring.first.String()))
		}
		if ring.keys[ring.first] == nil {
			return nil, nil, locked[ring.first]
		}
	}
	return ring, locked, nil
}

// worse returns the one of two reasons that says more: that a wrapped key is
// damaged, rather than that it is for somebody else.
func worse(a, b error) error {
	if a == nil || errors.Is(a, ErrWrongKey) {
		return b
	}
	return a
}

// take opens one wrapped key and adds it.
func (k *keyring) take(name string, wrapped []byte, identities []age.Identity, repo [16]byte) error {
	key, err := unwrap(wrapped, identities, repo)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.belongs(name, key); err != nil {
		return err
	}
	k.keys[key.id] = key
	return nil
}

// belongs makes sure that a key is the one that its name says, and one of this
// repository's.
func (k *keyring) belongs(name string, key *masterKey) error {
	id, err := keyIDOf(name)
	if err != nil {
		return err
	}
	if id != key.id {
		return fmt.Errorf("%w: %s does not hold the key that its name says", ErrCorrupt, name)
	}
	if id == k.first {
		key.vouch = nil
		return nil
	}
	first := k.keys[k.first]
	if first == nil {
		return fmt.Errorf("%w: key %s", ErrWrongKey, k.first)
	}
	return first.checkVouch(key)
}

// get returns the key of that id, or an error that matches [ErrWrongKey].
func (k *keyring) get(id keyID) (*masterKey, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key := k.keys[id]
	if key == nil {
		return nil, fmt.Errorf("%w: sealed with key %s, which no identity here opens", ErrWrongKey, id)
	}
	return key, nil
}

// sealing returns the key for what is new: the one that was put to use last, of
// those that we have. That a later one is not ours to open is no reason to let
// data go without a copy.
func (k *keyring) sealing() (*masterKey, error) {
	k.mu.RLock()
	for _, id := range slices.Backward(k.uses) {
		if key := k.keys[id]; key != nil {
			k.mu.RUnlock()
			return key, nil
		}
	}
	k.mu.RUnlock()
	return k.get(k.first)
}

// current returns the id of the key that was put to use last, ours or not.
func (k *keyring) current() keyID {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if n := len(k.uses); n > 0 {
		return k.uses[n-1]
	}
	return k.first
}

// all returns the keys that we have.
func (k *keyring) all() []*masterKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.SortedFunc(maps.Values(k.keys), func(a, b *masterKey) int { return slices.Compare(a.id[:], b.id[:]) })
}

// setUses takes over which keys were put to use, as the catalog tells.
func (k *keyring) setUses(cat *catalog.Catalog) error {
	uses, err := cat.KeyUses()
	if err != nil {
		return err
	}
	var ids []keyID
	for _, u := range uses {
		id, err := parseKeyID(u.Key)
		if err != nil {
			return fmt.Errorf("mark %s: %w", u.Mark, err)
		}
		ids = append(ids, id)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.uses = ids
	return nil
}

// openKeys opens the keys of the repository.
func (r *Repository) openKeys(is identity) error {
	ring, locked, err := openAll(is, r.identities)
	if err != nil {
		return err
	}
	for id, why := range locked {
		r.log.Warn("a key of the repository stays closed; what it seals cannot be read here", "key", id, "error", why)
	}
	first, err := ring.get(ring.first)
	if err != nil {
		return err
	}
	if r.idKey, err = first.derive(purposeChunk, nil, 32); err != nil {
		return err
	}
	r.keys = ring
	return ring.setUses(r.catalog)
}

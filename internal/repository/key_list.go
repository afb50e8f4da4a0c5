package repository

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"filippo.io/age"
)

// KeyInfo is one key of the repository.
type KeyInfo struct {
	ID string `json:"id"`
	// Current: what is new is sealed with it. Names: chunks are named with it,
	// which never changes.
	Current bool `json:"current"`
	Names   bool `json:"names_chunks"`
	// Opens: an identity here opens it.
	Opens bool `json:"opens"`
	// Since is when it was put to use; zero when it never was.
	Since time.Time `json:"since,omitzero"`
	// Packs and Bytes are how much is sealed with it.
	Packs int   `json:"packs"`
	Bytes int64 `json:"bytes"`
	// Wraps are the objects that hold it.
	Wraps []KeyWrap `json:"wraps"`
}

// Recipients is for how many recipients the key is wrapped, those counted twice
// that it was wrapped for twice.
func (k *KeyInfo) Recipients() int {
	n := 0
	for _, w := range k.Wraps {
		n += w.Recipients
	}
	return n
}

// KeyWrap is a key as it was wrapped once.
type KeyWrap struct {
	Object     string `json:"object"`
	Recipients int    `json:"recipients"`
	// OpenedBy are the public parts of the identities here that open it.
	OpenedBy []string `json:"opened_by"`
}

// Keys returns the keys of the repository, the first one first.
func (r *Repository) Keys() ([]KeyInfo, error) {
	c, err := parseConfig(r.config)
	if err != nil {
		return nil, err
	}
	wrapped, err := r.catalog.WrappedKeys()
	if err != nil {
		return nil, err
	}
	packs, err := r.catalog.PacksByKey()
	if err != nil {
		return nil, err
	}
	uses, err := r.catalog.KeyUses()
	if err != nil {
		return nil, err
	}
	byID := map[keyID]*KeyInfo{}
	for name, b := range wrapped {
		id, err := keyIDOf(name)
		if err != nil {
			return nil, err
		}
		k := byID[id]
		if k == nil {
			sealed := packs[id]
			k = &KeyInfo{ID: id.String(), Current: id == r.keys.current(), Names: id == r.keys.first, Packs: sealed.Packs, Bytes: sealed.Bytes}
			_, err := r.keys.get(id)
			k.Opens = err == nil
			byID[id] = k
		}
		wrap, err := r.describeWrap(name, b)
		if err != nil {
			return nil, err
		}
		k.Wraps = append(k.Wraps, wrap)
	}
	if first := byID[r.keys.first]; first != nil {
		first.Since = c.Created
	}
	for _, u := range uses {
		if id, err := parseKeyID(u.Key); err == nil && byID[id] != nil && byID[id].Since.IsZero() {
			byID[id].Since = u.Since
		}
	}
	return sortedKeys(byID), nil
}

func sortedKeys(byID map[keyID]*KeyInfo) []KeyInfo {
	out := make([]KeyInfo, 0, len(byID))
	for _, k := range byID {
		slices.SortFunc(k.Wraps, func(a, b KeyWrap) int { return cmp.Compare(a.Object, b.Object) })
		out = append(out, *k)
	}
	slices.SortFunc(out, func(a, b KeyInfo) int {
		if a.Since.IsZero() != b.Since.IsZero() {
			return boolToInt(a.Since.IsZero()) - boolToInt(b.Since.IsZero())
		}
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *Repository) describeWrap(name string, wrapped []byte) (KeyWrap, error) {
	out := KeyWrap{Object: name, OpenedBy: []string{}}
	var err error
	if out.Recipients, err = countRecipients(wrapped); err != nil {
		return out, fmt.Errorf("%s: %w", name, err)
	}
	for _, id := range r.identities {
		if _, err := unwrap(wrapped, []age.Identity{id}, r.id); err == nil {
			out.OpenedBy = append(out.OpenedBy, Recipient(id))
		}
	}
	return out, nil
}

// Recipient returns the public part of an identity.
func Recipient(id age.Identity) string {
	if x, ok := id.(*age.X25519Identity); ok {
		return x.Recipient().String()
	}
	if x, ok := id.(*age.HybridIdentity); ok {
		return x.Recipient().String()
	}
	return fmt.Sprintf("an identity of another kind (%T)", id)
}

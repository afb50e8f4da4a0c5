package catalog

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// The wrapped keys of the repository are kept here too, besides the record of
// each as an object: without them nothing can be opened while every site is
// away, and a site that lost one is given it from here.
const metaWrapped = "wrapped:" // and the name of the object

// metaKeyUses holds the []KeyUse of the repository.
const metaKeyUses = "key_uses"

// AddKey remembers a wrapped key and queues it for every site that there is;
// one that comes later is given it with everything else. Adding it again adds
// nothing.
func (c *Catalog) AddKey(name string, wrapped []byte) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketObjects).Get([]byte(name)) != nil {
			return nil
		}
		if err := tx.Bucket(bucketMeta).Put([]byte("m:"+metaWrapped+name), wrapped); err != nil {
			return err
		}
		var sites []string
		if err := eachSite(tx, func(site string) error { sites = append(sites, site); return nil }); err != nil {
			return err
		}
		return addObject(tx, Object{Kind: KindKey, Name: name, Size: int64(len(wrapped)), SHA256: sha256.Sum256(wrapped)}, sites)
	})
	if err != nil {
		return fmt.Errorf("catalog: add %s: %w", name, err)
	}
	return nil
}

// WrappedKeys returns the wrapped keys by the names of their objects.
func (c *Catalog) WrappedKeys() (map[string][]byte, error) {
	out := map[string][]byte{}
	err := c.db.View(func(tx *bbolt.Tx) error {
		prefix := "m:" + metaWrapped
		cur := tx.Bucket(bucketMeta).Cursor()
		for k, v := cur.Seek([]byte(prefix)); strings.HasPrefix(string(k), prefix); k, v = cur.Next() {
			out[strings.TrimPrefix(string(k), prefix)] = slices.Clone(v)
		}
		return nil
	})
	return out, err
}

// WrappedKey returns one of them, or an error that matches [ErrNotFound].
func (c *Catalog) WrappedKey(name string) ([]byte, error) { return c.Meta(metaWrapped + name) }

// KeyUse says since when a key seals what is new.
type KeyUse struct {
	Key   string    `json:"key"`  // its id
	Mark  string    `json:"mark"` // name of the mark that says so; the newest counts
	Since time.Time `json:"since"`
}

// UseKey records that a key seals what is new and queues the mark that says so
// for the sites, in one transaction.
func (c *Catalog) UseKey(id string, since time.Time, mark Object, sites []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		uses, err := keyUses(tx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(uses, func(u KeyUse) bool { return u.Mark == mark.Name }) {
			uses = append(uses, KeyUse{Key: id, Mark: mark.Name, Since: since.UTC()})
			slices.SortFunc(uses, func(a, b KeyUse) int { return strings.Compare(a.Mark, b.Mark) })
			if err := putJSON(tx.Bucket(bucketMeta), []byte("m:"+metaKeyUses), uses); err != nil {
				return err
			}
		}
		return addObject(tx, mark, sites)
	})
	if err != nil {
		return fmt.Errorf("catalog: use key %s: %w", id, err)
	}
	return nil
}

// KeyUses returns which keys were put to use, the first one first. It is empty
// while only the repository's first key was.
func (c *Catalog) KeyUses() (uses []KeyUse, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		uses, err = keyUses(tx)
		return err
	})
	return uses, err
}

func keyUses(tx *bbolt.Tx) (uses []KeyUse, err error) {
	v := tx.Bucket(bucketMeta).Get([]byte("m:" + metaKeyUses))
	if v == nil {
		return nil, nil
	}
	return uses, json.Unmarshal(v, &uses)
}

// SealedPacks is how much is sealed with one key.
type SealedPacks struct {
	Packs int
	Bytes int64
}

// PacksByKey returns how many packs are sealed with each key.
func (c *Catalog) PacksByKey() (map[[8]byte]SealedPacks, error) {
	out := map[[8]byte]SealedPacks{}
	err := c.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketPacks).ForEach(func(_, v []byte) error {
			p, err := decodePack(v)
			if err != nil || p.Incomplete() {
				return err
			}
			n := out[p.Key]
			n.Packs, n.Bytes = n.Packs+1, n.Bytes+p.Size
			out[p.Key] = n
			return err
		})
	})
	return out, err
}

// PackOfKey returns the newest pack that is sealed with a key and that a site
// holds; ok is false when there is none.
func (c *Catalog) PackOfKey(key [8]byte, site string) (p Pack, ok bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		faults := tx.Bucket(bucketFaults).Bucket([]byte(site))
		cur := tx.Bucket(bucketPacks).Cursor()
		for k, v := cur.Last(); k != nil && !ok; k, v = cur.Prev() {
			if p, err = decodePack(v); err != nil {
				return err
			}
			name := PackName(p.SHA256)
			gone, err := isGone(tx, k)
			if err != nil {
				return err
			}
			ok = p.Key == key && !gone && !waits(tx, site, name) && (faults == nil || faults.Get([]byte(name)) == nil)
		}
		return nil
	})
	return p, ok, err
}

package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// AddDamaged remembers a snapshot of which packs are missing at the site that
// the catalog is made from: it is no recovery point, and what is whole of it can
// be read. The missing packs, of which nothing but digest and size is known, count
// as lost until some site is found to have them. When another commit of the
// snapshot is known that one counts.
func (c *Catalog) AddDamaged(s Snapshot, missing []Pack, at time.Time) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		for _, p := range missing {
			n, err := addMissing(tx, p, at)
			if err != nil {
				return err
			}
			s.Packs = append(s.Packs, n)
		}
		if tx.Bucket(bucketSnapshots).Get([]byte(s.ID)) == nil {
			return addSnapshot(tx, s, nil)
		}
		return errors.Join(putManifest(tx, s.Commit, s.Manifest, s.Packs), addObject(tx, s.object(), nil))
	})
	if err != nil {
		return fmt.Errorf("catalog: add damaged snapshot %s of %s: %w", s.ID, s.Function, err)
	}
	return nil
}

// addMissing remembers a pack that nobody is known to have.
func addMissing(tx *bbolt.Tx, p Pack, at time.Time) (ordinal uint32, err error) {
	if n, ok := ordinalOf(tx, p.SHA256); ok {
		return n, nil
	}
	if ordinal, err = putPack(tx, Pack{SHA256: p.SHA256, Size: p.Size}); err != nil {
		return 0, err
	}
	if err := tx.Bucket(bucketLost).Put(ordinalKey(ordinal), []byte{}); err != nil {
		return 0, err
	}
	name := PackName(p.SHA256)
	return ordinal, eachSite(tx, func(site string) error {
		return putFault(tx, Fault{
			Site: site, Name: name, Since: at.UTC(), Detail: "missing or damaged where the catalog was rebuilt from",
			Found: "rebuild", Lost: true,
		})
	})
}

// Complete fills in what a pack says of itself that was missing when its
// snapshot was remembered. Of any other pack nothing is changed.
func (c *Catalog) Complete(p Pack, chunks []Chunk) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		n, ok := ordinalOf(tx, p.SHA256)
		if !ok {
			return nil
		}
		if known, err := packAt(tx, n); err != nil || !known.Incomplete() {
			return err
		}
		return errors.Join(tx.Bucket(bucketPacks).Put(ordinalKey(n), p.encode()), indexChunks(tx, n, chunks))
	})
	if err != nil {
		return fmt.Errorf("catalog: complete pack %x: %w", p.SHA256, err)
	}
	return nil
}

func ordinalOf(tx *bbolt.Tx, sha [32]byte) (ordinal uint32, ok bool) {
	key := tx.Bucket(bucketPackNames).Get(sha[:])
	if key == nil {
		return 0, false
	}
	return binary.BigEndian.Uint32(key), true
}

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
		if err := sparePacks(tx, s.Packs); err != nil {
			return err
		}
		for _, p := range missing {
			n, err := addMissing(tx, p, at)
			if err != nil {
				return err
			}
			s.Packs = append(s.Packs, n)
		}
		known, err := getSnapshot(tx, s.ID)
		if errors.Is(err, ErrNotFound) {
			return addSnapshot(tx, s, nil)
		}
		if err != nil {
			return err
		}
		s.Condemned = known.Condemned
		return errors.Join(putManifest(tx, s.Commit, s.Manifest, s.Packs), addObject(tx, s.object(), nil))
	})
	if err != nil {
		return fmt.Errorf("catalog: add damaged snapshot %s of %s: %w", s.ID, s.Function, err)
	}
	return nil
}

// addMissing remembers a pack that nobody is known to have: one that is new, or
// one whose deletion had begun.
func addMissing(tx *bbolt.Tx, p Pack, at time.Time) (ordinal uint32, err error) {
	ordinal, known := ordinalOf(tx, p.SHA256)
	if known {
		if gone, err := isGone(tx, ordinalKey(ordinal)); err != nil || !gone {
			return ordinal, err
		}
	} else if ordinal, err = putPack(tx, Pack{SHA256: p.SHA256, Size: p.Size}); err != nil {
		return 0, err
	}
	key := ordinalKey(ordinal)
	if err := errors.Join(tx.Bucket(bucketCondemned).Delete(key), tx.Bucket(bucketLost).Put(key, []byte{})); err != nil {
		return 0, err
	}
	name := PackName(p.SHA256)
	return ordinal, eachSite(tx, func(site string) error {
		return putFault(tx, Fault{
			Site: site, Name: name, Since: at.UTC(), Detail: "lost: a snapshot names it and no site that was asked has it",
			Found: "compare", Lost: true,
		})
	})
}

func ordinalOf(tx *bbolt.Tx, sha [32]byte) (ordinal uint32, ok bool) {
	key := tx.Bucket(bucketPackNames).Get(sha[:])
	if key == nil {
		return 0, false
	}
	return binary.BigEndian.Uint32(key), true
}

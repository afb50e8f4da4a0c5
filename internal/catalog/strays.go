package catalog

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// SetStrays remembers which packs a site was found to hold that the catalog does
// not know: what a sweep deleted while the site was not in the configuration,
// what a host that is no more had sent. Those that were found before keep the
// time at which they were found first; others are forgotten.
func (c *Catalog) SetStrays(site string, names []string, at time.Time) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		strays := tx.Bucket(bucketStrays)
		since := map[string][]byte{}
		if old := strays.Bucket([]byte(site)); old != nil {
			for _, name := range names {
				if v := old.Get([]byte(name)); v != nil {
					since[name] = append([]byte{}, v...)
				}
			}
			if err := strays.DeleteBucket([]byte(site)); err != nil {
				return err
			}
		}
		if len(names) == 0 {
			return nil
		}
		b, err := strays.CreateBucket([]byte(site))
		if err != nil {
			return err
		}
		for _, name := range names {
			v := since[name]
			if v == nil {
				v = be64(unixSeconds(at))
			}
			if err := b.Put([]byte(name), v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("catalog: what is not known at site %s: %w", site, err)
	}
	return nil
}

// Strays returns the packs that the catalog does not know and that a site has
// held since before, in the order of their names.
func (c *Catalog) Strays(site string, before time.Time) (names []string, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketStrays).Bucket([]byte(site))
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			sha, ok := packDigest(string(k))
			if !ok || tx.Bucket(bucketPackNames).Get(sha[:]) != nil {
				return nil
			}
			if fromSeconds(binary.BigEndian.Uint64(v)).Before(before) {
				names = append(names, string(k))
			}
			return nil
		})
	})
	return names, err
}

package catalog

import (
	"errors"

	"go.etcd.io/bbolt"
)

// LostOf returns the objects of a snapshot that are lost, as far as is known: the
// packs that its commit names and that no site and no spool has, and the commit
// itself when that is so of it at every site. It returns nothing when another
// commit that is on its way names none that is lost.
func (c *Catalog) LostOf(id string) (names []string, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		s, err := getSnapshot(tx, id)
		if err != nil || s.Staged != "" && !lacks(tx, s.Staged) {
			return err
		}
		for _, n := range needs(tx, s.Commit) {
			if tx.Bucket(bucketLost).Get(ordinalKey(n)) == nil {
				continue
			}
			p, err := packAt(tx, n)
			if err != nil {
				return err
			}
			names = append(names, PackName(p.SHA256))
		}
		everywhere, sites := true, 0
		err = eachSite(tx, func(site string) error {
			sites++
			everywhere = everywhere && isLostAt(tx, site, s.Commit)
			return nil
		})
		if everywhere && sites > 0 {
			names = append(names, s.Commit)
		}
		return err
	})
	return names, err
}

// GivenUp reports whether an object is needed by no snapshot that is kept: by
// one at least, and all of those were given up.
func (c *Catalog) GivenUp(name string) (bool, error) {
	ids, err := c.Naming(name)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	for _, id := range ids {
		s, err := c.Snapshot(id)
		if err == nil && s.Condemned.IsZero() {
			return false, nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return false, err
		}
	}
	return true, nil
}

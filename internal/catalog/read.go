package catalog

import (
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"
)

// NoteRead notes that all bytes of these objects at a site were right at that
// time, which ends what was known to be wrong with them there. Names that the
// site need not hold are left out.
func (c *Catalog) NoteRead(site string, names []string, at time.Time) error {
	return c.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range names {
			held, err := holds(tx, site, name)
			if err != nil {
				return err
			}
			if !held {
				continue
			}
			noted := copyOf(tx, site, name)
			noted.Read = at
			if err := putCopy(tx, site, name, noted); err != nil {
				return err
			}
			if err := clearFault(tx, site, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// holds reports whether a site must hold an object, and none waits for it.
func holds(tx *bbolt.Tx, site, name string) (bool, error) {
	_, known, err := knownEntry(tx, name)
	if err != nil || !known || waits(tx, site, name) {
		return false, err
	}
	sha, isPack := packDigest(name)
	return !isPack || tx.Bucket(bucketLost).Get(tx.Bucket(bucketPackNames).Get(sha[:])) == nil, nil
}

func copyOf(tx *bbolt.Tx, site, name string) Copy {
	b := tx.Bucket(bucketCopies).Bucket([]byte(site))
	if b == nil {
		return Copy{}
	}
	return decodeCopy(b.Get([]byte(name)))
}

// EachHolding calls fn for everything that a site must hold, in the order of
// the names, until fn returns an error, which it returns. What comes or goes
// meanwhile may be seen or not.
func (c *Catalog) EachHolding(site string, fn func(Holding) error) error {
	after := ""
	for {
		page, err := c.Holdings(site, after, holdingsPage)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, h := range page {
			if err := fn(h); err != nil {
				return err
			}
		}
		after = page[len(page)-1].Name
	}
}

// holdingsPage is how many holdings are read in one transaction.
const holdingsPage = 1000

// FaultAt returns what is known to be wrong with an object at a site; ok is
// false when nothing is.
func (c *Catalog) FaultAt(site, name string) (f Fault, ok bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		f, ok, err = faultAt(tx, site, name)
		return err
	})
	return f, ok, err
}

// Entry returns what is known of an object; ok is false when it is not known or
// is being deleted.
func (c *Catalog) Entry(name string) (e Entry, ok bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		e, ok, err = knownEntry(tx, name)
		return err
	})
	return e, ok, err
}

// Naming returns the snapshots whose commits name a pack, and those of a commit
// itself, in the order of their commits.
func (c *Catalog) Naming(name string) (snapshots []string, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		sha, isPack := packDigest(name)
		if !isPack {
			o, err := getObject(tx, name)
			if err == nil && o.Snapshot != "" {
				snapshots = []string{o.Snapshot}
			}
			return nil //nolint:nilerr // what is not known names nothing
		}
		key := tx.Bucket(bucketPackNames).Get(sha[:])
		if key == nil {
			return nil
		}
		_, snapshots, err = namedIn(tx, binary.BigEndian.Uint32(key))
		return err
	})
	return snapshots, err
}

// Lost reports whether a pack is lost: no site and no spool has it.
func (c *Catalog) Lost(name string) (lost bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		if sha, isPack := packDigest(name); isPack {
			key := tx.Bucket(bucketPackNames).Get(sha[:])
			lost = key != nil && tx.Bucket(bucketLost).Get(key) != nil
		}
		return nil
	})
	return lost, err
}

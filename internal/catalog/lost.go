package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Lose records that no site and no spool has a pack. Nothing new refers to it,
// so that the next snapshot writes what it held anew; commits that name it and
// wait for a site are not sent, because they would promise what nobody can
// give. It returns the snapshots that are damaged by it.
func (c *Catalog) Lose(name string, at time.Time) (damaged []string, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		sha, _ := packDigest(name)
		key := tx.Bucket(bucketPackNames).Get(sha[:])
		if key == nil {
			return fmt.Errorf("%s: %w", name, ErrNotFound)
		}
		if err := tx.Bucket(bucketLost).Put(key, []byte{}); err != nil {
			return err
		}
		var commits []Object
		if commits, damaged, err = namedIn(tx, binary.BigEndian.Uint32(key)); err != nil {
			return err
		}
		return eachSite(tx, func(site string) error {
			var errs []error
			for _, o := range commits {
				_, err := dequeue(tx, site, o.Name)
				errs = append(errs, err)
			}
			_, err := dequeue(tx, site, name)
			// Also at a site that was thought to hold it.
			return errors.Join(append(errs, err, putFault(tx, Fault{
				Site: site, Name: name, Since: at.UTC(), Detail: "lost: no site and no spool has it", Found: "upload", Lost: true,
			}))...)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: lost pack: %w", err)
	}
	return damaged, nil
}

// namedIn returns the commits that name a pack, and their snapshots.
func namedIn(tx *bbolt.Tx, pack uint32) (commits []Object, snapshots []string, err error) {
	err = tx.Bucket(bucketNeeds).ForEach(func(k, v []byte) error {
		for ; len(v) >= 4; v = v[4:] {
			if binary.BigEndian.Uint32(v) != pack {
				continue
			}
			o, err := getObject(tx, string(k))
			commits, snapshots = append(commits, o), append(snapshots, o.Snapshot)
			return err
		}
		return nil
	})
	return commits, snapshots, err
}

// Recover records that a pack that was lost is found at a site, in its full
// length, and queues it for the sites that lack it, with the commits that were
// held back. Of any other pack nothing is recorded.
func (c *Catalog) Recover(name string, size int64, foundAt string) error {
	lost, err := c.isLost(name, size)
	if err != nil || !lost {
		return err
	}
	err = c.db.Update(func(tx *bbolt.Tx) error {
		sha, _ := packDigest(name)
		key := append([]byte{}, tx.Bucket(bucketPackNames).Get(sha[:])...)
		if len(key) == 0 || tx.Bucket(bucketLost).Get(key) == nil {
			return nil
		}
		if err := tx.Bucket(bucketLost).Delete(key); err != nil {
			return err
		}
		commits, _, err := namedIn(tx, binary.BigEndian.Uint32(key))
		if err != nil {
			return err
		}
		e, _, err := knownEntry(tx, name)
		return errors.Join(err, clearFault(tx, foundAt, name), eachSite(tx, func(site string) error {
			return sendRecovered(tx, site, foundAt, e, commits)
		}))
	})
	if err != nil {
		return fmt.Errorf("catalog: found %s again: %w", name, err)
	}
	return nil
}

func (c *Catalog) isLost(name string, size int64) (lost bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		sha, _ := packDigest(name)
		key := tx.Bucket(bucketPackNames).Get(sha[:])
		if key == nil || tx.Bucket(bucketLost).Get(key) == nil {
			return nil
		}
		p, err := packAt(tx, binary.BigEndian.Uint32(key))
		lost = p.Size == size
		return err
	})
	return lost, err
}

// sendRecovered queues a pack that is found again for a site, which may be new
// since it was lost, and the commits that were held back.
func sendRecovered(tx *bbolt.Tx, site, foundAt string, e Entry, commits []Object) error {
	var errs []error
	if site != foundAt {
		errs = append(errs, enqueue(tx, []string{site}, e))
	}
	for _, o := range commits {
		s, err := getSnapshot(tx, o.Snapshot)
		if err == nil && s.Durable[site].IsZero() && !o.Deleting && !lacks(tx, o.Name) {
			err = enqueue(tx, []string{site}, o.entry())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

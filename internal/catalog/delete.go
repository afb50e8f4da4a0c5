package catalog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Doom is what may be deleted at a moment.
type Doom struct {
	Commits []Object
	Packs   map[uint32]Pack
	// Locked is how many more objects it would be if no site protected them,
	// and Until when the last of them is free.
	Locked int
	Until  time.Time
}

func (d *Doom) free(tx *bbolt.Tx, name string, now time.Time) bool {
	until := lockedUntil(tx, name)
	if !until.After(now) {
		return true
	}
	d.Locked++
	if until.After(d.Until) {
		d.Until = until
	}
	return false
}

// doomedCommits adds the commits that were condemned before, and those whose
// deletion has begun.
func (d *Doom) doomedCommits(tx *bbolt.Tx, before, now time.Time) error {
	return tx.Bucket(bucketObjects).ForEach(func(k, v []byte) error {
		o := Object{Name: string(k)}
		if err := json.Unmarshal(v, &o); err != nil {
			return err
		}
		due := o.Kind == KindCommit && !o.Condemned.IsZero() && o.Condemned.Before(before)
		if due && !o.Deleting {
			kept, err := isKept(tx, o.Name)
			if err != nil {
				return err
			}
			due = !kept
		}
		if o.Deleting || due && d.free(tx, o.Name, now) {
			d.Commits = append(d.Commits, o)
		}
		return nil
	})
}

// doomedPacks adds the packs that were condemned before and that none of the
// chosen commits names, and those whose deletion has begun.
func (d *Doom) doomedPacks(tx *bbolt.Tx, before, now time.Time, chosen func(Object) bool) error {
	needed, err := neededPacks(tx, chosen)
	if err != nil {
		return err
	}
	d.Packs = map[uint32]Pack{}
	return tx.Bucket(bucketCondemned).ForEach(func(k, v []byte) error {
		var mark Condemnation
		if err := json.Unmarshal(v, &mark); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(k)
		p, err := packAt(tx, n)
		if err != nil {
			return err
		}
		due := mark.Since.Before(before) && !needed.has(n)
		if mark.Deleting || due && d.free(tx, PackName(p.SHA256), now) {
			d.Packs[n] = p
		}
		return nil
	})
}

// Doomed returns what could be deleted now of what was condemned before,
// without deleting it.
func (c *Catalog) Doomed(before, now time.Time) (d Doom, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		if err := d.doomedCommits(tx, before, now); err != nil {
			return err
		}
		going := map[string]bool{}
		for _, o := range d.Commits {
			going[o.Name] = true
		}
		return d.doomedPacks(tx, before, now, func(o Object) bool { return !going[o.Name] })
	})
	return d, err
}

// DeleteCommits begins the deletion of the commits that were condemned before,
// that no site protects any more, and of those whose deletion began earlier.
// Their snapshots are no more: from now on they are neither listed nor
// restored.
func (c *Catalog) DeleteCommits(before, now time.Time) (d Doom, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		if err := d.doomedCommits(tx, before, now); err != nil {
			return err
		}
		var errs []error
		for _, o := range d.Commits {
			o.Deleting = true
			errs = append(errs, putObject(tx, o), dropSnapshot(tx, o))
		}
		return errors.Join(append(errs, leaveOutboxes(tx, d.Commits))...)
	})
	if err != nil {
		return d, fmt.Errorf("catalog: begin to delete commits: %w", err)
	}
	return d, nil
}

// dropSnapshot removes the snapshot of a commit, unless another commit has
// taken its place.
func dropSnapshot(tx *bbolt.Tx, o Object) error {
	s, err := getSnapshot(tx, o.Snapshot)
	if err == nil && s.Staged == o.Name {
		s.Staged = ""
		return putJSON(tx.Bucket(bucketSnapshots), []byte(s.ID), s)
	}
	if errors.Is(err, ErrNotFound) || err == nil && s.Commit != o.Name {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(tx.Bucket(bucketSnapshots).Delete([]byte(s.ID)), tx.Bucket(bucketPoints).Delete(pointKey(s)),
		tx.Bucket(bucketSuspects).Delete([]byte(s.ID)))
}

// leaveOutboxes takes objects out of every outbox: nobody need have them now.
func leaveOutboxes(tx *bbolt.Tx, objects []Object) error {
	return eachSite(tx, func(site string) error {
		for _, o := range objects {
			if _, err := dequeue(tx, site, o.Name); err != nil {
				return err
			}
			if err := clearFault(tx, site, o.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

func eachSite(tx *bbolt.Tx, fn func(site string) error) error {
	var sites []string
	err := tx.Bucket(bucketOutbox).ForEachBucket(func(site []byte) error {
		sites = append(sites, string(site))
		return nil
	})
	for _, site := range sites {
		err = errors.Join(err, fn(site))
	}
	return err
}

// DeletePacks begins the deletion of the packs that were condemned before, that
// no commit names, condemned ones included, and that no site protects, and
// returns them with those whose deletion began earlier.
func (c *Catalog) DeletePacks(before, now time.Time) (d Doom, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		if err := d.doomedPacks(tx, before, now, func(Object) bool { return true }); err != nil {
			return err
		}
		var errs []error
		for n, p := range d.Packs {
			errs = append(errs,
				putJSON(tx.Bucket(bucketCondemned), ordinalKey(n), Condemnation{Since: before.UTC(), Deleting: true}),
				leaveOutboxes(tx, []Object{{Name: PackName(p.SHA256)}}))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return d, fmt.Errorf("catalog: begin to delete packs: %w", err)
	}
	return d, nil
}

// ForgetObjects removes commits, marks or keys that are gone at every site.
func (c *Catalog) ForgetObjects(names []string) error {
	return c.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range names {
			for _, b := range [][]byte{bucketObjects, bucketNeeds, bucketManifests} {
				if err := tx.Bucket(b).Delete([]byte(name)); err != nil {
					return err
				}
			}
			if err := forgetCopies(tx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// DropObjects forgets commits, marks or keys that are gone at every site without
// having been deleted in two phases, with what waits and what is known to be
// wrong.
func (c *Catalog) DropObjects(names []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		var objects []Object
		for _, name := range names {
			objects = append(objects, Object{Name: name})
		}
		return leaveOutboxes(tx, objects)
	})
	return errors.Join(err, c.ForgetObjects(names))
}

func forgetCopies(tx *bbolt.Tx, name string) error {
	return eachSite(tx, func(site string) error {
		if b := tx.Bucket(bucketCopies).Bucket([]byte(site)); b != nil {
			return b.Delete([]byte(name))
		}
		return nil
	})
}

// forgetStep is how many chunks are looked at in one transaction.
const forgetStep = 20_000

// ForgetPacks removes packs that are gone at every site, with the places of
// their chunks. It reads the whole index, in steps; when it is cut short the
// next time does the rest.
func (c *Catalog) ForgetPacks(packs map[uint32]Pack) error {
	if len(packs) == 0 {
		return nil
	}
	var after []byte
	for {
		err := c.db.Update(func(tx *bbolt.Tx) (err error) {
			after, err = forgetPlaces(tx, after, packs)
			return err
		})
		if err != nil {
			return fmt.Errorf("catalog: forget packs: %w", err)
		}
		if after == nil {
			break
		}
	}
	return c.db.Update(func(tx *bbolt.Tx) error {
		for n, p := range packs {
			key := ordinalKey(n)
			err := errors.Join(tx.Bucket(bucketPacks).Delete(key), tx.Bucket(bucketPackNames).Delete(p.SHA256[:]),
				tx.Bucket(bucketCondemned).Delete(key), tx.Bucket(bucketLost).Delete(key), forgetCopies(tx, PackName(p.SHA256)))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// forgetPlaces takes the packs out of the places of the chunks behind after,
// and returns the last chunk that it looked at, or nil at the end.
func forgetPlaces(tx *bbolt.Tx, after []byte, packs map[uint32]Pack) (last []byte, err error) {
	index := tx.Bucket(bucketChunks)
	changed := map[string][]byte{}
	cur := index.Cursor()
	k, v := cur.First()
	if after != nil {
		k, v = cur.Seek(after)
	}
	for n := 0; k != nil; k, v = cur.Next() {
		if n++; n > forgetStep {
			last = append([]byte{}, k...)
			break
		}
		places, err := decodeLocations(v)
		if err != nil {
			return nil, err
		}
		left := []byte{}
		for i, l := range places {
			if _, gone := packs[l.Pack]; !gone {
				left = append(left, v[i*locationSize:(i+1)*locationSize]...)
			}
		}
		if len(left) != len(v) {
			changed[string(k)] = left
		}
	}
	for id, left := range changed {
		if len(left) == 0 {
			err = errors.Join(err, index.Delete([]byte(id)))
			continue
		}
		err = errors.Join(err, index.Put([]byte(id), left))
	}
	return last, err
}

package catalog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// Deletion has two phases. What nobody needs is condemned: from then on nothing
// new refers to it, and it stays where it is. When it has been condemned for
// long enough, and is not needed after all, it is being deleted: from then on
// nothing can need it again. Each step is one transaction, so that a snapshot
// that is committed at the same time comes either before it, and keeps what it
// needs, or after it, and is told.

// Condemnation is what is remembered of a condemned pack.
type Condemnation struct {
	Since time.Time `json:"since"`
	// Deleting: it may be gone at some sites already.
	Deleting bool `json:"deleting,omitempty"`
}

func condemnation(tx *bbolt.Tx, ordinal []byte) (*Condemnation, error) {
	v := tx.Bucket(bucketCondemned).Get(ordinal)
	if v == nil {
		return nil, nil //nolint:nilnil // it is not condemned
	}
	var c Condemnation
	return &c, json.Unmarshal(v, &c)
}

func isDeleting(tx *bbolt.Tx, ordinal []byte) (bool, error) {
	c, err := condemnation(tx, ordinal)
	return c != nil && c.Deleting, err
}

// isGone reports whether a pack is lost or being deleted, so that no site need
// hold it.
func isGone(tx *bbolt.Tx, ordinal []byte) (bool, error) {
	if tx.Bucket(bucketLost).Get(ordinal) != nil {
		return true, nil
	}
	return isDeleting(tx, ordinal)
}

// lacks reports whether a commit names a pack that is lost.
func lacks(tx *bbolt.Tx, commit string) bool {
	lost := tx.Bucket(bucketLost)
	if k, _ := lost.Cursor().First(); k == nil {
		return false
	}
	return slices.ContainsFunc(needs(tx, commit), func(n uint32) bool { return lost.Get(ordinalKey(n)) != nil })
}

// claim makes sure that none of the packs is on its way out: one that is only
// condemned is needed again.
func claim(tx *bbolt.Tx, packs []uint32) error {
	condemned, lost := tx.Bucket(bucketCondemned), tx.Bucket(bucketLost)
	for _, n := range packs {
		key := ordinalKey(n)
		if lost.Get(key) != nil {
			return fmt.Errorf("pack number %d: %w", n, ErrCondemned)
		}
		if condemned.Get(key) == nil {
			continue
		}
		if gone, err := isDeleting(tx, key); err != nil || gone {
			return errors.Join(err, fmt.Errorf("pack number %d: %w", n, ErrCondemned))
		}
		if err := condemned.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// Doomed is what a mark condemns.
type Doomed struct {
	Snapshots map[string]string // id → why no rule keeps it
	Commits   []string          // further ones, which another commit has replaced
	Packs     []uint32
}

// Condemn marks snapshots, commits and packs as no longer needed and queues the
// mark that says so for the sites, in one transaction. A snapshot that is held
// and a pack that some kept snapshot needs are left out, whoever asked.
func (c *Catalog) Condemn(d Doomed, at time.Time, mark Object, sites []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		for id, why := range d.Snapshots {
			if err := condemnSnapshot(tx, id, why, at); err != nil {
				return err
			}
		}
		for _, name := range d.Commits {
			if err := condemnCommit(tx, name, at); err != nil {
				return err
			}
		}
		if err := condemnPacks(tx, d.Packs, at); err != nil {
			return err
		}
		return addObject(tx, mark, sites)
	})
	if err != nil {
		return fmt.Errorf("catalog: condemn: %w", err)
	}
	return nil
}

func condemnSnapshot(tx *bbolt.Tx, id, why string, at time.Time) error {
	s, err := getSnapshot(tx, id)
	if errors.Is(err, ErrNotFound) || err == nil && (s.Held != "" || !s.Condemned.IsZero()) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Condemned, s.Reason = at.UTC(), why
	if err := putJSON(tx.Bucket(bucketSnapshots), []byte(id), s); err != nil {
		return err
	}
	return condemnCommit(tx, s.Commit, at)
}

func condemnCommit(tx *bbolt.Tx, name string, at time.Time) error {
	o, err := getObject(tx, name)
	if errors.Is(err, ErrNotFound) || err == nil && !o.Condemned.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	o.Condemned = at.UTC()
	return putObject(tx, o)
}

func condemnPacks(tx *bbolt.Tx, packs []uint32, at time.Time) error {
	needed, err := neededPacks(tx, func(o Object) bool { return o.Condemned.IsZero() })
	if err != nil {
		return err
	}
	for _, n := range packs {
		key := ordinalKey(n)
		if needed.has(n) || tx.Bucket(bucketCondemned).Get(key) != nil {
			continue
		}
		if err := putJSON(tx.Bucket(bucketCondemned), key, Condemnation{Since: at.UTC()}); err != nil {
			return err
		}
	}
	return nil
}

// ordinalSet is a set of ordinals, a bit each.
type ordinalSet []uint64

func (s *ordinalSet) add(n uint32) {
	for int(n/64) >= len(*s) {
		*s = append(*s, make([]uint64, len(*s)+1)...)
	}
	(*s)[n/64] |= 1 << (n % 64)
}

func (s ordinalSet) has(n uint32) bool { return int(n/64) < len(s) && s[n/64]&(1<<(n%64)) != 0 }

// neededPacks returns the packs that the commits chosen name.
func neededPacks(tx *bbolt.Tx, chosen func(Object) bool) (set ordinalSet, err error) {
	err = tx.Bucket(bucketNeeds).ForEach(func(k, v []byte) error {
		o, err := getObject(tx, string(k))
		if err != nil || !chosen(o) {
			return err
		}
		for ; len(v) >= 4; v = v[4:] {
			set.add(binary.BigEndian.Uint32(v))
		}
		return nil
	})
	return set, err
}

// Unneeded returns the packs that no kept commit names and that are not
// condemned yet, those of captures that failed or still run among them, with
// their sizes. Ordinals rise with time.
func (c *Catalog) Unneeded() (packs map[uint32]Pack, err error) {
	packs = map[uint32]Pack{}
	err = c.db.View(func(tx *bbolt.Tx) error {
		needed, err := neededPacks(tx, func(o Object) bool { return o.Condemned.IsZero() })
		if err != nil {
			return err
		}
		return tx.Bucket(bucketPacks).ForEach(func(k, v []byte) error {
			n := binary.BigEndian.Uint32(k)
			if needed.has(n) || tx.Bucket(bucketCondemned).Get(k) != nil {
				return nil
			}
			packs[n], err = decodePack(v)
			return err
		})
	})
	return packs, err
}

// Spare takes back the condemnation of a snapshot, and of what it needs. It
// fails with [ErrCondemned] when the snapshot is being deleted already.
func (c *Catalog) Spare(id string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		s, err := getSnapshot(tx, id)
		if err != nil {
			return err
		}
		return spare(tx, s)
	})
	if err != nil {
		return fmt.Errorf("catalog: spare snapshot %s: %w", id, err)
	}
	return nil
}

func spare(tx *bbolt.Tx, s *Snapshot) error {
	if s.Condemned.IsZero() {
		return nil
	}
	o, err := getObject(tx, s.Commit)
	if err != nil {
		return err
	}
	if o.Deleting {
		return ErrCondemned
	}
	o.Condemned = time.Time{}
	s.Condemned, s.Reason = time.Time{}, ""
	return errors.Join(putObject(tx, o), putJSON(tx.Bucket(bucketSnapshots), []byte(s.ID), s), claim(tx, needs(tx, s.Commit)))
}

// Hold records why a snapshot must not be deleted, or with an empty reason
// that it may be again, and queues the mark that says so. Holding a condemned
// snapshot spares it.
func (c *Catalog) Hold(id, reason string, mark Object, sites []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		s, err := getSnapshot(tx, id)
		if err != nil {
			return err
		}
		s.Held = reason
		if err := putJSON(tx.Bucket(bucketSnapshots), []byte(id), s); err != nil {
			return err
		}
		if reason != "" {
			if err := spare(tx, s); err != nil {
				return err
			}
		}
		return addObject(tx, mark, sites)
	})
	if err != nil {
		return fmt.Errorf("catalog: hold snapshot %s: %w", id, err)
	}
	return nil
}

// Doomsday is what is being deleted.
type Doomsday struct {
	Commits []Object
	Packs   map[uint32]Pack
}

// DeleteCommits begins the deletion of the commits that were condemned before,
// and of those whose deletion began earlier, and returns them. Their snapshots
// are no more: from now on they are neither listed nor restored.
func (c *Catalog) DeleteCommits(before time.Time) (out []Object, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		var begin []Object
		err := tx.Bucket(bucketObjects).ForEach(func(k, v []byte) error {
			o := Object{Name: string(k)}
			if err := json.Unmarshal(v, &o); err != nil {
				return err
			}
			if o.Deleting || o.Kind == KindCommit && !o.Condemned.IsZero() && o.Condemned.Before(before) {
				begin = append(begin, o)
			}
			return nil
		})
		for _, o := range begin {
			o.Deleting = true
			err = errors.Join(err, putObject(tx, o), dropSnapshot(tx, o))
			out = append(out, o)
		}
		return errors.Join(err, leaveOutboxes(tx, out))
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: begin to delete commits: %w", err)
	}
	return out, nil
}

// dropSnapshot removes the snapshot of a commit, unless another commit has
// taken its place.
func dropSnapshot(tx *bbolt.Tx, o Object) error {
	s, err := getSnapshot(tx, o.Snapshot)
	if errors.Is(err, ErrNotFound) || err == nil && s.Commit != o.Name {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(tx.Bucket(bucketSnapshots).Delete([]byte(s.ID)), tx.Bucket(bucketPoints).Delete(pointKey(s)))
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

// DeletePacks begins the deletion of the packs that were condemned before and
// that no commit names, condemned ones included, and returns them with those
// whose deletion began earlier.
func (c *Catalog) DeletePacks(before time.Time) (out map[uint32]Pack, err error) {
	out = map[uint32]Pack{}
	err = c.db.Update(func(tx *bbolt.Tx) error {
		needed, err := neededPacks(tx, func(Object) bool { return true })
		if err != nil {
			return err
		}
		begin := map[uint32]Condemnation{}
		err = tx.Bucket(bucketCondemned).ForEach(func(k, v []byte) error {
			var mark Condemnation
			if err := json.Unmarshal(v, &mark); err != nil {
				return err
			}
			if n := binary.BigEndian.Uint32(k); mark.Deleting || mark.Since.Before(before) && !needed.has(n) {
				begin[n] = mark
			}
			return nil
		})
		for n, mark := range begin {
			mark.Deleting = true
			p, packErr := packAt(tx, n)
			out[n] = p
			err = errors.Join(err, packErr, putJSON(tx.Bucket(bucketCondemned), ordinalKey(n), mark),
				leaveOutboxes(tx, []Object{{Name: PackName(p.SHA256)}}))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: begin to delete packs: %w", err)
	}
	return out, nil
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

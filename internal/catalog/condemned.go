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

// claim makes sure that none of the packs is gone or on its way out: one that is
// only condemned is needed again.
func claim(tx *bbolt.Tx, packs []uint32) error {
	for _, n := range packs {
		key := ordinalKey(n)
		if tx.Bucket(bucketLost).Get(key) != nil || tx.Bucket(bucketPacks).Get(key) == nil {
			return fmt.Errorf("pack number %d: %w", n, ErrCondemned)
		}
	}
	return sparePacks(tx, packs)
}

// sparePacks takes back the condemnation of packs.
func sparePacks(tx *bbolt.Tx, packs []uint32) error {
	for _, n := range packs {
		key := ordinalKey(n)
		if gone, err := isDeleting(tx, key); err != nil || gone {
			return errors.Join(err, fmt.Errorf("pack number %d: %w", n, ErrCondemned))
		}
		if err := tx.Bucket(bucketCondemned).Delete(key); err != nil {
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
// mark that says so for the sites, in one transaction. A snapshot that is held,
// the commit of one that is kept and a pack that it needs are left out, whoever
// asked: a mark may be read where what replaced them is not known yet.
func (c *Catalog) Condemn(d Doomed, at time.Time, mark Object, sites []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		commits, err := commitsOf(tx, func(id string) bool { _, doomed := d.Snapshots[id]; return doomed })
		if err != nil {
			return err
		}
		for id, why := range d.Snapshots {
			if err := condemnSnapshot(tx, id, why, at, commits[id]); err != nil {
				return err
			}
		}
		for _, name := range d.Commits {
			if kept, err := isKept(tx, name); err != nil || kept {
				if err != nil {
					return err
				}
				continue
			}
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

// Judged returns the snapshots that are kept, and all that is condemned and not
// being deleted.
func (c *Catalog) Judged() (kept []string, d Doomed, err error) {
	d.Snapshots = map[string]string{}
	err = c.db.View(func(tx *bbolt.Tx) error {
		snapshots, err := allSnapshots(tx)
		if err != nil {
			return err
		}
		for _, s := range snapshots {
			if s.Condemned.IsZero() {
				kept = append(kept, s.ID)
			} else {
				d.Snapshots[s.ID] = s.Reason
			}
		}
		err = tx.Bucket(bucketNeeds).ForEach(func(k, _ []byte) error {
			o, err := getObject(tx, string(k))
			if err == nil && !o.Condemned.IsZero() && !o.Deleting {
				d.Commits = append(d.Commits, o.Name)
			}
			return err
		})
		if err != nil {
			return err
		}
		return tx.Bucket(bucketCondemned).ForEach(func(k, _ []byte) error {
			if gone, err := isDeleting(tx, k); err != nil || gone {
				return err
			}
			d.Packs = append(d.Packs, binary.BigEndian.Uint32(k))
			return nil
		})
	})
	return kept, d, err
}

func condemnSnapshot(tx *bbolt.Tx, id, why string, at time.Time, commits []string) error {
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
	for _, name := range commits {
		if err := condemnCommit(tx, name, at); err != nil {
			return err
		}
	}
	return nil
}

// commitsOf returns all commits of the snapshots chosen, by the snapshot: the
// one that counts, the one that is to take its place, and those whose place was
// taken.
func commitsOf(tx *bbolt.Tx, chosen func(id string) bool) (map[string][]string, error) {
	out := map[string][]string{}
	err := tx.Bucket(bucketNeeds).ForEach(func(k, _ []byte) error {
		o, err := getObject(tx, string(k))
		if err == nil && chosen(o.Snapshot) {
			out[o.Snapshot] = append(out[o.Snapshot], o.Name)
		}
		return err
	})
	return out, err
}

// isKept reports whether a commit is the one that counts of a snapshot that is
// not condemned.
func isKept(tx *bbolt.Tx, commit string) (bool, error) {
	o, err := getObject(tx, commit)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s, err := getSnapshot(tx, o.Snapshot)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && s.Commit == commit && s.Condemned.IsZero(), err
}

func condemnCommit(tx *bbolt.Tx, name string, at time.Time) error {
	o, err := getObject(tx, name)
	if errors.Is(err, ErrNotFound) || err == nil && !o.Condemned.IsZero() {
		return nil
	}
	if err != nil || o.Kind != KindCommit { // a mark may say so of anything
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

// Unneeded is a pack that no kept commit names.
type Unneeded struct {
	Ordinal uint32
	Pack
	// Orphan: no commit names it at all. It comes from a capture that failed or
	// still runs, and its chunks may serve the next one.
	Orphan bool
	// Waiting: it is on its way to some site.
	Waiting bool
	// Since is when the last of the sites was known to hold it; zero when none
	// is, or nobody has looked.
	Since time.Time
}

// Unneeded returns the packs that no kept commit names, but for those that are
// about to be condemned, and that are not condemned yet.
func (c *Catalog) Unneeded(going []string) (out []Unneeded, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		kept, err := neededPacks(tx, func(o Object) bool { return o.Condemned.IsZero() && !slices.Contains(going, o.Name) })
		if err != nil {
			return err
		}
		named, err := neededPacks(tx, func(Object) bool { return true })
		if err != nil {
			return err
		}
		return tx.Bucket(bucketPacks).ForEach(func(k, v []byte) error {
			n := binary.BigEndian.Uint32(k)
			if kept.has(n) || tx.Bucket(bucketCondemned).Get(k) != nil {
				return nil
			}
			p, err := decodePack(v)
			if err != nil {
				return err
			}
			name := PackName(p.SHA256)
			out = append(out, Unneeded{
				Ordinal: n, Pack: p, Orphan: !named.has(n),
				Waiting: tx.Bucket(bucketSpooled).Get([]byte(name)) != nil, Since: lastRead(tx, name),
			})
			return nil
		})
	})
	return out, err
}

// lastRead returns when the last site was known to hold an object right.
func lastRead(tx *bbolt.Tx, name string) (at time.Time) {
	_ = tx.Bucket(bucketCopies).ForEachBucket(func(site []byte) error { // the function never fails
		if c := decodeCopy(tx.Bucket(bucketCopies).Bucket(site).Get([]byte(name))); c.Read.After(at) {
			at = c.Read
		}
		return nil
	})
	return at
}

// lockedUntil returns until when some site refuses to delete an object.
func lockedUntil(tx *bbolt.Tx, name string) (until time.Time) {
	_ = tx.Bucket(bucketCopies).ForEachBucket(func(site []byte) error { // the function never fails
		if c := decodeCopy(tx.Bucket(bucketCopies).Bucket(site).Get([]byte(name))); c.Locked.After(until) {
			until = c.Locked
		}
		return nil
	})
	return until
}

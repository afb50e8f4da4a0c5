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
		for _, o := range commits {
			if err := unstage(tx, o); err != nil {
				return err
			}
		}
		return eachSite(tx, func(site string) error {
			var errs []error
			for _, o := range commits {
				// That it is missing itself is found again when the pack is.
				_, err := dequeue(tx, site, o.Name)
				errs = append(errs, err, clearFault(tx, site, o.Name))
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

// TakePack remembers a pack that a site has whole and queues it for every other:
// one that is not known, or that was lost, whose commits are then sent again, or
// that was being deleted and is needed after all. It must not be called while a
// sweep deletes.
func (c *Catalog) TakePack(p Pack, chunks []Chunk, foundAt string) (ordinal uint32, err error) {
	name := PackName(p.SHA256)
	err = c.db.Update(func(tx *bbolt.Tx) error {
		key := append([]byte{}, tx.Bucket(bucketPackNames).Get(p.SHA256[:])...)
		if len(key) == 0 {
			n, err := putPack(tx, p)
			if err != nil {
				return err
			}
			key = ordinalKey(n)
		} else if err := tx.Bucket(bucketPacks).Put(key, p.encode()); err != nil {
			return err
		}
		ordinal = binary.BigEndian.Uint32(key)
		if err := indexChunks(tx, ordinal, chunks); err != nil {
			return err
		}
		if gone, err := isDeleting(tx, key); err != nil || gone {
			if err := errors.Join(err, tx.Bucket(bucketCondemned).Delete(key)); err != nil {
				return err
			}
		}
		lost := tx.Bucket(bucketLost).Get(key) != nil
		if err := tx.Bucket(bucketLost).Delete(key); err != nil {
			return err
		}
		err := eachSite(tx, func(site string) error {
			if site == foundAt {
				return clearFault(tx, site, name)
			}
			return enqueue(tx, []string{site}, Entry{Kind: KindPack, Name: name, Size: p.Size, SHA256: p.SHA256})
		})
		if err != nil || !lost {
			return err
		}
		return sendHeldBack(tx, ordinal)
	})
	if err != nil {
		return 0, fmt.Errorf("catalog: found %s: %w", name, err)
	}
	return ordinal, nil
}

// sendHeldBack queues the commits that name a pack for the sites that do not have
// them: those that were not sent because it was lost.
func sendHeldBack(tx *bbolt.Tx, pack uint32) error {
	commits, _, err := namedIn(tx, pack)
	if err != nil {
		return err
	}
	return eachSite(tx, func(site string) error {
		var errs []error
		for _, o := range commits {
			s, err := getSnapshot(tx, o.Snapshot)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err == nil && s.Durable[site].IsZero() && !o.Deleting && !lacks(tx, o.Name) {
				err = enqueue(tx, []string{site}, o.entry())
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// PackState is what became of a pack that the catalog knows.
type PackState struct {
	Lost     bool // no site and no spool has it
	Deleting bool // it may be gone at some sites already
}

// StateOf returns what became of a pack.
func (c *Catalog) StateOf(ordinal uint32) (s PackState, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		key := ordinalKey(ordinal)
		s.Lost = tx.Bucket(bucketLost).Get(key) != nil
		s.Deleting, err = isDeleting(tx, key)
		return err
	})
	return s, err
}

// LostPack returns a pack that is lost by its name; ok is false when it is not.
func (c *Catalog) LostPack(name string) (e Entry, ok bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		sha, _ := packDigest(name)
		key := tx.Bucket(bucketPackNames).Get(sha[:])
		if key == nil || tx.Bucket(bucketLost).Get(key) == nil {
			return nil
		}
		p, err := packAt(tx, binary.BigEndian.Uint32(key))
		e, ok = Entry{Kind: KindPack, Name: name, Size: p.Size, SHA256: p.SHA256}, err == nil
		return err
	})
	return e, ok, err
}

// Knows reports whether the catalog knows a pack of that name.
func (c *Catalog) Knows(name string) (known bool, err error) {
	sha, ok := packDigest(name)
	if !ok {
		return false, nil
	}
	_, known, err = c.PackNamed(sha)
	return known, err
}

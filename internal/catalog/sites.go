package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// AddSite makes the outbox of a site that is new in the configuration and
// queues everything that the repository is made of. It returns the number of
// objects queued; a site that is known already gets none.
func (c *Catalog) AddSite(site string) (queued int, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketOutbox).Bucket([]byte(site)) != nil {
			return nil
		}
		queued, err = backfill(tx, site)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("catalog: add site %s: %w", site, err)
	}
	return queued, nil
}

// ResetSite queues everything for a site again, because the site has lost what
// it had acknowledged. It returns the number of objects queued.
func (c *Catalog) ResetSite(site string) (queued int, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		if err := dropSite(tx, site); err != nil {
			return err
		}
		queued, err = backfill(tx, site)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("catalog: reset site %s: %w", site, err)
	}
	return queued, nil
}

// KeepSites forgets every site that is not named: what waits for it and what it
// held. When it is named again it is a new site, because nobody has seen to it
// meanwhile.
func (c *Catalog) KeepSites(names []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		var gone []string
		err := tx.Bucket(bucketOutbox).ForEachBucket(func(site []byte) error {
			if !slices.Contains(names, string(site)) {
				gone = append(gone, string(site))
			}
			return nil
		})
		for _, site := range gone {
			err = errors.Join(err, dropSite(tx, site))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("catalog: forget sites: %w", err)
	}
	return nil
}

// dropSite removes all that is known of a site: its outbox, its copies, its
// faults, what else it was seen to hold, and what snapshots say of their copies there.
func dropSite(tx *bbolt.Tx, site string) error {
	if box := tx.Bucket(bucketOutbox).Bucket([]byte(site)); box != nil {
		// Each object loses the hold of this outbox on its place in the spool.
		if err := eachEntry(box, func(e Entry) error { return addHolders(tx, e.Name, -1) }); err != nil {
			return err
		}
		if err := tx.Bucket(bucketOutbox).DeleteBucket([]byte(site)); err != nil {
			return err
		}
	}
	for _, of := range [][]byte{bucketCopies, bucketFaults, bucketStrays} {
		if tx.Bucket(of).Bucket([]byte(site)) != nil {
			if err := tx.Bucket(of).DeleteBucket([]byte(site)); err != nil {
				return err
			}
		}
	}
	return forgetSite(tx, site)
}

// backfill queues all packs, keys, commits, marks and evidence for a site, and returns
// how many, the keys not counted.
func backfill(tx *bbolt.Tx, site string) (int, error) {
	if _, err := makeBox(tx, site); err != nil {
		return 0, err
	}
	n := 0
	to := []string{site}
	err := tx.Bucket(bucketPacks).ForEach(func(k, v []byte) error {
		if gone, err := isGone(tx, k); err != nil || gone {
			return err
		}
		p, err := decodePack(v)
		if err != nil {
			return err
		}
		n++
		return enqueue(tx, to, Entry{Kind: KindPack, Name: PackName(p.SHA256), Size: p.Size, SHA256: p.SHA256})
	})
	if err != nil {
		return n, err
	}
	err = tx.Bucket(bucketObjects).ForEach(func(k, v []byte) error {
		o := Object{Name: string(k)}
		if err := json.Unmarshal(v, &o); err != nil {
			return err
		}
		if o.Deleting || lacks(tx, o.Name) {
			return nil
		}
		if o.Kind != KindKey {
			n++ // keys come with a repository, also with one that holds nothing
		}
		return enqueue(tx, to, o.entry())
	})
	return n, err
}

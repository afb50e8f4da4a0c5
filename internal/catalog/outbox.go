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

// Kinds of objects in an outbox.
const (
	KindPack   = "pack"
	KindCommit = "commit"
)

// Entry is an object that waits to be written to one site. A site is sent the
// entries of its outbox in order: a commit only when everything before it is
// acknowledged, so that each site is a consistent prefix of history.
type Entry struct {
	Sequence uint64   `json:"-"`
	Kind     string   `json:"kind"`
	Name     string   `json:"name"` // object name, in the spool and on the site
	Size     int64    `json:"size"`
	SHA256   [32]byte `json:"sha256"`
	Snapshot string   `json:"snapshot,omitempty"` // of a commit
}

// enqueue adds e to the outbox of each site and counts them as holders of the
// spooled object.
func enqueue(tx *bbolt.Tx, sites []string, e Entry) error {
	for _, site := range sites {
		box, err := tx.Bucket(bucketOutbox).CreateBucketIfNotExists([]byte(site))
		if err != nil {
			return err
		}
		seq, err := box.NextSequence()
		if err != nil {
			return err
		}
		if err := putJSON(box, be64(seq), e); err != nil {
			return err
		}
	}
	return addHolders(tx, e.Name, len(sites))
}

func addHolders(tx *bbolt.Tx, name string, n int) error {
	spooled := tx.Bucket(bucketSpooled)
	count := n
	if v := spooled.Get([]byte(name)); v != nil {
		count += int(binary.BigEndian.Uint64(v))
	}
	if count <= 0 {
		return spooled.Delete([]byte(name))
	}
	return spooled.Put([]byte(name), be64(uint64(count)))
}

// Outbox returns up to limit of the oldest entries that wait for a site.
func (c *Catalog) Outbox(site string, limit int) ([]Entry, error) {
	var out []Entry
	err := c.db.View(func(tx *bbolt.Tx) error {
		box := tx.Bucket(bucketOutbox).Bucket([]byte(site))
		if box == nil {
			return nil
		}
		cur := box.Cursor()
		for k, v := cur.First(); k != nil && len(out) < limit; k, v = cur.Next() {
			e := Entry{Sequence: binary.BigEndian.Uint64(k)}
			if err := json.Unmarshal(v, &e); err != nil {
				return fmt.Errorf("catalog: outbox %s: %w", site, err)
			}
			out = append(out, e)
		}
		return nil
	})
	return out, err
}

// Backlog returns how many objects and bytes wait for a site.
func (c *Catalog) Backlog(site string) (objects int, bytes int64, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		box := tx.Bucket(bucketOutbox).Bucket([]byte(site))
		if box == nil {
			return nil
		}
		return box.ForEach(func(_, v []byte) error {
			var e Entry
			if err := json.Unmarshal(v, &e); err != nil {
				return err
			}
			objects++
			bytes += e.Size
			return nil
		})
	})
	return objects, bytes, err
}

// Acknowledge takes an entry out of a site's outbox because the site holds the
// object since at. For a commit the snapshot becomes durable there. It returns
// whether no other site waits for the object, so that it may leave the spool.
// Acknowledging twice is no error.
func (c *Catalog) Acknowledge(site string, e Entry, at time.Time) (last bool, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		box := tx.Bucket(bucketOutbox).Bucket([]byte(site))
		if box == nil || box.Get(be64(e.Sequence)) == nil {
			return nil
		}
		if err := box.Delete(be64(e.Sequence)); err != nil {
			return err
		}
		if err := addHolders(tx, e.Name, -1); err != nil {
			return err
		}
		last = tx.Bucket(bucketSpooled).Get([]byte(e.Name)) == nil
		if e.Kind != KindCommit {
			return nil
		}
		return setDurable(tx, e.Snapshot, site, at)
	})
	if err != nil {
		return false, fmt.Errorf("catalog: acknowledge %s at site %s: %w", e.Name, site, err)
	}
	return last, nil
}

// Spooled reports whether some outbox still waits for the object.
func (c *Catalog) Spooled(name string) (waiting bool, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		waiting = tx.Bucket(bucketSpooled).Get([]byte(name)) != nil
		return nil
	})
	return waiting, err
}

// AddSite makes the outbox of a site that is new in the configuration and
// queues everything that earlier snapshots are made of, packs before commits
// and commits in their order. It returns the number of objects queued; a site
// that is known already gets none.
func (c *Catalog) AddSite(site string) (queued int, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketOutbox).Bucket([]byte(site)) != nil {
			return nil
		}
		if _, err := tx.Bucket(bucketOutbox).CreateBucket([]byte(site)); err != nil {
			return err
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
		if _, err := tx.Bucket(bucketOutbox).CreateBucket([]byte(site)); err != nil {
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

// dropSite removes the outbox of a site and what snapshots say of their copies
// there.
func dropSite(tx *bbolt.Tx, site string) error {
	if box := tx.Bucket(bucketOutbox).Bucket([]byte(site)); box != nil {
		if err := releaseAll(tx, box); err != nil {
			return err
		}
		if err := tx.Bucket(bucketOutbox).DeleteBucket([]byte(site)); err != nil {
			return err
		}
	}
	return forgetSite(tx, site)
}

// releaseAll gives up one outbox's hold on each object that it names.
func releaseAll(tx *bbolt.Tx, box *bbolt.Bucket) error {
	return box.ForEach(func(_, v []byte) error {
		var e Entry
		if err := json.Unmarshal(v, &e); err != nil {
			return err
		}
		return addHolders(tx, e.Name, -1)
	})
}

func backfill(tx *bbolt.Tx, site string) (int, error) {
	snapshots, err := commitOrder(tx)
	if err != nil {
		return 0, err
	}
	n := 0
	err = tx.Bucket(bucketPacks).ForEach(func(_, v []byte) error {
		p, err := decodePack(v)
		if err != nil {
			return err
		}
		n++
		return enqueue(tx, []string{site}, Entry{Kind: KindPack, Name: PackName(p.SHA256), Size: p.Size, SHA256: p.SHA256})
	})
	if err != nil {
		return n, err
	}
	for _, s := range snapshots {
		n++
		e := Entry{Kind: KindCommit, Name: s.Commit, Size: s.CommitSize, SHA256: s.CommitSHA256, Snapshot: s.ID}
		if err := enqueue(tx, []string{site}, e); err != nil {
			return n, err
		}
	}
	return n, nil
}

// PackName is the object name of a pack: "p/", the first byte of its SHA-256
// in hexadecimal, "/", and all of it.
func PackName(sha [32]byte) string { return fmt.Sprintf("p/%02x/%x", sha[0], sha[:]) }

// verifySpooled checks that the count of holders of each object is the number
// of outboxes that name it.
func verifySpooled(tx *bbolt.Tx) error {
	counts := map[string]int{}
	outbox := tx.Bucket(bucketOutbox)
	err := outbox.ForEachBucket(func(site []byte) error {
		return outbox.Bucket(site).ForEach(func(_, v []byte) error {
			var e Entry
			if err := json.Unmarshal(v, &e); err != nil {
				return err
			}
			counts[e.Name]++
			return nil
		})
	})
	if err != nil {
		return err
	}
	var errs []error
	err = tx.Bucket(bucketSpooled).ForEach(func(name, v []byte) error {
		if got, want := int(binary.BigEndian.Uint64(v)), counts[string(name)]; got != want {
			errs = append(errs, fmt.Errorf("catalog: %s has %d holders, outboxes name it %d times", name, got, want))
		}
		delete(counts, string(name))
		return nil
	})
	for name := range counts {
		errs = append(errs, fmt.Errorf("catalog: %s waits in an outbox but is not counted as spooled", name))
	}
	return errors.Join(append(errs, err)...)
}

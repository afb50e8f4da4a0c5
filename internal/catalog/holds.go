package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// Held is what the last mark says of why a snapshot must be kept, and of what
// came of the suspicion against it. It is remembered apart from the snapshot,
// which may come to be known after the mark.
type Held struct {
	Reason  string `json:"reason,omitempty"`  // empty: it may be deleted again
	Cleared string `json:"cleared,omitempty"` // why what looked wrong is fine; empty: nobody has judged it
	Mark    string `json:"mark"`              // name; the newest counts
}

// Hold records why a snapshot must not be deleted, or with an empty reason
// that it may be again, and what was judged of it, and queues the mark that
// says so. Holding a condemned
// snapshot spares it; one that is being deleted fails with [ErrCondemned].
func (c *Catalog) Hold(id string, what Held, mark Object, sites []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		if _, err := getSnapshot(tx, id); err != nil {
			return err
		}
		return errors.Join(addHold(tx, id, what, mark.Name), addObject(tx, mark, sites))
	})
	if err != nil {
		return fmt.Errorf("catalog: hold snapshot %s: %w", id, err)
	}
	return nil
}

// TakeHold is Hold for a mark that was found at a site: the snapshot may be
// unknown yet, and a newer mark may say otherwise.
func (c *Catalog) TakeHold(id string, what Held, mark Object, sites []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(addHold(tx, id, what, mark.Name), addObject(tx, mark, sites))
	})
	if err != nil {
		return fmt.Errorf("catalog: hold snapshot %s: %w", id, err)
	}
	return nil
}

func addHold(tx *bbolt.Tx, id string, what Held, mark string) error {
	last, err := getHold(tx, id)
	if err != nil || last.Mark >= mark {
		return err
	}
	what.Mark = mark
	if err := putJSON(tx.Bucket(bucketHolds), []byte(id), what); err != nil {
		return err
	}
	s, err := getSnapshot(tx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Held, s.Cleared = what.Reason, what.Cleared
	if what.Reason != "" && !s.Condemned.IsZero() {
		return spare(tx, s)
	}
	return putJSON(tx.Bucket(bucketSnapshots), []byte(id), s)
}

// Holds returns what was said last of each snapshot that was ever held.
func (c *Catalog) Holds() (map[string]Held, error) {
	out := map[string]Held{}
	err := c.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketHolds).ForEach(func(id, v []byte) error {
			var h Held
			err := json.Unmarshal(v, &h)
			out[string(id)] = h
			return err
		})
	})
	return out, err
}

func getHold(tx *bbolt.Tx, id string) (h Held, err error) {
	if v := tx.Bucket(bucketHolds).Get([]byte(id)); v != nil {
		err = json.Unmarshal(v, &h)
	}
	return h, err
}

// Spare takes back the condemnation of snapshots, and of what they need, and
// queues the mark that says so. Those that are gone or kept are left as they are.
func (c *Catalog) Spare(ids []string, mark Object, sites []string) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		for _, id := range ids {
			s, err := getSnapshot(tx, id)
			if errors.Is(err, ErrNotFound) || err == nil && s.Condemned.IsZero() {
				continue
			}
			if err == nil {
				err = spare(tx, s)
			}
			if err != nil {
				return fmt.Errorf("snapshot %s: %w", id, err)
			}
		}
		return addObject(tx, mark, sites)
	})
	if err != nil {
		return fmt.Errorf("catalog: spare: %w", err)
	}
	return nil
}

// spare takes back the condemnation of a snapshot, with its commits and packs.
func spare(tx *bbolt.Tx, s *Snapshot) error {
	commits, err := commitsOf(tx, func(id string) bool { return id == s.ID })
	if err != nil {
		return err
	}
	for _, name := range commits[s.ID] {
		if err := spareCommit(tx, name, name == s.Commit || name == s.Staged); err != nil {
			return err
		}
	}
	s.Condemned, s.Reason = time.Time{}, ""
	return putJSON(tx.Bucket(bucketSnapshots), []byte(s.ID), s)
}

// spareCommit takes back the condemnation of a commit. One that does not count
// any more may be on its way out; it is condemned again when its turn comes.
func spareCommit(tx *bbolt.Tx, name string, counts bool) error {
	o, err := getObject(tx, name)
	if err != nil || o.Deleting && !counts {
		return err
	}
	if o.Deleting {
		return ErrCondemned
	}
	o.Condemned = time.Time{}
	return errors.Join(putObject(tx, o), sparePacks(tx, needs(tx, name)))
}

package catalog

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Stage remembers another commit of a snapshot, which names other packs, and
// queues it for the sites. The snapshot keeps its commit until [Catalog.Switch]
// finds the new one everywhere. When the snapshot is condemned, not
// at every site yet or has another commit staged, nothing happens and staged is
// false.
func (c *Catalog) Stage(s Snapshot, sites []string) (staged bool, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		known, err := getSnapshot(tx, s.ID)
		if err != nil || !known.Condemned.IsZero() || known.Staged != "" {
			return err
		}
		for _, site := range sites {
			if known.Durable[site].IsZero() {
				return nil // its first commit is still on its way
			}
		}
		if err := claim(tx, s.Packs); err != nil {
			return err
		}
		if err := putManifest(tx, s.Commit, s.Manifest, s.Packs); err != nil {
			return err
		}
		staged, known.Staged = true, s.Commit
		if err := putJSON(tx.Bucket(bucketSnapshots), []byte(s.ID), known); err != nil {
			return err
		}
		return addObject(tx, s.object(), sites)
	})
	if err != nil {
		return false, fmt.Errorf("catalog: stage commit %s: %w", s.Commit, err)
	}
	return staged, nil
}

// Switch makes the staged commit of each snapshot the one that counts, when no
// site waits for it any more. It returns the commits that are not needed any
// more: those whose snapshot has another one now.
func (c *Catalog) Switch(sites []string) (replaced []string, err error) {
	err = c.db.Update(func(tx *bbolt.Tx) error {
		snapshots, err := allSnapshots(tx)
		if err != nil {
			return err
		}
		current := map[string]bool{}
		for _, s := range snapshots {
			if err := switchCommit(tx, s, sites); err != nil {
				return err
			}
			current[s.Commit], current[s.Staged] = true, true
		}
		replaced, err = superseded(tx, current)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: switch commits: %w", err)
	}
	return replaced, nil
}

func switchCommit(tx *bbolt.Tx, s *Snapshot, sites []string) error {
	if s.Staged == "" {
		return nil
	}
	for _, site := range sites {
		if fault, err := faultOf(tx, site, s.Staged); err != nil || fault != "" || waits(tx, site, s.Staged) {
			return err
		}
	}
	o, err := getObject(tx, s.Staged)
	if err != nil {
		return err
	}
	s.Commit, s.CommitSize, s.CommitSHA256, s.Staged = o.Name, o.Size, o.SHA256, ""
	return putJSON(tx.Bucket(bucketSnapshots), []byte(s.ID), s)
}

// unstage gives up a commit that was to take the place of another and cannot:
// it, or a pack that it names, is lost.
func unstage(tx *bbolt.Tx, o Object) error {
	s, err := getSnapshot(tx, o.Snapshot)
	if errors.Is(err, ErrNotFound) || err == nil && s.Staged != o.Name {
		return nil
	}
	if err != nil {
		return err
	}
	s.Staged = ""
	return putJSON(tx.Bucket(bucketSnapshots), []byte(s.ID), s)
}

// superseded returns the commits that are neither current nor staged nor
// condemned: another took their place, or their snapshot is deleted.
func superseded(tx *bbolt.Tx, current map[string]bool) (out []string, err error) {
	err = tx.Bucket(bucketNeeds).ForEach(func(k, _ []byte) error {
		o, err := getObject(tx, string(k))
		if err != nil || current[o.Name] || !o.Condemned.IsZero() || o.Deleting {
			return err
		}
		out = append(out, o.Name)
		return nil
	})
	return out, err
}

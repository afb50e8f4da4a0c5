package catalog

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Suspects returns the snapshots of a function that looked wrong when they were
// taken, judged or not, in no order.
func (c *Catalog) Suspects(function string) (out []*Snapshot, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketSuspects).ForEach(func(id, of []byte) error {
			if string(of) != function {
				return nil
			}
			s, err := getSnapshot(tx, string(id))
			if errors.Is(err, ErrNotFound) {
				return nil
			}
			out = append(out, s)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("catalog: suspect snapshots of %s: %w", function, err)
	}
	return out, nil
}

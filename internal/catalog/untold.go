package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// ErrTooMany says: as much of the kind waits as is kept.
var ErrTooMany = errors.New("too many wait already")

// mostUntold is how many acts wait to be put on record at most: a month of one
// every five minutes, some ten megabytes.
const mostUntold = 10_000

// AddUntold keeps an act that could not be put on record, behind those that wait
// already. The error matches [ErrTooMany] when too many do.
func (c *Catalog) AddUntold(act []byte) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketUntold)
		if b.Stats().KeyN >= mostUntold {
			return ErrTooMany
		}
		n, err := b.NextSequence()
		if err != nil {
			return err
		}
		return b.Put(be64(n), act)
	})
	if err != nil {
		return fmt.Errorf("catalog: keep an act that is not on record: %w", err)
	}
	return nil
}

// FirstUntold returns the act that has waited longest and its number, or an error
// that matches [ErrNotFound] when none waits.
func (c *Catalog) FirstUntold() (n uint64, act []byte, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		k, v := tx.Bucket(bucketUntold).Cursor().First()
		if k == nil {
			return fmt.Errorf("catalog: an act that is not on record: %w", ErrNotFound)
		}
		n, act = binary.BigEndian.Uint64(k), append(act, v...)
		return nil
	})
	return n, act, err
}

// DropUntold forgets one, since it is on record now.
func (c *Catalog) DropUntold(n uint64) error {
	err := c.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketUntold).Delete(be64(n)) })
	if err != nil {
		return fmt.Errorf("catalog: forget an act that is on record now: %w", err)
	}
	return nil
}

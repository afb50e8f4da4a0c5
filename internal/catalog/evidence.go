package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/saypro/backupd/internal/evidence"
)

// The catalog keeps the evidence log, whose order and signatures package
// evidence knows.
var _ evidence.Store = (*Catalog)(nil)

var keyEvidenceHead = []byte("evidence head") // in bucketMeta: the newest signed checkpoint

// EvidenceHead returns the signed checkpoint that was stored last, nil when
// there is none.
func (c *Catalog) EvidenceHead() (head []byte, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		head = slices.Clone(tx.Bucket(bucketMeta).Get(keyEvidenceHead))
		return nil
	})
	return head, err
}

// PeekEvidenceHead returns the same of the catalog at path, without changing
// anything. The error matches [ErrInUse] while another process has it open.
func PeekEvidenceHead(path string) (head []byte, err error) {
	err = peek(path, func(c *Catalog) error {
		head, err = c.EvidenceHead()
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return head, err
}

// AppendEvidence stores entries and the checkpoint that covers them in one
// transaction. A nil head stores none.
func (c *Catalog) AppendEvidence(head []byte, entries []evidence.Entry) error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		for _, e := range entries {
			if err := putEvidence(tx, e); err != nil {
				return fmt.Errorf("record %d: %w", e.Sequence, err)
			}
		}
		if head == nil {
			return nil
		}
		return tx.Bucket(bucketMeta).Put(keyEvidenceHead, head)
	})
	if err != nil {
		return fmt.Errorf("catalog: evidence: %w", err)
	}
	return nil
}

func putEvidence(tx *bbolt.Tx, e evidence.Entry) error {
	seq := be64(e.Sequence)
	b := tx.Bucket(bucketEvidence)
	if b.Get(seq) != nil {
		return fmt.Errorf("is there already, and no record is ever overwritten")
	}
	// All come in order, so pages can be filled.
	b.FillPercent = 0.9
	if err := b.Put(seq, e.Envelope); err != nil {
		return err
	}
	tree := tx.Bucket(bucketEvidenceTree)
	tree.FillPercent = 0.9
	for i, h := range e.Hashes {
		if err := tree.Put(be64(uint64(e.HashIndex)+uint64(i)), h[:]); err != nil {
			return err
		}
	}
	found := tx.Bucket(bucketEvidenceFound)
	if e.SetsBack {
		if err := redateEvidence(found, e.Time); err != nil {
			return err
		}
	}
	for _, function := range slices.Compact([]string{"", e.Function}) {
		key := append(evidenceTime(evidencePrefix(e.Act, function), e.Time), seq...)
		if err := found.Put(key, nil); err != nil {
			return err
		}
	}
	if e.Opens {
		return tx.Bucket(bucketEvidenceOpen).Put(seq, nil)
	}
	if e.Closes != nil {
		return tx.Bucket(bucketEvidenceOpen).Delete(be64(*e.Closes))
	}
	return nil
}

// redateEvidence makes everything that is found by a later time found by this
// one. It is once in the life of a log, so all keys are looked at.
func redateEvidence(found *bbolt.Bucket, at time.Time) error {
	var later [][]byte
	err := found.ForEach(func(k, _ []byte) error {
		prefix := k[:len(k)-16]
		if string(k[:len(k)-8]) > string(evidenceTime(slices.Clone(prefix), at)) {
			later = append(later, slices.Clone(k))
		}
		return nil
	})
	for _, k := range later {
		n := len(k)
		key := append(evidenceTime(slices.Clone(k[:n-16]), at), k[n-8:]...)
		err = errors.Join(err, found.Delete(k), found.Put(key, nil))
	}
	return err
}

// evidencePrefix begins the keys of an act's records of a function; those of all
// functions are there under the empty one, too.
func evidencePrefix(act evidence.Act, function string) []byte {
	return fmt.Appendf(nil, "%s\x00%s\x00", act, function)
}

// evidenceTime adds a time so that keys sort by it, before 1970 as well.
func evidenceTime(key []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(key, uint64(t.UnixNano())^1<<63)
}

// EvidenceEnvelopes returns envelopes from a sequence on.
func (c *Catalog) EvidenceEnvelopes(from uint64, limit int) (out [][]byte, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		cur := tx.Bucket(bucketEvidence).Cursor()
		for k, v := cur.Seek(be64(from)); k != nil && len(out) < limit; k, v = cur.Next() {
			if binary.BigEndian.Uint64(k) != from+uint64(len(out)) {
				return fmt.Errorf("catalog: evidence: record %d: %w", from+uint64(len(out)), ErrNotFound)
			}
			out = append(out, slices.Clone(v))
		}
		return nil
	})
	return out, err
}

// EvidenceHashes returns hashes of the tree.
func (c *Catalog) EvidenceHashes(indexes []int64) ([]evidence.Hash, error) {
	out := make([]evidence.Hash, len(indexes))
	err := c.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketEvidenceTree)
		for i, n := range indexes {
			v := b.Get(be64(uint64(n)))
			if len(v) != len(out[i]) {
				return fmt.Errorf("catalog: evidence: hash %d of the tree: %w", n, ErrNotFound)
			}
			copy(out[i][:], v)
		}
		return nil
	})
	return out, err
}

// FindEvidence returns the sequences of the records of an act, ascending.
func (c *Catalog) FindEvidence(act evidence.Act, function string, from, to time.Time) (out []uint64, err error) {
	prefix := evidencePrefix(act, function)
	start := slices.Clone(prefix)
	if !from.IsZero() {
		start = evidenceTime(start, from)
	}
	var end []byte
	if !to.IsZero() {
		end = evidenceTime(slices.Clone(prefix), to)
	}
	err = c.db.View(func(tx *bbolt.Tx) error {
		cur := tx.Bucket(bucketEvidenceFound).Cursor()
		for k, _ := cur.Seek(start); len(k) == len(prefix)+16 && string(k[:len(prefix)]) == string(prefix); k, _ = cur.Next() {
			if end != nil && string(k) >= string(end) {
				break
			}
			out = append(out, binary.BigEndian.Uint64(k[len(k)-8:]))
		}
		return nil
	})
	return out, err
}

// UnfinishedEvidence returns the sequences of the intents without a result.
func (c *Catalog) UnfinishedEvidence() (out []uint64, err error) {
	err = c.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketEvidenceOpen).ForEach(func(k, _ []byte) error {
			out = append(out, binary.BigEndian.Uint64(k))
			return nil
		})
	})
	return out, err
}

// ClearEvidence forgets a log that has no checkpoint, because taking it over was
// not finished.
func (c *Catalog) ClearEvidence() error {
	err := c.db.Update(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketMeta).Get(keyEvidenceHead) != nil {
			return fmt.Errorf("it has a checkpoint, and no record is ever deleted")
		}
		for _, name := range [][]byte{bucketEvidence, bucketEvidenceTree, bucketEvidenceFound, bucketEvidenceOpen} {
			if err := clearBucket(tx, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("catalog: clear the evidence log: %w", err)
	}
	return nil
}

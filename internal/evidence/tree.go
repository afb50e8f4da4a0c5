package evidence

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tree grows a Merkle tree in memory from a place in the middle, of which only
// the roots of the subtrees before it are known.
type tree struct {
	from, size int64
	before     map[int64]Hash // by index in tlog's order
	stored     []Hash         // from the index of record from on
}

// growFrom returns the tree of the first records, given by the roots of their
// whole subtrees.
func growFrom(from uint64, before []Hash) (*tree, error) {
	indexes := wholeSubtrees(from)
	if len(indexes) != len(before) {
		return nil, fmt.Errorf("%d hashes for the %d records before, there must be %d", len(before), from, len(indexes))
	}
	t := &tree{from: int64(from), size: int64(from), before: map[int64]Hash{}}
	for i, n := range indexes {
		t.before[n] = before[i]
	}
	return t, nil
}

// ReadHashes implements [tlog.HashReader].
func (t *tree) ReadHashes(indexes []int64) ([]Hash, error) {
	first := tlog.StoredHashIndex(0, t.from)
	out := make([]Hash, len(indexes))
	for i, n := range indexes {
		if n >= first && n-first < int64(len(t.stored)) {
			out[i] = t.stored[n-first]
			continue
		}
		h, ok := t.before[n]
		if !ok {
			return nil, fmt.Errorf("hash %d of the tree is not known", n)
		}
		out[i] = h
	}
	return out, nil
}

func (t *tree) add(leaf Hash) error {
	added, err := tlog.StoredHashesForRecordHash(t.size, leaf, t)
	if err != nil {
		return err
	}
	t.stored = append(t.stored, added...)
	t.size++
	return nil
}

// root returns the root when the tree held so many records, at least those that
// it grew from.
func (t *tree) root(size uint64) (Hash, error) { return tlog.TreeHash(int64(size), t) }

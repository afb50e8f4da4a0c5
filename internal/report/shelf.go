package report

import (
	"iter"
	"sort"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// FromRecords makes a log of records that are all in memory, in their order and
// without gaps, as a bundle has them. The caller has verified them.
func FromRecords(records []evidence.Record, checkpoint, key string) Log {
	s := shelf{records: records, by: map[shelfKey][]int{}}
	for i := range records {
		r := &records[i]
		s.put(shelfKey{r.Act, ""}, i)
		if r.Function != "" {
			s.put(shelfKey{r.Act, r.Function}, i)
		}
	}
	l := Log{Reader: s, Checkpoint: checkpoint, Key: key}
	if n := len(records); n > 0 {
		l.First, l.Next = records[0].Sequence, records[n-1].Sequence+1
	}
	return l
}

// shelf finds records in memory without looking at each.
type shelf struct {
	records []evidence.Record
	by      map[shelfKey][]int
}

type shelfKey struct {
	act      evidence.Act
	function string
}

func (s shelf) put(k shelfKey, i int) { s.by[k] = append(s.by[k], i) }

// Size implements [evidence.Reader].
func (s shelf) Size() uint64 { return evidence.Sheaf(s.records).Size() }

// Records implements [evidence.Reader].
func (s shelf) Records(from, to uint64) iter.Seq2[evidence.Record, error] {
	return func(yield func(evidence.Record, error) bool) {
		if len(s.records) == 0 {
			return
		}
		first := s.records[0].Sequence
		for n := max(from, first); n < to && n-first < uint64(len(s.records)); n++ {
			if !yield(s.records[n-first], nil) {
				return
			}
		}
	}
}

// Find implements [evidence.Reader].
func (s shelf) Find(act evidence.Act, function string, from, to time.Time) iter.Seq2[evidence.Record, error] {
	return func(yield func(evidence.Record, error) bool) {
		found := s.by[shelfKey{act, function}]
		i := 0
		if !from.IsZero() {
			i = sort.Search(len(found), func(i int) bool { return !s.records[found[i]].Time.Before(from) })
		}
		for ; i < len(found); i++ {
			r := s.records[found[i]]
			if !to.IsZero() && !r.Time.Before(to) || !yield(r, nil) {
				return
			}
		}
	}
}

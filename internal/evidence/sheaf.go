package evidence

import (
	"iter"
	"time"
)

// Sheaf are records of a log in their order, without gaps, as a bundle has
// them. It is a [Reader].
type Sheaf []Record

// Size is the sequence after the newest record.
func (s Sheaf) Size() uint64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].Sequence + 1
}

// Records returns the records with from ≤ sequence < to, in order.
func (s Sheaf) Records(from, to uint64) iter.Seq2[Record, error] {
	return s.where(func(r *Record) bool { return r.Sequence >= from && r.Sequence < to })
}

// Find returns the records of an act that were written in from ≤ time < to, in
// order. An empty function means all, a zero time no bound.
func (s Sheaf) Find(act Act, function string, from, to time.Time) iter.Seq2[Record, error] {
	return s.where(func(r *Record) bool {
		return r.Act == act && (function == "" || r.Function == function) &&
			!r.Time.Before(from) && (to.IsZero() || r.Time.Before(to))
	})
}

func (s Sheaf) where(holds func(*Record) bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for i := range s {
			if holds(&s[i]) && !yield(s[i], nil) {
				return
			}
		}
	}
}

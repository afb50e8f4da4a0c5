package evidence

import (
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Way is how far a log was followed from its first record, every record checked. It
// is a value: several segments can be tried from the same place.
type Way struct {
	walk   walk
	before []Hash // roots of the whole subtrees of its records
	root   Hash
}

// NewWay begins before the first record of a log.
func NewWay(origin string) Way { return Way{walk: walk{origin: origin}, root: empty(nil).root} }

// At returns what the log holds up to there.
func (w Way) At() Checkpoint { return Checkpoint{w.walk.origin, w.walk.size, w.root} }

// Through returns the way behind a segment. It fails when that does not go on from
// here, or does not lead to where its checkpoint says. Who signed that is not asked.
func (w Way) Through(s *Segment) (Way, error) {
	if s.From != w.walk.size {
		return Way{}, fmt.Errorf("%w: it begins with record %d, and not with %d", ErrDamaged, s.From, w.walk.size)
	}
	t, err := growFrom(s.From, w.before)
	if err != nil {
		return Way{}, err
	}
	w.walk.came = slices.Clip(w.walk.came) // others go on from here, too
	for _, sealed := range s.Envelopes {
		if _, err := w.walk.next(sealed, w.root); err != nil {
			return Way{}, fmt.Errorf("record %d: %w", w.walk.size, err)
		}
		if err = t.add(tlog.RecordHash(sealed)); err == nil {
			w.root, err = t.root(w.walk.size)
		}
		if err != nil {
			return Way{}, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	says, err := peekCheckpoint(s.Checkpoint)
	if err != nil {
		return Way{}, err
	}
	if says != w.At() {
		return Way{}, fmt.Errorf("%w: the %d records up to its end have the root %v, and its checkpoint says %+v", ErrDamaged, w.walk.size, w.root, says)
	}
	w.before, err = t.ReadHashes(wholeSubtrees(w.walk.size))
	return w, err
}

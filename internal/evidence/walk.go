package evidence

import (
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// walk checks records one after the other, from the first.
type walk struct {
	origin string
	keys   keychain
	came   succession
	size   uint64
	last   time.Time
}

// next takes the next envelope, before which the log had that root.
func (w *walk) next(sealed []byte, before tlog.Hash) (*Record, error) {
	e, err := unseal(sealed)
	if err != nil {
		return nil, err
	}
	s, err := decodeStatement(e.payload)
	if err != nil {
		return nil, err
	}
	r := &s.Predicate
	switch {
	case r.Sequence != w.size:
		return nil, fmt.Errorf("%w: its sequence is %d", ErrDamaged, r.Sequence)
	case r.Time.Before(w.last) && !r.setsBack(w.last):
		return nil, fmt.Errorf("%w: its time %v is before that of the record before it", ErrDamaged, r.Time)
	case !s.about(w.origin, before):
		return nil, fmt.Errorf("%w: its subject is not what it is about", ErrDamaged)
	}
	by, step, err := w.keys.follow(e.keyID, r)
	if err == nil && by.Origin != w.origin {
		err = fmt.Errorf("%w: it is signed for %s", ErrSignature, by.Origin)
	}
	if err == nil {
		err = e.signedBy(by)
	}
	if err != nil {
		return nil, err
	}
	if step != keyStays {
		w.came = append(w.came, succeeded{w.keys.current, step, w.size})
	}
	w.size, w.last = w.size+1, r.Time
	return r, nil
}

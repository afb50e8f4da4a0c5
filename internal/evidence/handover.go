package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

var (
	// ErrBreak says: a log goes on with a key that announced itself, and none of the
	// keys that are vouched for signed that. Who lost a key does so, and a stranger.
	ErrBreak = errors.New("a key that announced itself goes on with the evidence log")
	// ErrHistories says: keys of one log have signed records that contradict each other.
	ErrHistories = errors.New("the evidence log went on in two ways")
)

// Handover is a record that names the key that signs from there on.
type Handover struct {
	Record uint64
	To     PublicKey
	sealed envelope
}

// By reports whether a key signed it.
func (h Handover) By(k PublicKey) bool { return h.sealed.keyID == k.ID && h.sealed.signedBy(k) == nil }

// Itself reports whether the key that it names signed it: the first of a log, one
// that came after a lost one, or a stranger's.
func (h Handover) Itself() bool { return h.By(h.To) }

// maxHandover is more than any payload of such a record has: all that are found may be
// kept in memory.
const maxHandover = 4 << 10

// Handovers returns those of a segment, in order. Whoever may write at a site can
// make some: only what [Handover.By] says is known.
func (s *Segment) Handovers() (out []Handover) {
	for i, sealed := range s.Envelopes {
		e, err := unseal(sealed)
		if err != nil || len(e.payload) > maxHandover || !bytes.Contains(e.payload, []byte(`"operation":"`+operationSign+`"`)) {
			continue
		}
		about, err := decodeStatement(e.payload)
		if err != nil {
			continue
		}
		r := &about.Predicate
		to, err := announced(r)
		if err == nil && to.Origin == s.Origin && r.Sequence == s.From+uint64(i) {
			out = append(out, Handover{Record: r.Sequence, To: to, sealed: e})
		}
	}
	return out
}

// announced returns the key that a record names to sign from there on, a zero one
// when it names none.
func announced(r *Record) (PublicKey, error) {
	if r.Act != ActKey || r.Phase != Event || r.Key == nil || r.Key.Operation != operationSign {
		return PublicKey{}, nil
	}
	return ParsePublicKey(r.Key.Public)
}

// Successors returns a key and all that it, or one of them, announced.
func Successors(of PublicKey, all []Handover) []PublicKey {
	out := []PublicKey{of}
	for i := 0; i < len(out); i++ {
		for _, h := range all {
			if !slices.Contains(out, h.To) && h.By(out[i]) {
				out = append(out, h.To)
			}
		}
	}
	return out
}

// succession is how the keys of a log came one after the other.
type succession []succeeded

type succeeded struct {
	key    PublicKey
	step   keyStep
	record uint64
}

// unbroken fails when a key announced itself behind the last of those that are
// vouched for; when none of them is there, behind the first of all.
func (s succession) unbroken(vouched []PublicKey) error {
	from := 0
	for i, at := range s {
		if slices.Contains(vouched, at.key) {
			from = i
		}
	}
	for i, at := range s {
		if i > from && at.step == keyBreak {
			return fmt.Errorf("record %d: %w: %s, after %s", at.record, ErrBreak, at.key, s[i-1].key.ID)
		}
	}
	return nil
}

// gaveWay fails when a key is of the log, and another signs it by now.
func (s succession) gaveWay(k PublicKey) error {
	for i, at := range s {
		if at.key == k && i < len(s)-1 {
			next := s[i+1]
			return fmt.Errorf("%w: key %s gave way to %s by record %d, and signs no more: put the file of the key that signs by now in its place; "+
				"when that is lost, move the file away, so that a new key is made", ErrOtherKey, k.ID, next.key.ID, next.record)
		}
	}
	return nil
}

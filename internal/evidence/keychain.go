package evidence

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
)

// ErrSignature says: a record is not signed by the key that signs the log at its
// place.
var ErrSignature = errors.New("wrong signature")

// ErrKeyBack says: a key that gave way to another is to sign the log again. It never
// may: who stole it could do just that.
var ErrKeyBack = errors.New("a key that gave way to another signs no more")

// operationSign is the operation of a key record after which another key signs.
const operationSign = "sign"

// keychain follows which key signs the log: the first record names the first
// one, and a record that the old one signs names the next.
type keychain struct {
	current PublicKey   // zero before the first record
	past    []PublicKey // that gave way, in order
}

// keyStep is what a record does to the chain.
type keyStep int

const (
	keyStays keyStep = iota
	keyFirst         // the log begins
	keyNext          // the key before announced another
	keyBreak         // a key announced itself: the one before was lost, or this one is a stranger's
)

// follow returns the key that a record must be signed with, and what the record
// changes for the next one. It checks no signature. The error matches [ErrKeyBack]
// or [ErrSignature].
func (c *keychain) follow(keyID string, r *Record) (PublicKey, keyStep, error) {
	next, err := announced(r)
	if err != nil {
		return PublicKey{}, 0, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	by, step := c.current, keyStays
	switch {
	case c.current == PublicKey{}:
		if next == (PublicKey{}) {
			return PublicKey{}, 0, fmt.Errorf("%w: the first record must say which key signs", ErrSignature)
		}
		by, step = next, keyFirst
	case next == PublicKey{}:
	case next.Origin != c.current.Origin:
		return PublicKey{}, 0, fmt.Errorf("%w: it names a key of another log, %s", ErrSignature, next.Origin)
	case keyID == next.ID && keyID != c.current.ID:
		by, step = next, keyBreak
	default:
		step = keyNext
	}
	if keyID != by.ID {
		return PublicKey{}, 0, fmt.Errorf("%w: it is signed with key %s, and %s signs the log here", ErrSignature, keyID, by.ID)
	}
	if step != keyStays {
		if err := c.giveWay(next); err != nil {
			return PublicKey{}, 0, err
		}
	}
	return by, step, nil
}

// giveWay has another key sign from here on.
func (c *keychain) giveWay(next PublicKey) error {
	if slices.Contains(c.past, next) {
		return fmt.Errorf("%w: %s is to come after %s", ErrKeyBack, next.ID, c.current.ID)
	}
	if c.current != (PublicKey{}) && c.current != next {
		c.past = append(slices.Clip(c.past), c.current) // a copy of the chain goes another way
	}
	c.current = next
	return nil
}

func (e envelope) signedBy(k PublicKey) error {
	if !ed25519.Verify(k.key[:], preAuth(e.payload), e.signature) {
		return fmt.Errorf("%w: it does not fit key %s", ErrSignature, k.ID)
	}
	return nil
}

package evidence

import (
	"errors"
	"fmt"
	"time"
)

// ErrMute says: nothing can be written into the log.
var ErrMute = errors.New("nothing can be put on record")

// OpenMute opens what a store holds for reading, when the log itself cannot be
// opened: the key is lost, or the log is damaged. Whatever would write or sign
// fails with [ErrMute] and the cause, until [Log.Unmute] succeeds. Of a log that
// contradicts itself nothing is read.
func OpenMute(o Options, cause error) (*Log, error) {
	o.Signer = &Signer{}
	l := &Log{store: o.Store, clock: o.Clock, program: o.Program, open: map[uint64]opened{}, now: empty(o.Signer), mute: cause}
	head, err := o.Store.EvidenceHead()
	if err != nil || head == nil {
		return l, err
	}
	at, err := peekCheckpoint(head)
	if err == nil {
		o.Signer.public.Origin = at.Origin
		err = l.take(at, head)
	}
	if err == nil {
		o.Signer.public, err = l.announced(at, head)
	}
	if err != nil {
		l.now, l.mute = empty(o.Signer), errors.Join(cause, err)
	}
	return l, nil
}

// announced returns the key that signed a checkpoint of the log, as its records
// name it.
func (l *Log) announced(at Checkpoint, head []byte) (PublicKey, error) {
	id := signedWith(head)
	for r, err := range l.Find(ActKey, "", time.Time{}, time.Time{}) {
		if err != nil {
			return PublicKey{Origin: at.Origin}, err
		}
		if r.Key == nil || r.Key.Operation != operationSign || r.Key.Key != id {
			continue
		}
		k, err := ParsePublicKey(r.Key.Public)
		if err != nil {
			continue
		}
		if _, _, err := OpenCheckpoint(head, k); err == nil {
			return k, nil
		}
	}
	return PublicKey{Origin: at.Origin}, fmt.Errorf("%w: none of its records names the key %s, which signed it last", ErrDamaged, id)
}

// Mute returns why nothing can be written into the log; nil when it can.
func (l *Log) Mute() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mute == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrMute, l.mute)
}

// Unmute opens a mute log again with the key in a file, which may have been put
// back, and returns what is still in the way. regained is true when it was mute
// and is not any more.
func (l *Log) Unmute(path string) (regained bool, err error) {
	if l.Mute() == nil {
		return false, nil
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.Mute() == nil {
		return false, nil // somebody else was sooner
	}
	fresh, err := OpenWithKeyFile(Options{Store: l.store, Clock: l.clock, Program: l.program}, path)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrMute, err)
	}
	l.open = fresh.open
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now, l.mute = fresh.now, nil
	return true, nil
}

package evidence

import (
	"errors"
	"fmt"
)

// ErrMute says: nothing can be written into the log.
var ErrMute = errors.New("nothing can be put on record")

// OpenMute opens what a store holds for reading, when the log itself cannot be
// opened: the key is lost, or the log is damaged. Whatever would write or sign
// fails with [ErrMute] and the cause. Of a log that contradicts itself nothing is
// read.
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
	if err != nil {
		l.now, l.mute = empty(o.Signer), errors.Join(cause, err)
	}
	return l, nil
}

// Mute returns why nothing can be written into the log; nil when it can.
func (l *Log) Mute() error {
	if l.mute == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrMute, l.mute)
}

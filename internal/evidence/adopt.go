package evidence

import (
	"errors"
	"fmt"
	"iter"
	"slices"
)

// ErrLonger says: a key of the log has signed more records than are there.
var ErrLonger = errors.New("the evidence log was longer once")

// adoptBatch is how many records are stored in one transaction.
const adoptBatch = 1000

// Adopt takes over a log of which a site kept everything, so that it goes on
// where that ends. All is verified first to last: sequence, times, signatures
// from the key that the first record names through each that was announced, and
// that the whole has the checkpoint's root. The log must be empty.
//
// The checkpoint is signed by the last key or the signer. When the last key is the
// signer's, the log simply goes on. When it is another one, and the signer is of the same log, the signer announces itself: that is
// the break of a lost key. The error matches [ErrOtherKey] when the signer is of
// another log: [PublicKey.Origin] of the checkpoint's says which key to make. When
// a key of the log has signed one of the longer checkpoints, nothing is taken over
// and the error matches [ErrLonger].
func (l *Log) Adopt(envelopes iter.Seq2[[]byte, error], checkpoint []byte, longer [][]byte, by string) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.Mute(); err != nil {
		return fmt.Errorf("take over an evidence log: %w", err)
	}
	now := l.state()
	if now.size > 0 {
		return fmt.Errorf("take over an evidence log: %w", ErrNotEmpty)
	}
	at, err := peekCheckpoint(checkpoint)
	if err != nil {
		return fmt.Errorf("take over an evidence log: %w", err)
	}
	if at.Origin != now.signer.public.Origin {
		return fmt.Errorf("take over the evidence log %s: %w: the key here is one of %s", at.Origin, ErrOtherKey, now.signer.public.Origin)
	}
	if err := l.store.ClearEvidence(); err != nil {
		return fmt.Errorf("take over an evidence log: %w", err)
	}
	last, err := l.copy(envelopes, checkpoint, at, longer)
	if err != nil {
		l.open = map[uint64]opened{}
		return fmt.Errorf("take over an evidence log: %w", errors.Join(err, l.store.ClearEvidence()))
	}
	if last == now.signer.public {
		return nil
	}
	_, err = l.write(now.signer, now.signer, signed(now.signer.public, by))
	return err
}

// copy verifies and stores all records, the checkpoint with the last of them,
// and returns the key that signed last.
func (l *Log) copy(envelopes iter.Seq2[[]byte, error], checkpoint []byte, at Checkpoint, longer [][]byte) (PublicKey, error) {
	w := &walk{origin: at.Origin}
	b := builder{reader: l.store.EvidenceHashes}
	b.root = empty(nil).root
	for sealed, err := range envelopes {
		if err != nil {
			return PublicKey{}, err
		}
		r, err := w.next(sealed, b.root)
		if err == nil {
			err = l.fit(r)
		}
		if err == nil {
			err = b.add(r, sealed)
		}
		if err != nil {
			return PublicKey{}, fmt.Errorf("record %d: %w", b.size, err)
		}
		l.follow(r)
		if len(b.entries) == adoptBatch {
			if err := l.store.AppendEvidence(nil, b.entries); err != nil {
				return PublicKey{}, err
			}
			b.entries, b.fresh = nil, nil
		}
	}
	if b.size != at.Size || b.root != at.Root {
		return PublicKey{}, fmt.Errorf("%w: there are %d records with the root %v, and the checkpoint is of %d with %v", ErrDamaged, b.size, b.root, at.Size, at.Root)
	}
	// What ends before a rotation may have been given to the site after it. Of
	// keys that no record announces only the signer's own is known to be right.
	if _, _, err := OpenCheckpoint(checkpoint, w.keys.current, l.now.signer.public); err != nil {
		return PublicKey{}, err
	}
	for _, other := range longer {
		for _, key := range append(slices.Clone(w.keys.past), w.keys.current, l.state().signer.public) {
			if longer, _, err := OpenCheckpoint(other, key); err == nil && longer.Size > at.Size {
				return PublicKey{}, fmt.Errorf("%w: %d records, and these are %d", ErrLonger, longer.Size, at.Size)
			}
		}
	}
	if err := l.store.AppendEvidence(checkpoint, b.entries); err != nil {
		return PublicKey{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = state{signer: l.now.signer, size: b.size, root: b.root, last: w.last, head: checkpoint, setBacks: b.setBacks, promise: b.promise}
	return w.keys.current, nil
}

package evidence

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrLonger says: a key of the log has signed more records than are there.
var ErrLonger = errors.New("the evidence log was longer once")

// adoptBatch is how many records are stored in one transaction, adoptBytes how many
// bytes of them, about.
const (
	adoptBatch = 1000
	adoptBytes = 4 << 20
)

// Adopt takes over a log of which a site kept everything, so that it goes on
// where that ends. All is verified first to last: sequence, times, signatures
// from the key that the first record names through each that was announced, and
// that the whole has the checkpoint's root. The log must be empty.
//
// Anybody who may write at a site can go on with the records there by a key that
// announces itself. So that must not have come after the last of the keys that are
// vouched for, of which the signer's is always one; unless one of them signed the
// checkpoint, and so all that there is. When the log has none of them, no key may
// have come in that way. The error matches [ErrBreak] otherwise.
//
// The checkpoint is signed by the last key or one that is vouched for. When the last
// key is the signer's, the log simply goes on. When it is another one, and the signer
// is of the same log and has not signed yet, the signer announces itself: that is
// the break of a lost key. The error matches [ErrOtherKey] when the signer gave way to
// the last key, or is of another log: [PublicKey.Origin] of the checkpoint's says which
// key to make.
//
// Of the other checkpoints, those count that a key of the log or one that is vouched
// for has signed: when one is of more records the error matches [ErrLonger], when one
// has another root [ErrHistories]. Whatever the error, nothing is taken over.
func (l *Log) Adopt(envelopes iter.Seq2[[]byte, error], checkpoint []byte, others [][]byte, by string, vouched ...PublicKey) error {
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
	last, err := l.copy(envelopes, checkpoint, at, others, append([]PublicKey{now.signer.public}, vouched...))
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
func (l *Log) copy(envelopes iter.Seq2[[]byte, error], checkpoint []byte, at Checkpoint, others [][]byte, vouched []PublicKey) (PublicKey, error) {
	w := &walk{origin: at.Origin}
	b := builder{reader: l.store.EvidenceHashes}
	b.root = empty(nil).root
	bytes := 0
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
		if bytes += len(sealed); len(b.entries) == adoptBatch || bytes >= adoptBytes {
			if err := l.store.AppendEvidence(nil, b.entries); err != nil {
				return PublicKey{}, err
			}
			b.entries, b.fresh, bytes = nil, nil, 0
		}
	}
	if b.size != at.Size || b.root != at.Root {
		return PublicKey{}, fmt.Errorf("%w: there are %d records with the root %v, and the checkpoint is of %d with %v", ErrDamaged, b.size, b.root, at.Size, at.Root)
	}
	if err := w.mayGoOn(checkpoint, vouched); err != nil {
		return PublicKey{}, err
	}
	if err := b.agrees(others, append(slices.Concat(w.keys.past, vouched), w.keys.current)); err != nil {
		return PublicKey{}, err
	}
	if signer := l.state().signer; w.keys.current == signer.public {
		// Others may have put signatures of their own beside it.
		var err error
		if checkpoint, err = at.sign(signer); err != nil {
			return PublicKey{}, err
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

// mayGoOn reports whether the records so far are those of a log that the first of
// the keys that are vouched for may go on with.
func (w *walk) mayGoOn(checkpoint []byte, vouched []PublicKey) error {
	// What ends before a rotation may have been given to the site after it. Of
	// keys that no record announces only those are known to be right.
	_, signed, err := OpenCheckpoint(checkpoint, append([]PublicKey{w.keys.current}, vouched...)...)
	if err == nil && !slices.Contains(vouched, signed) {
		err = w.came.unbroken(vouched)
	}
	if err == nil {
		err = w.came.gaveWay(vouched[0])
	}
	return err
}

// agrees holds checkpoints found elsewhere against the records so far, as far as one
// of the keys has signed them.
func (b *builder) agrees(others [][]byte, keys []PublicKey) error {
	for _, signed := range others {
		other, by, err := OpenCheckpoint(signed, keys...)
		if err != nil {
			continue
		}
		if other.Size > b.size {
			return fmt.Errorf("%w: %d records, and these are %d", ErrLonger, other.Size, b.size)
		}
		root, err := tlog.TreeHash(int64(other.Size), tlog.HashReaderFunc(b.hashes))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if root != other.Root {
			return fmt.Errorf("%w: key %s signed %d records that are not the first of these %d", ErrHistories, by.ID, other.Size, b.size)
		}
	}
	return nil
}

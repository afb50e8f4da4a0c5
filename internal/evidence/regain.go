package evidence

import (
	"fmt"
	"iter"
	"maps"
)

// Regain takes back the records that come next in a log whose store went back to an
// earlier state of itself, as with the image of a machine: those that sites kept,
// each verified, up to a checkpoint that the log's own key has signed. The records that
// are here must be the first of those, and the key the same throughout. The error
// matches [ErrDamaged] when they are not, as where the log has gone on otherwise
// since, and [ErrOtherKey] when another key signed. Whatever the error, nothing is
// taken back.
func (l *Log) Regain(envelopes iter.Seq2[[]byte, error], checkpoint []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.Mute(); err != nil {
		return fmt.Errorf("take back records of the evidence log: %w", err)
	}
	open := maps.Clone(l.open)
	if err := l.regain(envelopes, checkpoint); err != nil {
		l.open = open
		return fmt.Errorf("take back records of the evidence log: %w", err)
	}
	return nil
}

func (l *Log) regain(envelopes iter.Seq2[[]byte, error], checkpoint []byte) error {
	now := l.state()
	own := now.signer.public
	at, _, err := OpenCheckpoint(checkpoint, own)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOtherKey, err)
	}
	w := &walk{origin: own.Origin, keys: keychain{current: own}, size: now.size, last: now.last}
	b := builder{reader: l.store.EvidenceHashes, size: now.size, root: now.root, setBacks: now.setBacks, promise: now.promise}
	for sealed, err := range envelopes {
		if err != nil {
			return err
		}
		r, err := w.next(sealed, b.root)
		if err == nil {
			err = l.fit(r)
		}
		if err == nil {
			err = b.add(r, sealed)
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", b.size, err)
		}
		l.follow(r)
	}
	switch {
	case w.keys.current != own:
		return fmt.Errorf("%w: %s took its place", ErrOtherKey, w.keys.current.ID)
	case b.size != at.Size || b.root != at.Root:
		return fmt.Errorf("%w: %d records have the root %v, and its key signed %d with %v", ErrDamaged, b.size, b.root, at.Size, at.Root)
	case b.size == now.size:
		return nil
	}
	head, err := at.sign(now.signer) // others may have put signatures of their own beside it
	if err != nil {
		return err
	}
	if err := l.store.AppendEvidence(head, b.entries); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = state{signer: now.signer, size: b.size, root: b.root, last: w.last, head: head, setBacks: b.setBacks, promise: b.promise}
	return nil
}

package evidence

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Rotate puts another key to use: the one before signs a record that names it,
// and it signs everything from there on. Both must be of this log. The error matches
// [ErrKeyBack] when the other one has signed the log before.
func (l *Log) Rotate(next *Signer, by string) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	now := l.state()
	if next.public.Origin != now.signer.public.Origin {
		return fmt.Errorf("%w: it is one of %s, and the log is %s", ErrKey, next.public.Origin, now.signer.public.Origin)
	}
	if err := l.neverSigned(next.public); err != nil {
		return err
	}
	batch := []Record{signed(next.public, by)}
	if now.size == 0 {
		batch = append([]Record{signed(now.signer.public, by)}, batch...)
	}
	_, err := l.write(now.signer, next, batch...)
	return err
}

// BeginKey writes the first record of an empty log: the key that signs it.
func (l *Log) BeginKey(by string) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	now := l.state()
	if now.size > 0 {
		return ErrNotEmpty
	}
	_, err := l.write(now.signer, now.signer, signed(now.signer.public, by))
	return err
}

// StartOver opens the log that a store holds when the key that signed it is
// lost: the signer of the options announces itself, which whoever checks the log
// sees as a break. The signer must be one for the log's name, see [StoredOrigin]. The
// error matches [ErrKeyBack] when it has signed the log before.
func StartOver(o Options, by string) (*Log, error) {
	l, head, at, err := openUnsigned(o)
	if err != nil {
		return nil, fmt.Errorf("start over with the evidence log: %w", err)
	}
	if at.Origin != o.Signer.public.Origin {
		return nil, fmt.Errorf("start over with the evidence log: %w: it is one of %s, and the log is %s", ErrKey, o.Signer.public.Origin, at.Origin)
	}
	if err := l.take(at, head); err != nil {
		return nil, fmt.Errorf("start over with the evidence log: %w", err)
	}
	if err := l.neverSigned(o.Signer.public); err != nil {
		return nil, fmt.Errorf("start over with the evidence log: %w", err)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	_, err = l.write(o.Signer, o.Signer, signed(o.Signer.public, by))
	return l, err
}

// neverSigned fails when a key has signed the log before.
func (l *Log) neverSigned(k PublicKey) error {
	for r, err := range l.Find(ActKey, "", time.Time{}, time.Time{}) {
		if err != nil {
			return err
		}
		if r.Key != nil && r.Key.Operation == operationSign && r.Key.Public == k.String() {
			return fmt.Errorf("%w: %s signed from record %d on", ErrKeyBack, k.ID, r.Sequence)
		}
	}
	return nil
}

func openUnsigned(o Options) (*Log, []byte, Checkpoint, error) {
	l := &Log{store: o.Store, clock: o.Clock, program: o.Program, open: map[uint64]opened{}, now: empty(o.Signer)}
	head, err := o.Store.EvidenceHead()
	if err != nil {
		return nil, nil, Checkpoint{}, err
	}
	if head == nil {
		return nil, nil, Checkpoint{}, errors.New("it is empty, and needs no such thing")
	}
	at, err := peekCheckpoint(head)
	return l, head, at, err
}

// peekCheckpoint reads a checkpoint without checking who signed it.
func peekCheckpoint(signed []byte) (Checkpoint, error) {
	_, err := note.Open(signed, note.VerifierList())
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return parseCheckpoint(unverified.Note.Text)
}

// StoredOrigin returns the name of the log that a store holds, and of the key
// that signed it last; both are empty when there is none.
func StoredOrigin(s Store) (origin, keyID string, err error) {
	head, err := s.EvidenceHead()
	if err != nil {
		return "", "", err
	}
	return HeadOrigin(head)
}

// HeadOrigin returns the same of a signed checkpoint, nil when there is none. It
// checks no signature.
func HeadOrigin(head []byte) (origin, keyID string, err error) {
	if head == nil {
		return "", "", nil
	}
	at, err := peekCheckpoint(head)
	if err != nil {
		return "", "", err
	}
	return at.Origin, signedWith(head), nil
}

// signedWith returns the ID of the key that a note says to be signed with, empty
// when it says none.
func signedWith(signed []byte) string {
	_, err := note.Open(signed, note.VerifierList())
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) || len(unverified.Note.UnverifiedSigs) == 0 {
		return ""
	}
	return fmt.Sprintf("%08x", unverified.Note.UnverifiedSigs[0].Hash)
}

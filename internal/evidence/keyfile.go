package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrKeyLost says: the log holds records, and the file with the key that signs
// it is gone.
var ErrKeyLost = errors.New("the key that signs the evidence log is gone")

// PutKeyBack is what to do when the key of a log with records is gone.
const PutKeyBack = "put it back from its copy, readable for the service's user alone (mode 0600): it is taken up by itself, also by a service that runs. " +
	"When there is no copy: stop the service and run 'backupd audit key --start-over' as that user, which goes on with a new key and shows in every audit"

// nextSuffix is added to a key's file for the one that is about to follow it.
const nextSuffix = ".next"

// keyBeforeNote begins the line of a key's file that names the key before it.
const keyBeforeNote = "# it came after: "

// ReadKeyFile reads a private key from its file. The error matches
// [fs.ErrNotExist] when there is none.
func ReadKeyFile(path string) (*Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key of the evidence log: %w", err)
	}
	var lines []string
	var before PublicKey
	for line := range strings.Lines(string(text)) {
		if of, ok := strings.CutPrefix(line, keyBeforeNote); ok {
			before, _ = ParsePublicKey(of) // a note: without it a person is asked
		}
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	s, err := ParseSigner(strings.Join(lines, "\n"))
	if err != nil {
		return nil, fmt.Errorf("key of the evidence log: %s: %w", path, err)
	}
	if before.Origin == s.public.Origin {
		s.before = before
	}
	return s, nil
}

// WriteKeyFile writes a private key into a new file that only its owner may
// read, and returns when it is on disk. The error matches [fs.ErrExist] when
// there is a file of that name.
func WriteKeyFile(path string, s *Signer) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("key of the evidence log: %w", err)
		}
	}()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	note := ""
	if s.before != (PublicKey{}) {
		note = keyBeforeNote + s.before.String() + "\n"
	}
	_, err = fmt.Fprintf(f, "# key that signs the evidence log of backupd; it opens no backup\n# public key: %s\n%s%s\n", s.public, note, s.private)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncFolder(path)
}

func syncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// OpenWithKeyFile opens the log that a store holds with the key in a file. For
// an empty log the key is made when there is none. A rotation that a crash cut
// short is brought to its end. The error matches [ErrKeyLost] when the log holds
// records and the file is gone, [ErrOtherKey] when it holds another key.
func OpenWithKeyFile(o Options, path string) (*Log, error) {
	origin, keyID, err := StoredOrigin(o.Store)
	if err != nil {
		return nil, fmt.Errorf("open the evidence log: %w", err)
	}
	if err := finishRotation(path, keyID); err != nil {
		return nil, err
	}
	o.Signer, err = ReadKeyFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if origin != "" {
			return nil, fmt.Errorf("%w: %s, the key of the log %s, is not there: %s", ErrKeyLost, path, origin, PutKeyBack)
		}
		o.Signer, err = makeKeyFile(path, "", PublicKey{})
	}
	if errors.Is(err, ErrKey) {
		err = fmt.Errorf("%w: move it away (mv %s %s.garbled)%s", err, path, path, goOn(origin))
	}
	if err != nil {
		return nil, err
	}
	if origin != "" && (o.Signer.public.Origin != origin || o.Signer.public.ID != keyID) {
		return nil, fmt.Errorf("open the evidence log %s: %w: it was signed last with key %s, and %s holds %s of %s: move it away (mv %s %s.other) and %s",
			origin, ErrOtherKey, keyID, path, o.Signer.public.ID, o.Signer.public.Origin, path, path, PutKeyBack)
	}
	return Open(o)
}

// goOn says how to go on without the key of a log.
func goOn(origin string) string {
	if origin == "" {
		return ", and another is made"
	}
	return " and " + PutKeyBack
}

// MakeKeyFileOf makes a new key for a log that is known by its origin only, as
// after the loss of the host. The error matches [fs.ErrExist] when there is a
// file of that name.
func MakeKeyFileOf(path, origin string) error {
	_, err := makeKeyFile(path, origin, PublicKey{})
	return err
}

// makeKeyFile makes a key for a log, or for a new one when origin is empty, to come
// after another when that is not zero.
func makeKeyFile(path, origin string, before PublicKey) (*Signer, error) {
	if origin == "" {
		var err error
		if origin, err = NewOrigin(); err != nil {
			return nil, err
		}
	}
	s, err := NewSigner(origin)
	if err != nil {
		return nil, err
	}
	s.before = before
	return s, WriteKeyFile(path, s)
}

// RotateKeyFile puts a new key to use, for the log and in its file. Whatever
// moment a crash comes at, the next [OpenWithKeyFile] finds the right one.
func (l *Log) RotateKeyFile(path, by string) error {
	if err := os.Remove(path + nextSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rotate the key of the evidence log: %w", err)
	}
	next, err := makeKeyFile(path+nextSuffix, l.Origin(), l.PublicKey())
	if err != nil {
		return fmt.Errorf("rotate the key of the evidence log: %w", err)
	}
	if err := l.Rotate(next, by); err != nil {
		return fmt.Errorf("rotate the key of the evidence log: %w", err)
	}
	if err := errors.Join(os.Rename(path+nextSuffix, path), syncFolder(path)); err != nil {
		return fmt.Errorf("the key of the evidence log is rotated, but could not be put in its place: %w", err)
	}
	return nil
}

// finishRotation puts the next key in its place when it signed the log already,
// and removes it when it did not.
func finishRotation(path, keyID string) error {
	next, err := ReadKeyFile(path + nextSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && next.public.ID == keyID {
		return errors.Join(os.Rename(path+nextSuffix, path), syncFolder(path))
	}
	// One that cannot be read was not written to its end, and signed nothing.
	if err := os.Remove(path + nextSuffix); err != nil {
		return fmt.Errorf("key of the evidence log: %w", err)
	}
	return nil
}

// StartOverWithKeyFile makes a new key for the log that a store holds, because
// the one before is lost, and writes it to its file, which must not exist.
func StartOverWithKeyFile(o Options, path, by string) (*Log, error) {
	origin, keyID, err := StoredOrigin(o.Store)
	if err != nil {
		return nil, fmt.Errorf("start over with the evidence log: %w", err)
	}
	before, err := storedKey(o)
	if err != nil {
		return nil, fmt.Errorf("start over with the evidence log: %w", err)
	}
	o.Signer, err = makeKeyFile(path, origin, before)
	if errors.Is(err, fs.ErrExist) {
		return nil, notOver(path, origin, keyID, err)
	}
	if err != nil {
		return nil, err
	}
	if origin == "" {
		return Open(o)
	}
	return StartOver(o, by)
}

// storedKey returns the key that signed last the log that a store holds; zero when it
// holds none.
func storedKey(o Options) (last PublicKey, err error) {
	l := &Log{store: o.Store}
	found, err := o.Store.FindEvidence(ActKey, "", time.Time{}, time.Time{})
	for _, n := range slices.Backward(found) {
		r, readErr := l.read(n)
		if readErr != nil {
			return last, readErr
		}
		if k, keyErr := announced(&r); keyErr != nil || k != (PublicKey{}) {
			return k, keyErr
		}
	}
	return last, err
}

// KeyBefore returns the key that gave way to the one that signs, as the file of that
// tells; ok is false when it does not.
func (l *Log) KeyBefore() (k PublicKey, ok bool) {
	k = l.state().signer.before
	return k, k != PublicKey{}
}

// notOver says why a key that is there is not written over.
func notOver(path, origin, keyID string, err error) error {
	s, readErr := ReadKeyFile(path)
	if readErr == nil && s.public.Origin == origin && s.public.ID == keyID {
		return fmt.Errorf("%w: it holds the very key that signs the log: nothing is lost, and nothing has to start over", err)
	}
	return fmt.Errorf("%w: it does not hold the key that signs the log, and may be all that is left of it, so it is not written over: "+
		"move it away first (mv %s %s.old)", err, path, path)
}

// PutKeyFileAway renames the file of a key, whatever is in it, so that another
// can be made, and returns the public key; empty when there is none to be read.
func PutKeyFileAway(path string) (public string, err error) {
	if s, err := ReadKeyFile(path); err == nil {
		public = s.public.String()
	}
	for n := 1; ; n++ {
		away := fmt.Sprintf("%s.%d.old", path, n)
		if _, err := os.Lstat(away); errors.Is(err, fs.ErrNotExist) {
			err = os.Rename(path, away)
			if errors.Is(err, fs.ErrNotExist) {
				return "", nil
			}
			return public, errors.Join(err, syncFolder(path))
		}
	}
}

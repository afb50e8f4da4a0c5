package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrCheckpoint says: bytes are not a checkpoint, or not one that a known key of the
// log signed.
var ErrCheckpoint = errors.New("not a checkpoint of this evidence log")

// Hash is a hash of the log's Merkle tree, as RFC 6962 defines them.
type Hash = tlog.Hash

// Checkpoint says what a log held: so many records, with that root.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
}

// Text is what is signed: three lines, as tlog-checkpoint of C2SP has them.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// sign returns the signed checkpoint, a note.
func (c Checkpoint) sign(by *Signer) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: c.Text()}, by.note)
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint of %d records: %w", c.Size, err)
	}
	return b, nil
}

// OpenCheckpoint reads a checkpoint that one of the keys signed, and returns
// the first that did.
func OpenCheckpoint(signed []byte, keys ...PublicKey) (Checkpoint, PublicKey, error) {
	err := error(&note.UnverifiedNoteError{})
	for _, k := range keys {
		// One by one: of several keys with the same ID, which a stranger can make, the
		// note package takes none.
		var c Checkpoint
		if c, err = k.open(signed); err == nil {
			return c, k, nil
		}
	}
	return Checkpoint{}, PublicKey{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
}

func (k PublicKey) open(signed []byte) (Checkpoint, error) {
	v, err := k.verifier()
	if err != nil {
		return Checkpoint{}, err
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := parseCheckpoint(n.Text)
	if err == nil && c.Origin != k.Origin {
		err = fmt.Errorf("it is of log %q", c.Origin)
	}
	return c, err
}

func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, fmt.Errorf("%w: it has not three lines", ErrCheckpoint)
	}
	c := Checkpoint{Origin: lines[0]}
	var err1, err2 error
	c.Size, err1 = strconv.ParseUint(lines[1], 10, 63)
	c.Root, err2 = tlog.ParseHash(lines[2])
	if err := errors.Join(err1, err2); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if c.Text() != text {
		return Checkpoint{}, fmt.Errorf("%w: it is not written as it should be", ErrCheckpoint)
	}
	return c, nil
}

// FindCheckpoint returns the signed checkpoint in a text, such as that of a mail
// it came in, or the whole text when none is found. It checks nothing.
func FindCheckpoint(text []byte) []byte {
	if found, ok := findCheckpoint(string(text)); ok {
		return found
	}
	// Mail wraps lines and encodes what is not ASCII.
	decoded, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(text)))
	if err == nil {
		if found, ok := findCheckpoint(string(decoded)); ok {
			return found
		}
	}
	return text
}

func findCheckpoint(text string) ([]byte, bool) {
	all := strings.SplitAfter(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := 0; i+4 < len(all); i++ {
		if !strings.HasPrefix(all[i], OriginPrefix) || all[i+3] != "\n" || !strings.HasPrefix(all[i+4], "— ") {
			continue
		}
		if _, err := parseCheckpoint(strings.Join(all[i:i+3], "")); err != nil {
			continue
		}
		end := i + 4
		for end < len(all) && strings.HasPrefix(all[end], "— ") {
			end++
		}
		return []byte(strings.Join(all[i:end], "")), true
	}
	return nil, false
}

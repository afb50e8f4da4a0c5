package evidence

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// OriginPrefix begins the name of every log; eight hexadecimal digits follow.
const OriginPrefix = "github.com/saypro/backupd/log/"

// ErrKey says: a key cannot be read, or is not one for a log of this kind.
var ErrKey = errors.New("not a key of an evidence log")

// NewOrigin returns a name for a new log.
func NewOrigin() (string, error) {
	var b [4]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("name a new log: %w", err)
	}
	return OriginPrefix + hex.EncodeToString(b[:]), nil
}

func checkOrigin(name string) error {
	id, ok := strings.CutPrefix(name, OriginPrefix)
	raw, err := hex.DecodeString(id)
	if !ok || err != nil || len(raw) != 4 || id != strings.ToLower(id) {
		return fmt.Errorf("%w: %q does not name a log (%s and eight hexadecimal digits)", ErrKey, name, OriginPrefix)
	}
	return nil
}

// Signer signs the records and checkpoints of one log. It shows its private
// part only when asked to by [Signer.Private].
type Signer struct {
	note    note.Signer
	private string
	public  PublicKey
	before  PublicKey // that gave way to it, as its file says; zero when it does not
}

// NewSigner makes a key for the log of that name.
func NewSigner(origin string) (*Signer, error) {
	if err := checkOrigin(origin); err != nil {
		return nil, err
	}
	private, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("make a key for %s: %w", origin, err)
	}
	return ParseSigner(private)
}

// ParseSigner reads a private key in the form of the note package:
// "PRIVATE+KEY+name+hash+base64".
func ParseSigner(text string) (*Signer, error) {
	text = strings.TrimSpace(text)
	n, err := note.NewSigner(text)
	if err != nil {
		return nil, fmt.Errorf("%w: no private key in the form of the note package", ErrKey)
	}
	if err := checkOrigin(n.Name()); err != nil {
		return nil, err
	}
	// A "+" may be part of the last one, which is base64.
	parts := strings.SplitN(text, "+", 5)
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, fmt.Errorf("%w: its private part has the wrong length", ErrKey)
	}
	pub, _ := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(n.Name(), pub)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	public, err := ParsePublicKey(vkey)
	return &Signer{note: n, private: text, public: public}, err
}

// Public returns the key that checks what this one signs.
func (s *Signer) Public() PublicKey { return s.public }

// Private returns the private key as text, to be written to its file and
// nowhere else.
func (s *Signer) Private() string { return s.private }

// String hides the private key from logs.
func (s *Signer) String() string { return "signer of " + s.public.String() }

// GoString hides it there, too.
func (s *Signer) GoString() string { return s.String() }

// PublicKey checks signatures of one log. Two are equal when they are the same
// key of the same log.
type PublicKey struct {
	// Origin names the log.
	Origin string
	// ID is eight hexadecimal digits that tell the keys of a log apart.
	ID  string
	key [ed25519.PublicKeySize]byte
}

// ParsePublicKey reads a public key in the form of the note package:
// "name+hash+base64".
func ParsePublicKey(text string) (PublicKey, error) {
	text = strings.TrimSpace(text)
	v, err := note.NewVerifier(text)
	if err != nil {
		// The text is not shown: somebody may have taken the private one.
		return PublicKey{}, fmt.Errorf("%w: no public key in the form of the note package (name+hash+base64)", ErrKey)
	}
	if err := checkOrigin(v.Name()); err != nil {
		return PublicKey{}, err
	}
	k := PublicKey{Origin: v.Name(), ID: fmt.Sprintf("%08x", v.KeyHash())}
	parts := strings.SplitN(text, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return PublicKey{}, fmt.Errorf("%w: its public part has the wrong length", ErrKey)
	}
	copy(k.key[:], raw[1:])
	if k.String() != text {
		return PublicKey{}, fmt.Errorf("%w: it is not written as it should be", ErrKey)
	}
	return k, nil
}

// String returns the key as text, as [ParsePublicKey] reads it.
func (k PublicKey) String() string {
	text, err := note.NewEd25519VerifierKey(k.Origin, k.key[:])
	if err != nil {
		return ""
	}
	return text
}

func (k PublicKey) verifier() (note.Verifier, error) {
	v, err := note.NewVerifier(k.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return v, nil
}

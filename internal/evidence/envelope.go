package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
)

// payloadType is what DSSE calls the type of an in-toto statement.
const payloadType = "application/vnd.in-toto+json"

// MaxEnvelope is the most bytes that an envelope may have. The proof of a
// function with ten thousand tables stays below it.
const MaxEnvelope = 16 << 20

// ErrEnvelope says: bytes are not an envelope as this log writes them.
var ErrEnvelope = errors.New("not an envelope of an evidence log")

// The one way in which an envelope is written: DSSE's JSON without any space, in
// this order, with one signature. Whatever is written otherwise is not taken, so
// that no two readers can see different things in the same bytes.
const (
	envelopeStart = `{"payloadType":"` + payloadType + `","payload":"`
	envelopeMid   = `","signatures":[{"keyid":"`
	envelopeSig   = `","sig":"`
	envelopeEnd   = `"}]}`
)

// envelope is a statement and its signature, taken apart.
type envelope struct {
	payload   []byte
	keyID     string
	signature []byte
}

// preAuth is what DSSE v1 signs: the pre-authentication encoding of a payload.
func preAuth(payload []byte) []byte {
	return append(appendPreAuth(make([]byte, 0, len(payload)+64), len(payload)), payload...)
}

// appendPreAuth appends what comes before a payload of that length.
func appendPreAuth(b []byte, length int) []byte {
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(length), 10)
	return append(b, ' ')
}

// seal signs a payload and returns the bytes of its envelope.
func seal(payload []byte, by *Signer) ([]byte, error) {
	sig, err := by.note.Sign(preAuth(payload))
	if err != nil {
		return nil, fmt.Errorf("sign a record: %w", err)
	}
	b := make([]byte, 0, len(envelopeStart)+len(payload)*4/3+256)
	b = append(b, envelopeStart...)
	b = base64.StdEncoding.AppendEncode(b, payload)
	b = append(b, envelopeMid...)
	b = append(b, by.public.ID...)
	b = append(b, envelopeSig...)
	b = base64.StdEncoding.AppendEncode(b, sig)
	b = append(b, envelopeEnd...)
	if len(b) > MaxEnvelope {
		return nil, fmt.Errorf("%w: a record of %d bytes is larger than any may be (%d)", ErrEnvelope, len(b), MaxEnvelope)
	}
	return b, nil
}

// unseal takes an envelope apart. It checks no signature.
func unseal(b []byte) (envelope, error) {
	bad := func(what string) (envelope, error) { return envelope{}, fmt.Errorf("%w: %s", ErrEnvelope, what) }
	if len(b) > MaxEnvelope {
		return bad("it is too large")
	}
	rest, ok := bytes.CutPrefix(b, []byte(envelopeStart))
	if !ok {
		return bad("it does not begin like one")
	}
	payload, rest, ok := bytes.Cut(rest, []byte{'"'})
	if !ok {
		return bad("it ends within its payload")
	}
	rest, ok = bytes.CutPrefix(rest, []byte(envelopeMid[1:]))
	if !ok || len(rest) < 8 {
		return bad("its payload is not followed by signatures")
	}
	e := envelope{keyID: string(rest[:8])}
	if !isHex(rest[:8]) {
		return bad("the ID of its key is not eight hexadecimal digits")
	}
	rest, ok = bytes.CutPrefix(rest[8:], []byte(envelopeSig))
	sig, end, found := bytes.Cut(rest, []byte{'"'})
	if !ok || !found || string(end) != envelopeEnd[1:] {
		return bad("it does not end like one, or has several signatures")
	}
	var err error
	if e.payload, err = base64.StdEncoding.Strict().AppendDecode(nil, payload); err != nil || bytes.IndexByte(payload, '\n') >= 0 || bytes.IndexByte(payload, '\r') >= 0 {
		return bad("its payload is not base64")
	}
	e.signature, err = base64.StdEncoding.Strict().AppendDecode(nil, sig)
	if err != nil || len(e.signature) != ed25519.SignatureSize || len(sig) != base64.StdEncoding.EncodedLen(ed25519.SignatureSize) {
		return bad("its signature is not one of Ed25519")
	}
	return e, nil
}

func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Package rfc3161 asks for and checks time stamps by a third party: RFC 3161,
// Internet X.509 Public Key Infrastructure Time-Stamp Protocol.
package rfc3161

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
)

// What can be wrong with an answer, to be told apart with errors.Is.
var (
	// ErrRefused: the authority answered that it gives no time stamp.
	ErrRefused = errors.New("the time-stamping authority refused")
	// ErrToken: it is no time stamp, or its signature does not fit.
	ErrToken = errors.New("not a time stamp")
	// ErrImprint: it is a time stamp of something else.
	ErrImprint = errors.New("a time stamp of something else")
	// ErrNonce: it answers another request, maybe one of long ago.
	ErrNonce = errors.New("an answer to another request")
	// ErrUntrusted: no chain of certificates leads from it to a root that is
	// trusted, or its certificate is not one for time stamps.
	ErrUntrusted = errors.New("a time stamp of nobody who is trusted")
	// ErrRoots: there is no certificate in it.
	ErrRoots = errors.New("no certificate in PEM form")
)

// MaxToken bounds a token, in bytes: they have some thousand.
const MaxToken = 32 << 10

// Stamp is what a token says.
type Stamp struct {
	// Time is when the authority saw the hash, UTC, and Accuracy by how much
	// that may be wrong; zero when it does not say.
	Time     time.Time
	Accuracy time.Duration
	// Authority is the subject of the certificate that signed.
	Authority string
	// Token is the time stamp itself, DER.
	Token []byte
}

// Request returns a request, DER, to have the SHA-256 of a text stamped. The
// nonce is to come back in the answer.
func Request(text []byte, nonce *big.Int) ([]byte, error) {
	sum := sha256.Sum256(text)
	r := timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Certificates: true, Nonce: nonce}
	return r.Marshal()
}

// Open reads the answer to a request. It counts only when it stamps the text, has
// the nonce, and leads to one of the roots.
func Open(answer, text []byte, nonce *big.Int, roots *x509.CertPool) (Stamp, error) {
	token, err := unwrap(answer)
	if err != nil {
		return Stamp{}, err
	}
	s, t, err := read(token, text)
	switch {
	case err != nil:
		return Stamp{}, err
	case t.Nonce == nil || t.Nonce.Cmp(nonce) != 0:
		return Stamp{}, ErrNonce
	}
	return s, trust(s, t, roots)
}

// Check reads a token that was kept. Its signature is checked, and that it stamps
// the text; whose it is only when there are roots: trusted is false without.
func Check(token, text []byte, roots *x509.CertPool) (s Stamp, trusted bool, err error) {
	s, t, err := read(token, text)
	if err != nil || roots == nil {
		return s, false, err
	}
	err = trust(s, t, roots)
	return s, err == nil, err
}

// read takes a token apart and checks what can be checked without trusting
// anybody.
func read(token, text []byte) (Stamp, *timestamp.Timestamp, error) {
	if len(token) > MaxToken {
		return Stamp{}, nil, fmt.Errorf("%w: it has %d bytes", ErrToken, len(token))
	}
	signer, t, err := parse(token)
	if err != nil {
		return Stamp{}, nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	sum := sha256.Sum256(text)
	if t.HashAlgorithm != crypto.SHA256 || !slices.Equal(t.HashedMessage, sum[:]) {
		return Stamp{}, nil, ErrImprint
	}
	// Only the certificate that signed is looked at when it is judged.
	rest := slices.DeleteFunc(slices.Clone(t.Certificates), func(c *x509.Certificate) bool { return c.Equal(signer) })
	t.Certificates = append([]*x509.Certificate{signer}, rest...)
	return Stamp{Time: t.Time.UTC(), Accuracy: t.Accuracy, Authority: signer.Subject.String(), Token: token}, t, nil
}

// trust checks the chain of certificates as it was when the stamp was given.
func trust(s Stamp, t *timestamp.Timestamp, roots *x509.CertPool) error {
	between := x509.NewCertPool()
	for _, c := range t.Certificates[1:] {
		between.AddCert(c)
	}
	signer := t.Certificates[0]
	_, err := signer.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: s.Time, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", ErrUntrusted, s.Authority, err)
	case !slices.Equal(signer.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}) || len(signer.UnknownExtKeyUsage) > 0:
		return fmt.Errorf("%w: the certificate of %s is not one for time stamps alone", ErrUntrusted, s.Authority)
	}
	return nil
}

// parsing is held while the library reads a token, which counts how deep it is in
// a variable that all share.
var parsing sync.Mutex

// parse reads a token and checks its signature; whatever the bytes are, it
// returns.
func parse(token []byte) (signer *x509.Certificate, t *timestamp.Timestamp, err error) {
	parsing.Lock()
	defer parsing.Unlock()
	defer func() {
		if wrong := recover(); wrong != nil {
			signer, t, err = nil, nil, fmt.Errorf("%v", wrong)
		}
	}()
	p, err := pkcs7.Parse(token)
	if err != nil {
		return nil, nil, err
	}
	// The library takes a signature without attributes, and one over something
	// that is no time stamp.
	var content asn1.ObjectIdentifier
	if err := p.UnmarshalSignedAttribute(pkcs7.OIDAttributeContentType, &content); err != nil {
		return nil, nil, err
	}
	if !content.Equal(oidTimeStamp) {
		return nil, nil, fmt.Errorf("what is signed is %v", content)
	}
	if signer = p.GetOnlySigner(); signer == nil {
		return nil, nil, errors.New("it has not the certificate of its one signer in it")
	}
	if t, err = timestamp.Parse(token); err != nil {
		return nil, nil, err
	}
	return signer, t, nil
}

// oidTimeStamp is id-ct-TSTInfo: what is signed is a time stamp.
var oidTimeStamp = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}

// Roots reads certificates in PEM form.
func Roots(text []byte) (*x509.CertPool, error) {
	out, n := x509.NewCertPool(), 0
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRoots, err)
		}
		out.AddCert(c)
		n++
	}
	if n == 0 {
		return nil, ErrRoots
	}
	return out, nil
}

package anchor

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/saypro/backupd/internal/rfc3161"
)

// Authority is a time-stamping authority that is asked over HTTP: RFC 3161,
// section 3.4.
type Authority struct {
	URL string
	// Roots are whom its certificates must lead to.
	Roots *x509.CertPool
}

// stampPatience bounds a whole conversation.
const stampPatience = 30 * time.Second

// Stamp has the time stamped at which a text was there, of which only the SHA-256
// is sent. When it returns without an error, the answer has been checked.
func (a Authority) Stamp(ctx context.Context, text []byte) (rfc3161.Stamp, error) {
	s, err := a.stamp(ctx, text)
	if err != nil {
		return rfc3161.Stamp{}, fmt.Errorf("have a time stamp from %s: %w", a.URL, err)
	}
	return s, nil
}

func (a Authority) stamp(ctx context.Context, text []byte) (rfc3161.Stamp, error) {
	nonce, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	if err != nil {
		return rfc3161.Stamp{}, err
	}
	question, err := rfc3161.Request(text, nonce)
	if err != nil {
		return rfc3161.Stamp{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, stampPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, bytes.NewReader(question))
	if err != nil {
		return rfc3161.Stamp{}, err
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return rfc3161.Stamp{}, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode != http.StatusOK {
		return rfc3161.Stamp{}, fmt.Errorf("%w: HTTP status %s", rfc3161.ErrRefused, resp.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, rfc3161.MaxToken+1))
	if err != nil {
		return rfc3161.Stamp{}, err
	}
	return rfc3161.Open(answer, text, nonce, a.Roots)
}

package server

import (
	"bufio"
	"context"
	"io"
	"net/http"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
)

// The paths of what concerns evidence.
const (
	pathEvidenceKey    = "/v1/evidence/key"
	pathEvidenceRotate = "/v1/evidence/key/rotate"
	pathEvidenceBundle = "/v1/evidence/bundle"
)

// EvidenceOperations are those that concern the evidence log.
type EvidenceOperations interface {
	// EvidenceKey returns the public key of the log.
	EvidenceKey(ctx context.Context) (engine.EvidenceKey, error)
	// RotateEvidenceKey puts a new key to use.
	RotateEvidenceKey(ctx context.Context) (engine.EvidenceKey, error)
	// WriteEvidence writes a bundle of the log.
	WriteEvidence(ctx context.Context, req engine.BundleRequest, w io.Writer) error
}

func (s *server) evidenceRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pathEvidenceKey, func(w http.ResponseWriter, r *http.Request) {
		key, err := s.ops.EvidenceKey(r.Context())
		s.answer(w, key, err)
	})
	mux.HandleFunc("POST "+pathEvidenceRotate, handle(s, func(ctx context.Context, _ struct{}, _ progress.Reporter) (any, error) {
		return s.ops.RotateEvidenceKey(ctx)
	}))
	mux.HandleFunc("POST "+pathEvidenceBundle, func(w http.ResponseWriter, r *http.Request) {
		var req engine.BundleRequest
		if !s.body(w, r, &req) {
			return
		}
		out := bufio.NewWriterSize(chunks{w}, chunkSize)
		err := s.ops.WriteEvidence(r.Context(), req, out)
		if err == nil {
			err = out.Flush()
		}
		s.answer(w, struct{}{}, err)
	})
}

// EvidenceKey implements [EvidenceOperations].
func (c *Client) EvidenceKey(ctx context.Context) (key engine.EvidenceKey, err error) {
	err = c.ask(ctx, http.MethodGet, pathEvidenceKey, nil, nil, &key)
	return key, err
}

// RotateEvidenceKey implements [EvidenceOperations].
func (c *Client) RotateEvidenceKey(ctx context.Context) (key engine.EvidenceKey, err error) {
	err = c.ask(ctx, http.MethodPost, pathEvidenceRotate, struct{}{}, nil, &key)
	return key, err
}

// WriteEvidence implements [EvidenceOperations].
func (c *Client) WriteEvidence(ctx context.Context, req engine.BundleRequest, w io.Writer) error {
	var nothing struct{}
	return c.askData(ctx, pathEvidenceBundle, req, w, &nothing)
}

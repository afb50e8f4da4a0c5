package server

import (
	"context"
	"encoding/json"
	"fmt"
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
	pathEvidenceClock  = "/v1/evidence/clock"
)

// outcomeTrailer comes behind the bytes of a bundle and says how they ended: an
// empty failure, or the one that cut them short.
const outcomeTrailer = "Backupd-Outcome"

// EvidenceOperations are those that concern the evidence log.
type EvidenceOperations interface {
	// EvidenceKey returns the public key of the log.
	EvidenceKey(ctx context.Context) (engine.EvidenceKey, error)
	// RotateEvidenceKey puts a new key to use.
	RotateEvidenceKey(ctx context.Context) (engine.EvidenceKey, error)
	// SetEvidenceClock says that the clock was ahead and is right now.
	SetEvidenceClock(ctx context.Context, req engine.ClockRequest) (engine.ClockSet, error)
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
	mux.HandleFunc("POST "+pathEvidenceClock, handle(s, func(ctx context.Context, req engine.ClockRequest, _ progress.Reporter) (any, error) {
		return s.ops.SetEvidenceClock(ctx, req)
	}))
	mux.HandleFunc("POST "+pathEvidenceBundle, s.bundle)
}

// bundle answers with bytes, and with how they ended behind them.
func (s *server) bundle(w http.ResponseWriter, r *http.Request) {
	var req engine.BundleRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&req); err != nil {
		s.answer(w, nil, fmt.Errorf("%w: %w", engine.ErrUsage, err))
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Trailer", outcomeTrailer)
	failure := &Failure{}
	if err := s.ops.WriteEvidence(r.Context(), req, w); err != nil {
		failure = NewFailure(err)
	}
	text, err := json.Marshal(failure)
	if err != nil {
		s.opt.Log.Error("the outcome of a bundle could not be written", "error", err)
		return
	}
	w.Header().Set(outcomeTrailer, string(text))
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

// SetEvidenceClock implements [EvidenceOperations].
func (c *Client) SetEvidenceClock(ctx context.Context, req engine.ClockRequest) (set engine.ClockSet, err error) {
	err = c.ask(ctx, http.MethodPost, pathEvidenceClock, req, nil, &set)
	return set, err
}

// WriteEvidence implements [EvidenceOperations].
func (c *Client) WriteEvidence(ctx context.Context, req engine.BundleRequest, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodPost, pathEvidenceBundle, req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.Header.Get("Content-Type") != "application/zip" {
		return c.receive(ctx, resp.Body, nil, io.Discard, nil)
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return c.lost(ctx, err)
	}
	var failure Failure
	if err := json.Unmarshal([]byte(resp.Trailer.Get(outcomeTrailer)), &failure); err != nil {
		return c.lost(ctx, io.ErrUnexpectedEOF)
	}
	if failure.Kind != "" {
		return &failure
	}
	return nil
}

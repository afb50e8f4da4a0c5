package server

import (
	"context"
	"net/http"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// The paths of what concerns keys.
const (
	pathKeys       = "/v1/keys"
	pathKeyAdd     = "/v1/keys/add"
	pathKeyRotate  = "/v1/keys/rotate"
	pathEscrowTest = "/v1/keys/escrow-test"
)

// KeyOperations are those that concern who can open the repository.
type KeyOperations interface {
	// Keys says who can open the repository, and with which keys it is sealed.
	Keys(ctx context.Context) (engine.KeyList, error)
	// AddKey wraps every key for more recipients.
	AddKey(ctx context.Context, req engine.KeyAddRequest, report progress.Reporter) (engine.KeyAddResult, error)
	// RotateKey puts a new key to use.
	RotateKey(ctx context.Context, report progress.Reporter) (engine.KeyRotateResult, error)
	// TestEscrow finds out whether an identity that is kept elsewhere still
	// opens everything.
	TestEscrow(ctx context.Context, req engine.EscrowTestRequest, report progress.Reporter) (repository.EscrowTest, error)
}

func (s *server) keyRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pathKeys, func(w http.ResponseWriter, r *http.Request) {
		keys, err := s.ops.Keys(r.Context())
		s.answer(w, keys, err)
	})
	mux.HandleFunc("POST "+pathKeyAdd, handle(s, func(ctx context.Context, req engine.KeyAddRequest, report progress.Reporter) (any, error) {
		return s.ops.AddKey(ctx, req, report)
	}))
	mux.HandleFunc("POST "+pathKeyRotate, handle(s, func(ctx context.Context, _ struct{}, report progress.Reporter) (any, error) {
		return s.ops.RotateKey(ctx, report)
	}))
	mux.HandleFunc("POST "+pathEscrowTest, handle(s, func(ctx context.Context, req engine.EscrowTestRequest, report progress.Reporter) (any, error) {
		return s.ops.TestEscrow(ctx, req, report)
	}))
}

// Keys implements [KeyOperations].
func (c *Client) Keys(ctx context.Context) (keys engine.KeyList, err error) {
	err = c.ask(ctx, http.MethodGet, pathKeys, nil, nil, &keys)
	return keys, err
}

// AddKey implements [KeyOperations].
func (c *Client) AddKey(ctx context.Context, req engine.KeyAddRequest, report progress.Reporter) (out engine.KeyAddResult, err error) {
	err = c.ask(ctx, http.MethodPost, pathKeyAdd, req, report, &out)
	return out, err
}

// RotateKey implements [KeyOperations].
func (c *Client) RotateKey(ctx context.Context, report progress.Reporter) (out engine.KeyRotateResult, err error) {
	err = c.ask(ctx, http.MethodPost, pathKeyRotate, struct{}{}, report, &out)
	return out, err
}

// TestEscrow implements [KeyOperations].
func (c *Client) TestEscrow(ctx context.Context, req engine.EscrowTestRequest, report progress.Reporter) (out repository.EscrowTest, err error) {
	err = c.ask(ctx, http.MethodPost, pathEscrowTest, req, report, &out)
	return out, err
}

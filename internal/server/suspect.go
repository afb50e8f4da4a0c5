package server

import (
	"context"
	"net/http"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
)

// The paths of what concerns suspect recovery points.
const (
	pathSuspects     = "/v1/suspects"
	pathSuspectClear = "/v1/suspects/clear"
)

// SuspectOperations are those that concern recovery points that look wrong.
type SuspectOperations interface {
	// Suspects lists the recovery points that looked wrong.
	Suspects(ctx context.Context, req engine.SuspectRequest) ([]engine.SuspectPoint, error)
	// ClearSuspect records that what looked wrong is fine.
	ClearSuspect(ctx context.Context, req engine.ClearRequest) (engine.SuspectPoint, error)
}

func (s *server) suspectRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST "+pathSuspects, handle(s, func(ctx context.Context, req engine.SuspectRequest, _ progress.Reporter) (any, error) {
		return s.ops.Suspects(ctx, req)
	}))
	mux.HandleFunc("POST "+pathSuspectClear, handle(s, func(ctx context.Context, req engine.ClearRequest, _ progress.Reporter) (any, error) {
		return s.ops.ClearSuspect(ctx, req)
	}))
}

// Suspects implements [SuspectOperations].
func (c *Client) Suspects(ctx context.Context, req engine.SuspectRequest) (points []engine.SuspectPoint, err error) {
	err = c.ask(ctx, http.MethodPost, pathSuspects, req, nil, &points)
	return points, err
}

// ClearSuspect implements [SuspectOperations].
func (c *Client) ClearSuspect(ctx context.Context, req engine.ClearRequest) (point engine.SuspectPoint, err error) {
	err = c.ask(ctx, http.MethodPost, pathSuspectClear, req, nil, &point)
	return point, err
}

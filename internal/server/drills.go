package server

import (
	"context"
	"net/http"
	"net/url"

	"github.com/saypro/backupd/internal/drill"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
)

// The paths of what concerns exercises.
const (
	pathDrills      = "/v1/drills"
	pathDrillRun    = "/v1/drills/run"
	pathDrillRecord = "/v1/drills/record"
	pathDrillClose  = "/v1/drills/close"
	pathDrillReview = "/v1/drills/review"
)

// DrillOperations are exercises of the continuity plan.
type DrillOperations interface {
	// Drills returns the exercises that were ever begun, the first one first.
	Drills(ctx context.Context) ([]*drill.Exercise, error)
	// RunDrill carries an exercise out, or begins one at a table.
	RunDrill(ctx context.Context, req engine.DrillRequest, report progress.Reporter) (*drill.Exercise, error)
	// RecordDrill writes down what people say of an exercise.
	RecordDrill(ctx context.Context, req engine.DrillRecordRequest) (*drill.Exercise, error)
	// CloseAction closes an action by a later test that passed.
	CloseAction(ctx context.Context, req engine.DrillCloseRequest) (*drill.Exercise, error)
	// ReviewDrill drafts the review of an exercise from the evidence.
	ReviewDrill(ctx context.Context, name string) (*drill.Review, error)
}

func (s *server) drillRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET "+pathDrills, func(w http.ResponseWriter, r *http.Request) {
		all, err := s.ops.Drills(r.Context())
		s.answer(w, all, err)
	})
	mux.HandleFunc("GET "+pathDrillReview, func(w http.ResponseWriter, r *http.Request) {
		review, err := s.ops.ReviewDrill(r.Context(), r.URL.Query().Get("drill"))
		s.answer(w, review, err)
	})
	mux.HandleFunc("POST "+pathDrillRun, handle(s, func(ctx context.Context, req engine.DrillRequest, report progress.Reporter) (any, error) {
		return s.ops.RunDrill(ctx, req, report)
	}))
	mux.HandleFunc("POST "+pathDrillRecord, handle(s, func(ctx context.Context, req engine.DrillRecordRequest, _ progress.Reporter) (any, error) {
		return s.ops.RecordDrill(ctx, req)
	}))
	mux.HandleFunc("POST "+pathDrillClose, handle(s, func(ctx context.Context, req engine.DrillCloseRequest, _ progress.Reporter) (any, error) {
		return s.ops.CloseAction(ctx, req)
	}))
}

// Drills implements [DrillOperations].
func (c *Client) Drills(ctx context.Context) (all []*drill.Exercise, err error) {
	err = c.ask(ctx, http.MethodGet, pathDrills, nil, nil, &all)
	return all, err
}

// RunDrill implements [DrillOperations].
func (c *Client) RunDrill(ctx context.Context, req engine.DrillRequest, report progress.Reporter) (x *drill.Exercise, err error) {
	err = c.ask(ctx, http.MethodPost, pathDrillRun, req, report, &x)
	return x, err
}

// RecordDrill implements [DrillOperations].
func (c *Client) RecordDrill(ctx context.Context, req engine.DrillRecordRequest) (x *drill.Exercise, err error) {
	err = c.ask(ctx, http.MethodPost, pathDrillRecord, req, nil, &x)
	return x, err
}

// CloseAction implements [DrillOperations].
func (c *Client) CloseAction(ctx context.Context, req engine.DrillCloseRequest) (x *drill.Exercise, err error) {
	err = c.ask(ctx, http.MethodPost, pathDrillClose, req, nil, &x)
	return x, err
}

// ReviewDrill implements [DrillOperations].
func (c *Client) ReviewDrill(ctx context.Context, name string) (v *drill.Review, err error) {
	query := url.Values{"drill": {name}}
	err = c.ask(ctx, http.MethodGet, pathDrillReview+"?"+query.Encode(), nil, nil, &v)
	return v, err
}

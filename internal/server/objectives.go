package server

import (
	"context"
	"net/http"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
)

const pathObjectives = "/v1/objectives"

// ObjectiveOperations look at what was promised.
type ObjectiveOperations interface {
	// Objectives says how well the objectives were kept in a period, and what can
	// be expected of them.
	Objectives(ctx context.Context, req engine.ObjectivesRequest) (engine.Objectives, error)
}

func (s *server) objectiveRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST "+pathObjectives, handle(s, func(ctx context.Context, req engine.ObjectivesRequest, _ progress.Reporter) (any, error) {
		return s.ops.Objectives(ctx, req)
	}))
}

// Objectives implements [ObjectiveOperations].
func (c *Client) Objectives(ctx context.Context, req engine.ObjectivesRequest) (out engine.Objectives, err error) {
	err = c.ask(ctx, http.MethodPost, pathObjectives, req, nil, &out)
	return out, err
}

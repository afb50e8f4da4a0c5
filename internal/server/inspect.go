package server

import (
	"context"
	"net/http"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

const pathInspect = "/v1/repository/inspect"

// InspectOperations are for a person with a problem.
type InspectOperations interface {
	// Inspect tells what an object of the repository is.
	Inspect(ctx context.Context, req engine.InspectRequest, report progress.Reporter) (*repository.Inspection, error)
}

func (s *server) inspectRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST "+pathInspect, handle(s, func(ctx context.Context, req engine.InspectRequest, report progress.Reporter) (any, error) {
		return s.ops.Inspect(ctx, req, report)
	}))
}

// Inspect implements [InspectOperations].
func (c *Client) Inspect(ctx context.Context, req engine.InspectRequest, report progress.Reporter) (out *repository.Inspection, err error) {
	err = c.ask(ctx, http.MethodPost, pathInspect, req, report, &out)
	return out, err
}

package server

import (
	"context"
	"net/http"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
)

const pathControls = "/v1/drill/controls"

// ControlsOperations are negative controls.
type ControlsOperations interface {
	// Controls plants faults in disposable copies and looks whether the verifier
	// finds them.
	Controls(ctx context.Context, req engine.ControlsRequest, report progress.Reporter) (evidence.Controls, error)
}

func (s *server) controlsRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST "+pathControls, handle(s, func(ctx context.Context, req engine.ControlsRequest, report progress.Reporter) (any, error) {
		return s.ops.Controls(ctx, req, report)
	}))
}

// Controls implements [ControlsOperations].
func (c *Client) Controls(ctx context.Context, req engine.ControlsRequest, report progress.Reporter) (out evidence.Controls, err error) {
	err = c.ask(ctx, http.MethodPost, pathControls, req, report, &out)
	return out, err
}

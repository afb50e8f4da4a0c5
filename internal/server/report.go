package server

import (
	"bufio"
	"context"
	"io"
	"net/http"

	"github.com/saypro/backupd/internal/report"
)

const pathReport = "/v1/report"

// ReportOperations make documents of the evidence log.
type ReportOperations interface {
	// Report writes a report of a period or of one proof. When it fails, what was
	// written is not a report.
	Report(ctx context.Context, req report.Request, w io.Writer) (report.Made, error)
}

func (s *server) reportRoutes(mux *http.ServeMux) {
	mux.HandleFunc("POST "+pathReport, func(w http.ResponseWriter, r *http.Request) {
		var req report.Request
		if !s.body(w, r, &req) {
			return
		}
		out := bufio.NewWriterSize(chunks{w}, chunkSize)
		made, err := s.ops.Report(r.Context(), req, out)
		if err == nil {
			err = out.Flush()
		}
		s.answer(w, made, err)
	})
}

// Report implements [ReportOperations].
func (c *Client) Report(ctx context.Context, req report.Request, w io.Writer) (made report.Made, err error) {
	err = c.askData(ctx, pathReport, req, w, &made)
	return made, err
}

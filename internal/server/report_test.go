package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/report"
)

type reporter struct {
	asked report.Request
	text  []byte
	err   error
}

func (r *reporter) Report(_ context.Context, req report.Request, w io.Writer) (report.Made, error) {
	r.asked = req
	for part := r.text; len(part) > 0; {
		n := min(len(part), 10_000)
		if _, err := w.Write(part[:n]); err != nil {
			return report.Made{}, err
		}
		part = part[n:]
	}
	return report.Made{Report: "period", Format: req.Format, Failures: 7}, r.err
}

// full refuses what is written to it, as a disk that is full.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestReportArrivesWhole(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 7))
	r := &reporter{text: make([]byte, 3_000_000)}
	for i := range r.text {
		r.text[i] = byte(rnd.Uint32())
	}
	c := dial(t, serve(t, fake{ReportOperations: r}).dir)
	req := report.Request{From: moment, To: moment.AddDate(0, 1, 0), Function: "payments", Format: "pdf"}
	var got bytes.Buffer
	made, err := c.Report(t.Context(), req, &got)
	if err != nil || made.Failures != 7 || made.Format != "pdf" {
		t.Errorf("made %+v, %v", made, err)
	}
	if !bytes.Equal(got.Bytes(), r.text) {
		t.Errorf("%d bytes arrived, not the %d that were sent", got.Len(), len(r.text))
	}
	same(t, "what was asked", r.asked, req)

	if _, err := c.Report(t.Context(), req, full{}); !errors.Is(err, errFull) {
		t.Errorf("a disk that is full: %v", err)
	}
	r.err = engine.ErrUsage
	if _, err := c.Report(t.Context(), req, io.Discard); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("a report that failed: %v", err)
	}
}

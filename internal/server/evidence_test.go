package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/saypro/backupd/internal/engine"
)

type archivist struct {
	key   engine.EvidenceKey
	asked engine.BundleRequest
	clock engine.ClockRequest
	bytes []byte
	err   error
}

func (a *archivist) EvidenceKey(context.Context) (engine.EvidenceKey, error) { return a.key, a.err }

func (a *archivist) RotateEvidenceKey(context.Context) (engine.EvidenceKey, error) {
	return a.key, a.err
}

func (a *archivist) SetEvidenceClock(_ context.Context, req engine.ClockRequest) (engine.ClockSet, error) {
	a.clock = req
	return engine.ClockSet{Record: 8, Was: moment.AddDate(2, 0, 0), Time: moment}, a.err
}

func (a *archivist) WriteEvidence(_ context.Context, req engine.BundleRequest, w io.Writer) error {
	a.asked = req
	if _, err := w.Write(a.bytes); err != nil {
		return err
	}
	return a.err
}

func TestEvidenceArrivesWhole(t *testing.T) {
	a := &archivist{key: engine.EvidenceKey{Log: "log", Records: 7, KeyFile: "/k", Public: "log+1+x", Before: "log+0+x"}, bytes: bytes.Repeat([]byte("evidence"), 1<<17)}
	c := dial(t, serve(t, fake{EvidenceOperations: a}).dir)
	for _, ask := range []func(context.Context) (engine.EvidenceKey, error){c.EvidenceKey, c.RotateEvidenceKey} {
		got, err := ask(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the key", got, a.key)
	}
	set, err := c.SetEvidenceClock(t.Context(), engine.ClockRequest{Reason: "a flat battery"})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the clock", set, engine.ClockSet{Record: 8, Was: moment.AddDate(2, 0, 0), Time: moment})
	same(t, "why", a.clock, engine.ClockRequest{Reason: "a flat battery"})
	req := engine.BundleRequest{Since: moment, Until: moment.AddDate(1, 0, 0)}
	var got bytes.Buffer
	if err := c.WriteEvidence(t.Context(), req, &got); err != nil || !bytes.Equal(got.Bytes(), a.bytes) {
		t.Fatalf("%d of %d bytes: %v", got.Len(), len(a.bytes), err)
	}
	same(t, "what was asked", a.asked, req)
	for _, sent := range [][]byte{nil, a.bytes} {
		a.bytes, a.err = sent, fmt.Errorf("%w: of the\nthird kind", engine.ErrUsage)
		if err := c.WriteEvidence(t.Context(), req, io.Discard); !errors.Is(err, engine.ErrUsage) || err.Error() != a.err.Error() {
			t.Errorf("after %d bytes: %v", len(sent), err)
		}
	}
}

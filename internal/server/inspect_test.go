package server_test

import (
	"context"
	"errors"
	"testing"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

type inspector struct {
	asked engine.InspectRequest
	out   *repository.Inspection
}

func (i *inspector) Inspect(_ context.Context, req engine.InspectRequest, _ progress.Reporter) (*repository.Inspection, error) {
	i.asked = req
	if i.out == nil {
		return nil, engine.ErrUsage
	}
	return i.out, engine.ErrDegraded
}

func TestInspectionArrivesWhole(t *testing.T) {
	i := &inspector{out: &repository.Inspection{
		Object: "p/00/00", Kind: "pack", Sites: map[string]repository.InspectedCopy{"cloud": {State: repository.CopyWrong, Size: 1 << 40, Read: moment}},
		Pack: &repository.InspectedPack{Chunks: []repository.InspectedChunks{{Kind: "rows", Count: 1}}, Snapshots: []repository.InspectedNeed{{Snapshot: "01", RecoveryPoint: moment}}},
	}}
	c := dial(t, serve(t, fake{InspectOperations: i}).dir)
	req := engine.InspectRequest{Object: "p/00/00", From: "cloud"}
	got, err := c.Inspect(t.Context(), req, nil)
	if !errors.Is(err, engine.ErrDegraded) {
		t.Errorf("error %v", err)
	}
	same(t, "the inspection", got, i.out)
	same(t, "what was asked", i.asked, req)
	i.out = nil
	if got, err := c.Inspect(t.Context(), req, nil); got != nil || !errors.Is(err, engine.ErrUsage) {
		t.Errorf("%+v (%v)", got, err)
	}
}

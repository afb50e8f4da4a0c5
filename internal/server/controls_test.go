package server_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/saypro/backupd/internal/controls"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
)

func TestControlsArriveWholeAlsoWithAMiss(t *testing.T) {
	want := engine.ControlsRequest{From: "cloud", Only: []string{"bit-flip"}}
	found := evidence.Controls{
		Site: "cloud", StandIn: "why", Clean: "L5", Only: want.Only, Seconds: 4.5,
		Faults:        []evidence.Fault{{ID: "bit-flip", Planted: "a bit", Expected: "L1", Caught: "L2", Detail: "late", Seconds: 1}},
		NotApplicable: []evidence.NotApplicable{{ID: "wal", Why: "none"}},
	}
	s := serve(t, fake{controls: func(_ context.Context, req engine.ControlsRequest, r progress.Reporter) (evidence.Controls, error) {
		if diff := cmp.Diff(want, req); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
		r.Report(progress.Event{Phase: "controls", Message: "bit-flip"})
		return found, controls.ErrMissed
	}})
	told := 0
	got, err := dial(t, s.dir).Controls(t.Context(), want, func(progress.Event) { told++ })
	if err == nil || errors.Is(err, engine.ErrDegraded) || errors.Is(err, engine.ErrDifference) {
		t.Errorf("a miss is told as %v", err)
	}
	if diff := cmp.Diff(found, got); diff != "" || told == 0 {
		t.Errorf("told %d times (-want +got):\n%s", told, diff)
	}
}

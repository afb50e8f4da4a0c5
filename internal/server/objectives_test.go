package server_test

import (
	"context"
	"errors"
	"testing"

	"github.com/saypro/backupd/internal/engine"
)

type ledger struct {
	asked engine.ObjectivesRequest
	out   engine.Objectives
}

func (l *ledger) Objectives(_ context.Context, req engine.ObjectivesRequest) (engine.Objectives, error) {
	l.asked = req
	if req.Function == "nobody" {
		return engine.Objectives{}, engine.ErrUsage
	}
	return l.out, nil
}

func TestObjectivesArriveWhole(t *testing.T) {
	p99, share := 312.25, 0.999997
	l := &ledger{out: engine.Objectives{
		Time: moment, From: moment, To: moment, Evidence: moment,
		Functions: []engine.FunctionObjectives{{
			Function: "payments", Since: moment, Violated: true,
			Policies: []engine.PolicyInForce{{From: moment, To: moment, RPOSeconds: 300, Sites: []string{"onsite"}}},
			Views: []engine.ExposureView{{Scope: "site", Site: "onsite", P99Seconds: &p99, Attainment: &share, Violations: []engine.ObjectiveViolation{{
				Start: moment, End: moment, PeakSeconds: 301, Causes: []engine.ViolationCause{{Kind: "no run", From: moment, To: moment, Count: 2, Detail: "<3 & more"}},
			}}}},
			Outlook: engine.Outlook{
				Interval: "interval 1m", Restore: []engine.RestoreOutlook{{Site: "cloud", Bytes: 1 << 50, Measured: true, At: moment, LeftSeconds: &p99}},
				Durable: engine.Development{Days: 20, From: moment, BreaksAt: moment, Earliest: moment, SecondsPerDay: &p99},
			},
		}},
	}}
	c := dial(t, serve(t, fake{ObjectiveOperations: l}).dir)
	req := engine.ObjectivesRequest{Function: "payments", From: moment, To: moment}
	got, err := c.Objectives(t.Context(), req)
	if err != nil {
		t.Error(err)
	}
	same(t, "the objectives", got, l.out)
	same(t, "what was asked", l.asked, req)
	if _, err := c.Objectives(t.Context(), engine.ObjectivesRequest{Function: "nobody"}); !errors.Is(err, engine.ErrUsage) {
		t.Errorf("error %v", err)
	}
}

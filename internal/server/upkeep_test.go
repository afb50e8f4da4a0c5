package server_test

import (
	"context"
	"testing"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

func TestUpkeepArrivesWholeAndSoDoesItsAnswer(t *testing.T) {
	lag, bytes := 12.5, int64(1<<40)
	var (
		syncing   = engine.SyncRequest{Sites: []string{"cloud", "a b"}}
		pruning   = engine.PruneRequest{Functions: []string{"payments"}, DryRun: true}
		holding   = engine.HoldRequest{Snapshot: "01J", Reason: "case <7> & more"}
		scrubbing = engine.ScrubRequest{Sites: []string{"cloud"}, Budget: 1 << 50}
		sweeping  = engine.SweepRequest{DryRun: true, MaxRewrite: &bytes}

		sites = engine.Sites{
			Time: moment, Serving: true, Spool: engine.Spool{UsedBytes: 1 << 50},
			Sites: []engine.SiteReport{{Site: "cloud", State: "away", LagSeconds: &lag, Faults: []engine.SiteFault{{Object: "p/ab", Since: moment, Lost: true}}}},
		}
		synced = []engine.SyncResult{{Site: "cloud", Missing: 3, ComparedAt: moment, Problems: []repository.Problem{{Object: "c/1", Detail: "?"}}}}
		pruned = engine.PruneResult{Time: moment, GoesAt: moment, Functions: []engine.PrunedFunction{{
			Function: "payments", Dropped: 1, Decisions: []engine.PruneDecision{{Snapshot: "01J", RecoveryPoint: moment, Reasons: []string{"no rule"}}},
		}}}
		held     = engine.RecoveryPoint{Snapshot: "01J", Held: holding.Reason, Sites: map[string]engine.PointAtSite{}}
		swept    = engine.SweepResult{Time: moment, Locked: 3, LockedUntil: moment, DeletedPacks: repository.Amount{Objects: 2, Bytes: 1 << 50}}
		scrubbed = []engine.ScrubResult{{Site: "cloud", Bad: 1, Wrong: []repository.WrongObject{{Object: "p/ab", Lost: true, Snapshots: []string{"01J"}}}}}
	)
	asked := map[string]any{}
	s := serve(t, fake{
		sites: func(context.Context) (engine.Sites, error) { return sites, nil },
		sync: func(_ context.Context, req engine.SyncRequest, r progress.Reporter) ([]engine.SyncResult, error) {
			asked["sync"] = req
			r.Report(progress.Event{Phase: "send", Site: "cloud", Done: 1, Total: 2})
			return synced, nil
		},
		prune: func(_ context.Context, req engine.PruneRequest, _ progress.Reporter) (engine.PruneResult, error) {
			asked["prune"] = req
			return pruned, nil
		},
		hold: func(_ context.Context, req engine.HoldRequest) (engine.RecoveryPoint, error) {
			asked["hold"] = req
			return held, nil
		},
		scrub: func(_ context.Context, req engine.ScrubRequest, _ progress.Reporter) ([]engine.ScrubResult, error) {
			asked["scrub"] = req
			return scrubbed, nil
		},
		sweep: func(_ context.Context, req engine.SweepRequest, _ progress.Reporter) (engine.SweepResult, error) {
			asked["sweep"] = req
			return swept, nil
		},
	})
	c := dial(t, s.dir)
	check := func(operation string, got any, err error, want any) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", operation, err)
		}
		same(t, "the answer of "+operation, got, want)
	}
	ctx := t.Context()

	gotSites, err := c.Sites(ctx)
	check("sites", gotSites, err, sites)
	var events []progress.Event
	gotSynced, err := c.Sync(ctx, syncing, func(e progress.Event) { events = append(events, e) })
	check("sync", gotSynced, err, synced)
	same(t, "what was told meanwhile", events, []progress.Event{{Phase: "send", Site: "cloud", Done: 1, Total: 2}})
	gotPruned, err := c.Prune(ctx, pruning, nil)
	check("prune", gotPruned, err, pruned)
	gotHeld, err := c.Hold(ctx, holding)
	check("hold", gotHeld, err, held)
	gotSwept, err := c.Sweep(ctx, sweeping, nil)
	check("sweep", gotSwept, err, swept)
	gotScrubbed, err := c.Scrub(ctx, scrubbing, nil)
	check("scrub", gotScrubbed, err, scrubbed)

	same(t, "what the service was asked", asked, map[string]any{"sync": syncing, "prune": pruning, "hold": holding, "sweep": sweeping, "scrub": scrubbing})
}

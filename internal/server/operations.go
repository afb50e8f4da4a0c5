// Package server lets commands talk to the running service: an API over a
// unix socket in the data directory, and the client for it. The client offers
// the same methods as the engine itself, so a command need not know which of
// the two answers.
package server

import (
	"context"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/verify"
)

// Operations is what can be asked of a backupd. The engine implements it, and
// so does [Client], which passes every call on to the engine of the running
// service.
//
// Snapshot, Verify and Sync work on several things and may return results beside
// an error: what was done before, and for the others.
type Operations interface {
	// Snapshot captures the named functions now; all of them when none is
	// named.
	Snapshot(ctx context.Context, functions []string, report progress.Reporter) ([]snapshot.Result, error)
	// Snapshots lists the recovery points of a function, newest first; of all
	// functions when function is empty.
	Snapshots(ctx context.Context, function string) ([]engine.RecoveryPoint, error)
	// Plan says what Restore would do, without touching the target.
	Plan(ctx context.Context, req restore.Request) (restore.Plan, error)
	// Restore brings a recovery point back into a database.
	Restore(ctx context.Context, req restore.Request, report progress.Reporter) (restore.Result, error)
	// Verify proves recovery points.
	Verify(ctx context.Context, req engine.VerifyRequest, report progress.Reporter) ([]verify.Result, error)
	// Sites says how every site fares.
	Sites(ctx context.Context) (engine.Sites, error)
	// Sync brings sites in step: it sends what waits and compares what they
	// hold.
	Sync(ctx context.Context, req engine.SyncRequest, report progress.Reporter) ([]engine.SyncResult, error)
	// Prune gives up the recovery points that no rule keeps.
	Prune(ctx context.Context, req engine.PruneRequest, report progress.Reporter) (engine.PruneResult, error)
	// Hold keeps a snapshot whatever the rules say, or lets it go again.
	Hold(ctx context.Context, req engine.HoldRequest) (engine.RecoveryPoint, error)
	// Sweep deletes what was given up and what nobody needs.
	Sweep(ctx context.Context, req engine.SweepRequest, report progress.Reporter) (engine.SweepResult, error)
	// Scrub reads what sites hold, and puts right what is wrong.
	Scrub(ctx context.Context, req engine.ScrubRequest, report progress.Reporter) ([]engine.ScrubResult, error)
	KeyOperations
	InspectOperations
	ReportOperations
	EvidenceOperations
	SuspectOperations
	ControlsOperations
	ObjectiveOperations
	DrillOperations
	// Status says how well the promises are being kept now.
	Status(ctx context.Context) (engine.Status, error)
}

package server_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/server"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/verify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake stands in for the engine: this package carries operations, it does not
// do them. Unset operations panic, which fails the test.
type fake struct {
	server.KeyOperations
	server.InspectOperations
	server.ReportOperations
	server.EvidenceOperations
	server.SuspectOperations
	server.ObjectiveOperations
	server.DrillOperations

	snapshot  func(context.Context, []string, progress.Reporter) ([]snapshot.Result, error)
	snapshots func(context.Context, string) ([]engine.RecoveryPoint, error)
	plan      func(context.Context, restore.Request) (restore.Plan, error)
	restore   func(context.Context, restore.Request, progress.Reporter) (restore.Result, error)
	verify    func(context.Context, engine.VerifyRequest, progress.Reporter) ([]verify.Result, error)
	status    func(context.Context) (engine.Status, error)
	sites     func(context.Context) (engine.Sites, error)
	sync      func(context.Context, engine.SyncRequest, progress.Reporter) ([]engine.SyncResult, error)
	prune     func(context.Context, engine.PruneRequest, progress.Reporter) (engine.PruneResult, error)
	hold      func(context.Context, engine.HoldRequest) (engine.RecoveryPoint, error)
	scrub     func(context.Context, engine.ScrubRequest, progress.Reporter) ([]engine.ScrubResult, error)
	sweep     func(context.Context, engine.SweepRequest, progress.Reporter) (engine.SweepResult, error)
	controls  func(context.Context, engine.ControlsRequest, progress.Reporter) (evidence.Controls, error)
}

func (f fake) Snapshot(ctx context.Context, functions []string, r progress.Reporter) ([]snapshot.Result, error) {
	return f.snapshot(ctx, functions, r)
}

func (f fake) Snapshots(ctx context.Context, function string) ([]engine.RecoveryPoint, error) {
	return f.snapshots(ctx, function)
}

func (f fake) Plan(ctx context.Context, req restore.Request) (restore.Plan, error) {
	return f.plan(ctx, req)
}

func (f fake) Restore(ctx context.Context, req restore.Request, r progress.Reporter) (restore.Result, error) {
	return f.restore(ctx, req, r)
}

func (f fake) Verify(ctx context.Context, req engine.VerifyRequest, r progress.Reporter) ([]verify.Result, error) {
	return f.verify(ctx, req, r)
}

func (f fake) Sites(ctx context.Context) (engine.Sites, error) { return f.sites(ctx) }

func (f fake) Sync(ctx context.Context, req engine.SyncRequest, r progress.Reporter) ([]engine.SyncResult, error) {
	return f.sync(ctx, req, r)
}

func (f fake) Prune(ctx context.Context, req engine.PruneRequest, r progress.Reporter) (engine.PruneResult, error) {
	return f.prune(ctx, req, r)
}

func (f fake) Hold(ctx context.Context, req engine.HoldRequest) (engine.RecoveryPoint, error) {
	return f.hold(ctx, req)
}

func (f fake) Sweep(ctx context.Context, req engine.SweepRequest, r progress.Reporter) (engine.SweepResult, error) {
	return f.sweep(ctx, req, r)
}

func (f fake) Scrub(ctx context.Context, req engine.ScrubRequest, r progress.Reporter) ([]engine.ScrubResult, error) {
	return f.scrub(ctx, req, r)
}

func (f fake) Controls(ctx context.Context, req engine.ControlsRequest, r progress.Reporter) (evidence.Controls, error) {
	return f.controls(ctx, req, r)
}

func (f fake) Status(ctx context.Context) (engine.Status, error) { return f.status(ctx) }

// dataDir returns a data directory whose path is short enough for a socket
// whatever the test is called.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "backupd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// service is a server under test.
type service struct {
	dir  string
	stop context.CancelFunc
	done chan error // what Serve returned
}

// serve starts a server and stops it when the test ends.
func serve(t *testing.T, ops server.Operations) *service {
	t.Helper()
	s := &service{dir: dataDir(t), done: make(chan error, 1)}
	l, err := server.Listen(t.Context(), s.dir)
	if err != nil {
		t.Fatal(err)
	}
	s.start(t, l, ops)
	return s
}

func (s *service) start(t *testing.T, l net.Listener, ops server.Operations) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.done <- server.Serve(ctx, l, ops, server.Options{Clock: clock.System, Log: slog.New(slog.DiscardHandler), Version: "v1.2.3"})
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

// dial connects a client that is closed when the test ends.
func dial(t *testing.T, dir string) *server.Client {
	t.Helper()
	c, err := server.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

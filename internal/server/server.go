package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/restore"
)

// stopGrace is how long a stopping server waits for operations to notice that
// they were cancelled, and to clear up behind them.
const stopGrace = 30 * time.Second

// Options are what a server needs besides its operations.
type Options struct {
	Clock   clock.Clock
	Log     *slog.Logger
	Version string // told to clients
}

// Serve answers on l with ops until ctx ends; then it cancels what runs, waits
// for it to end and returns nil. It closes l.
func Serve(ctx context.Context, l net.Listener, ops Operations, opt Options) error {
	s := &server{ops: ops, opt: opt, stopping: ctx, started: opt.Clock.Now().UTC()}
	srv := &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		// Every request's context ends with ctx, and so does its operation.
		BaseContext: func(net.Listener) context.Context { return ctx },
		// What is done is on record with who asked for it, and the kernel says who.
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return engine.By(ctx, peer(c)) },
		ErrorLog:    slog.NewLogLogger(opt.Log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		_ = srv.Close()
		return fmt.Errorf("serve the API on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	err := stop(context.WithoutCancel(ctx), srv)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// stop ends srv gently, and by force when that takes longer than stopGrace.
func stop(ctx context.Context, srv *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	err := srv.Shutdown(ctx)
	if err == nil {
		return nil
	}
	_ = srv.Close()
	return fmt.Errorf("stop the API: operations did not end within %v: %w", stopGrace, err)
}

type server struct {
	ops      Operations
	opt      Options
	stopping context.Context // ends when the server is to stop
	started  time.Time
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathPing, func(w http.ResponseWriter, _ *http.Request) {
		s.answer(w, Pong{PID: os.Getpid(), Version: s.opt.Version, Started: s.started}, nil)
	})
	mux.HandleFunc("GET "+pathStatus, func(w http.ResponseWriter, r *http.Request) {
		status, err := s.ops.Status(r.Context())
		s.answer(w, status, err)
	})
	mux.HandleFunc("GET "+pathSites, func(w http.ResponseWriter, r *http.Request) {
		sites, err := s.ops.Sites(r.Context())
		s.answer(w, sites, err)
	})
	mux.HandleFunc("GET "+pathSnapshots, func(w http.ResponseWriter, r *http.Request) {
		points, err := s.ops.Snapshots(r.Context(), r.URL.Query().Get("function"))
		s.answer(w, points, err)
	})
	mux.HandleFunc("POST "+pathPlan, func(w http.ResponseWriter, r *http.Request) {
		var req restore.Request
		if !s.body(w, r, &req) {
			return
		}
		plan, err := s.ops.Plan(r.Context(), req)
		s.answer(w, plan, err)
	})
	mux.HandleFunc("POST "+pathSnapshot, handle(s, func(ctx context.Context, req snapshotRequest, report progress.Reporter) (any, error) {
		return s.ops.Snapshot(ctx, req.Functions, report)
	}))
	mux.HandleFunc("POST "+pathRestore, handle(s, func(ctx context.Context, req restore.Request, report progress.Reporter) (any, error) {
		return s.ops.Restore(ctx, req, report)
	}))
	mux.HandleFunc("POST "+pathVerify, handle(s, func(ctx context.Context, req engine.VerifyRequest, report progress.Reporter) (any, error) {
		return s.ops.Verify(ctx, req, report)
	}))
	mux.HandleFunc("POST "+pathSync, handle(s, func(ctx context.Context, req engine.SyncRequest, report progress.Reporter) (any, error) {
		return s.ops.Sync(ctx, req, report)
	}))
	mux.HandleFunc("POST "+pathPrune, handle(s, func(ctx context.Context, req engine.PruneRequest, report progress.Reporter) (any, error) {
		return s.ops.Prune(ctx, req, report)
	}))
	mux.HandleFunc("POST "+pathHold, handle(s, func(ctx context.Context, req engine.HoldRequest, _ progress.Reporter) (any, error) {
		return s.ops.Hold(ctx, req)
	}))
	mux.HandleFunc("POST "+pathSweep, handle(s, func(ctx context.Context, req engine.SweepRequest, report progress.Reporter) (any, error) {
		return s.ops.Sweep(ctx, req, report)
	}))
	mux.HandleFunc("POST "+pathScrub, handle(s, func(ctx context.Context, req engine.ScrubRequest, report progress.Reporter) (any, error) {
		return s.ops.Scrub(ctx, req, report)
	}))
	s.keyRoutes(mux)
	s.inspectRoutes(mux)
	s.reportRoutes(mux)
	s.evidenceRoutes(mux)
	s.suspectRoutes(mux)
	s.controlsRoutes(mux)
	s.objectiveRoutes(mux)
	s.drillRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, nil, fmt.Errorf("%w: the service does not know %s %s; is it another version than the command?", engine.ErrUsage, r.Method, r.URL.Path))
	})
	return mux
}

// handle answers a long operation: its events as they come, then its outcome.
// The operation is cancelled when the client goes away.
func handle[R any](s *server, op func(context.Context, R, progress.Reporter) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var req R
		if !s.body(w, r, &req) {
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		f := newFeed(w, s.opt.Clock)
		result, err := watched(r.Context(), f, req, op)
		s.answer(w, result, err)
	}
}

// watched runs op while its events go to the client, and returns when all of
// them have been sent.
func watched[R any](ctx context.Context, f *feed, req R, op func(context.Context, R, progress.Reporter) (any, error)) (any, error) {
	feeding, cancel := context.WithCancel(ctx)
	defer cancel()
	var delivery sync.WaitGroup
	delivery.Go(func() { f.run(feeding) })
	result, err := op(ctx, req, f.report)
	cancel()
	delivery.Wait()
	// A client that is gone cannot be told; the outcome fails to go out too.
	_ = f.deliver()
	return result, err
}

// body reads the request's JSON body into v, or answers with what is wrong
// with it. It reads to the end, without which the server would not notice
// that the client goes away.
func (s *server) body(w http.ResponseWriter, r *http.Request, v any) bool {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		s.answer(w, nil, fmt.Errorf("%w: read the request %s: %w", engine.ErrUsage, r.URL.Path, err))
		return false
	}
	return true
}

// answer ends the answer with the outcome. An operation that was cancelled by
// the stop of the service, and not by its client, says so.
func (s *server) answer(w http.ResponseWriter, result any, err error) {
	if err != nil && s.stopping.Err() != nil && errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w: %w", ErrStopping, err)
	}
	if werr := writeOutcome(w, result, err); werr != nil {
		s.opt.Log.Debug("client went away before its answer", "error", werr)
	}
}

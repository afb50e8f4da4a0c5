package server_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/saypro/backupd/internal/engine"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/restore"
	"github.com/saypro/backupd/internal/server"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/verify"
)

var moment = time.Date(2026, 11, 23, 10, 42, 0, 123456789, time.UTC)

// same fails the test when got is not want.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

func TestEveryOperationArrivesWholeAndSoDoesItsAnswer(t *testing.T) {
	exposure := 12.5
	var (
		request = restore.Request{
			Function: "payments", To: "postgres://u:p%40ss@h/db?sslmode=require", At: moment, Snapshot: "01J", From: "cloud",
			Tables: []string{"payments.orders", `payments."a,b"`}, Replace: true, NoOwner: true, Jobs: 3,
		}
		proof = engine.VerifyRequest{Functions: []string{"payments"}, Snapshot: "01J", From: "onsite", Level: "L5"}

		taken = []snapshot.Result{{
			Function: "payments", Snapshot: "01J", RecoveryPoint: moment, Rows: 1 << 60,
			Sites:  map[string]snapshot.SiteState{"cloud": {State: snapshot.StateDurable, DurableAt: moment}},
			Tables: []snapshot.Table{{Name: "payments.orders", Rows: 3, Digest: "d"}},
			Phases: map[string]float64{"copy": 0.25},
		}}
		points   = []engine.RecoveryPoint{{Function: "payments", RecoveryPoint: moment, Sites: map[string]engine.PointAtSite{"cloud": {State: "spooled"}}}}
		plan     = restore.Plan{Function: "payments", SiteOrder: []string{"onsite", "cloud"}, RecoveryPoint: moment, Steps: []string{"<a> & b"}}
		restored = restore.Result{Function: "payments", FallThroughs: []restore.FallThrough{{Object: "packs/ab", Site: "onsite", Then: "cloud", Reason: "missing"}}}
		proven   = []verify.Result{{Function: "payments", Level: "L5", Passed: true, Checks: []verify.Check{{Name: "rows", Level: "L5", Passed: true}}}}
		status   = engine.Status{Time: moment, Serving: true, Functions: []engine.FunctionStatus{{Function: "payments", ExposureAnySeconds: &exposure}}}
	)
	asked := map[string]any{}
	s := serve(t, fake{
		snapshot: func(_ context.Context, functions []string, _ progress.Reporter) ([]snapshot.Result, error) {
			asked["snapshot"] = functions
			return taken, nil
		},
		snapshots: func(_ context.Context, function string) ([]engine.RecoveryPoint, error) {
			asked["snapshots"] = function
			return points, nil
		},
		plan: func(_ context.Context, req restore.Request) (restore.Plan, error) {
			asked["plan"] = req
			return plan, nil
		},
		restore: func(_ context.Context, req restore.Request, _ progress.Reporter) (restore.Result, error) {
			asked["restore"] = req
			return restored, nil
		},
		verify: func(_ context.Context, req engine.VerifyRequest, _ progress.Reporter) ([]verify.Result, error) {
			asked["verify"] = req
			return proven, nil
		},
		status: func(context.Context) (engine.Status, error) { return status, nil },
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

	gotTaken, err := c.Snapshot(ctx, []string{"payments", "a&b=c"}, nil)
	check("snapshot", gotTaken, err, taken)
	gotPoints, err := c.Snapshots(ctx, "a&b=c d")
	check("snapshots", gotPoints, err, points)
	gotPlan, err := c.Plan(ctx, request)
	check("plan", gotPlan, err, plan)
	gotRestored, err := c.Restore(ctx, request, nil)
	check("restore", gotRestored, err, restored)
	gotProven, err := c.Verify(ctx, proof, nil)
	check("verify", gotProven, err, proven)
	gotStatus, err := c.Status(ctx)
	check("status", gotStatus, err, status)

	same(t, "what the service was asked", asked, map[string]any{
		"snapshot": []string{"payments", "a&b=c"}, "snapshots": "a&b=c d",
		"plan": request, "restore": request, "verify": proof,
	})
	if pong := c.Service(); pong.PID != os.Getpid() || pong.Version != "v1.2.3" || pong.Started.IsZero() {
		t.Errorf("the service introduces itself as %+v", pong)
	}
}

func TestErrorsKeepTheirKindAndTheirResults(t *testing.T) {
	for _, tc := range []struct {
		err  error
		kind server.Kind
		is   error
	}{
		{errors.New("disk full"), server.KindFailed, nil},
		{fmt.Errorf("verify payments: %w", engine.ErrDifference), server.KindDifference, engine.ErrDifference},
		{fmt.Errorf("verify payments: %w", engine.ErrDegraded), server.KindDegraded, engine.ErrDegraded},
		{fmt.Errorf("no function %q: %w", "x", engine.ErrUsage), server.KindUsage, engine.ErrUsage},
		{fmt.Errorf("no table %q: %w", "x", restore.ErrRequest), server.KindUsage, restore.ErrRequest},
		{fmt.Errorf("no level %q: %w", "x", verify.ErrRequest), server.KindUsage, verify.ErrRequest},
		{fmt.Errorf("read keys: %w", engine.ErrConfig), server.KindConfig, engine.ErrConfig},
		{fmt.Errorf("open: %w", engine.ErrCatalogBusy), server.KindBusy, engine.ErrCatalogBusy},
		{fmt.Errorf("open: %w", engine.ErrNotInitialized), server.KindNotInitialized, engine.ErrNotInitialized},
		{fmt.Errorf("copy: %w", context.Canceled), server.KindCanceled, context.Canceled},
		{fmt.Errorf("copy: %w", context.DeadlineExceeded), server.KindFailed, nil},
		{errors.Join(engine.ErrDegraded, engine.ErrDifference), server.KindDifference, engine.ErrDifference},
	} {
		t.Run(tc.err.Error(), func(t *testing.T) {
			partial := []verify.Result{{Function: "accounts", Level: "L3"}}
			s := serve(t, fake{
				verify: func(context.Context, engine.VerifyRequest, progress.Reporter) ([]verify.Result, error) {
					return partial, tc.err
				},
				status: func(context.Context) (engine.Status, error) { return engine.Status{}, tc.err },
			})
			c := dial(t, s.dir)
			got, err := c.Verify(t.Context(), engine.VerifyRequest{}, nil)
			same(t, "the result beside the error", got, partial)
			_, short := c.Status(t.Context())
			for _, err := range []error{err, short} {
				if err == nil || err.Error() != tc.err.Error() {
					t.Errorf("the message became %v", err)
				}
				if server.KindOf(err) != tc.kind {
					t.Errorf("the kind became %q, want %q", server.KindOf(err), tc.kind)
				}
				if tc.is != nil && !errors.Is(err, tc.is) {
					t.Errorf("%v is no longer %v", err, tc.is)
				}
				if tc.kind == server.KindFailed && errors.Is(err, engine.ErrUsage) {
					t.Errorf("%v became wrong usage", err)
				}
			}
		})
	}
}

func TestEventsReachTheClientWhileTheOperationRuns(t *testing.T) {
	seen := make(chan struct{})
	s := serve(t, fake{snapshot: func(ctx context.Context, _ []string, report progress.Reporter) ([]snapshot.Result, error) {
		report(progress.Event{Function: "payments", Phase: "lock", Message: "waiting for a lock"})
		select {
		case <-seen: // only the client's reading of the first event lets this go on
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		for i := int64(1); i <= 100_000; i++ {
			report(progress.Event{Function: "payments", Phase: "copy", Done: i, Total: 100_000})
			if i%10_000 == 0 {
				report(progress.Event{Function: "payments", Phase: "copy", Message: fmt.Sprint("sentence ", i)})
			}
		}
		return nil, nil
	}})
	var sentences []string
	var last progress.Event
	counted := 0
	_, err := dial(t, s.dir).Snapshot(t.Context(), nil, func(e progress.Event) {
		if e.Phase == "lock" {
			close(seen)
		}
		if e.Message != "" {
			sentences = append(sentences, e.Message)
			return
		}
		counted++
		last = e
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sentences) != 11 || sentences[10] != "sentence 100000" {
		t.Errorf("sentences were lost or came out of order: %q", sentences)
	}
	if last.Done != 100_000 || last.Total != 100_000 {
		t.Errorf("the last count that arrived is %+v", last)
	}
	if counted > 1000 {
		t.Errorf("%d counts were sent, of which nobody could see more than a few", counted)
	}
}

func TestCancellingTheClientCancelsTheOperation(t *testing.T) {
	running := make(chan struct{})
	ended := make(chan error, 1)
	s := serve(t, fake{
		restore: func(ctx context.Context, _ restore.Request, _ progress.Reporter) (restore.Result, error) {
			close(running)
			<-ctx.Done()
			ended <- ctx.Err()
			return restore.Result{}, ctx.Err()
		},
		status: func(context.Context) (engine.Status, error) { return engine.Status{Serving: true}, nil },
	})
	c := dial(t, s.dir)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-running
		cancel()
	}()
	if _, err := c.Restore(ctx, restore.Request{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("the client says %v", err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the operation ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the operation runs on although its client is gone")
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("the service is not well afterwards: %v", err)
	}
}

func TestStoppingCancelsOperationsAndSaysSo(t *testing.T) {
	running := make(chan struct{})
	s := serve(t, fake{snapshot: func(ctx context.Context, _ []string, _ progress.Reporter) ([]snapshot.Result, error) {
		close(running)
		<-ctx.Done()
		return []snapshot.Result{{Function: "payments", Error: "abandoned"}}, fmt.Errorf("snapshot payments: %w", ctx.Err())
	}})
	c := dial(t, s.dir)
	go func() {
		<-running
		s.stop()
	}()
	results, err := c.Snapshot(t.Context(), nil, nil)
	if !errors.Is(err, server.ErrStopping) || !strings.Contains(err.Error(), "snapshot payments") {
		t.Errorf("the client says %v", err)
	}
	if len(results) != 1 || results[0].Error != "abandoned" {
		t.Errorf("the results of a stopped operation are %+v", results)
	}
	if err := <-s.done; err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if _, err := server.Dial(t.Context(), s.dir); !errors.Is(err, server.ErrNoService) {
		t.Errorf("after the stop, Dial says %v", err)
	}
	if _, err := os.Lstat(server.SocketPath(s.dir)); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/progress"
)

// watch is a session that does nothing but end when the server does. The
// commits of a restore do not wait for the disk, so that a server that crashes
// and comes back may have lost rows that it had taken: then the restore must
// not go on with new connections as if nothing had happened. It also tells
// whether the server still answers while others wait for long work of it.
type watch struct {
	dog progress.Watchdog
	ctx context.Context // of the heartbeat, which outlives what it is for
	end context.CancelFunc

	mu   sync.Mutex
	conn *pgx.Conn
}

func newWatch(ctx context.Context, config *pgx.ConnConfig, dog progress.Watchdog) (*watch, error) {
	conn, err := dial(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := watched(ctx, dog, conn, func(ctx context.Context) error { return pin(ctx, conn, 0, nil) }); err != nil {
		_ = hangUp(conn) // the first error is the one that tells
		return nil, err
	}
	w := &watch{dog: dog, conn: conn}
	w.ctx, w.end = context.WithCancel(context.WithoutCancel(ctx))
	return w, nil
}

// check fails when the server has gone at any time since the restore began.
func (w *watch) check(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := watched(ctx, w.dog, w.conn, w.conn.Ping); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("the session that watches the server was lost, so the server may have crashed "+
			"and forgotten rows that it had taken: begin this restore again: %w", err)
	}
	return nil
}

// beatsPerBound is how often the server is asked, within the time in which it
// must answer once.
const beatsPerBound = 20

// alive does work for which the server may need hours in which no byte moves:
// it builds indexes, checks foreign keys, fills materialized views. The work
// is ended when the server does not answer any more, on a session that asks it
// for nothing but that. What is stopped alone, while its server answers, is
// not noticed: nobody can tell it from a large index.
func (w *watch) alive(ctx context.Context, work func(context.Context) error) error {
	return watched(ctx, w.dog, w.conn, func(ctx context.Context) error {
		beating, stop := context.WithCancel(ctx)
		defer stop()
		over := make(chan struct{})
		go func() {
			defer close(over)
			for w.dog.Clock.Sleep(beating, w.dog.Bound/beatsPerBound) == nil && w.beat() == nil {
			}
		}()
		err := work(ctx)
		stop()
		select {
		case <-over:
		case <-ctx.Done(): // it waits for an answer, until the watch is closed
		}
		return err
	})
}

// beat asks the server for an answer.
func (w *watch) beat() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conn.Ping(w.ctx)
}

func (w *watch) close() error {
	w.end()
	w.mu.Lock()
	defer w.mu.Unlock()
	return hangUp(w.conn)
}

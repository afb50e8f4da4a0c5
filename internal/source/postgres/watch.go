package postgres

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
)

// watch is a session that does nothing but end when the server does. The
// commits of a restore do not wait for the disk, so that a server that crashes
// and comes back may have lost rows that it had taken: then the restore must
// not go on with new connections as if nothing had happened.
type watch struct {
	mu   sync.Mutex
	conn *pgx.Conn
}

func newWatch(ctx context.Context, config *pgx.ConnConfig) (*watch, error) {
	conn, err := pgx.ConnectConfig(ctx, config.Copy())
	if err != nil {
		return nil, &reachError{err}
	}
	if err := pin(ctx, conn, 0); err != nil {
		_ = hangUp(conn) // the first error is the one that tells
		return nil, err
	}
	return &watch{conn: conn}, nil
}

// check fails when the server has gone at any time since the restore began.
func (w *watch) check(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.conn.Ping(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("the session that watches the server was lost, so the server may have crashed "+
			"and forgotten rows that it had taken: begin this restore again: %w", err)
	}
	return nil
}

func (w *watch) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return hangUp(w.conn)
}

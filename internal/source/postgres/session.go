package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/progress"
)

// pool holds the worker sessions of a capture, each in a transaction that sees
// the exported snapshot. They are opened when first needed.
type pool struct {
	open func(context.Context) (*pgx.Conn, error)
	// dog ends what hangs.
	dog progress.Watchdog
	// slots has room for one token per session in use.
	slots chan struct{}
	mu    sync.Mutex
	idle  []*pgx.Conn
	shut  bool // sessions given back are ended
}

func newPool(n int, dog progress.Watchdog, open func(context.Context) (*pgx.Conn, error)) *pool {
	return &pool{open: open, dog: dog, slots: make(chan struct{}, n)}
}

// use waits for a session and calls f with it, up to the moment when nothing
// moves over it any more; the error matches [progress.ErrStalled] then. A
// session with which f failed is not used again: its transaction may be
// broken.
func (p *pool) use(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	return p.lend(ctx, func(conn *pgx.Conn) error {
		return watched(ctx, p.dog, conn, func(ctx context.Context) error { return f(ctx, conn) })
	})
}

// lend is use without the watchdog.
func (p *pool) lend(ctx context.Context, f func(*pgx.Conn) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.slots }()
	conn, err := p.take(ctx)
	if err != nil {
		return err
	}
	if err := f(conn); err != nil {
		_ = hangUp(conn) // f's error is the one that tells
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		_ = hangUp(conn) // f is done with it
		return nil
	}
	p.idle = append(p.idle, conn)
	return nil
}

// take returns an idle session or a new one.
func (p *pool) take(ctx context.Context) (*pgx.Conn, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		conn := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return conn, nil
	}
	p.mu.Unlock()
	return p.open(ctx)
}

// close ends the idle sessions, and every other one as it is given back.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	var errs []error
	for _, conn := range p.idle {
		errs = append(errs, hangUp(conn))
	}
	p.idle = nil
	return errors.Join(errs...)
}

// hangUp closes a session without waiting for a server that does not answer.
func hangUp(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return conn.Close(ctx)
}

// openWorker opens a session that sees the snapshot. The import must be the
// first statement of the transaction.
func (s *Source) openWorker(ctx context.Context, function string, snap snapshotID) (*pgx.Conn, error) {
	conn, err := s.connect(ctx, function)
	if err != nil {
		return nil, err
	}
	err = watched(ctx, s.dog(), conn, func(ctx context.Context) error { return importSnapshot(ctx, conn, snap) })
	if err != nil {
		_ = hangUp(conn) // the first error is the one that tells
		return nil, err
	}
	return conn, nil
}

// snapshotID is an exported snapshot: its name and the transactions that it
// sees, by which an import is checked.
type snapshotID struct{ name, horizon string }

func importSnapshot(ctx context.Context, conn *pgx.Conn, snap snapshotID) error {
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return err
	}
	// The name comes from the server and is made of hexadecimal digits and dashes.
	if _, err := conn.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+snap.name+"'"); err != nil {
		return fmt.Errorf("importing the snapshot: %w", err)
	}
	var horizon string
	if err := conn.QueryRow(ctx, "SELECT txid_current_snapshot()::text").Scan(&horizon); err != nil {
		return fmt.Errorf("checking the imported snapshot: %w", err)
	}
	if horizon != snap.horizon {
		return fmt.Errorf("the imported snapshot sees other transactions (%s) than the exported one (%s)", horizon, snap.horizon)
	}
	return nil
}

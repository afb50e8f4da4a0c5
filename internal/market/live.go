package market

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/time/rate"
)

// Counts says what the customers did.
type Counts struct {
	Orders   int64 `json:"orders"` // each with its payment and two ledger entries
	Refunds  int64 `json:"refunds"`
	Sessions int64 `json:"sessions"`
	Moves    int64 `json:"stock_moves"`
	Prices   int64 `json:"price_changes"`
	// Refused are the writes that the database answered with an error, as
	// when somebody has dropped a table.
	Refused int64 `json:"refused"`
}

// Writes is the number of business events that were committed.
func (c Counts) Writes() int64 { return c.Orders + c.Refunds + c.Sessions + c.Moves + c.Prices }

// Traffic is customers at work on a seeded marketplace, until they are
// stopped.
type Traffic struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	counts  Counts
	refusal error
	err     error
}

// Live starts customers who write to the marketplace at url about perSecond
// times a second, each time in one transaction that keeps the books balanced,
// until ctx ends or Stop is called. A write that the database refuses is
// counted and the customers go on; a lost connection ends the traffic.
func Live(ctx context.Context, url string, perSecond float64, seed uint64) (*Traffic, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("market: live: connect: %w", err)
	}
	c := customer{conn: conn, rand: rand.New(rand.NewPCG(seed, 1))}
	if err := c.look(ctx); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx)) // the error that counts is known
		return nil, fmt.Errorf("market: live: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &Traffic{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(t.done)
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all is committed
		err := t.run(ctx, c, rate.NewLimiter(rate.Limit(perSecond), 1))
		t.mu.Lock()
		t.err = err
		t.mu.Unlock()
	}()
	return t, nil
}

// Done is closed when the traffic has ended, for whatever reason.
func (t *Traffic) Done() <-chan struct{} { return t.done }

// Counts returns what has been done so far.
func (t *Traffic) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}

// Refusal returns the newest error that the database answered a write with,
// or nil.
func (t *Traffic) Refusal() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refusal
}

// Stop ends the traffic, waits for the last transaction and returns what was
// done, with the error that ended the traffic early, if one did.
func (t *Traffic) Stop() (Counts, error) {
	t.cancel()
	<-t.done
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts, t.err
}

func (t *Traffic) run(ctx context.Context, c customer, limit *rate.Limiter) error {
	for limit.Wait(ctx) == nil {
		field, sql, args := c.next(&t.counts)
		// The statement is not bound to ctx: a cancelled one would close the
		// connection without saying whether it took place.
		tag, err := c.conn.Exec(context.WithoutCancel(ctx), sql, args...)
		var refused *pgconn.PgError
		t.mu.Lock()
		switch {
		case err == nil && tag.RowsAffected() > 0:
			*field++
		case errors.As(err, &refused):
			t.counts.Refused++
			t.refusal = err
			err = nil
		}
		t.mu.Unlock()
		if err != nil {
			return fmt.Errorf("market: live: %w", err)
		}
	}
	return nil
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/jackc/pgx/v5"
)

// lockAttempts is how often a capture locks its tables anew because they
// changed meanwhile.
const lockAttempts = 3

// Capture is a consistent state of the scope of a function, held open for
// reading. It is safe for concurrent use and must be closed. The locks and
// the snapshot are held by one session; when that is lost, everything fails
// with [ErrSnapshotLost].
type Capture struct {
	source   *Source
	sel      selection
	snapshot snapshotID
	point    Point
	tables   []Table
	outside  []Reference
	notes    []string
	exporter *pgx.Conn
	pool     *pool

	// ctx ends with the capture; its cause says why.
	ctx  context.Context
	end  context.CancelCauseFunc
	work sync.WaitGroup // the calls that are under way
	bg   sync.WaitGroup // the watchers
	mu   sync.Mutex     // guards shut against new calls
	shut bool
	// hungUp is the error of ending the sessions, once bg is done.
	hungUp error
}

// Capture locks the tables of the scope, takes a snapshot and holds both until
// Close. ctx bounds the whole life of the capture. Errors are a *ScopeError, a
// *RightsError, a *LockError, ErrUnstable, or from the connection.
func (s *Source) Capture(ctx context.Context, scope Scope) (*Capture, error) {
	conn, err := s.connect(ctx, scope.Function)
	if err != nil {
		return nil, s.wrap(scope, "starting the capture", err)
	}
	c := &Capture{source: s, exporter: conn}
	dog := s.dog()
	dog.Bound += s.opts.LockTimeout // in which nothing moves, as agreed
	err = watched(ctx, dog, conn, func(ctx context.Context) error { return c.begin(ctx, scope) })
	if err != nil {
		_ = hangUp(conn) // the first error is the one that tells
		return nil, s.wrap(scope, "starting the capture", err)
	}
	c.ctx, c.end = context.WithCancelCause(ctx)
	c.pool = newPool(s.opts.Connections, s.dog(), func(ctx context.Context) (*pgx.Conn, error) {
		return s.openWorker(ctx, scope.Function, c.snapshot)
	})
	c.bg.Go(c.watchExporter)
	if s.opts.MaxSnapshotAge > 0 {
		c.bg.Go(c.watchAge)
	}
	return c, nil
}

// begin takes locks and snapshot on the exporter's session and reads what a
// capture needs to know.
func (c *Capture) begin(ctx context.Context, scope Scope) error {
	point, err := identity(ctx, c.exporter)
	if err != nil {
		return err
	}
	if err := point.versionError(); err != nil {
		return err
	}
	c.point = point
	for attempt := 1; ; attempt++ {
		why, err := c.attempt(ctx, scope)
		if err != nil || why == "" {
			return err
		}
		c.source.opts.Log.InfoContext(ctx, "tables changed while they were being locked",
			"source", c.source.opts.Name, "function", scope.Function, "change", why, "attempt", attempt)
		if attempt == lockAttempts {
			return fmt.Errorf("%w (at last: %s)", ErrUnstable, why)
		}
	}
}

// attempt plans, locks and takes the snapshot once. It returns what changed in
// between, "" when nothing did; only then is the transaction left open.
func (c *Capture) attempt(ctx context.Context, scope Scope) (changed string, err error) {
	sel, err := resolve(ctx, c.exporter, scope)
	if err == nil {
		err = sel.unmatchedError()
	}
	if err == nil {
		err = checkRights(ctx, c.exporter, sel)
	}
	if err != nil {
		return "", err
	}
	call(c.source.hooks.planned)
	defer func() {
		if changed != "" || err != nil {
			_, rollbackErr := c.exporter.Exec(ctx, "ROLLBACK")
			err = errors.Join(err, ignoreIf(err != nil, rollbackErr))
		}
	}()
	changed, err = c.lock(ctx, sel)
	if changed != "" || err != nil {
		return changed, err
	}
	call(c.source.hooks.locked)
	if err := c.export(ctx); err != nil {
		return "", err
	}
	call(c.source.hooks.exported)
	return c.survey(ctx, scope)
}

// call calls a hook of a test, if there is one.
func call(hook func()) {
	if hook != nil {
		hook()
	}
}

// ignoreIf returns nil when there is a more telling error.
func ignoreIf(known bool, err error) error {
	if known {
		return nil
	}
	return err
}

// lock opens the transaction and takes the locks.
func (c *Capture) lock(ctx context.Context, sel selection) (changed string, err error) {
	if _, err := c.exporter.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return "", err
	}
	relations, timeout := sel.lockable(), c.source.opts.LockTimeout
	err = lockTables(ctx, c.exporter, relations, timeout)
	switch {
	case err == nil:
		return "", nil
	case hasCode(err, codeUndefinedTable, codeInvalidSchema):
		return fmt.Sprintf("a table was dropped or renamed: %v", err), nil
	}
	if _, rollbackErr := c.exporter.Exec(ctx, "ROLLBACK"); rollbackErr != nil {
		return "", err
	}
	return "", explainLock(ctx, c.exporter, relations, timeout, err)
}

// export takes the snapshot. The time is read before it, so that it is never
// later than the data.
func (c *Capture) export(ctx context.Context) error {
	c.point.Time = c.source.opts.Clock.Now().UTC()
	err := c.exporter.QueryRow(ctx, `
		SELECT pg_export_snapshot(), txid_current_snapshot()::text, clock_timestamp(),
			CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text`).Scan(
		&c.snapshot.name, &c.snapshot.horizon, &c.point.DatabaseTime, &c.point.LSN)
	if err != nil {
		return fmt.Errorf("exporting the snapshot: %w", err)
	}
	c.point.DatabaseTime = c.point.DatabaseTime.UTC()
	return nil
}

// survey reads under the snapshot what is captured. It returns what is not as
// it was when the locks were taken.
func (c *Capture) survey(ctx context.Context, scope Scope) (changed string, err error) {
	sel, err := resolve(ctx, c.exporter, scope)
	if err != nil {
		return "", err
	}
	if err := sel.unmatchedError(); err != nil {
		return err.Error(), nil
	}
	relations := sel.lockable()
	seen, err := inspect(ctx, c.exporter, relations)
	if err != nil {
		return "", fmt.Errorf("reading the tables: %w", err)
	}
	if changed := unsettled(relations, seen); changed != "" {
		return changed, nil
	}
	// Rights may have changed with the tables.
	if err := checkRights(ctx, c.exporter, sel); err != nil {
		return "", err
	}
	if err := checkDependencies(ctx, c.exporter, sel); err != nil {
		return "", err
	}
	c.sel = sel
	if c.outside, err = outside(ctx, c.exporter, sel); err != nil {
		return "", err
	}
	if c.tables, c.notes, err = c.source.planTables(ctx, c.exporter, sel, seen, c.point); err != nil {
		return "", err
	}
	if c.point.Encoding == "SQL_ASCII" {
		c.notes = append(c.notes, "the database is SQL_ASCII: the bytes of its texts have no known meaning and are kept as they are")
	}
	objects, err := largeObjectsTable(ctx, c.exporter, sel)
	c.tables = append(c.tables, objects...)
	return "", err
}

// watchExporter waits for the end of the exporter's session or of the capture:
// nothing is ever sent to that session, so that reading from it returns only
// then. Locks and snapshot are let go at once, not only in Close.
func (c *Capture) watchExporter() {
	err := c.exporter.PgConn().WaitForNotification(c.ctx)
	if c.ctx.Err() == nil {
		c.end(fmt.Errorf("%w: %w", ErrSnapshotLost, err))
	}
	c.hungUp = errors.Join(c.pool.close(), ignoreIf(c.exporter.IsClosed(), hangUp(c.exporter)))
}

// watchAge ends the capture when its snapshot is too old.
func (c *Capture) watchAge() {
	age := c.source.opts.MaxSnapshotAge
	if c.source.opts.Clock.Sleep(c.ctx, age) == nil {
		c.end(fmt.Errorf("%w (%s)", ErrSnapshotAge, age))
	}
}

// do runs one call of a user of the capture, under a context that ends with
// the capture too, and says in its error what was being done.
func (c *Capture) do(ctx context.Context, doing string, f func(context.Context) error) error {
	c.mu.Lock()
	if c.shut {
		c.mu.Unlock()
		return c.source.wrap(c.sel.Scope, doing, ErrClosed)
	}
	c.work.Add(1)
	c.mu.Unlock()
	defer c.work.Done()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })()
	err := f(ctx)
	if err == nil {
		return nil
	}
	if cause := context.Cause(c.ctx); cause != nil && !errors.Is(err, cause) {
		err = cause // what f failed with is only a consequence
	}
	return c.source.wrap(c.sel.Scope, doing, err)
}

// onWorker runs f with a worker session that sees the snapshot.
func (c *Capture) onWorker(ctx context.Context, doing string, f func(context.Context, *pgx.Conn) error) error {
	return c.do(ctx, doing, func(ctx context.Context) error {
		return c.pool.use(ctx, f)
	})
}

// Point returns the consistent state that is held.
func (c *Capture) Point() Point { return c.point }

// Tables returns the tables with rows, by schema and name, the large objects
// last.
func (c *Capture) Tables() []Table { return c.tables }

// Outside returns the foreign keys that leave the scope.
func (c *Capture) Outside() []Reference { return c.outside }

// Notes returns sentences for the report about what is in the scope and whose
// rows are not captured.
func (c *Capture) Notes() []string { return c.notes }

// CopyPart writes the rows of a part of a table to w as COPY text and returns
// their number. It waits for a free session. After an error w holds some of
// the rows and must be thrown away.
func (c *Capture) CopyPart(ctx context.Context, t Table, p Part, w io.Writer) (int64, error) {
	var rows int64
	err := c.onWorker(ctx, "copying "+t.String(), func(ctx context.Context, conn *pgx.Conn) error {
		if err := c.guard(ctx, conn, t); err != nil {
			return err
		}
		var err error
		rows, err = copyOut(ctx, conn.PgConn(), copyOutSQL(t, p), takenRows{w, trafficOf(conn)})
		return err
	})
	return rows, err
}

// Close lets locks and snapshot go and ends all sessions; calls that are under
// way fail. A second call does nothing.
func (c *Capture) Close(context.Context) error {
	c.mu.Lock()
	again := c.shut
	c.shut = true
	c.mu.Unlock()
	if again {
		return nil
	}
	c.end(ErrClosed)
	c.work.Wait()
	c.bg.Wait()
	return c.hungUp
}

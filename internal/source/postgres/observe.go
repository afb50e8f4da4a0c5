package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// ErrNotOneValue means that a query answered something else than one row of
// one column with a short value.
var ErrNotOneValue = errors.New("a check must answer one row of one column")

// maxObserved is how many bytes a value may have. What is observed is shown and
// recorded: counts, sums and digests, not somebody's data.
const maxObserved = 200

// Patience bounds what queries may cost a source.
type Patience struct {
	// Each is how long one query may run, All how long all of them together.
	Each, All time.Duration
}

// Observed is what one query answered, as text. Err says why nothing was
// observed: the query is wrong, took too long, or answered something else than
// one value (it then matches [ErrNotOneValue]).
type Observed struct {
	Value string
	Err   error
}

// Observe runs queries under the snapshot of the capture, each by itself, in a
// session of its own beside those that copy, which is ended afterwards. To be
// called when [Capture.Schema] is done, whose session it takes the place of: so
// a capture has no more sessions at once than it said. Nothing that a query does or fails with touches the capture:
// queries can only read, wait for no lock longer than anybody here, and end
// when their time is up.
func (c *Capture) Observe(ctx context.Context, queries []string, p Patience) []Observed {
	out := make([]Observed, len(queries))
	done := 0
	err := c.do(ctx, "running the function's checks", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, p.All)
		defer cancel()
		conn, err := c.openBeside(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = hangUp(conn) }() // what was set in it must meet nobody
		for ; done < len(queries); done++ {
			out[done].Value, out[done].Err = c.observe(ctx, conn, queries[done], p.Each)
			if conn.IsClosed() || ctx.Err() != nil {
				done++
				return errors.New("the time for all checks together was up, or the session was lost")
			}
		}
		return nil
	})
	for ; done < len(queries); done++ {
		out[done].Err = err
	}
	return out
}

// openBeside opens a session that sees the snapshot. That of pg_dump may live on
// at the server for a moment after the program has ended, and take the last one
// that the role may have.
func (c *Capture) openBeside(ctx context.Context) (*pgx.Conn, error) {
	const pause, patience = 50 * time.Millisecond, 2 * time.Second
	for waited := time.Duration(0); ; waited += pause {
		conn, err := c.source.openWorker(ctx, c.sel.Function, c.snapshot)
		if err == nil || !hasCode(err, codeTooManyConnections) || waited >= patience {
			return conn, err
		}
		if err := c.source.opts.Clock.Sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// observe runs one query in the transaction of the capture and leaves that as
// it was.
func (c *Capture) observe(ctx context.Context, conn *pgx.Conn, sql string, patience time.Duration) (string, error) {
	if _, err := conn.Exec(ctx, "SAVEPOINT observe"); err != nil {
		return "", err
	}
	value, err := oneValue(ctx, conn, sql, patience)
	_, rollbackErr := conn.Exec(ctx, "ROLLBACK TO SAVEPOINT observe; RELEASE SAVEPOINT observe")
	return value, errors.Join(err, ignoreIf(err != nil, rollbackErr))
}

// Observe runs one query on the filled target, read-only, for at most so long.
// Errors are those of [Observed.Err].
func (t *Target) Observe(ctx context.Context, sql string, patience time.Duration) (value string, err error) {
	err = t.long(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
			return err
		}
		value, err = oneValue(ctx, conn, sql, patience)
		_, rollbackErr := conn.Exec(ctx, "ROLLBACK")
		return errors.Join(err, ignoreIf(err != nil, rollbackErr))
	})
	return value, err
}

// oneValue opens a cursor, which only a query that reads can have, and fetches
// one value from it.
func oneValue(ctx context.Context, conn *pgx.Conn, sql string, patience time.Duration) (string, error) {
	if err := openCursor(ctx, conn, sql, patience); err != nil {
		return "", err
	}
	columns, rows, err := fetch(ctx, conn, 2)
	switch {
	case err != nil:
		return "", err
	case columns != 1:
		return "", fmt.Errorf("%w: this one answers %d columns", ErrNotOneValue, columns)
	case len(rows) == 0:
		return "", fmt.Errorf("%w: this one answers no row", ErrNotOneValue)
	case len(rows) > 1:
		return "", fmt.Errorf("%w: this one answers several rows", ErrNotOneValue)
	}
	value := rows[0]
	switch {
	case value == nil:
		return "", fmt.Errorf("%w: this one answers NULL; coalesce() says what that stands for", ErrNotOneValue)
	case len(value) > maxObserved:
		return "", fmt.Errorf("%w: this one has %d bytes, more than %d: compare a count, a sum or a digest", ErrNotOneValue, len(value), maxObserved)
	case !utf8.Valid(value):
		return "", fmt.Errorf("%w: this one is no text in UTF-8", ErrNotOneValue)
	}
	return string(value), nil
}

// openCursor plans a query without running it. Several statements in one are
// refused, and so is whatever does not read: a cursor takes SELECT and VALUES.
func openCursor(ctx context.Context, conn *pgx.Conn, sql string, patience time.Duration) error {
	if _, err := conn.Exec(ctx, "SET LOCAL statement_timeout = "+milliseconds(patience)); err != nil {
		return err
	}
	declare := "DECLARE backupd_check NO SCROLL CURSOR FOR " + sql
	return conn.PgConn().ExecParams(ctx, declare, nil, nil, nil, nil).Read().Err
}

// fetch returns how many columns the cursor has, and the first value of the
// next rows, n at most.
func fetch(ctx context.Context, conn *pgx.Conn, n int) (columns int, values [][]byte, err error) {
	answer := conn.PgConn().ExecParams(ctx, fmt.Sprintf("FETCH FORWARD %d FROM backupd_check", n), nil, nil, nil, nil)
	for answer.NextRow() {
		var first []byte
		if row := answer.Values(); len(row) > 0 {
			first = bytes.Clone(row[0])
		}
		values = append(values, first)
	}
	columns = len(answer.FieldDescriptions())
	_, err = answer.Close()
	return columns, values, err
}

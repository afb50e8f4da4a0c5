package postgres

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// copyOutSQL returns the statement that reads a part of a table as COPY text.
// Capture and the digest of a restored table read by the same statement.
func copyOutSQL(t Table, p Part) string {
	if t.Kind == KindLargeObjects {
		return copyLargeObjects
	}
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = quoted("", c)
	}
	list, table := strings.Join(columns, ", "), quoted(t.Schema, t.Name)
	switch {
	case t.Condition != "":
		return fmt.Sprintf("COPY (SELECT %s FROM ONLY %s %s) TO STDOUT", list, table, t.Condition)
	case !p.Whole:
		return fmt.Sprintf("COPY (SELECT %s FROM ONLY %s WHERE %s) TO STDOUT", list, table, pageRange(p))
	case list == "":
		return fmt.Sprintf("COPY %s TO STDOUT", table)
	default:
		return fmt.Sprintf("COPY %s (%s) TO STDOUT", table, list)
	}
}

// pageRange is the condition for the rows on the pages of p.
func pageRange(p Part) string {
	from := fmt.Sprintf("ctid >= '(%d,0)'::tid", p.From)
	if p.To == 0 {
		return from
	}
	return from + fmt.Sprintf(" AND ctid < '(%d,0)'::tid", p.To)
}

// copyOut runs a statement of copyOutSQL and checks that as many rows came as
// the server says it sent. Nothing but the row in hand is buffered.
func copyOut(ctx context.Context, conn *pgconn.PgConn, sql string, w io.Writer) (int64, error) {
	counter := &rowCounter{w: w}
	tag, err := conn.CopyTo(ctx, counter, sql)
	switch {
	case counter.err != nil:
		return counter.rows, fmt.Errorf("handing on its rows: %w", counter.err)
	case err != nil:
		return counter.rows, err
	case tag.RowsAffected() != counter.rows || counter.open:
		return counter.rows, fmt.Errorf("the server sent %d rows and %d were received", tag.RowsAffected(), counter.rows)
	}
	return counter.rows, nil
}

// rowCounter counts the rows of COPY text that pass through it: data never
// holds a plain newline.
type rowCounter struct {
	w    io.Writer
	rows int64
	open bool // the last row has no end yet
	err  error
}

func (c *rowCounter) Write(p []byte) (int, error) {
	if len(p) > 0 {
		c.rows += int64(bytes.Count(p, []byte{'\n'}))
		c.open = p[len(p)-1] != '\n'
	}
	n, err := c.w.Write(p)
	if err != nil {
		c.err = err
	}
	return n, err
}

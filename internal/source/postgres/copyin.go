package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/rowhash"
)

// CopyIn loads rows in COPY text format into a table and returns how many the
// server took. It waits for a free connection and is safe for concurrent
// use, also for runs of the same table. Generated columns are computed by the
// server; identity columns take the values they are given. Rows of large
// objects make the objects, whose owners and rights come with PostData.
func (t *Target) CopyIn(ctx context.Context, table Table, rows io.Reader) (int64, error) {
	var count int64
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows := givenRows{rows, trafficOf(conn)} // a site may be slow
		if table.Kind == KindLargeObjects {
			var err error
			count, err = t.loadLargeObjects(ctx, conn, rows)
			return err
		}
		tag, err := conn.PgConn().CopyFrom(ctx, rows, copyInSQL(table))
		count = tag.RowsAffected()
		return err
	})
	if err != nil {
		return count, t.fail("load "+table.String(), located(err))
	}
	return count, nil
}

// copyInSQL returns the statement that loads a table. A table without columns
// to copy still has rows: the list is left out then, which means the same.
func copyInSQL(t Table) string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = quoted("", c)
	}
	list := ""
	if len(columns) > 0 {
		list = " (" + strings.Join(columns, ", ") + ")"
	}
	return "COPY " + quoted(t.Schema, t.Name) + list + " FROM STDIN"
}

// located adds to an error of COPY where it happened, without the value that
// the server quotes there.
func located(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Where == "" {
		return err
	}
	where, _, _ := strings.Cut(pg.Where, ": \"")
	return fmt.Errorf("%w, at %s", err, where)
}

// CopyOut writes the rows of a restored table as [Capture.CopyPart] does those
// of the source, so that equal tables have equal digests.
func (t *Target) CopyOut(ctx context.Context, table Table, w io.Writer) error {
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := copyOut(ctx, conn.PgConn(), copyOutSQL(table, Part{Whole: true}), w)
		return err
	})
	if err != nil {
		return t.fail("read "+table.String()+" back", err)
	}
	return nil
}

// digestPart is the size on disk from which a table is read back in parts.
const digestPart = 256 << 20

// Digest reads a restored table back, a large one in parts over several
// connections, and returns its digest and the bytes read. Nobody may write to
// the table meanwhile.
func (t *Target) Digest(ctx context.Context, table Table) (rowhash.Digest, int64, error) {
	parts, err := t.digestParts(ctx, table)
	if err != nil {
		return rowhash.Digest{}, 0, t.fail("read "+table.String()+" back", err)
	}
	return t.digest(ctx, table, parts)
}

func (t *Target) digest(ctx context.Context, table Table, parts []Part) (rowhash.Digest, int64, error) {
	sums := make([]rowhash.Writer, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	for i, p := range parts {
		group.Go(func() error {
			return t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
				_, err := copyOut(ctx, conn.PgConn(), copyOutSQL(table, p), &sums[i])
				return err
			})
		})
	}
	if err := group.Wait(); err != nil {
		return rowhash.Digest{}, 0, t.fail("read "+table.String()+" back", err)
	}
	var digest rowhash.Digest
	var bytes int64
	for i := range sums {
		d, n := sums[i].Sum()
		digest.Merge(d)
		bytes += n
	}
	return digest, bytes, nil
}

// digestParts cuts a table as a capture does. Before version 14 every part
// would be a scan of the whole table.
func (t *Target) digestParts(ctx context.Context, table Table) ([]Part, error) {
	whole := []Part{{Whole: true}}
	if table.Kind == KindLargeObjects || table.Condition != "" || t.version < 140000 {
		return whole, nil
	}
	sizes, err := queryTarget[[]int64](ctx, t, `
		SELECT ARRAY[pg_relation_size(c.oid), pg_table_size(c.oid), current_setting('block_size')::int8]
		FROM pg_class c JOIN pg_am a ON a.oid = c.relam
		WHERE c.oid = $1::text::regclass AND a.amname = 'heap'`, quoted(table.Schema, table.Name))
	if err != nil || len(sizes) == 0 {
		return whole, err
	}
	return cut(sizes[0][0], sizes[0][1], sizes[0][2], digestPart), nil
}

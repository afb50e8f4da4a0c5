package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// matview is a materialized view that has no content yet.
type matview struct {
	OID     uint32
	Name    string   // quoted for SQL
	Needs   []uint32 // materialized views that it reads, also through views
	Foreign bool     // it reads a foreign table
}

// viewsToRefresh follows the rules of views down to the tables.
const viewsToRefresh = `
WITH RECURSIVE reads(view, rel) AS (
	SELECT c.oid, d.refobjid
	FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid
	JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
		AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
	WHERE c.relkind = 'm'
	UNION
	SELECT reads.view, d.refobjid
	FROM reads JOIN pg_class v ON v.oid = reads.rel AND v.relkind = 'v'
	JOIN pg_rewrite r ON r.ev_class = v.oid
	JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
		AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
)
SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
	ARRAY(SELECT DISTINCT reads.rel FROM reads JOIN pg_class o ON o.oid = reads.rel
		WHERE reads.view = c.oid AND o.relkind = 'm' AND NOT o.relispopulated),
	EXISTS (SELECT FROM reads JOIN pg_class o ON o.oid = reads.rel WHERE reads.view = c.oid AND o.relkind = 'f')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'm' AND NOT c.relispopulated ORDER BY 2`

// refreshViews fills the materialized views, each after those that it reads.
// An archive without rows holds no REFRESH, so that it has to be done here.
func (t *Target) refreshViews(ctx context.Context, jobs int) error {
	views, err := t.emptyViews(ctx)
	if err != nil {
		return fmt.Errorf("list materialized views: %w", err)
	}
	done := map[uint32]bool{}
	for len(views) > 0 {
		var ready, later []matview
		for _, v := range views {
			if slices.ContainsFunc(v.Needs, func(oid uint32) bool { return !done[oid] }) {
				later = append(later, v)
			} else {
				ready = append(ready, v)
			}
		}
		if len(ready) == 0 {
			// Those left read one that is left out.
			for _, v := range later {
				t.note("the materialized view %s stays empty in scratch: it reads one that does", v.Name)
			}
			return nil
		}
		if err := t.refreshTogether(ctx, jobs, ready, done); err != nil {
			return err
		}
		views = later
	}
	return nil
}

// refreshTogether refreshes views of which none reads another.
func (t *Target) refreshTogether(ctx context.Context, jobs int, views []matview, done map[uint32]bool) error {
	var names []string
	for _, v := range views {
		if t.opts.Scratch && v.Foreign {
			t.note("the materialized view %s stays empty in scratch: it reads a foreign table", v.Name)
			continue
		}
		names = append(names, v.Name)
		done[v.OID] = true
	}
	return t.each(ctx, jobs, names, func(ctx context.Context, conn *pgx.Conn, name string) error {
		if _, err := conn.Exec(ctx, "REFRESH MATERIALIZED VIEW "+name); err != nil {
			return fmt.Errorf("refresh materialized view %s: %w", name, err)
		}
		return nil
	})
}

func (t *Target) emptyViews(ctx context.Context) ([]matview, error) {
	var views []matview
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, viewsToRefresh)
		if err != nil {
			return err
		}
		views, err = pgx.CollectRows(rows, pgx.RowToStructByPos[matview])
		return err
	})
	return views, err
}

// each calls f, in which no byte need move for long, for all names on up to
// jobs connections at once and returns the first error.
func (t *Target) each(ctx context.Context, jobs int, names []string, f func(context.Context, *pgx.Conn, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, jobs))
	for _, name := range names {
		group.Go(func() error {
			return t.long(ctx, func(ctx context.Context, conn *pgx.Conn) error { return f(ctx, conn, name) })
		})
	}
	return group.Wait()
}

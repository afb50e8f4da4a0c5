package postgres

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"
)

// dumpTables writes the archive of a scope of tables. pg_dump --table leaves
// out the types, functions and statistics that the tables need. So where there
// are any, the schemas are dumped without their other tables, which that does
// not even lock, and of the rest only what is needed is kept.
func (c *Capture) dumpTables(ctx context.Context, w io.Writer) error {
	var schemas []string
	var held map[objectID]bool
	err := c.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		schemas, held, err = heldObjects(ctx, conn, c.sel)
		return err
	})
	if err != nil {
		return fmt.Errorf("listing what the tables need: %w", err)
	}
	if len(schemas) == 0 {
		return c.dump(ctx, w, tableOptions("--table=", c.sel.relations)...)
	}
	others := slices.DeleteFunc(slices.Clone(c.sel.others), func(r relation) bool { return !slices.Contains(schemas, r.Schema) })
	var all bytes.Buffer // definitions only: small
	err = c.dump(ctx, &all, append(options("--schema=", schemas), tableOptions("--exclude-table=", others)...)...)
	if err != nil {
		return err
	}
	a, err := readArchive(bytes.NewReader(all.Bytes()), int64(all.Len()))
	if err != nil {
		return fmt.Errorf("pg_dump: %w", err)
	}
	if _, err := w.Write(a.reduced(all.Bytes(), a.held(held))); err != nil {
		return fmt.Errorf("handing on the archive: %w", err)
	}
	return nil
}

// heldObjects lists the schemas of a scope of tables and the objects in them
// that are in the scope or that it takes along; nothing when pg_dump --table
// takes all that by itself.
func heldObjects(ctx context.Context, q querier, sel selection) (schemas []string, held map[objectID]bool, err error) {
	err = q.QueryRow(ctx, inScope+`
		SELECT array_agg(nspname::text ORDER BY nspname) FROM pg_namespace n WHERE n.oid IN (`+schemasOfTables+`)
		AND (cardinality($4) + cardinality($5) > 0 OR EXISTS (SELECT FROM pg_statistic_ext WHERE stxrelid = ANY($1)))`,
		sel.args()...).Scan(&schemas)
	if err != nil {
		return nil, nil, err
	}
	rows, err := q.Query(ctx, inScope+objectsInScope+`
		UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE contype = 'f' AND conrelid = ANY($1)`, sel.args()...)
	if err != nil {
		return nil, nil, err
	}
	held = map[objectID]bool{}
	var id objectID
	_, err = pgx.ForEachRow(rows, []any{&id.Catalog, &id.OID}, func() error { held[id] = true; return nil })
	return schemas, held, err
}

// held returns the entries of the objects, what is said about them, and the
// settings that every archive begins with. Schemas come from Globals.
func (a *archive) held(objects map[objectID]bool) idSet {
	none := objectID{}
	ids := a.where(func(e *entry) bool {
		return objects[e.object] || e.object == none && e.namespace == "" && len(e.needs) == 0
	})
	// What has no number of its own is about another entry: a comment, rights, a
	// partition that is attached, an owned sequence. Only the shell of a type is
	// there for those that need it.
	for _, e := range a.entries {
		switch {
		case e.object == none && slices.ContainsFunc(e.needs, func(id int) bool { return ids[id] }):
			ids[e.id] = true
		case ids[e.id]:
			for _, id := range e.needs {
				if n := a.get(id); n != nil && n.kind == "SHELL TYPE" {
					ids[id] = true
				}
			}
		}
	}
	return ids
}

// reduced returns the archive, of which text is the whole, with the entries in
// ids only. It must hold definitions alone, to which nothing refers by place.
func (a *archive) reduced(text []byte, ids idSet) []byte {
	var count int
	var entries []byte
	end := a.from
	for _, e := range a.entries {
		if ids[e.id] {
			count++
			entries = append(entries, text[e.from:e.to]...)
		}
		end = e.to
	}
	// The number of entries is a byte of sign and then its bytes, the lowest
	// first, up to the first entry.
	number := make([]byte, a.entries[0].from-a.from)
	for i := range number[1:] {
		number[i+1] = byte(count >> (8 * i))
	}
	return slices.Concat(text[:a.from], number, entries, text[end:])
}

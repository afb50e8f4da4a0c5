package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// found is a relation with rows as the snapshot sees it.
type found struct {
	OID         uint32
	Kind        string
	Persistence string
	Partition   bool
	Method      string
	// Locked tells that this session has locked it.
	Locked bool
	// Rewritten tells that its file is no longer that of the snapshot.
	Rewritten bool
	Columns   []string
	Condition string
}

// inspect reads the relations under the snapshot of the transaction.
func inspect(ctx context.Context, q querier, relations []relation) (map[uint32]found, error) {
	oids := make([]uint32, len(relations))
	for i, r := range relations {
		oids[i] = r.OID
	}
	rows, err := q.Query(ctx, `
		SELECT c.oid, c.relkind::text, c.relpersistence::text, c.relispartition, coalesce(am.amname, ''),
			EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
				AND l.relation = c.oid AND l.mode = 'AccessShareLock' AND l.granted),
			coalesce(pg_relation_filenode(c.oid) <> c.relfilenode, c.relkind = 'r'),
			ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
				AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum),
			coalesce((SELECT e.extcondition[array_position(e.extconfig, c.oid)] FROM pg_extension e
				WHERE c.oid = ANY(e.extconfig) LIMIT 1), '')
		FROM pg_class c LEFT JOIN pg_am am ON am.oid = c.relam
		WHERE c.oid = ANY($1)`, oids)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[found])
	byOID := make(map[uint32]found, len(list))
	for _, f := range list {
		byOID[f.OID] = f
	}
	return byOID, err
}

// unsettled returns what was made, replaced or rewritten between the locks and
// the snapshot, "" when nothing was: then the snapshot shows exactly tables
// that are locked, with their rows.
func unsettled(relations []relation, seen map[uint32]found) string {
	for _, r := range relations {
		switch f, ok := seen[r.OID]; {
		case !ok:
			return fmt.Sprintf("%s was dropped", r)
		case !f.Locked:
			return fmt.Sprintf("%s was made or replaced", r)
		case f.Rewritten:
			return fmt.Sprintf("%s was emptied or rewritten", r)
		}
	}
	return ""
}

// size is the disk usage of a table.
type size struct {
	OID         uint32
	Heap, Total int64
}

// sizes reads the sizes of tables that are locked already, so that no reading
// waits.
func sizes(ctx context.Context, q querier, oids []uint32) (map[uint32]size, error) {
	rows, err := q.Query(ctx, `
		SELECT o, coalesce(pg_relation_size(o), 0), coalesce(pg_table_size(o), 0) FROM unnest($1::oid[]) o`, oids)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[size])
	byOID := make(map[uint32]size, len(list))
	for _, s := range list {
		byOID[s.OID] = s
	}
	return byOID, err
}

// planTables lists the tables with rows, each with its parts. Notes are about
// what has rows and is not among them.
func (s *Source) planTables(ctx context.Context, q querier, sel selection, seen map[uint32]found, point Point) (tables []Table, notes []string, err error) {
	var oids []uint32
	for _, r := range sel.lockable() {
		oids = append(oids, r.OID)
	}
	bytes, err := sizes(ctx, q, oids)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the sizes of the tables: %w", err)
	}
	var block int64
	if err := q.QueryRow(ctx, `SELECT current_setting('block_size')::bigint`).Scan(&block); err != nil {
		return nil, nil, fmt.Errorf("reading the size of a page: %w", err)
	}
	for _, r := range sel.lockable() {
		f := seen[r.OID]
		if f.Kind != "r" {
			continue // a partitioned table has no rows of its own
		}
		if f.Persistence == "u" && point.Standby {
			notes = append(notes, fmt.Sprintf("%s is unlogged: a standby does not have its rows, they are not captured", r))
			continue
		}
		t := describe(r, f, bytes[r.OID])
		t.Parts = []Part{{Whole: true, Bytes: t.Bytes}}
		if f.Method == "heap" && t.Kind != KindExtension && point.ServerVersionNum >= tidRangeVersion {
			t.Parts = cut(bytes[r.OID].Heap, t.Bytes, block, s.partBytes)
		}
		tables = append(tables, t)
	}
	along, err := alongNotes(ctx, q, sel)
	return tables, slices.Concat(notes, withoutRows(sel), along), err
}

// describe makes a Table of what was found.
func describe(r relation, f found, bytes size) Table {
	t := Table{Schema: r.Schema, Name: r.Name, Columns: f.Columns, Kind: KindTable, Bytes: bytes.Total}
	switch {
	case r.Config:
		t.Kind, t.Condition = KindExtension, f.Condition
		t.Note = "belongs to an extension, which makes it anew; only rows that are not the extension's own are held"
	case f.Persistence == "u":
		t.Kind = KindUnlogged
		t.Note = "unlogged: a crash of the source empties it"
	case f.Partition:
		t.Kind = KindPartition
	}
	return t
}

// withoutRows notes the relations whose definition alone is captured.
func withoutRows(sel selection) []string {
	var notes []string
	for _, r := range sel.relations {
		switch r.Kind {
		case "f":
			notes = append(notes, fmt.Sprintf("%s is a foreign table: only its definition is captured, its rows are kept elsewhere", r))
		case "m":
			notes = append(notes, fmt.Sprintf("%s is a materialized view: only its definition is captured, a restore computes it anew", r))
		}
	}
	return notes
}

package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// objectID is the number of an object in a database: that of its catalog, and
// its own there.
type objectID struct{ Catalog, OID uint32 }

// Conditions for what is in a scope by itself or is taken along, and the
// schemas of all that in a scope of tables. $4 are types and $5 functions.
const (
	typeInScope     = `(t.typnamespace = ANY($2) OR t.oid = ANY($4))`
	functionInScope = `(p.pronamespace = ANY($2) OR p.oid = ANY($5))`
	schemasOfTables = `SELECT relnamespace FROM pg_class WHERE oid = ANY($1)
		UNION SELECT typnamespace FROM pg_type WHERE oid = ANY($4)
		UNION SELECT pronamespace FROM pg_proc WHERE oid = ANY($5)
		UNION SELECT stxnamespace FROM pg_statistic_ext WHERE stxrelid = ANY($1)`
)

// membersSQL lists what belongs to an extension and comes with it.
const membersSQL = `SELECT classid, objid FROM pg_depend WHERE deptype = 'e'`

// rowTypesSQL lists the types of the rows of tables and views, and of arrays
// of them, each with its relation.
const rowTypesSQL = `SELECT t.oid, c.oid AS relation FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem
	JOIN pg_class c ON c.oid = coalesce(nullif(t.typrelid, 0), e.typrelid) WHERE c.relkind <> 'c'`

// alongSQL finds the types and functions that the tables of a scope need,
// directly or through each other, wherever they are. pg_depend does not lead
// from a domain to its constraints, nor from a composite type to its columns;
// and nothing leads into the text of a function.
const alongSQL = inScope + `,
	members AS MATERIALIZED (` + membersSQL + `),
	rowtypes AS MATERIALIZED (` + rowTypesSQL + `),
	reached(classid, objid) AS (
		SELECT classid, objid FROM (` + objectsInScope + `) tables
		UNION SELECT s.classid, s.objid FROM reached r CROSS JOIN LATERAL (
			SELECT d.refclassid AS classid, d.refobjid AS objid FROM pg_depend d
				WHERE d.classid = r.classid AND d.objid = r.objid AND d.deptype NOT IN ('e', 'x')
				AND d.refclassid IN ('pg_type'::regclass, 'pg_proc'::regclass)
			UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k
				WHERE r.classid = 'pg_type'::regclass AND k.contypid = r.objid
			UNION ALL SELECT 'pg_class'::regclass, c.oid FROM pg_class c
				WHERE r.classid = 'pg_type'::regclass AND c.reltype = r.objid AND c.relkind = 'c') s
		WHERE s.objid >= 16384
		AND NOT EXISTS (SELECT FROM members m WHERE m.classid = s.classid AND m.objid = s.objid)
		AND NOT (s.classid = 'pg_type'::regclass AND s.objid IN (SELECT oid FROM rowtypes)))
	SELECT objid, classid = 'pg_type'::regclass FROM reached
	WHERE classid = 'pg_proc'::regclass OR classid = 'pg_type'::regclass AND objid NOT IN (SELECT oid FROM rowtypes)`

// takeAlong finds the types and functions that a scope of tables takes along.
func (s *selection) takeAlong(ctx context.Context, q querier) error {
	rows, err := q.Query(ctx, alongSQL, s.args()...)
	if err != nil {
		return err
	}
	var oid uint32
	var isType bool
	_, err = pgx.ForEachRow(rows, []any{&oid, &isType}, func() error {
		if isType {
			s.types = append(s.types, oid)
		} else {
			s.functions = append(s.functions, oid)
		}
		return nil
	})
	return err
}

// alongNotes tells which functions a scope of tables takes along, and what
// that does not cover.
func alongNotes(ctx context.Context, q querier, sel selection) ([]string, error) {
	if len(sel.functions) == 0 {
		return nil, nil
	}
	var names []string
	err := q.QueryRow(ctx, `SELECT array_agg(p.oid::regprocedure::text ORDER BY 1) FROM pg_proc p WHERE p.oid = ANY($1)`, sel.functions).Scan(&names)
	if err != nil {
		return nil, fmt.Errorf("naming the functions that the tables need: %w", err)
	}
	return []string{fmt.Sprintf("the tables take along the SQL functions that they call: %s; what the text of these names "+
		"is not followed: add tables that they use to tables, or write schemas instead", shortList(names))}, nil
}

// shortList joins names and cuts a long list short.
func shortList(names []string) string {
	if len(names) > 3 {
		names = append(names[:3:3], fmt.Sprintf("%d more", len(names)-3))
	}
	return strings.Join(names, ", ")
}

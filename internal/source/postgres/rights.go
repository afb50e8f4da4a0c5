package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// checkRights finds out before anything is locked whether the role can read
// every row of the scope: an error of COPY would come late, and row security
// hides rows without any error.
func checkRights(ctx context.Context, q querier, sel selection) error {
	role, problems, err := lackingRights(ctx, q, sel)
	if err != nil {
		return fmt.Errorf("checking the rights of the role: %w", err)
	}
	if len(problems) > 0 {
		return &RightsError{Role: role, Problems: problems}
	}
	return nil
}

// lackingRights returns the role and a sentence for each thing that it may not
// read in full.
func lackingRights(ctx context.Context, q querier, sel selection) (role string, problems []string, err error) {
	var as string
	if err := q.QueryRow(ctx, `SELECT current_user::text, quote_ident(current_user)`).Scan(&role, &as); err != nil {
		return "", nil, err
	}
	schemas, err := schemaRights(ctx, q, sel, as)
	if err != nil {
		return role, nil, err
	}
	tables, err := tableRights(ctx, q, sel, as)
	if err != nil {
		return role, nil, err
	}
	objects, err := largeObjectRights(ctx, q, sel, as)
	return role, append(append(schemas, tables...), objects...), err
}

// readable are the kinds of relations whose rows are read.
var readable = map[string]bool{"r": true, "p": true, "S": true}

// toRead returns the numbers of the relations whose rows are read.
func (s selection) toRead() []uint32 {
	oids := []uint32{}
	for _, list := range [][]relation{s.relations, s.config} {
		for _, r := range list {
			if readable[r.Kind] {
				oids = append(oids, r.OID)
			}
		}
	}
	return oids
}

func schemaRights(ctx context.Context, q querier, sel selection, as string) ([]string, error) {
	rows, err := q.Query(ctx, `
		SELECT n.nspname FROM pg_namespace n
		WHERE n.oid IN (SELECT relnamespace FROM pg_class WHERE oid = ANY($1))
		AND NOT has_schema_privilege(n.oid, 'USAGE') ORDER BY 1`, sel.toRead())
	if err != nil {
		return nil, err
	}
	var problems []string
	var name string
	_, err = pgx.ForEachRow(rows, []any{&name}, func() error {
		problems = append(problems, fmt.Sprintf("the schema %s is closed to it: GRANT USAGE ON SCHEMA %s TO %s (or GRANT pg_read_all_data TO %[3]s)",
			displayName(name), quoted("", name), as))
		return nil
	})
	return problems, err
}

func tableRights(ctx context.Context, q querier, sel selection, as string) ([]string, error) {
	rows, err := q.Query(ctx, `
		SELECT n.nspname, c.relname, c.relkind = 'S',
			NOT CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT') ELSE has_table_privilege(c.oid, 'SELECT') END,
			c.relkind = 'r' AND row_security_active(c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = ANY($1) ORDER BY 1, 2`, sel.toRead())
	if err != nil {
		return nil, err
	}
	var problems []string
	var schema, name string
	var sequence, denied, filtered bool
	_, err = pgx.ForEachRow(rows, []any{&schema, &name, &sequence, &denied, &filtered}, func() error {
		kind := "TABLE"
		if sequence {
			kind = "SEQUENCE"
		}
		if denied {
			problems = append(problems, fmt.Sprintf("%s: GRANT SELECT ON %s %s TO %s (or GRANT pg_read_all_data TO %[4]s)",
				display(schema, name), kind, quoted(schema, name), as))
		}
		if filtered {
			problems = append(problems, fmt.Sprintf("%s has row level security, which would hide rows from the backup: "+
				"ALTER ROLE %s BYPASSRLS (pg_read_all_data is not enough for that)", display(schema, name), as))
		}
		return nil
	})
	return problems, err
}

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// WithRows lists the tables of a scope that hold rows themselves: neither the
// parents of partitions nor foreign tables, and none of an extension.
func (t *Target) WithRows(ctx context.Context, scope Scope) ([]TableName, error) {
	var names []TableName
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		sel, err := resolve(ctx, conn, scope)
		if err != nil {
			return fmt.Errorf("listing the tables with rows: %w", err)
		}
		for _, r := range sel.relations {
			if r.Kind == "r" {
				names = append(names, TableName{Schema: r.Schema, Name: r.Name})
			}
		}
		return nil
	})
	if err != nil {
		return nil, t.fail("list its tables with rows", err)
	}
	return names, nil
}

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// CanCreateDatabase returns nil when the role in url may make databases on the
// server.
func CanCreateDatabase(ctx context.Context, url string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to the server for scratch databases: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is left to lose
	var may bool
	var role string
	err = conn.QueryRow(ctx, "SELECT rolsuper OR rolcreatedb, rolname FROM pg_catalog.pg_roles WHERE rolname = current_user").Scan(&may, &role)
	if err != nil {
		return fmt.Errorf("ask what the role may do: %w", err)
	}
	if !may {
		return fmt.Errorf("role %s may not make databases", role)
	}
	return nil
}

package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Script runs statements in a database, one after the other and outside of any
// transaction of ours, up to the first that fails. It is for databases that are
// thrown away: what a source holds is only ever read.
func Script(ctx context.Context, url, sql string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("run a script: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		return fmt.Errorf("run a script: %w", err)
	}
	return nil
}

// Offers reports whether the server at url can install an extension in a
// version.
func Offers(ctx context.Context, url, extension, version string) (offered bool, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return false, fmt.Errorf("look for extension %s: %w", extension, err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_available_extension_versions WHERE name = $1 AND version = $2)`,
		extension, version).Scan(&offered)
	return offered, err
}

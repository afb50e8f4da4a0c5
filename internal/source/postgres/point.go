package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// oldestVersion is the oldest server that a capture is made for.
const oldestVersion = 120000

// identity reads what does not depend on a snapshot. It runs outside a
// transaction, because a right that is lacking must not end one.
func identity(ctx context.Context, conn *pgx.Conn) (Point, error) {
	var p Point
	err := conn.QueryRow(ctx, `
		SELECT current_database(), current_setting('server_version'), current_setting('server_version_num')::int,
			pg_is_in_recovery(), pg_encoding_to_char(d.encoding), coalesce(d.datcollate, ''), coalesce(d.datctype, ''),
			CASE to_jsonb(d) ->> 'datlocprovider' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
			coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', ''),
			coalesce(to_jsonb(d) ->> 'datcollversion', '')
		FROM pg_database d WHERE d.datname = current_database()`).Scan(
		&p.Database, &p.ServerVersion, &p.ServerVersionNum, &p.Standby, &p.Encoding, &p.Collate, &p.CType,
		&p.LocaleProvider, &p.Locale, &p.CollationVersion)
	if err != nil {
		return p, fmt.Errorf("reading the properties of the database: %w", err)
	}
	err = conn.QueryRow(ctx, `SELECT system_identifier::text FROM pg_control_system()`).Scan(&p.SystemIdentifier)
	if err != nil && !hasCode(err, codeNoPrivilege) {
		return p, fmt.Errorf("reading the identity of the server: %w", err)
	}
	return p, nil
}

// versionError tells that the server is too old; nil when it is not.
func (p Point) versionError() error {
	if p.ServerVersionNum >= oldestVersion {
		return nil
	}
	return fmt.Errorf("the server runs PostgreSQL %s: %d is the oldest that can be captured",
		p.ServerVersion, oldestVersion/10000)
}

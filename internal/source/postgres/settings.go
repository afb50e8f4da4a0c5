package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// quoted returns the schema-qualified name quoted for SQL. The schema may be
// empty.
func quoted(schema, name string) string {
	if schema == "" {
		return pgx.Identifier{name}.Sanitize()
	}
	return pgx.Identifier{schema, name}.Sanitize()
}

// pinned are the settings on which the text of a row depends, or the
// completeness of what is read. They are the same wherever rows are read or
// written, so that the digest of a table is the same too.
var pinned = map[string]string{
	"DateStyle":                           "ISO, MDY",
	"IntervalStyle":                       "postgres",
	"TimeZone":                            "UTC",
	"extra_float_digits":                  "3",
	"bytea_output":                        "hex",
	"lc_monetary":                         "C",
	"xmloption":                           "content",
	"standard_conforming_strings":         "on",
	"quote_all_identifiers":               "off",
	"search_path":                         "",
	"row_security":                        "off",
	"synchronize_seqscans":                "off",
	"statement_timeout":                   "0",
	"idle_in_transaction_session_timeout": "0",
	"idle_session_timeout":                "0",
	"transaction_timeout":                 "0",
	"restrict_nonsystem_relation_kind":    "view, foreign-table",
	// Plans that read the pages of a part, only these and in their order.
	"enable_tidscan":                  "on",
	"max_parallel_workers_per_gather": "0",
	"jit":                             "off",
}

// pin gives the session the settings that every session here has. Settings
// that the server does not know are left out: it is too old to need them.
// lockTimeout bounds every wait for a lock; 0 waits without end.
func pin(ctx context.Context, conn *pgx.Conn, lockTimeout time.Duration) error {
	encoding, err := clientEncoding(ctx, conn)
	if err != nil {
		return fmt.Errorf("reading the encoding of the database: %w", err)
	}
	names := []string{"client_encoding", "lock_timeout"}
	values := []string{encoding, fmt.Sprint(lockTimeout.Milliseconds())}
	for name, value := range pinned {
		names = append(names, name)
		values = append(values, value)
	}
	_, err = conn.Exec(ctx, `
		SELECT pg_catalog.set_config(s.name, v.value, false)
		FROM unnest($1::text[], $2::text[]) AS v(name, value)
		JOIN pg_catalog.pg_settings s ON lower(s.name) = lower(v.name)`, names, values)
	if err != nil {
		return fmt.Errorf("setting the session: %w", err)
	}
	return nil
}

// clientEncoding is UTF8, except where the database is SQL_ASCII: its bytes
// have no known meaning and must pass as they are.
func clientEncoding(ctx context.Context, conn *pgx.Conn) (string, error) {
	var encoding string
	err := conn.QueryRow(ctx, `SELECT pg_catalog.current_setting('server_encoding')`).Scan(&encoding)
	if err != nil {
		return "", err
	}
	if encoding != "SQL_ASCII" {
		encoding = "UTF8"
	}
	return encoding, nil
}

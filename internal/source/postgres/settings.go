package postgres

import (
	"context"
	"fmt"
	"maps"
	"math"
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
// lockTimeout bounds every wait for a lock; 0 waits without end. More settings
// come on top.
func pin(ctx context.Context, conn *pgx.Conn, lockTimeout time.Duration, more map[string]string) error {
	encoding, err := clientEncoding(ctx, conn)
	if err != nil {
		return fmt.Errorf("reading the encoding of the database: %w", err)
	}
	names := []string{"client_encoding", "lock_timeout"}
	values := []string{encoding, fmt.Sprint(lockTimeout.Milliseconds())}
	all := maps.Clone(pinned)
	maps.Copy(all, more)
	for name, value := range all {
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

// lettingGo are the settings by which the source ends our sessions, and with
// them locks and snapshot, when we have vanished without a word: the host is
// gone, or the network between. Without them the server would keep them for
// hours, until its own keepalive finds out.
func lettingGo(stall, age time.Duration) map[string]string {
	all := map[string]string{
		"tcp_keepalives_idle": "60", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "6",
		"tcp_user_timeout": milliseconds(stall),
	}
	if age > 0 {
		// Nothing is ever said on the session that holds the snapshot.
		all["idle_in_transaction_session_timeout"] = milliseconds(age + time.Minute)
	}
	return all
}

// milliseconds writes a time as the server takes it.
func milliseconds(d time.Duration) string {
	return fmt.Sprint(min(d.Milliseconds(), math.MaxInt32))
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

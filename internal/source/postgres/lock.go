package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// lockBatch is how many tables one LOCK statement names.
const lockBatch = 500

// lockable returns the relations that a capture locks: what has rows and what
// is the parent of such. The server locks no others.
func (s selection) lockable() []relation {
	var found []relation
	for _, list := range [][]relation{s.relations, s.config} {
		for _, r := range list {
			if r.Kind == "r" || r.Kind == "p" {
				found = append(found, r)
			}
		}
	}
	return found
}

// lockTables takes ACCESS SHARE on the relations, waiting for timeout in all.
// It must be the first thing of its transaction: LOCK takes no snapshot, so
// that the one taken afterwards is of tables which can no longer be emptied,
// rewritten or dropped. After an error the transaction is unusable.
func lockTables(ctx context.Context, conn *pgx.Conn, relations []relation, timeout time.Duration) error {
	// The statement is bounded too, for each of its locks may take the time of
	// one. A blocked table in each of several batches may still add up.
	ms := timeout.Milliseconds()
	set := fmt.Sprintf("SET LOCAL lock_timeout = %d; SET LOCAL statement_timeout = %d", ms, ms)
	for len(relations) > 0 {
		n := min(lockBatch, len(relations))
		names := make([]string, n)
		for i, r := range relations[:n] {
			names[i] = "ONLY " + quoted(r.Schema, r.Name)
		}
		relations = relations[n:]
		if _, err := conn.Exec(ctx, set); err != nil {
			return err
		}
		lock := "LOCK TABLE " + strings.Join(names, ", ") + " IN ACCESS SHARE MODE"
		if _, err := conn.Exec(ctx, lock); err != nil {
			return err
		}
	}
	_, err := conn.Exec(ctx, "SET LOCAL statement_timeout = 0")
	return err
}

// explainLock makes the error of a lock that was not granted tell what is in
// the way. conn is outside a transaction by now.
func explainLock(ctx context.Context, conn *pgx.Conn, relations []relation, waited time.Duration, err error) error {
	if hasCode(err, codeOutOfMemory) {
		return fmt.Errorf("%w: the server has no room for the locks of %d tables: raise its max_locks_per_transaction",
			err, len(relations))
	}
	if !hasCode(err, codeLockNotAvailable, codeQueryCanceled) || ctx.Err() != nil {
		return err
	}
	failure := &LockError{Waited: waited, Err: err}
	blockers, blockErr := findBlockers(ctx, conn, relations)
	if blockErr != nil {
		return fmt.Errorf("%w (finding what was in the way: %w)", failure, blockErr)
	}
	failure.Blockers = blockers
	if len(relations) == 1 {
		failure.Table = relations[0].String()
	} else if len(blockers) > 0 {
		failure.Table = blockers[0].Table
	}
	return failure
}

// findBlockers lists the sessions that hold, or wait for, the one lock on a
// relation that a reader has to wait for.
func findBlockers(ctx context.Context, conn *pgx.Conn, relations []relation) ([]Blocker, error) {
	names := map[uint32]string{}
	var oids []uint32
	for _, r := range relations {
		names[r.OID] = r.String()
		oids = append(oids, r.OID)
	}
	rows, err := conn.Query(ctx, `
		SELECT l.relation, l.pid, coalesce(a.application_name, ''), coalesce(a.usename, 'unknown'), l.granted,
			coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::float8, coalesce(left(a.query, 200), '')
		FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
		WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation = ANY($1)
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND l.pid <> pg_backend_pid()
		ORDER BY l.granted DESC, a.xact_start`, oids)
	if err != nil {
		return nil, err
	}
	var blockers []Blocker
	var oid uint32
	var b Blocker
	var age float64
	var query string
	_, err = pgx.ForEachRow(rows, []any{&oid, &b.PID, &b.Application, &b.User, &b.Granted, &age, &query}, func() error {
		b.Table, b.Age = names[oid], time.Duration(age*float64(time.Second))
		b.Statement = statementKind(query)
		blockers = append(blockers, b)
		return nil
	})
	return blockers, err
}

// statementKind returns the leading words of a statement, which say what it
// does and hold no data.
func statementKind(query string) string {
	var kind []string
	for _, word := range strings.Fields(query) {
		upper := strings.ToUpper(strings.TrimRight(word, ";"))
		if !keywords[upper] {
			break
		}
		kind = append(kind, upper)
	}
	if len(kind) == 0 {
		return "an unknown statement"
	}
	return strings.Join(kind, " ")
}

var keywords = map[string]bool{
	"ALTER": true, "ANALYZE": true, "BEGIN": true, "CLUSTER": true, "COMMIT": true, "COPY": true, "CREATE": true,
	"DELETE": true, "DROP": true, "FULL": true, "INDEX": true, "INSERT": true, "INTO": true, "LOCK": true,
	"MATERIALIZED": true, "REFRESH": true, "REINDEX": true, "ROLLBACK": true, "SCHEMA": true, "SELECT": true,
	"SET": true, "TABLE": true, "TRIGGER": true, "TRUNCATE": true, "UPDATE": true, "VACUUM": true, "VIEW": true,
}

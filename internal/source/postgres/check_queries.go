package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Query is one of a function's checks, to be tried.
type Query struct {
	Name, SQL string
	// Scope is all that a restored copy has of the database.
	Scope Scope
	// AtCapture says that the query also runs in the source at every snapshot.
	AtCapture bool
}

// errOutside marks a query that reads what a restored copy does not have.
var errOutside = errors.New("outside of the scope")

// CheckQueries plans queries on the source without running them. It says which
// cannot be run as they are, which read something that a restored copy does not
// have, so that they would pass in the source and fail there, and which cost
// much at every snapshot.
func (s *Source) CheckQueries(ctx context.Context, queries []Query) []Finding {
	if len(queries) == 0 {
		return nil
	}
	conn, err := s.connect(ctx, "check")
	if err != nil {
		return nil // which Check has told
	}
	defer func() { _ = hangUp(conn) }() // nothing was changed that could be lost
	var findings []Finding
	for _, q := range queries {
		f := Finding{OK: true, Subject: "function " + q.Scope.Function + ": check " + q.Name, Detail: "can be run on source " + s.opts.Name}
		err := watched(ctx, s.dog(), conn, func(ctx context.Context) (err error) {
			f.Hint, err = tryQuery(ctx, conn, q)
			return err
		})
		if err != nil {
			f.OK, f.Detail, f.Hint = false, err.Error(), adviseQuery(err)
		}
		findings = append(findings, f)
	}
	return findings
}

// tryPatience is how long it may take to plan a query.
const tryPatience = 10 * time.Second

// tryQuery plans a query and looks at what it reads. The advice is about what
// stops nothing.
func tryQuery(ctx context.Context, conn *pgx.Conn, q Query) (advice string, err error) {
	if _, err := conn.Exec(ctx, "BEGIN READ ONLY"); err != nil {
		return "", err
	}
	defer func() {
		_, rollbackErr := conn.Exec(ctx, "ROLLBACK")
		err = errors.Join(err, ignoreIf(err != nil, rollbackErr))
	}()
	if err := openCursor(ctx, conn, q.SQL, tryPatience); err != nil {
		return "", err
	}
	columns, _, err := fetch(ctx, conn, 0)
	if err != nil {
		return "", err
	}
	if columns != 1 {
		return "", fmt.Errorf("%w: this one answers %d columns", ErrNotOneValue, columns)
	}
	// Before anything else locks a table: what is locked now is what it reads.
	if err := staysInside(ctx, conn, q.Scope); err != nil || !q.AtCapture {
		return "", err
	}
	return costAtCapture(ctx, conn, q)
}

// lockedSQL lists the tables and the like that the transaction has locked, but
// those of the system and of extensions, which come with these.
const lockedSQL = `SELECT c.oid, n.nspname, c.relname FROM pg_locks l
	JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
	AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND c.oid >= 16384 AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
	ORDER BY 2, 3`

// staysInside returns an error that names what a query reads and the scope lacks.
// A plan leaves out what it can do without; the locks that planning takes are on
// everything that the text names, directly, through views or through SQL
// functions that were taken apart. What other functions read shows only when
// they run.
func staysInside(ctx context.Context, conn *pgx.Conn, scope Scope) error {
	rows, err := conn.Query(ctx, lockedSQL)
	if err != nil {
		return fmt.Errorf("listing what it reads: %w", err)
	}
	read, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
		return r, row.Scan(&r.OID, &r.Schema, &r.Name)
	})
	if err != nil || len(read) == 0 {
		return err
	}
	sel, err := resolve(ctx, conn, scope)
	if err != nil {
		return err
	}
	inside := map[uint32]bool{}
	for _, r := range append(sel.relations, sel.config...) {
		inside[r.OID] = true
	}
	var outside []string
	for _, r := range read {
		if !inside[r.OID] {
			outside = append(outside, r.String())
		}
	}
	if len(outside) == 0 {
		return nil
	}
	return fmt.Errorf("it reads %s, %w of the function: no restored copy has that, so the check passes in the source and fails on every copy",
		shortList(outside), errOutside)
}

// dearShare is the share of the cost of reading a whole function once from which
// on a check at every snapshot is called dear.
const dearShare = 0.25

// costAtCapture says when a check costs much at every snapshot, by the planner's
// estimate and against what reading all rows of the scope costs.
func costAtCapture(ctx context.Context, conn *pgx.Conn, q Query) (string, error) {
	cost, err := estimate(ctx, conn, q.SQL)
	if err != nil {
		return "", fmt.Errorf("estimating what it costs: %w", err)
	}
	sel, err := resolve(ctx, conn, q.Scope)
	if err != nil {
		return "", err
	}
	var whole float64
	err = conn.QueryRow(ctx, `SELECT coalesce(sum(pg_relation_size(c.oid) / current_setting('block_size')::float8 * current_setting('seq_page_cost')::float8
			+ greatest(c.reltuples, 0) * current_setting('cpu_tuple_cost')::float8), 0)
		FROM pg_class c WHERE c.oid = ANY($1) AND c.relkind = 'r'`, sel.oids()).Scan(&whole)
	if err != nil {
		return "", fmt.Errorf("estimating what the function costs: %w", err)
	}
	const small = 1000 // pages or so: nobody notices
	if share := cost / max(whole, 1); cost > small && share > dearShare {
		return fmt.Sprintf("by the planner's estimate it costs %.0f %% of reading the whole function once, and it runs at every snapshot: "+
			"ask for less, let an index answer it, or leave same_at_source out: L5 compares every row anyway", 100*share), nil
	}
	return "", nil
}

// estimate returns the planner's cost of a query.
func estimate(ctx context.Context, conn *pgx.Conn, sql string) (float64, error) {
	answer := conn.PgConn().ExecParams(ctx, "EXPLAIN (FORMAT JSON) "+sql, nil, nil, nil, nil).Read()
	if answer.Err != nil {
		return 0, answer.Err
	}
	var plans []struct {
		Plan struct {
			Cost float64 `json:"Total Cost"`
		}
	}
	if len(answer.Rows) != 1 || len(answer.Rows[0]) != 1 {
		return 0, errors.New("the server does not explain it")
	}
	if err := json.Unmarshal(answer.Rows[0][0], &plans); err != nil || len(plans) != 1 {
		return 0, errors.Join(errors.New("the server explains it in a form that is not known"), err)
	}
	return plans[0].Plan.Cost, nil
}

// LacksRelation reports whether a query failed because something that it reads is
// not there.
func LacksRelation(err error) bool { return hasCode(err, codeUndefinedTable, codeInvalidSchema) }

// adviseQuery says what to do about a query that cannot be run.
func adviseQuery(err error) string {
	var said *pgconn.PgError
	switch {
	case errors.Is(err, ErrNotOneValue):
		return "write SELECT count(*) … or the like"
	case errors.Is(err, errOutside):
		return "add what it reads to the scope, ask only for what is in it, or move the check to the function that holds it"
	case !errors.As(err, &said):
		return ""
	case said.Code == codeUndefinedTable:
		return "write schema.table: the search path is empty"
	case said.Code == codeNoPrivilege:
		return "grant the role of the source SELECT there, or use what it may read"
	case said.Code == "55000" && strings.Contains(said.Message, "view"):
		return "write out the view's query on its tables: sessions of backupd read no views of others, whose functions would run with its rights"
	case said.Code == "42601":
		return "write one SELECT, without anything before or after it"
	}
	return ""
}

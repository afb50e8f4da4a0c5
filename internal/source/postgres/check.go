package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/pgserver"
)

// Check finds out whether the scopes can be captured, without locking or
// copying anything. It finds as much as it can in one go; the result is never
// empty.
func (s *Source) Check(ctx context.Context, scopes []Scope) []Finding {
	conn, err := s.connect(ctx, "check")
	if err != nil {
		return []Finding{{
			Subject: "source " + s.opts.Name, Detail: err.Error(),
			Hint: "check that the server runs and accepts this user from this host (pg_hba.conf), and the password",
		}}
	}
	defer func() { _ = hangUp(conn) }() // nothing was changed that could be lost
	var findings []Finding
	err = watched(ctx, s.dog(), conn, func(ctx context.Context) error {
		findings = s.checkAll(ctx, conn, scopes)
		return ctx.Err()
	})
	if err != nil {
		findings = append(findings, Finding{Subject: "source " + s.opts.Name, Detail: err.Error()})
	}
	return findings
}

func (s *Source) checkAll(ctx context.Context, conn *pgx.Conn, scopes []Scope) []Finding {
	point, err := identity(ctx, conn)
	if err != nil {
		return []Finding{{Subject: "source " + s.opts.Name, Detail: err.Error()}}
	}
	findings := append(s.checkServer(ctx, conn, point), s.checkExtensions(ctx, conn)...)
	for _, scope := range scopes {
		findings = append(findings, s.checkScope(ctx, conn, scope)...)
	}
	return findings
}

// checkServer checks what concerns all functions of the source.
func (s *Source) checkServer(ctx context.Context, conn *pgx.Conn, point Point) []Finding {
	subject := "source " + s.opts.Name
	reached := Finding{OK: true, Subject: subject, Detail: fmt.Sprintf("PostgreSQL %s, database %s, encoding %s",
		point.ServerVersion, displayName(point.Database), point.Encoding)}
	if point.Standby {
		reached.Detail += ", a standby"
		reached.Hint = "long captures need hot_standby_feedback or a higher max_standby_streaming_delay there; unlogged tables are not captured"
	}
	if point.Encoding == "SQL_ASCII" {
		reached.Hint = "the bytes of its texts have no known meaning: they are kept as they are"
	}
	findings := []Finding{reached}
	if err := point.versionError(); err != nil {
		findings = append(findings, Finding{Subject: subject, Detail: err.Error()})
	}
	if program, err := dumpProgram(point); err != nil {
		findings = append(findings, Finding{Subject: subject + ": pg_dump", Detail: err.Error()})
	} else {
		findings = append(findings, Finding{OK: true, Subject: subject + ": pg_dump", Detail: describeDump(program, point)})
	}
	return append(findings, s.checkConnections(ctx, conn))
}

// describeDump says why a program is good for a server.
func describeDump(program string, point Point) string {
	version, err := pgserver.Version(program)
	if err != nil {
		return program // whose major version was read a moment ago
	}
	return fmt.Sprintf("%s is new enough for the server's %d", version, point.ServerVersionNum/10000)
}

// checkConnections compares the sessions that a capture needs with those that
// the server has free for the role.
func (s *Source) checkConnections(ctx context.Context, conn *pgx.Conn) Finding {
	needed := s.opts.Connections + 2 // the exporter and pg_dump
	f := Finding{Subject: "source " + s.opts.Name + ": connections"}
	var free int
	err := conn.QueryRow(ctx, `
		SELECT least(
			current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
				- (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
			nullif(rolconnlimit, -1) - (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user))::int + 1
		FROM pg_roles WHERE rolname = current_user`).Scan(&free)
	switch {
	case err != nil:
		f.Detail = fmt.Sprintf("counting them: %v", err)
	case free < needed:
		f.Detail = fmt.Sprintf("a capture needs %d and %d are free now", needed, free)
		f.Hint = "lower connections of the source, or raise max_connections or the connection limit of the role"
	default:
		f.OK, f.Detail = true, fmt.Sprintf("a capture needs %d, %d are free now", needed, free)
	}
	return f
}

// checkExtensions tells of extensions whose tables do not come back by a plain
// restore.
func (s *Source) checkExtensions(ctx context.Context, conn *pgx.Conn) []Finding {
	subject := "source " + s.opts.Name + ": extensions"
	rows, err := conn.Query(ctx, `SELECT extname FROM pg_extension WHERE extname IN ('citus', 'timescaledb') ORDER BY 1`)
	if err != nil {
		return []Finding{problem(subject, err)}
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return []Finding{problem(subject, err)}
	}
	var findings []Finding
	for _, name := range names {
		findings = append(findings, Finding{
			Subject: subject,
			Detail:  name + " spreads tables in ways that only its own tools can restore",
			Hint:    "leave the schemas with such tables out of every function, and protect them by those tools",
		})
	}
	return findings
}

// checkScope checks one function.
func (s *Source) checkScope(ctx context.Context, conn *pgx.Conn, scope Scope) []Finding {
	subject := "function " + scope.Function
	sel, err := resolve(ctx, conn, scope)
	if err != nil {
		return []Finding{problem(subject, err)}
	}
	var findings []Finding
	if err := sel.unmatchedError(); err != nil {
		findings = append(findings, problem(subject, err))
	}
	checks := []func(context.Context, querier, selection) error{checkRights, checkDependencies}
	for _, check := range checks {
		if err := check(ctx, conn, sel); err != nil {
			findings = append(findings, problem(subject, err))
		}
	}
	if len(findings) == 0 {
		findings = append(findings, Finding{
			OK: true, Subject: subject,
			Detail: allReadable(len(sel.lockable()), s.opts.Name),
		})
	}
	return append(findings, remarks(ctx, conn, sel)...)
}

// allReadable says that so many tables, which is all, can be read.
func allReadable(tables int, source string) string {
	if tables == 1 {
		return fmt.Sprintf("the one table of source %s that belongs to it can be read", source)
	}
	return fmt.Sprintf("all %d tables of source %s that belong to it can be read", tables, source)
}

// problem splits an error with a list of problems into what is the matter and
// what to do.
func problem(subject string, err error) Finding {
	f := Finding{Subject: subject, Detail: err.Error()}
	var scope *ScopeError
	var rights *RightsError
	switch {
	case errors.As(err, &scope):
		f.Hint = "change schemas or tables of the function"
	case errors.As(err, &rights):
		f.Hint = "run these as the owner of the tables or as superuser; " +
			"a role that may read everything: CREATE ROLE backup LOGIN BYPASSRLS IN ROLE pg_read_all_data"
	}
	return f
}

// remarks are findings that stop nothing and that an operator should know.
func remarks(ctx context.Context, conn *pgx.Conn, sel selection) []Finding {
	subject := "function " + sel.Function
	var findings []Finding
	references, err := outside(ctx, conn, sel)
	if err != nil {
		findings = append(findings, problem(subject, err))
	}
	for _, r := range references {
		findings = append(findings, Finding{
			OK: true, Subject: subject,
			Detail: fmt.Sprintf("the foreign key %s of %s refers to %s, which is outside",
				displayName(r.Constraint), display(r.Schema, r.Table), display(r.ToSchema, r.ToTable)),
			Hint: "it is restored only where that table exists",
		})
	}
	along, err := alongNotes(ctx, conn, sel)
	if err != nil {
		findings = append(findings, problem(subject, err))
	}
	for _, note := range append(withoutRows(sel), along...) {
		findings = append(findings, Finding{OK: true, Subject: subject, Detail: note})
	}
	return append(findings, storageRemarks(ctx, conn, sel)...)
}

// storageRemarks are about tables and indexes that a restore may surprise with.
func storageRemarks(ctx context.Context, conn *pgx.Conn, sel selection) []Finding {
	subject := "function " + sel.Function
	rows, err := conn.Query(ctx, `
		SELECT c.oid::regclass::text, true FROM pg_class c WHERE c.oid = ANY($1) AND c.relkind = 'r' AND c.relpersistence = 'u'
		UNION ALL
		SELECT i.indexrelid::regclass::text, false FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
		WHERE i.indrelid = ANY($1) AND NOT i.indisvalid AND c.relkind <> 'p'`, sel.oids())
	if err != nil {
		return []Finding{problem(subject, err)}
	}
	var findings []Finding
	var name string
	var unlogged bool
	_, err = pgx.ForEachRow(rows, []any{&name, &unlogged}, func() error {
		f := Finding{OK: true, Subject: subject, Detail: name + " is unlogged: a crash of the source empties it"}
		if !unlogged {
			f.Detail = "the index " + name + " is not valid and will not be restored"
			f.Hint = "REINDEX INDEX CONCURRENTLY " + name + " or drop it"
		}
		findings = append(findings, f)
		return nil
	})
	if err != nil {
		findings = append(findings, problem(subject, err))
	}
	return findings
}

// String returns the finding as one line.
func (f Finding) String() string {
	state := "ok"
	if !f.OK {
		state = "FAILED"
	}
	return strings.TrimSuffix(fmt.Sprintf("%s: %s: %s: %s", state, f.Subject, f.Detail, f.Hint), ": ")
}

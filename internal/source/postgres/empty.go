package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// unfinishedMark begins the comment of a database whose restore has not come
// to its end.
const unfinishedMark = "backupd: unfinished restore"

// foreignObjects finds what a database holds beyond a fresh one. Objects that
// initdb made have numbers below 16384 (FirstNormalObjectId), except a schema
// public that was made again; what belongs to an extension is left to it. A
// large object may have any number.
const foreignObjects = `
WITH found(kind, name, class, oid) AS (
	SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
	            WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'table' END,
	       relnamespace::regnamespace || '.' || quote_ident(relname), 'pg_class'::regclass, oid
	FROM pg_class WHERE relkind NOT IN ('i', 'I', 't') AND relpersistence <> 't'
	UNION ALL SELECT 'schema', quote_ident(nspname), 'pg_namespace'::regclass, oid
	FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'public'
	UNION ALL SELECT 'function', p.oid::regprocedure::text, 'pg_proc'::regclass, p.oid FROM pg_proc p
	UNION ALL SELECT 'type', t.oid::regtype::text, 'pg_type'::regclass, t.oid
	FROM pg_type t WHERE typrelid = 0 AND typcategory <> 'A' AND typtype <> 'm'
	UNION ALL SELECT 'operator', o.oid::regoperator::text, 'pg_operator'::regclass, o.oid FROM pg_operator o
	UNION ALL SELECT 'collation', collname, 'pg_collation'::regclass, oid FROM pg_collation
	UNION ALL SELECT 'extension', quote_ident(extname), 'pg_extension'::regclass, oid FROM pg_extension WHERE extname <> 'plpgsql'
	UNION ALL SELECT 'event trigger', quote_ident(evtname), 'pg_event_trigger'::regclass, oid FROM pg_event_trigger
	UNION ALL SELECT 'publication', quote_ident(pubname), 'pg_publication'::regclass, oid FROM pg_publication
	UNION ALL SELECT 'subscription', quote_ident(subname), 'pg_subscription'::regclass, oid FROM pg_subscription
	WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
	UNION ALL SELECT 'foreign-data wrapper', quote_ident(fdwname), 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper
	UNION ALL SELECT 'foreign server', quote_ident(srvname), 'pg_foreign_server'::regclass, oid FROM pg_foreign_server
	UNION ALL SELECT 'large object', oid::text, 'pg_largeobject'::regclass, 16384 FROM pg_largeobject_metadata
)
SELECT kind, name, count(*) OVER () FROM found
WHERE oid::oid >= 16384 AND NOT EXISTS (
	SELECT FROM pg_depend d WHERE d.classid = found.class AND d.objid = found.oid::oid AND d.deptype = 'e')
ORDER BY kind = 'schema', kind = 'type', kind, name LIMIT 3`

// Empty reports whether the target holds nothing beyond what a fresh database
// does, and otherwise what was found in it: objects, or the mark of a restore
// that did not come to its end.
func (t *Target) Empty(ctx context.Context) (bool, string, error) {
	found := ""
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		comment, err := databaseComment(ctx, conn)
		if err != nil {
			return err
		}
		if strings.HasPrefix(comment, unfinishedMark) {
			found = "an unfinished restore (" + comment + "); drop this database and make it again"
			return nil
		}
		found, err = findObjects(ctx, conn)
		return err
	})
	if err != nil {
		return false, "", t.fail("look what is in it", err)
	}
	return found == "", found, nil
}

// findObjects describes what the database holds: the first few objects and
// how many there are.
func findObjects(ctx context.Context, conn *pgx.Conn) (string, error) {
	rows, err := conn.Query(ctx, foreignObjects)
	if err != nil {
		return "", err
	}
	var names []string
	var kind, name string
	var all int
	_, err = pgx.ForEachRow(rows, []any{&kind, &name, &all}, func() error {
		names = append(names, kind+" "+name)
		return nil
	})
	if err != nil || len(names) == 0 {
		return "", err
	}
	text := strings.Join(names, ", ")
	if more := all - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text, nil
}

// databaseComment returns the comment of the database, "" when it has none.
func databaseComment(ctx context.Context, conn *pgx.Conn) (string, error) {
	var comment string
	err := conn.QueryRow(ctx, `
		SELECT coalesce(pg_catalog.shobj_description(oid, 'pg_database'), '')
		FROM pg_catalog.pg_database WHERE datname = current_database()`).Scan(&comment)
	return comment, err
}

// MarkUnfinished marks the database as one whose restore is under way: with a
// comment, which everybody sees who lists the databases, and which
// [Target.Empty] and [UnfinishedDatabases] find. note says what is restored.
// The mark stays until [Target.MarkFinished], also after a crash.
func (t *Target) MarkUnfinished(ctx context.Context, note string) error {
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		before, err := databaseComment(ctx, conn)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(before, unfinishedMark) {
			t.comment = before
		}
		return t.setComment(ctx, conn, unfinishedMark+": "+note)
	})
	if err != nil {
		return t.fail("mark it as unfinished", err)
	}
	return nil
}

// MarkFinished takes the mark away and gives the database the comment that
// the source's database has, or else the one it had before. When it returns,
// all that was restored is on the disk of the server.
func (t *Target) MarkFinished(ctx context.Context) error {
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		comment := t.comment
		if t.globals.Database.Comment != "" && len(t.opts.Tables) == 0 {
			comment = t.globals.Database.Comment
		}
		if err := t.watch.check(ctx); err != nil {
			return err
		}
		// A commit that waits for the disk takes all earlier ones along.
		if _, err := conn.Exec(ctx, "SET synchronous_commit = on"); err != nil {
			return err
		}
		return t.setComment(ctx, conn, comment)
	})
	if err != nil {
		return t.fail("mark it as finished", err)
	}
	return nil
}

func (t *Target) setComment(ctx context.Context, conn *pgx.Conn, comment string) error {
	text := "NULL"
	if comment != "" {
		text = literal(comment)
	}
	_, err := conn.Exec(ctx, "COMMENT ON DATABASE "+quoted("", t.config.Database)+" IS "+text)
	return err
}

// literal quotes text for SQL where no parameter is allowed.
func literal(text string) string {
	quotedText := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return "E" + strings.ReplaceAll(quotedText, `\`, `\\`)
	}
	return quotedText
}

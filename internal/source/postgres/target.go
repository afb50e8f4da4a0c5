package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/progress"
)

// TargetOptions say which database is filled and how.
type TargetOptions struct {
	// URL is the address of the database; it may hold a password and appears
	// in no message.
	URL string
	// NoOwner leaves out owners, grants and the roles they need; what is
	// restored then belongs to the role that restores.
	NoOwner bool
	// Jobs is the number of connections that load and index at once, 4 when 0.
	Jobs int
	// Tables, when there are any, restricts the restore to these tables and
	// what they need or own: types, functions, sequences, indexes,
	// constraints, triggers. See also [SelectTables].
	Tables []TableName
	// Scratch marks a database that is thrown away after a proof. Nothing in
	// it may reach out or act by itself:
	//   - user mappings of foreign servers are not made, so that no foreign
	//     table can log in anywhere, and materialized views that read foreign
	//     tables are not refreshed;
	//   - event triggers come last, when nothing is left that fires them, and
	//     those that fire on login are not made;
	//   - subscriptions are made as pg_dump writes them, disabled and without
	//     a connection (that is so in every restore);
	//   - libraries that the database loads into each session are not set;
	//   - pg_cron runs jobs of one database only, which is never this one.
	// Roles that were superusers are made so here, since the scratch server
	// is ours. Not detected are functions that reach out when an index or a
	// materialized view calls them.
	Scratch bool
	// Superusers makes missing roles superusers when they were so in the
	// source. Without it they become ordinary roles.
	Superusers bool
	// StallTimeout ends what hangs: a session over which nothing has moved for
	// so long, and work in which nothing moves over ours, such as the building
	// of indexes, when the server has not answered another session for so
	// long. [progress.DefaultStall] when 0.
	StallTimeout time.Duration
	// Clock is the system's when nil.
	Clock clock.Clock
	// Log may be nil.
	Log *slog.Logger
}

// TableName names a table.
type TableName struct {
	Schema string
	Name   string
}

// String returns the schema-qualified name, quoted where SQL needs it.
func (n TableName) String() string { return display(n.Schema, n.Name) }

// Target is a database being filled. It is safe for concurrent use, but its
// steps have an order: PreData, CopyIn for every table, SetSequences,
// PostData.
type Target struct {
	opts      TargetOptions
	config    *pgx.ConnConfig
	pool      *pool
	watch     *watch
	version   int  // server_version_num
	superuser bool // whether we are one

	mu      sync.Mutex
	notes   []string
	globals Globals // of PreData, for PostData
	comment string  // of the database, before it was marked as unfinished
	objects map[uint32]bool
}

// Connect opens the database that opts name. The error names the database and
// not the password.
func Connect(ctx context.Context, opts TargetOptions) (*Target, error) {
	config, err := pgx.ParseConfig(opts.URL)
	if err != nil {
		// The error may quote the address, with the password in it.
		return nil, errors.New("target: the url is not an address of PostgreSQL: " +
			"write it as postgres://user@host:5432/database")
	}
	if opts.Jobs <= 0 {
		opts.Jobs = 4
	}
	if opts.StallTimeout <= 0 {
		opts.StallTimeout = progress.DefaultStall
	}
	if opts.Clock == nil {
		opts.Clock = clock.System
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	config.RuntimeParams["application_name"] = "backupd restore"
	stayConnected(config)
	t := &Target{opts: opts, config: config, objects: map[uint32]bool{}}
	t.pool = newPool(opts.Jobs, t.dog(), t.open)
	err = t.look(ctx)
	if err == nil {
		t.watch, err = newWatch(ctx, config, t.dog())
	}
	if err != nil {
		return nil, errors.Join(t.fail("open it", err), t.pool.close())
	}
	return t, nil
}

// loading are settings of sessions that load. Commits do not wait for the
// disk: a restore that a crash interrupts is begun again in any case. The
// materialized views of the source may read its views.
const loading = `
	SELECT set_config('synchronous_commit', 'off', false);
	SELECT set_config(name, '', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'`

// dog ends what hangs at the target.
func (t *Target) dog() progress.Watchdog {
	return progress.Watchdog{Clock: t.opts.Clock, Bound: t.opts.StallTimeout}
}

// open makes a session that loads.
func (t *Target) open(ctx context.Context) (*pgx.Conn, error) {
	conn, err := dial(ctx, t.config)
	if err != nil {
		return nil, err
	}
	err = watched(ctx, t.dog(), conn, func(ctx context.Context) error {
		if err := pin(ctx, conn, 0, nil); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, loading)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, hangUp(conn))
	}
	return conn, nil
}

// Release is the version of the server, such as 15.14.
func (t *Target) Release() string { return fmt.Sprintf("%d.%d", t.version/10000, t.version%10000) }

// look reads what the server is and refuses one that cannot be written to.
func (t *Target) look(ctx context.Context) error {
	return t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var standby, readOnly bool
		err := conn.QueryRow(ctx, `
			SELECT current_setting('server_version_num')::int,
			       (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
			       pg_catalog.pg_is_in_recovery(),
			       current_setting('default_transaction_read_only')::bool`).
			Scan(&t.version, &t.superuser, &standby, &readOnly)
		switch {
		case err != nil:
			return err
		case standby:
			return errors.New("the server is a standby and takes no writes; restore into its primary")
		case readOnly:
			return errors.New("default_transaction_read_only is on for this database or role; turn it off")
		}
		return nil
	})
}

// fail says which target an error is about and what was being done.
func (t *Target) fail(doing string, err error) error {
	return fmt.Errorf("target %s: %s: %w", addressee(t.config), doing, err)
}

// addressee names a database without the password to it.
func addressee(config *pgx.ConnConfig) string {
	return fmt.Sprintf("%s at %s", displayName(config.Database), config.Host)
}

// Notes returns sentences for the operator about what was done differently
// from the source, in the order in which it happened: roles without password,
// properties left out.
func (t *Target) Notes() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.notes)
}

func (t *Target) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := fmt.Sprintf(format, args...); !slices.Contains(t.notes, text) {
		t.notes = append(t.notes, text)
	}
}

// exec runs one statement on a connection of the pool.
func (t *Target) exec(ctx context.Context, sql string) error {
	return t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

// long calls f, in which no byte need move for long, with a connection of the
// pool.
func (t *Target) long(ctx context.Context, f func(context.Context, *pgx.Conn) error) error {
	return t.pool.lend(ctx, func(conn *pgx.Conn) error {
		return t.watch.alive(ctx, func(ctx context.Context) error { return f(ctx, conn) })
	})
}

// execLong is exec for a statement that may take long.
func (t *Target) execLong(ctx context.Context, sql string) error {
	return t.long(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql)
		return err
	})
}

// Structure returns every object of the scope as it now is in the target.
func (t *Target) Structure(ctx context.Context, scope Scope) (Structure, error) {
	var s Structure
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) (err error) {
		s, err = structure(ctx, conn, scope)
		return err
	})
	if err != nil {
		return Structure{}, t.fail("read its structure", err)
	}
	return s, nil
}

// Close closes the connections, those in use as soon as they no longer are.
func (t *Target) Close(context.Context) error {
	if err := errors.Join(t.pool.close(), t.watch.close()); err != nil {
		return t.fail("close it", err)
	}
	return nil
}

// queryTarget returns the rows of a query that gives one column.
func queryTarget[T any](ctx context.Context, t *Target, sql string, args ...any) ([]T, error) {
	var values []T
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		values, err = pgx.CollectRows(rows, pgx.RowTo[T])
		return err
	})
	return values, err
}

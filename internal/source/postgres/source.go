package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/progress"
)

// Options say how a source is reached and how gently it is treated.
type Options struct {
	// Name is that of the source in the configuration, for messages.
	Name string
	// URL is its address; it may hold a password and appears in no message.
	URL string
	// Connections is the number of sessions that copy at once, 4 when 0. The
	// session that holds the snapshot and pg_dump come on top.
	Connections int
	// LockTimeout bounds the wait for the locks of a capture, 5 s when 0: a
	// waiting lock makes the users of the database wait too.
	LockTimeout time.Duration
	// MaxSnapshotAge ends a capture that has held its snapshot for longer,
	// because that keeps the source from cleaning up; 0 means no end.
	MaxSnapshotAge time.Duration
	// StallTimeout ends what hangs: a session over which nothing has moved for
	// so long, [progress.DefaultStall] when 0.
	StallTimeout time.Duration
	// Clock is the system's when nil.
	Clock clock.Clock
	// Log may be nil.
	Log *slog.Logger
}

// Source is a PostgreSQL database to capture from. It holds no connection and
// is safe for concurrent use.
type Source struct {
	opts   Options
	config *pgx.ConnConfig
	// partBytes is the wanted size of a part of a table, on disk.
	partBytes int64
	// Between the steps of taking the locks and the snapshot, tests change
	// the source here. Called where not nil.
	hooks hooks
}

// hooks are called between the steps of a capture, in tests.
type hooks struct {
	planned, locked, exported func()
}

// New returns the source that opts describe. It opens no connection: an error
// is about opts alone.
func New(opts Options) (*Source, error) {
	config, err := pgx.ParseConfig(opts.URL)
	if err != nil {
		// The error may quote the address, with the password in it.
		return nil, fmt.Errorf("source %s: the url is not an address of PostgreSQL: "+
			"write it as postgres://user@host:5432/database", opts.Name)
	}
	if opts.Connections < 0 || opts.LockTimeout < 0 || opts.MaxSnapshotAge < 0 || opts.StallTimeout < 0 {
		return nil, fmt.Errorf("source %s: connections, lock_timeout, max_snapshot_age and stall_timeout must not be negative", opts.Name)
	}
	if opts.Connections == 0 {
		opts.Connections = 4
	}
	if opts.LockTimeout == 0 {
		opts.LockTimeout = 5 * time.Second
	}
	if opts.StallTimeout == 0 {
		opts.StallTimeout = progress.DefaultStall
	}
	if opts.Clock == nil {
		opts.Clock = clock.System
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	stayConnected(config)
	return &Source{opts: opts, config: config, partBytes: defaultPartBytes}, nil
}

// stayConnected bounds the time to connect, and keeps up connections on which
// nothing is said for long: that of the exporter, which a firewall might forget
// and whose loss must show.
func stayConnected(config *pgx.ConnConfig) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 30 * time.Second
	}
	dialer := &net.Dialer{Timeout: config.ConnectTimeout, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 6,
	}}
	config.DialFunc = dialer.DialContext
}

// connect opens a session with the pinned settings, named after the function
// it works for.
func (s *Source) connect(ctx context.Context, function string) (*pgx.Conn, error) {
	config := s.config.Copy()
	config.RuntimeParams["application_name"] = applicationName(function)
	conn, err := dial(ctx, config)
	if err != nil {
		return nil, err
	}
	err = watched(ctx, s.dog(), conn, func(ctx context.Context) error {
		return pin(ctx, conn, s.opts.LockTimeout, lettingGo(s.opts.StallTimeout, s.opts.MaxSnapshotAge))
	})
	if err != nil {
		return nil, errors.Join(err, hangUp(conn))
	}
	return conn, nil
}

// dog ends what hangs at the source.
func (s *Source) dog() progress.Watchdog {
	return progress.Watchdog{Clock: s.opts.Clock, Bound: s.opts.StallTimeout}
}

// applicationName is what the source's administrator sees in
// pg_stat_activity.
func applicationName(function string) string {
	if function == "" {
		return "backupd"
	}
	return "backupd/" + function
}

// wrap says in an error which function and source it is about and what was
// being done.
func (s *Source) wrap(scope Scope, doing string, err error) error {
	if scope.Function == "" {
		return fmt.Errorf("source %s: %s: %w", s.opts.Name, doing, err)
	}
	return fmt.Errorf("function %s: source %s: %s: %w", scope.Function, s.opts.Name, doing, err)
}

package postgres

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/progress"
)

// traffic counts what goes over the connection of one session, in bytes and
// both ways, so that a session in which nothing moves can be told from one
// that works.
type traffic struct {
	bytes atomic.Int64
	// resting counts those that the session waits for: whoever gives the rows
	// that it is to send, or takes those that it got.
	resting atomic.Int32
}

// trafficKey is where a session keeps its traffic.
const trafficKey = "traffic"

func (t *traffic) pulse() (int64, bool) { return t.bytes.Load(), t.resting.Load() > 0 }

func trafficOf(conn *pgx.Conn) *traffic {
	t, ok := conn.PgConn().CustomData()[trafficKey].(*traffic)
	if !ok {
		return &traffic{} // nobody dialled it here: it is never seen to move
	}
	return t
}

// countedConn is a connection whose traffic is counted.
type countedConn struct {
	net.Conn
	traffic *traffic
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.traffic.bytes.Add(int64(n))
	return n, err
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.traffic.bytes.Add(int64(n))
	return n, err
}

// dial connects to a server and counts the traffic. The time to connect is
// bounded by the settings; see [stayConnected].
func dial(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	counter := &traffic{}
	config = config.Copy()
	plain := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := plain(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return countedConn{conn, counter}, nil
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, &reachError{err}
	}
	conn.PgConn().CustomData()[trafficKey] = counter
	return conn, nil
}

// watched does work with a session, up to the moment when nothing has moved
// over it for the bound of the watchdog.
func watched(ctx context.Context, dog progress.Watchdog, conn *pgx.Conn, work func(context.Context) error) error {
	phase := fmt.Sprintf("server process %d", conn.PgConn().PID())
	return hung(dog.Watch(ctx, phase, trafficOf(conn).pulse, work))
}

// hungError is a stall with what to look at.
type hungError struct{ err *progress.StalledError }

func (e *hungError) Unwrap() error { return e.err }

func (e *hungError) Error() string {
	return e.err.Error() + " (look whether that process and its host still run, in pg_stat_activity and there, " +
		"and at the network in between; what is only slow needs a higher stall_timeout)"
}

// hung adds to a stall what to look at.
func hung(err error) error {
	if stalled, ok := err.(*progress.StalledError); ok { //nolint:errorlint // straight from the watchdog
		return &hungError{stalled}
	}
	return err
}

// givenRows is a source of rows for a session, which rests while it waits for
// them.
type givenRows struct {
	rows    io.Reader
	traffic *traffic
}

func (g givenRows) Read(p []byte) (int, error) {
	g.traffic.resting.Add(1)
	defer g.traffic.resting.Add(-1)
	return g.rows.Read(p)
}

// takenRows takes the rows of a session, which rests while that lasts: it is
// not the source that is slow then.
type takenRows struct {
	rows    io.Writer
	traffic *traffic
}

func (g takenRows) Write(p []byte) (int, error) {
	g.traffic.resting.Add(1)
	defer g.traffic.resting.Add(-1)
	return g.rows.Write(p)
}

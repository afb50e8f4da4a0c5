package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// guardPause is the time between two tries to lock a table in a worker.
const guardPause = 50 * time.Millisecond

// guard takes the lock on a table in a worker's session without queueing for
// it. The exporter's lock already keeps the table as it is; this one keeps the
// worker from waiting in COPY behind somebody who waits for the exporter, which
// would never end. Whoever waits gets LockTimeout to give up, then we do:
// behind them the users of the table are waiting too.
func (c *Capture) guard(ctx context.Context, conn *pgx.Conn, t Table) error {
	if t.Kind == KindLargeObjects {
		return nil
	}
	lock := "LOCK TABLE ONLY " + quoted(t.Schema, t.Name) + " IN ACCESS SHARE MODE NOWAIT"
	if _, err := conn.Exec(ctx, "SAVEPOINT guard"); err != nil {
		return err
	}
	timeout := c.source.opts.LockTimeout
	for waited := time.Duration(0); ; waited += guardPause {
		_, err := conn.Exec(ctx, lock)
		if err == nil {
			_, err = conn.Exec(ctx, "RELEASE SAVEPOINT guard")
			return err
		}
		if !hasCode(err, codeLockNotAvailable) {
			return err
		}
		if _, rollbackErr := conn.Exec(ctx, "ROLLBACK TO SAVEPOINT guard"); rollbackErr != nil {
			return rollbackErr
		}
		if waited >= timeout {
			return explainLock(ctx, conn, c.relationsOf(t), timeout, err)
		}
		if err := c.source.opts.Clock.Sleep(ctx, guardPause); err != nil {
			return err
		}
	}
}

// relationsOf returns the relation of a table.
func (c *Capture) relationsOf(t Table) []relation {
	for _, r := range c.sel.lockable() {
		if r.Schema == t.Schema && r.Name == t.Name {
			return []relation{r}
		}
	}
	return nil
}

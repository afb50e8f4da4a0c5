package evidence

import (
	"context"
	"fmt"
	"time"
)

// IdleAfter is how long a service leaves the log without a record at most. A
// longer silence means that nothing ran.
const IdleAfter = time.Hour

// KeepAlive writes a record whenever nothing was written for [IdleAfter], until
// ctx ends, whose error it then returns. After a failure it tries again a minute
// later, and tells failed of it.
func (l *Log) KeepAlive(ctx context.Context, failed func(error)) error {
	for {
		wait, err := l.idle()
		if err != nil {
			failed(fmt.Errorf("record that the service runs: %w", err))
			wait = time.Minute
		}
		if err := l.clock.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// idle writes a record when it is time, and returns when to look again.
func (l *Log) idle() (time.Duration, error) {
	now := l.state()
	silence := l.clock.Now().Sub(now.last)
	if now.size > 0 && silence < IdleAfter {
		// A clock that was set back makes no wait longer than that.
		return min(IdleAfter-silence, IdleAfter), nil
	}
	_, err := l.Note(Record{Act: ActAlive, By: "schedule", Alive: &Alive{}})
	return IdleAfter, err
}

package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// capture is a snapshot that is being taken, table by table, while other things
// happen.
type capture struct {
	function string
	content  map[string][]byte
	left     []string // tables still to write
	step     chan func(*Writer) error
	done     chan error // of each step, and at last of all
	ended    bool
	snap     *Snapshot
	cancel   context.CancelFunc
}

var errSourceGone = errors.New("source went away")

// patience is for what may wait for room in the spool. Nothing is sent while a
// step runs, so waiting is of no use.
func (m *machine) patience() (context.Context, context.CancelFunc) {
	if m.spoolMax > 0 {
		return context.WithTimeout(context.Background(), 200*time.Millisecond)
	}
	return context.WithCancel(context.Background())
}

// noRoom reports whether an error is that of a spool that was full.
func noRoom(err error) bool {
	return errors.Is(err, ErrSpoolFull) || errors.Is(err, context.DeadlineExceeded)
}

// begin starts a capture of what is in the database now.
func (m *machine) begin(function string) *capture {
	ctx, cancel := m.patience()
	c := &capture{
		function: function, content: maps.Clone(m.tables[function]), step: make(chan func(*Writer) error), done: make(chan error),
		cancel: cancel,
	}
	c.left = slices.Sorted(maps.Keys(c.content))
	now := m.clock.Now()
	c.snap = &Snapshot{
		Function: function, Engine: "test", Source: json.RawMessage(`{}`), Streams: map[string]Stream{},
		RecoveryPoint: now, Started: now,
	}
	repo := m.Repository
	go func() {
		err := repo.Write(ctx, func(ctx context.Context, w *Writer) error {
			stream, err := w.Bytes(ctx, strings.NewReader("schema of "+function))
			c.snap.Streams["schema"] = stream
			for {
				c.done <- err
				if err != nil {
					return err
				}
				do := <-c.step
				if do == nil {
					break
				}
				err = do(w)
			}
			return w.Commit(ctx, c.snap)
		})
		c.done <- err
	}()
	if err := <-c.done; err != nil {
		c.end(err)
	}
	return c
}

// table writes the next table; false when there is none or it failed.
func (c *capture) table() bool {
	if c.ended || len(c.left) == 0 {
		return false
	}
	name := c.left[0]
	c.left = c.left[1:]
	c.step <- func(w *Writer) error {
		table, err := writeTable(w, name, c.content[name])
		c.snap.Tables = append(c.snap.Tables, table)
		return err
	}
	if err := <-c.done; err != nil {
		c.end(err)
		return false
	}
	return true
}

// end takes the last word of the writer, which has failed.
func (c *capture) end(err error) {
	if !c.ended {
		c.ended = true
		err = errors.Join(err, <-c.done) // its last word, which nobody asks for
		c.cancel()
	}
	_ = err
}

// abandon ends the capture with an error of its source.
func (c *capture) abandon() {
	if c.ended {
		return
	}
	c.step <- func(*Writer) error { return errSourceGone }
	c.end(<-c.done)
}

// commit writes what is left and commits.
func (c *capture) commit() error {
	for c.table() {
		continue
	}
	if c.ended {
		return errSourceGone
	}
	c.step <- nil
	c.ended = true
	err := <-c.done
	c.cancel()
	return err
}

// finish commits a capture and remembers what it must hold. The snapshot may
// exist although the process died over it.
func (m *machine) finish(t rapid.TB, c *capture) {
	t.Helper()
	err := c.commit()
	m.note("  snapshot %s of %s: %v", c.snap.ID, c.function, err)
	if c.snap.ID == "" {
		return
	}
	m.snaps[c.snap.ID] = &memory{
		id: c.snap.ID, function: c.function, content: c.content, point: c.snap.RecoveryPoint,
		captured: err == nil && !m.dead(),
	}
	m.order = append(m.order, c.snap.ID)
	m.counts.Snapshots++
}

// mutate changes some tables of a function: most stay as they are.
func (m *machine) mutate(t *rapid.T, function string) {
	tables := m.tables[function]
	rnd := rand.New(rand.NewPCG(uint64(rapid.IntRange(0, 1<<20).Draw(t, "rows")), 1))
	for range rapid.IntRange(1, 4).Draw(t, "tables") {
		name := fmt.Sprintf("t%d", rnd.IntN(8))
		if rnd.IntN(6) == 0 {
			delete(tables, name)
			continue
		}
		var rows strings.Builder
		for i := range 1 + rnd.IntN(6) {
			fmt.Fprintf(&rows, "%d\t%0*x\n", i, 8+rnd.IntN(60), rnd.Uint64())
		}
		tables[name] = []byte(rows.String())
	}
	if rnd.IntN(4) == 0 { // back to what was once: its chunks may be on their way out
		tables["t0"] = []byte(fmt.Sprintf("%d\tonce\n", rnd.IntN(3)))
	}
}

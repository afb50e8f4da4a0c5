package controls

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/snapshot/content"
	"github.com/saypro/backupd/internal/source/postgres"
)

// byCapture catches what must never become a recovery point.
const byCapture = "capture"

// captureFaults are sources that do not give all that they have.
func captureFaults() []fault {
	return []fault{
		{
			id: "table-unreadable", expected: byCapture, naming: credits,
			planted: "the role that captures may not read one of the tables: nothing may become a recovery point",
			try: func(ctx context.Context, c *replica) (finding, error) {
				return c.refused(func() error {
					_, err := c.takeAs(ctx, database, "drill_blind", nil)
					return err
				})
			},
		},
		{
			id: "capture-cut", expected: byCapture, naming: "source shop",
			planted: "the source ends every session in the middle of a capture: what was read until then may not become a recovery point",
			try: func(ctx context.Context, c *replica) (finding, error) {
				return c.refused(func() error {
					_, err := c.takeAs(ctx, database, "", c.cut(ctx))
					return err
				})
			},
		},
		{
			id: "table-absent", expected: "L4", naming: credits,
			planted: "a table is missing silently from schema and rows, as with a tool that leaves out what it may not read; the list of what the " +
				"source had names it",
			try: func(ctx context.Context, c *replica) (finding, error) {
				without, err := c.takeDoctored(ctx, "absent", "DROP TABLE shop.credits")
				if err != nil {
					return finding{}, err
				}
				whole, err := c.unpack(ctx, c.newest)
				if err != nil {
					return finding{}, err
				}
				id, err := c.forge(ctx, without, func(f *forgery) error {
					f.streams[content.Structure] = whole.streams[content.Structure]
					return nil
				})
				if err != nil {
					return finding{}, err
				}
				return c.find(ctx, id)
			},
		},
		{
			id: "rows-absent", expected: "L4", naming: credits,
			planted: "a table comes back empty, because its rows were left out silently: the commit names the table nowhere, the schema does",
			try: forged(func(f *forgery) error {
				f.Tables = slices.DeleteFunc(f.Tables, func(t repository.Table) bool { return t.Name == credits })
				return nil
			}),
		},
	}
}

// refused tries to make a recovery point that must not be.
func (c *replica) refused(take func() error) (finding, error) {
	before, err := c.points()
	if err != nil {
		return finding{}, err
	}
	refusal := take()
	after, err := c.points()
	switch {
	case err != nil:
		return finding{}, err
	case refusal == nil:
		return finding{detail: "the capture says that it went well"}, nil
	case len(after) != len(before):
		return finding{detail: fmt.Sprintf("the capture failed, and left a recovery point that is listed: %v", refusal)}, nil
	}
	return finding{caught: byCapture, detail: refusal.Error()}, nil
}

// cut ends all sessions at the source as soon as a capture begins to read.
func (c *replica) cut(ctx context.Context) progress.Reporter {
	var once sync.Once
	return func(e progress.Event) {
		if e.Phase != "schema" {
			return
		}
		once.Do(func() {
			err := postgres.Script(ctx, c.source.URL("postgres"),
				"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+database+"'")
			if err != nil {
				c.aloud.Error("negative control: the sessions of the capture could not be ended", "error", err)
			}
		})
	}
}

// points are the ids of all recovery points that are listed.
func (c *replica) points() (ids []string, err error) {
	err = c.repo.Snapshots("", func(s repository.SnapshotInfo) bool {
		ids = append(ids, s.ID)
		return true
	})
	slices.Sort(ids)
	return ids, err
}

package repository

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// readVerdicts reads again what marks say that the catalog knows already, when
// there are snapshots to take in: one that was condemned and deleted elsewhere
// while its site was not in the configuration is condemned still.
func (c *comparison) readVerdicts(ctx context.Context) error {
	c.verdicts = map[string]verdict{}
	isCommit := func(i storage.Info) bool { return strings.HasPrefix(i.Name, "c/") }
	if !slices.ContainsFunc(c.unknown, isCommit) {
		return nil
	}
	return c.site.background().List(ctx, "g/", "", func(info storage.Info) error {
		_, err := c.catalog.Object(info.Name)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil // it is taken in behind the commits
		}
		if err != nil {
			return err
		}
		object, err := readObject(ctx, c.site.quiet(), info.Name, maxCommit)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		m, err := openMark(c.keys, info.Name, object)
		if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrWrongKey) {
			return nil // what it says cannot be told; a snapshot more is kept
		}
		if err == nil {
			c.judge(m)
		}
		return err
	})
}

// judge notes what a mark says of snapshots; of two the later one counts.
func (c *comparison) judge(m *mark) {
	if m.Condemn != nil {
		for id, why := range m.Condemn.Snapshots {
			if _, ok := c.verdicts[id]; !ok {
				c.verdicts[id] = verdict{m.Time, why}
			}
		}
	}
	for _, id := range m.Spare {
		delete(c.verdicts, id)
	}
	if m.Hold != nil && m.Hold.Reason != "" {
		delete(c.verdicts, m.Hold.Snapshot)
	}
}

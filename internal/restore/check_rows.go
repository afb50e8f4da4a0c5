package restore

import (
	"context"
	"strings"

	"github.com/saypro/backupd/internal/source/postgres"
)

// checkCovered looks whether the snapshot has the rows of every table that came
// back (level L4). A table that its commit does not name comes back empty, and
// no comparison of what the commit names would tell.
func (l *Loader) checkCovered(ctx context.Context, to *postgres.Target) (Check, error) {
	c := Check{Name: "rows of every table are in the snapshot", Level: "L4"}
	tables, err := to.WithRows(ctx, l.scope())
	if err != nil {
		return c, err
	}
	captured := map[postgres.TableName]bool{}
	for _, t := range l.header.Tables {
		captured[postgres.TableName{Schema: t.Schema, Name: t.Name}] = true
	}
	var without []string
	for _, t := range tables {
		if !captured[t] {
			without = append(without, t.String())
		}
	}
	if c.Passed = len(without) == 0; c.Passed {
		c.Detail = tablesOf(len(tables))
	} else {
		c.Detail = "the snapshot names no rows of " + strings.Join(without, ", ")
	}
	return c, nil
}

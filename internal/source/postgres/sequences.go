package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// sequenceBatch is how many sequences one query reads.
const sequenceBatch = 200

// Sequences reads the sequences of the scope. It must be called after all
// rows have been copied: sequences do not obey the snapshot, so that read last
// they are ahead of every number drawn from them that is in the rows.
func (c *Capture) Sequences(ctx context.Context) ([]Sequence, error) {
	var all []relation
	for _, list := range [][]relation{c.sel.relations, c.sel.config} {
		for _, r := range list {
			if r.Kind == "S" {
				all = append(all, r)
			}
		}
	}
	sequences := make([]Sequence, 0, len(all))
	err := c.onWorker(ctx, "reading the sequences", func(ctx context.Context, conn *pgx.Conn) error {
		for len(all) > 0 {
			n := min(sequenceBatch, len(all))
			values, err := readSequences(ctx, conn, all[:n])
			if err != nil {
				return err
			}
			sequences, all = append(sequences, values...), all[n:]
		}
		return nil
	})
	return sequences, err
}

func readSequences(ctx context.Context, conn *pgx.Conn, batch []relation) ([]Sequence, error) {
	selects := make([]string, len(batch))
	for i, r := range batch {
		selects[i] = fmt.Sprintf("SELECT %d AS i, last_value, is_called FROM %s", i, quoted(r.Schema, r.Name))
	}
	rows, err := conn.Query(ctx, strings.Join(selects, " UNION ALL "))
	if err != nil {
		return nil, err
	}
	values := make([]Sequence, len(batch))
	var i int
	var s Sequence
	_, err = pgx.ForEachRow(rows, []any{&i, &s.LastValue, &s.IsCalled}, func() error {
		s.Schema, s.Name = batch[i].Schema, batch[i].Name
		values[i] = s
		return nil
	})
	return values, err
}

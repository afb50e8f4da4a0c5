package controls

import (
	"bytes"
	"context"
	"fmt"

	"github.com/saypro/backupd/internal/snapshot/content"
	"github.com/saypro/backupd/internal/verify"
)

// Tables of the disposable database that faults are planted in.
const (
	orders   = "shop.orders"
	invoices = "shop.invoices"
	credits  = "shop.credits"
)

// contentFaults are copies whose every object is as it was written, and whose
// content is not that of the source.
func contentFaults() []fault {
	return []fault{
		{
			id: "dump-truncated", expected: "L3", naming: orders,
			planted: "the copy of a table ended in the middle without an error: a recovery point whose commit has the count and the digest " +
				"of the source, and whose stream holds half of the rows",
			try: forged(func(f *forgery) error {
				t, err := f.table(orders)
				if err == nil {
					f.rows[orders] = firstRows(f.rows[orders], int(t.Rows/2))
				}
				return err
			}),
		},
		{
			id: "schema-truncated", expected: "L3", naming: "schema archive",
			planted: "pg_dump ended in the middle with exit status 0: the archive of the schema has lost its last third",
			try: forged(func(f *forgery) error {
				archive := f.streams[content.Schema]
				f.streams[content.Schema] = archive[:len(archive)*2/3]
				return nil
			}),
		},
		{
			id: "row-altered-stored", expected: "L3", naming: orders,
			planted: "one digit of one row is other than in the source, with the count as it was: a recovery point whose commit has the digest " +
				"of the source, and whose stream holds the other row",
			try: forged(func(f *forgery) error {
				was := f.rows[orders]
				f.rows[orders] = bytes.Replace(was, []byte("\t17.25\t"), []byte("\t18.25\t"), 1)
				if bytes.Equal(was, f.rows[orders]) {
					return fmt.Errorf("%s has no row to alter", orders)
				}
				return nil
			}),
		},
		{
			id: "rows-swapped-stored", expected: "L3", naming: "shop.",
			planted: "two tables of one form and with equal counts are stored one in the place of the other",
			try: forged(func(f *forgery) error {
				f.rows[invoices], f.rows[credits] = f.rows[credits], f.rows[invoices]
				return nil
			}),
		},
		{
			id: "row-changed", expected: "L5", naming: orders,
			planted: "one row changes between the load and the comparison, as by a trigger or a job in the restored database; counts are equal",
			try:     spoilt("L5", "UPDATE shop.orders SET amount = amount + 0.01 WHERE id = 17"),
		},
		{
			id: "rows-swapped", expected: "L5", naming: invoices,
			planted: "the rows of two tables of one form change places in the restored database; counts are equal",
			try: spoilt("L5", `CREATE TEMP TABLE aside AS TABLE shop.invoices;
				DELETE FROM shop.invoices; INSERT INTO shop.invoices TABLE shop.credits;
				DELETE FROM shop.credits; INSERT INTO shop.credits TABLE aside`),
		},
		{
			id: "row-lost", expected: "L5", naming: orders,
			planted: "one row is lost in the restored database and another is there twice, under another key; counts are equal",
			try: spoilt("L5", `INSERT INTO shop.orders SELECT id + 100000, customer, amount, note FROM shop.orders WHERE id = 18;
				DELETE FROM shop.orders WHERE id = 17`),
		},
	}
}

// forged proves a forgery of the newest recovery point.
func forged(edit func(*forgery) error) func(context.Context, *replica) (finding, error) {
	return func(ctx context.Context, c *replica) (finding, error) {
		id, err := c.forge(ctx, c.newest, edit)
		if err != nil {
			return finding{}, err
		}
		return c.find(ctx, id)
	}
}

// spoilt proves the newest recovery point while scratch is spoilt before the
// checks of a level.
func spoilt(before, sql string) func(context.Context, *replica) (finding, error) {
	return func(ctx context.Context, c *replica) (finding, error) {
		r, err := c.proveSpoiled(ctx, before, sql)
		if err != nil {
			return finding{}, err
		}
		return red(r), nil
	}
}

// find proves a recovery point and tells what was red.
func (c *replica) find(ctx context.Context, id string) (finding, error) {
	r, err := c.prove(ctx, verify.Request{Snapshot: id})
	if err != nil {
		return finding{}, err
	}
	return red(r), nil
}

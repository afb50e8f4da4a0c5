package controls

import (
	"bytes"
	"context"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/rowhash"
	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/verify"
)

// ownChecks are the checks of the disposable function. The canary tells how far
// the data reaches, the count what the source had.
var ownChecks = []config.Check{
	{Name: "canary", SQL: "SELECT max(seq) FROM shop.canary", Expect: ">= 2"},
	{Name: "no-order-for-nothing", SQL: "SELECT count(*) FROM shop.orders WHERE amount < 1", Expect: "0"},
	{Name: "orders", SQL: "SELECT count(*) FROM shop.orders", SameAtSource: true},
}

// checkFaults are copies that are equal to what was captured, and wrong.
func checkFaults() []fault {
	return []fault{
		{
			id: "own-check", expected: "L6", naming: "no-order-for-nothing",
			planted: "a bad migration left an amount in the source that the business knows to be wrong: the copy equals it, and the function's own check " +
				"expects another answer",
			try: doctored("migrated", "UPDATE shop.orders SET amount = 0.01 WHERE id = 17"),
		},
		{
			id: "capture-short", expected: "L6", naming: "orders",
			planted: "a capture ended early without an error, and took count and digest from what it had: the commit is right about half of a table; what " +
				"the source answered under the same snapshot is not the answer of the copy",
			try: forged(func(f *forgery) error {
				t, err := f.table(orders)
				if err != nil {
					return err
				}
				f.rows[orders] = firstRows(f.rows[orders], int(t.Rows/2))
				var digest rowhash.Writer
				if _, err := bytes.NewReader(f.rows[orders]).WriteTo(&digest); err != nil {
					return err
				}
				sum, size := digest.Sum()
				t.Rows, t.Digest, t.Bytes = sum.Rows, sum.String(), size
				return nil
			}),
		},
		{
			id: "stale-site-cold", expected: "L6", naming: "canary",
			planted: "the site went back to an earlier state of itself and the catalog is lost: nothing there tells of the newest recovery point, and the " +
				"older one, now the newest, is whole; the canary row says how far its data reaches",
			try: func(ctx context.Context, c *replica) (finding, error) {
				if err := c.goBack(ctx); err != nil {
					return finding{}, err
				}
				return c.proveRebuilt(ctx)
			},
		},
		{
			id: "stale-listing-cold", expected: "L6", naming: "canary",
			planted: "the site leaves the newest commit out of its listings, though it has it, and the catalog is lost: the older recovery point is served as " +
				"the newest",
			try: func(ctx context.Context, c *replica) (finding, error) {
				name, err := c.commitOf(c.newest)
				if err != nil {
					return finding{}, err
				}
				c.tested.Store = &forgetful{Store: c.tested.Store, name: name}
				return c.proveRebuilt(ctx)
			},
		},
	}
}

// proveRebuilt makes the catalog anew and proves what is the newest then.
func (c *replica) proveRebuilt(ctx context.Context) (finding, error) {
	if _, err := c.rebuild(ctx); err != nil {
		return finding{}, err
	}
	r, err := c.prove(ctx, verify.Request{})
	if err != nil {
		return finding{}, err
	}
	return red(r), nil
}

// forgetful is a site whose listings lack an object that it has.
type forgetful struct {
	storage.Store
	name string
}

// List implements [storage.Store].
func (f *forgetful) List(ctx context.Context, prefix, after string, fn func(storage.Info) error) error {
	return f.Store.List(ctx, prefix, after, func(i storage.Info) error {
		if i.Name == f.name {
			return nil
		}
		return fn(i)
	})
}

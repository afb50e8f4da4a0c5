package controls

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/saypro/backupd/internal/snapshot/content"
	"github.com/saypro/backupd/internal/source/postgres"
)

// The extension of the disposable database is in one version there and in
// another where the drift is planted.
const (
	extensionBefore = "1.7"
	extensionAfter  = "1.8"
)

// structureFaults are databases whose rows came back and whose rest did not.
func structureFaults() []fault {
	return []fault{
		{
			id: "collation-drift", expected: "L3", naming: "shop.ranges",
			planted: "text is ordered in another way where it is restored: the same collation has another locale there, and a check that held in the " +
				"source does not",
			try: func(ctx context.Context, c *replica) (finding, error) {
				if why := c.without[icu]; why != "" {
					return finding{}, notHere(why)
				}
				return forged(otherLocale)(ctx, c)
			},
		},
		{
			id: "extension-drift", expected: "L4", naming: "hstore",
			planted: "the extension hstore is in version " + extensionBefore + " in the source and comes back in version " + extensionAfter,
			try: func(ctx context.Context, c *replica) (finding, error) {
				if why := c.without[extension]; why != "" {
					return finding{}, notHere(why)
				}
				return forged(otherExtension)(ctx, c)
			},
		},
		{
			id: "sequence-behind", expected: "L4", naming: "orders_id_seq",
			planted: "a sequence was read before the rows that drew from it: it comes back behind the greatest number in its column",
			try:     forged(earlierSequence),
		},
		{
			id: "fk-orphan", expected: "L3", naming: "orders_customer_fkey",
			planted: "rows were loaded into the source with its checks off (session_replication_role = replica): one refers to a customer that there is not",
			try: doctored("orphan", `SET session_replication_role = replica;
				INSERT INTO shop.orders (customer, amount) VALUES (999999, 1)`),
		},
		{
			id: "fk-not-validated", expected: "L4", naming: "orders_customer_fkey",
			planted: "a foreign key came back without having been checked (NOT VALID)",
			try: spoilt("L4", `ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey;
				ALTER TABLE shop.orders ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (customer) REFERENCES shop.customers NOT VALID`),
		},
		{
			id: "fk-violated", expected: "L5", naming: orders,
			planted: "a row of the restored database violates a foreign key that counts as valid, because it was written with checks off; counts are equal",
			try: spoilt("L4", `SET session_replication_role = replica;
				UPDATE shop.orders SET customer = 999999 WHERE id = 17`),
		},
		{
			id: "index-invalid", expected: "L4", naming: "orders_by_note",
			planted: "an index is there and not valid, as after a build that was cut short",
			try:     spoilt("L4", `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.orders_by_note'::regclass`),
		},
		{
			id: "index-missing", expected: "L4", naming: "orders_by_note",
			planted: "an index did not come back",
			try:     spoilt("L4", "DROP INDEX shop.orders_by_note"),
		},
		{
			id: "grant-missing", expected: "L4", naming: "drill_app",
			planted: "the application may not write into a table any more, because a grant did not come back",
			try:     spoilt("L4", "REVOKE INSERT ON shop.orders FROM drill_app"),
		},
		{
			id: "owner-changed", expected: "L4", naming: invoices,
			planted: "a table belongs to whoever restored it instead of to its owner",
			try:     spoilt("L4", "ALTER TABLE shop.invoices OWNER TO CURRENT_USER"),
		},
	}
}

// doctored proves a recovery point of a source in which somebody has done sql.
func doctored(name, sql string) func(context.Context, *replica) (finding, error) {
	return func(ctx context.Context, c *replica) (finding, error) {
		id, err := c.takeDoctored(ctx, name, sql)
		if err != nil {
			return finding{}, err
		}
		return c.find(ctx, id)
	}
}

// takeDoctored makes a recovery point of a copy of the disposable database in
// which somebody has done sql.
func (c *replica) takeDoctored(ctx context.Context, name, sql string) (string, error) {
	name = database + "_" + name
	if err := postgres.Script(ctx, c.source.URL("postgres"), "CREATE DATABASE "+name+" TEMPLATE "+database); err != nil {
		return "", err
	}
	if err := postgres.Script(ctx, c.source.URL(name), sql); err != nil {
		return "", err
	}
	return c.take(ctx, name)
}

// otherLocale has the collation made with another locale.
func otherLocale(f *forgery) error {
	was := f.streams[content.Schema]
	f.streams[content.Schema] = bytes.ReplaceAll(was, []byte("locale = 'sv'"), []byte("locale = 'de'"))
	if bytes.Equal(was, f.streams[content.Schema]) {
		return errors.New("the archive of the schema does not make the collation as expected")
	}
	return nil
}

// otherExtension has the extension made in another version.
func otherExtension(f *forgery) error {
	return altered(f, content.Globals, func(g *postgres.Globals) error {
		for i := range g.Extensions {
			if e := &g.Extensions[i]; e.Name == "hstore" && e.Version == extensionBefore {
				e.Version = extensionAfter
				return nil
			}
		}
		return fmt.Errorf("the extension is not among %v", g.Extensions)
	})
}

// earlierSequence has a sequence go back to where it was before the rows.
func earlierSequence(f *forgery) error {
	return altered(f, content.Sequences, func(all *[]postgres.Sequence) error {
		for i := range *all {
			if s := &(*all)[i]; s.Name == "orders_id_seq" {
				s.LastValue = 1
				return nil
			}
		}
		return errors.New("the sequence of the orders is not among those captured")
	})
}

// altered changes what a stream of JSON says.
func altered[T any](f *forgery, stream string, change func(*T) error) error {
	var v T
	if err := json.Unmarshal(f.streams[stream], &v); err != nil {
		return err
	}
	if err := change(&v); err != nil {
		return err
	}
	var err error
	f.streams[stream], err = json.Marshal(v)
	return err
}

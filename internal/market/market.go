// Package market makes the database of SayPro, an online marketplace that does
// not exist: accounts, payments and catalog, with the kinds of objects and the
// text, numbers and documents that a real one has, and with customers who keep
// buying. The demonstration, the benchmark and tests back it up and restore it.
package market

import (
	"context"
	"embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

//go:embed sql/*.sql
var scripts embed.FS

// Schemas are the schemas that Seed makes; one business function each.
var Schemas = []string{"accounts", "payments", "catalog"}

// DefaultScale is the size, in MiB, of a marketplace for tests.
const DefaultScale = 8

// Options says how much to make.
type Options struct {
	// Scale is the size wanted, in MiB of table data without indexes. The
	// result is within a tenth of it. Zero means DefaultScale.
	Scale int
	// Seed selects one of many marketplaces; the same seed and scale give the
	// same rows on every server.
	Seed int64
}

// Seed fills the database at url, which must not have the three schemas yet.
// Roles market_owner, market_app and market_reporting are made when missing,
// so the user needs the right to make roles.
func Seed(ctx context.Context, url string, opts Options) error {
	if opts.Scale == 0 {
		opts.Scale = DefaultScale
	}
	fill := placeholders(opts)
	// Tables first and indexes last, as each load is then one sequential pass.
	stages := [][]string{
		{"roles", "accounts_tables", "payments_tables", "catalog_tables"},
		{"payments_load_money", "payments_load_orders", "catalog_load", "accounts_load"},
		{"payments_after", "catalog_after", "accounts_after"},
	}
	if err := runAll(ctx, url, fill, stages[0]...); err != nil {
		return err
	}
	for _, stage := range stages[1:] {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(2)
		for _, name := range stage {
			group.Go(func() error { return runAll(ctx, url, fill, name) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// placeholders turns the scale into numbers of rows. The factors are rows per
// MiB, found by measuring pg_table_size on PostgreSQL 15.
func placeholders(opts Options) *strings.Replacer {
	n := func(perMiB float64) string { return strconv.FormatInt(1+int64(perMiB*float64(opts.Scale)), 10) }
	return strings.NewReplacer(
		"{{seed}}", strconv.FormatInt(opts.Seed, 10),
		"{{users}}", n(300),
		"{{addresses}}", n(450),
		"{{sessions}}", n(400),
		"{{documents}}", n(3),
		"{{orders}}", n(700),
		"{{refunds}}", n(60),
		"{{products}}", n(250),
		"{{moves}}", n(1500),
	)
}

// runAll runs scripts one after the other on a connection of their own.
func runAll(ctx context.Context, url string, fill *strings.Replacer, names ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("market: connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all is committed
	for _, name := range append([]string{"prelude"}, names...) {
		text, err := scripts.ReadFile("sql/" + name + ".sql")
		if err != nil {
			return fmt.Errorf("market: %w", err)
		}
		if _, err := conn.PgConn().Exec(ctx, fill.Replace(string(text))).ReadAll(); err != nil {
			return fmt.Errorf("market: script %s: %w", name, err)
		}
	}
	return nil
}

// Size returns the bytes of table data, without indexes, and the number of
// rows in the three schemas.
func Size(ctx context.Context, url string) (bytes, rows int64, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, 0, fmt.Errorf("market: connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // all is committed
	err = conn.QueryRow(ctx, `
		SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = ANY ($1) AND c.relkind = 'r'`, Schemas).Scan(&bytes, &rows)
	if err != nil {
		return 0, 0, fmt.Errorf("market: size: %w", err)
	}
	return bytes, rows, nil
}

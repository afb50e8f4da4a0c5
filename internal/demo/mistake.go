package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// refund is one row of the table that is going to be lost.
type refund struct {
	digest string // of all its columns
	at     time.Time
}

// refunds is the content of a payments.refunds by primary key.
type refunds map[int64]refund

// digest stands for the content of the rows that keep accepts.
func (r refunds) digest(keep func(int64, refund) bool) (rows int, digest string) {
	hash := sha256.New()
	for _, id := range slices.Sorted(maps.Keys(r)) {
		if keep(id, r[id]) {
			rows++
			_, _ = fmt.Fprintln(hash, id, r[id].digest) // a hash takes everything
		}
	}
	return rows, hex.EncodeToString(hash.Sum(nil))[:16]
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readRefunds(ctx context.Context, q querier) (refunds, error) {
	rows, err := q.Query(ctx, `SELECT id, md5(r::text), refunded_at FROM payments.refunds r`)
	if err != nil {
		return nil, err
	}
	all := refunds{}
	var id int64
	var one refund
	_, err = pgx.ForEachRow(rows, []any{&id, &one.digest, &one.at}, func() error {
		all[id] = one
		return nil
	})
	return all, err
}

const dropStatement = "DROP TABLE payments.refunds CASCADE"

func (w *world) makeMistake(ctx context.Context) error {
	w.title("Somebody drops the wrong table")
	conn, err := pgx.Connect(ctx, w.server.URL(database))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is lost with it
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// The last look at the table, to compare with later. Locked first, so
		// that nothing changes between the look and the mistake.
		if _, err := tx.Exec(ctx, "LOCK TABLE payments.transactions, payments.refunds"); err != nil {
			return err
		}
		w.measured.mistake = w.clock.Now().UTC()
		if w.measured.lost, err = readRefunds(ctx, tx); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, dropStatement)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", dropStatement, err)
	}
	w.command("psql market -c '" + dropStatement + "'")
	w.output("DROP TABLE")
	err = w.until(ctx, 30*time.Second, "a customer to notice", func(context.Context) (bool, string, error) {
		return w.traffic.Refusal() != nil, "", nil
	})
	if err != nil {
		return err
	}
	w.say("The shop says: %v", w.traffic.Refusal())
	w.say("%d refunds are gone. The service goes on taking snapshots, now without them.", len(w.measured.lost))
	return nil
}

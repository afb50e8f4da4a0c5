package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// slack is how far the clock of a row may lie from the moment at which its
// transaction became visible.
const slack = 2 * time.Second

func (w *world) restore(ctx context.Context) error {
	w.title("Restore payments as it was before")
	if _, err := execute(ctx, w.server.URL("postgres"), "CREATE DATABASE "+restored); err != nil {
		return err
	}
	to := w.server.URL(restored)
	before := w.measured.mistake.Format("2006-01-02T15:04:05.000Z")
	args := []string{"restore", "payments", "--at", before, "--to", to}
	w.say("First the plan, which touches nothing:")
	if err := w.operator.show(ctx, 0, append(args, "--plan")...); err != nil {
		return err
	}
	w.say("Then for real:")
	w.command(typed(args))
	began := w.clock.Now()
	if _, err := w.operator.ask(ctx, &w.measured.restore, []int{0}, args...); err != nil {
		return err
	}
	w.measured.restoreTime = w.clock.Now().Sub(began)
	r := w.measured.restore
	w.good("%d rows in %d tables, %s, back in %s", r.Rows, len(r.Tables), size(r.BytesRaw), seconds(w.measured.restoreTime))
	for _, c := range r.Checks {
		if !c.Passed {
			return fmt.Errorf("the restore succeeded although its check %q did not: %s", c.Name, c.Detail)
		}
	}
	return w.compare(ctx, to)
}

// compare holds the restored table against the last look at the lost one,
// without any help from backupd.
func (w *world) compare(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is lost with it
	back, err := readRefunds(ctx, conn)
	if err != nil {
		return fmt.Errorf("the restored database: %w", err)
	}
	point := w.measured.restore.RecoveryPoint
	if point.After(w.measured.mistake) {
		return fmt.Errorf("restored the recovery point of %s, which is after the mistake at %s", point, w.measured.mistake)
	}
	for id, row := range w.measured.lost {
		if _, ok := back[id]; !ok && row.at.Before(point.Add(-slack)) {
			return fmt.Errorf("refund %d of %s is missing, but was there at the recovery point of %s", id, row.at, point)
		}
	}
	rows, digest := back.digest(func(int64, refund) bool { return true })
	_, expected := w.measured.lost.digest(func(id int64, _ refund) bool { _, ok := back[id]; return ok })
	if rows == 0 || digest != expected {
		return fmt.Errorf("payments.refunds came back different: %d rows with digest %s, expected %s", rows, digest, expected)
	}
	w.measured.missing = len(w.measured.lost) - rows
	w.good("payments.refunds is back: %d rows, digest %s, the same as before the mistake", rows, digest)
	if err := w.claimed(rows); err != nil {
		return err
	}
	w.good("lost: %d refunds of the %s between the recovery point and the mistake", w.measured.missing, seconds(w.measured.mistake.Sub(point)))
	var balance string
	if err := conn.QueryRow(ctx, "SELECT coalesce(sum(amount), 0)::text FROM payments.ledger_entries").Scan(&balance); err != nil {
		return err
	}
	if balance != "0.00" {
		return fmt.Errorf("the books of the restored database do not balance: %s", balance)
	}
	w.good("the books balance to %s over %d tables copied while customers kept paying", balance, len(w.measured.restore.Tables))
	return nil
}

// claimed checks that backupd says the same about the table as we have seen.
func (w *world) claimed(rows int) error {
	for _, t := range w.measured.restore.Tables {
		if t.Name == "payments.refunds" {
			if t.Rows != int64(rows) || t.Digest == "" {
				return fmt.Errorf("backupd says that payments.refunds has %d rows and digest %q; it has %d rows", t.Rows, t.Digest, rows)
			}
			return nil
		}
	}
	return fmt.Errorf("backupd does not mention payments.refunds among the %d tables it restored", len(w.measured.restore.Tables))
}

func (w *world) prove(ctx context.Context) error {
	w.title("Prove that each site alone could have done it")
	for _, site := range []string{"onsite", "cloud"} {
		args := []string{"verify", "payments", "--snapshot", w.measured.restore.Snapshot, "--from", site, "--level", "L5"}
		w.command(typed(args))
		var proofs []proof
		if _, err := w.operator.ask(ctx, &proofs, []int{0}, args...); err != nil {
			return err
		}
		if len(proofs) != 1 {
			return fmt.Errorf("expected one proof from %s, got %d", site, len(proofs))
		}
		p := proofs[0]
		if !p.Passed || p.Level != "L5" || p.Site != site {
			return fmt.Errorf("the proof from %s did not reach L5: %+v", site, p)
		}
		for _, c := range p.Checks {
			if !c.Passed {
				return fmt.Errorf("the proof from %s passed although its check %q did not: %s", site, c.Name, c.Detail)
			}
		}
		w.measured.proofs = append(w.measured.proofs, p)
		w.good("%s: L5 in %.1f s, %d checks: restored into a throwaway server, structure whole, every table's rows and digest equal", site, p.DurationSeconds, len(p.Checks))
	}
	for _, sentence := range w.measured.proofs[0].NotProven {
		w.say("not proven: %s", sentence)
	}
	return nil
}

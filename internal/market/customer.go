package market

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"
)

// customer thinks up what is written next.
type customer struct {
	conn                    *pgx.Conn
	rand                    *rand.Rand
	users, products, orders int64
}

// look finds out how many users, products and orders there are to choose from.
func (c *customer) look(ctx context.Context) error {
	err := c.conn.QueryRow(ctx, `SELECT (SELECT max(id) FROM accounts.users),
		(SELECT max(id) FROM catalog.products), (SELECT max(id) FROM payments.orders)`).
		Scan(&c.users, &c.products, &c.orders)
	if err != nil {
		return fmt.Errorf("look at the marketplace: %w", err)
	}
	return nil
}

const (
	buy = `
WITH o AS (
	INSERT INTO payments.orders (user_id, state, total, lines)
	VALUES ($1, 'paid', $2::bigint / 100.0, jsonb_build_array(jsonb_build_object('product', $3::bigint, 'quantity', $4::int)))
	RETURNING id, total, number
), t AS (
	INSERT INTO payments.transactions (order_id, kind, amount, reference, provider)
	SELECT id, 'card', total, 'ch_' || substr(md5(number), 1, 24), jsonb_build_object('gateway', 'north', 'risk', $4::int)
	FROM o RETURNING id, created_at, amount
)
INSERT INTO payments.ledger_entries (transaction_id, created_at, account_id, amount, memo)
SELECT t.id, t.created_at, 1 + t.id % 10, t.amount, 'order ' || o.number FROM t, o
UNION ALL
SELECT t.id, t.created_at, 11 + t.id % 50, -t.amount, NULL FROM t`

	refund = `
INSERT INTO payments.refunds (transaction_id, created_at, amount, reason)
SELECT id, created_at, greatest(round(amount / 2, 2), 0.01), $2 FROM payments.transactions WHERE order_id = $1 LIMIT 1`

	login = `
INSERT INTO accounts.sessions (user_id, ip, user_agent, expires_at)
VALUES ($1, '41.0.0.0'::inet + $2::bigint, 'Mozilla/5.0 (Linux; Android 15) SayPro/6.' || $3::int, now() + interval '30 days')`

	// A sale takes only what is there; the trigger keeps the level.
	sell = `
INSERT INTO catalog.stock_moves (product_id, warehouse, delta, reason, batch)
SELECT product_id, warehouse, CASE WHEN quantity < 10 THEN 50 ELSE -$2::int END,
	(CASE WHEN quantity < 10 THEN 'delivery' ELSE 'sale' END)::catalog.move_reason, 'B' || to_char(now(), 'YYMMDD') || '-' || $1::bigint
FROM catalog.stock_levels WHERE product_id = $1 AND warehouse = 1`

	reprice = `
UPDATE catalog.products SET price = $2::bigint / 100.0, updated_at = now() WHERE id = $1`
)

// next returns one write and the counter that it belongs to.
func (c *customer) next(n *Counts) (*int64, string, []any) {
	switch p := c.rand.IntN(100); {
	case p < 50:
		return &n.Orders, buy, []any{c.user(), 1999 + c.rand.Int64N(480000), c.product(), 1 + c.rand.IntN(4)}
	case p < 60:
		return &n.Refunds, refund, []any{1 + c.rand.Int64N(c.orders), reasons[c.rand.IntN(len(reasons))]}
	case p < 75:
		return &n.Sessions, login, []any{c.user(), c.rand.Int64N(1 << 24), c.rand.IntN(30)}
	case p < 95:
		return &n.Moves, sell, []any{c.product(), 1 + c.rand.IntN(3)}
	default:
		return &n.Prices, reprice, []any{c.product(), 99 + c.rand.Int64N(990000)}
	}
}

var reasons = []string{"arrived broken", "wrong size", "ordered twice", "never arrived", "not as described"}

func (c *customer) user() int64    { return 1 + c.rand.Int64N(c.users) }
func (c *customer) product() int64 { return 1 + c.rand.Int64N(c.products) }

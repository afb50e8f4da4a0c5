CREATE FUNCTION pg_temp.cents(g bigint) RETURNS numeric LANGUAGE sql IMMUTABLE
AS $$ SELECT (1999 + pg_temp.h(g, 51) % 480000)::numeric(14, 2) / 100 $$;
CREATE FUNCTION pg_temp.paid(g bigint) RETURNS timestamptz LANGUAGE sql STABLE
AS $$ SELECT pg_temp.at(g, {{orders}}) + (2000000 + pg_temp.h(g, 52) % 60000000) * interval '1 microsecond' $$;

INSERT INTO payments.transactions (id, created_at, order_id, kind, amount, reference, provider)
SELECT g, pg_temp.paid(g), g, (ARRAY['card', 'card', 'card', 'eft', 'wallet', 'voucher'])[1 + pg_temp.h(g, 53) % 6]::payments.transaction_kind,
    pg_temp.cents(g), 'ch_' || substr(md5('tx' || g), 1, 24),
    jsonb_build_object('gateway', (ARRAY['north', 'south', 'harbour'])[1 + pg_temp.h(g, 54) % 3],
        'auth_code', lpad((pg_temp.h(g, 55) % 1000000)::text, 6, '0'),
        'card', jsonb_build_object('brand', (ARRAY['visa', 'mastercard', 'amex'])[1 + pg_temp.h(g, 56) % 3], 'last4', lpad((pg_temp.h(g, 57) % 10000)::text, 4, '0')),
        'risk', pg_temp.h(g, 58) % 100, 'trace', md5('trace' || g), 'latency_ms', 80 + pg_temp.h(g, 59) % 900, 'three_ds', pg_temp.h(g, 60) % 2 = 0)
FROM generate_series(1::bigint, {{orders}}) g;

INSERT INTO payments.ledger_accounts
SELECT i, CASE WHEN i <= 10 THEN 'bank-' || i WHEN i <= 60 THEN 'seller-' || i ELSE 'fees-' || i END,
    (CASE WHEN i <= 10 THEN 'asset' WHEN i <= 60 THEN 'liability' ELSE 'income' END)::payments.ledger_side
FROM generate_series(1, 64) i;

-- Two entries to a transaction, which cancel out.
INSERT INTO payments.ledger_entries (id, transaction_id, created_at, account_id, amount, memo)
OVERRIDING SYSTEM VALUE
SELECT 2 * g + side, g, pg_temp.paid(g),
    CASE side WHEN 0 THEN 1 + pg_temp.h(g, 61) % 10 ELSE 11 + pg_temp.h(g, 62) % 50 END,
    CASE side WHEN 0 THEN pg_temp.cents(g) ELSE -pg_temp.cents(g) END,
    CASE side WHEN 0 THEN 'order SP-' || lpad(g::text, 9, '0') END
FROM generate_series(1::bigint, {{orders}}) g, (VALUES (0), (1)) AS v (side);

INSERT INTO payments.refunds (id, transaction_id, created_at, amount, reason, refunded_at)
OVERRIDING SYSTEM VALUE
SELECT g, t.n, pg_temp.paid(t.n), greatest(pg_temp.cents(t.n) / 2, 1), p.t,
    pg_temp.paid(t.n) + (3600 + pg_temp.h(g, 72) % 900000) * interval '1 second'
FROM generate_series(1::bigint, {{refunds}}) g
JOIN LATERAL (SELECT 1 + pg_temp.h(g, 71) % {{orders}} AS n) t ON true
JOIN phrase p ON p.i = pg_temp.h(g, 73) & 4095;

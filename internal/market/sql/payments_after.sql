ALTER TABLE payments.orders ADD PRIMARY KEY (id);
ALTER TABLE payments.orders ADD CONSTRAINT orders_number_key UNIQUE (number);
CREATE INDEX orders_user ON payments.orders (user_id, placed_at DESC);
ALTER TABLE payments.transactions ADD PRIMARY KEY (id, created_at);
CREATE INDEX transactions_order ON payments.transactions (order_id);
ALTER TABLE payments.ledger_entries ADD PRIMARY KEY (id);
CREATE INDEX ledger_entries_transaction ON payments.ledger_entries (transaction_id);
ALTER TABLE payments.refunds ADD PRIMARY KEY (id);
CREATE INDEX refunds_transaction ON payments.refunds (transaction_id);

ALTER TABLE payments.transactions ADD CONSTRAINT transactions_order_fk FOREIGN KEY (order_id) REFERENCES payments.orders;
ALTER TABLE payments.ledger_entries ADD CONSTRAINT entries_account_fk FOREIGN KEY (account_id) REFERENCES payments.ledger_accounts;
ALTER TABLE payments.ledger_entries ADD CONSTRAINT entries_transaction_fk FOREIGN KEY (transaction_id, created_at) REFERENCES payments.transactions (id, created_at);
ALTER TABLE payments.refunds ADD CONSTRAINT refunds_transaction_fk FOREIGN KEY (transaction_id, created_at) REFERENCES payments.transactions (id, created_at);

SELECT setval(pg_get_serial_sequence('payments.orders', 'id'), {{orders}});
SELECT setval(pg_get_serial_sequence('payments.transactions', 'id'), {{orders}});
SELECT setval(pg_get_serial_sequence('payments.ledger_entries', 'id'), 2 * {{orders}} + 1);
SELECT setval(pg_get_serial_sequence('payments.refunds', 'id'), {{refunds}});
SELECT setval('payments.order_number', {{orders}});

-- Money neither appears nor vanishes: checked when a transaction commits.
CREATE FUNCTION payments.check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(amount) FROM payments.ledger_entries WHERE transaction_id = NEW.transaction_id) <> 0 THEN
        RAISE EXCEPTION 'ledger of transaction % does not balance', NEW.transaction_id;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER entries_balance AFTER INSERT OR UPDATE ON payments.ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payments.check_balance();

CREATE VIEW payments.refund_rate AS
    SELECT count(*) AS refunds, sum(amount) AS refunded FROM payments.refunds;
CREATE MATERIALIZED VIEW payments.monthly_turnover AS
    SELECT date_trunc('month', created_at AT TIME ZONE 'UTC')::date AS month, kind, count(*) AS payments, sum(amount) AS turnover
    FROM payments.transactions GROUP BY 1, 2;
CREATE UNIQUE INDEX monthly_turnover_key ON payments.monthly_turnover (month, kind);

ALTER TABLE payments.ledger_entries OWNER TO market_owner;
GRANT USAGE ON SCHEMA payments TO market_owner, market_app, market_reporting;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA payments TO market_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA payments TO market_app;
REVOKE UPDATE ON payments.ledger_entries FROM market_app;
GRANT SELECT ON payments.monthly_turnover, payments.refund_rate TO market_reporting;
ANALYZE payments.orders, payments.transactions, payments.ledger_entries, payments.refunds;

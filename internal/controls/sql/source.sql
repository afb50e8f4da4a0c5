-- What every fault of a round needs to be planted: tables with equal counts, a
-- foreign key, a sequence, an identity, indexes, an owner, a grant, a canary.
CREATE ROLE drill_owner NOLOGIN;
CREATE ROLE drill_app NOLOGIN;
CREATE ROLE drill_blind LOGIN;
CREATE SCHEMA shop AUTHORIZATION drill_owner;
SET ROLE drill_owner;

CREATE TABLE shop.customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL UNIQUE);
INSERT INTO shop.customers (name, email)
  SELECT 'Customer ' || i, 'c' || i || '@example.test' FROM generate_series(1, 200) i;

CREATE TABLE shop.orders (
  id bigserial PRIMARY KEY,
  customer bigint NOT NULL REFERENCES shop.customers,
  amount numeric(12,2) NOT NULL CHECK (amount > 0),
  note text);
CREATE INDEX orders_by_note ON shop.orders (note);
INSERT INTO shop.orders (customer, amount, note)
  SELECT 1 + i % 200, i + 0.25, md5(i::text) FROM generate_series(1, 1500) i;

-- Two tables of the same form with as many rows, none of which are the same.
CREATE TABLE shop.invoices (id bigint PRIMARY KEY, amount numeric(12,2) NOT NULL, note text);
CREATE TABLE shop.credits (id bigint PRIMARY KEY, amount numeric(12,2) NOT NULL, note text);
INSERT INTO shop.invoices SELECT i, i * 3 + 0.5, md5('invoice ' || i) FROM generate_series(1, 400) i;
INSERT INTO shop.credits SELECT i, i * 2 + 0.5, md5('credit ' || i) FROM generate_series(1, 400) i;

-- The newest row tells how far the data reaches, whatever a file's name says.
CREATE TABLE shop.canary (seq bigint PRIMARY KEY, written timestamptz NOT NULL);
INSERT INTO shop.canary VALUES (1, clock_timestamp());

GRANT USAGE ON SCHEMA shop TO drill_app, drill_blind;
GRANT SELECT, INSERT ON shop.orders TO drill_app;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO drill_blind;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA shop TO drill_blind;
REVOKE SELECT ON shop.credits FROM drill_blind;

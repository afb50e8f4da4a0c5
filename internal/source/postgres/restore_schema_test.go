package postgres

import "strings"

// difficult is a database of things that are hard to restore. Its roles are
// those of the whole server, so their names end in the one that is given.
func difficult(suffix string) string { return strings.ReplaceAll(difficultSQL, "$R", suffix) }

const difficultSQL = `
CREATE ROLE owner_$R NOLOGIN;
CREATE ROLE reader_$R LOGIN PASSWORD 'never in a backup' CONNECTION LIMIT 7;
CREATE ROLE "Odd role; $R" NOLOGIN NOINHERIT;
GRANT owner_$R TO "Odd role; $R" WITH ADMIN OPTION;
GRANT pg_monitor TO reader_$R;
ALTER ROLE reader_$R SET search_path TO "$user", shop;
COMMENT ON ROLE owner_$R IS 'owns the shop''s things';

CREATE SCHEMA shop AUTHORIZATION owner_$R;
CREATE SCHEMA ext;
CREATE SCHEMA "Odd schema; -- ";
COMMENT ON SCHEMA shop IS 'what the shop sells';
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION citext SCHEMA ext;
CREATE EXTENSION pg_trgm SCHEMA shop;
COMMENT ON EXTENSION hstore IS 'our comment';
GRANT USAGE ON SCHEMA shop TO reader_$R, PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE owner_$R IN SCHEMA shop GRANT SELECT ON TABLES TO reader_$R;

CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent');
ALTER TYPE shop.state ADD VALUE 'lost' BEFORE 'paid';
COMMIT;
CREATE DOMAIN shop.amount AS numeric(12,2) CHECK (VALUE >= 0);
CREATE TYPE shop.address AS (street text, town ext.citext);
CREATE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';

CREATE TABLE shop.customers (
	id int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5) PRIMARY KEY,
	email ext.citext UNIQUE,
	home shop.address,
	extra ext.hstore,
	tags text[],
	body jsonb,
	points int,
	double_points int GENERATED ALWAYS AS (shop.twice(points)) STORED,
	referred_by int REFERENCES shop.customers
);
INSERT INTO shop.customers(email, home, extra, tags, body, points, referred_by)
SELECT 'User' || n || '@example.org', ROW('Street ' || n, 'Town'::ext.citext)::shop.address, ext.hstore('k', n::text), ARRAY['a', NULL, 'tab	and
newline \ "quote"'], jsonb_build_object('n', n), n, CASE WHEN n > 1 THEN 100 END FROM generate_series(1, 50) n;
CREATE INDEX customers_trgm ON shop.customers USING gin ((email::text) shop.gin_trgm_ops);
CREATE STATISTICS shop.customers_stats ON points, email FROM shop.customers;
COMMENT ON COLUMN shop.customers.email IS 'as typed';

CREATE TABLE shop.orders (
	id bigserial PRIMARY KEY,
	customer int NOT NULL REFERENCES shop.customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
	state shop.state NOT NULL DEFAULT 'new',
	total shop.amount,
	at timestamptz NOT NULL,
	ratio float8
);
INSERT INTO shop.orders(customer, state, total, at, ratio)
SELECT 100, 'lost', n, '2024-02-29 12:00:00+05'::timestamptz + n * interval '1 day', CASE WHEN n = 7 THEN 'NaN' ELSE 1.0 / n END
FROM generate_series(1, 300) n;
COMMIT;
ALTER TABLE shop.orders ADD CONSTRAINT total_is_small CHECK (total < 100) NOT VALID;
-- A circle of foreign keys.
ALTER TABLE shop.customers ADD COLUMN last_order bigint REFERENCES shop.orders;
UPDATE shop.customers SET last_order = 1 WHERE id = 100;
COMMIT;

CREATE FUNCTION shop.stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a trigger fired'; END $$;
CREATE TRIGGER off BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.stop();
ALTER TABLE shop.orders DISABLE TRIGGER off;
CREATE TRIGGER always_on BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.stop();
ALTER TABLE shop.orders ENABLE ALWAYS TRIGGER always_on;

CREATE TABLE shop.secrets (owner name, secret text);
INSERT INTO shop.secrets VALUES ('a', 'x'), ('b', 'y');
ALTER TABLE shop.secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.secrets TO reader_$R, "Odd role; $R" USING (owner = current_user);
GRANT SELECT (owner) ON shop.secrets TO reader_$R;

CREATE TABLE shop.events (at date NOT NULL, kind int NOT NULL, n int) PARTITION BY RANGE (at);
CREATE TABLE shop.events_2023 PARTITION OF shop.events FOR VALUES FROM ('2023-01-01') TO ('2024-01-01') PARTITION BY LIST (kind);
CREATE TABLE shop.events_2023_one PARTITION OF shop.events_2023 FOR VALUES IN (1);
CREATE TABLE shop.events_2023_rest PARTITION OF shop.events_2023 DEFAULT PARTITION BY HASH (n);
CREATE TABLE shop.events_2023_h0 PARTITION OF shop.events_2023_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shop.events_2023_h1 PARTITION OF shop.events_2023_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE shop.events_rest PARTITION OF shop.events DEFAULT;
CREATE INDEX events_n ON shop.events (n);
INSERT INTO shop.events SELECT '2023-12-01'::date + n, n % 3, n FROM generate_series(1, 100) n;

CREATE TABLE shop.parent (a int CHECK (a > 0), b text);
CREATE TABLE shop.child (c int) INHERITS (shop.parent);
INSERT INTO shop.parent VALUES (1, 'p');
INSERT INTO shop.child VALUES (2, 'c', 3);

CREATE UNLOGGED TABLE shop.cache (k text PRIMARY KEY, v text);
INSERT INTO shop.cache VALUES ('k', 'v');
CREATE TABLE shop.nothing ();
INSERT INTO shop.nothing DEFAULT VALUES;
INSERT INTO shop.nothing DEFAULT VALUES;
CREATE TABLE shop.dropped (a int, b int, c int);
INSERT INTO shop.dropped VALUES (1, 2, 3);
ALTER TABLE shop.dropped DROP COLUMN b;

CREATE TABLE "Odd schema; -- "."Tab le	""quoted"" (x) ünïcode" ("Col; umn" int PRIMARY KEY, "select" text DEFAULT 'it''s %s');
INSERT INTO "Odd schema; -- "."Tab le	""quoted"" (x) ünïcode" VALUES (1, DEFAULT);
ALTER TABLE "Odd schema; -- "."Tab le	""quoted"" (x) ünïcode" OWNER TO "Odd role; $R";

CREATE VIEW shop.totals AS SELECT customer, sum(total) AS total FROM shop.orders GROUP BY customer;
CREATE MATERIALIZED VIEW shop.z_first AS SELECT * FROM shop.totals;
CREATE UNIQUE INDEX z_first_key ON shop.z_first (customer);
CREATE VIEW shop.between AS SELECT total FROM shop.z_first;
CREATE MATERIALIZED VIEW shop.a_second AS SELECT sum(total) AS total FROM shop.between;
CREATE RULE quiet AS ON DELETE TO shop.totals DO INSTEAD NOTHING;

CREATE SEQUENCE shop.counter INCREMENT -2 MINVALUE -1000 MAXVALUE 10 START 10 CYCLE;
SELECT nextval('shop.counter'), nextval('shop.counter');
CREATE SEQUENCE shop.unused;

ALTER TABLE shop.customers OWNER TO owner_$R;
ALTER TABLE shop.orders OWNER TO owner_$R;
ALTER MATERIALIZED VIEW shop.z_first OWNER TO owner_$R;
ALTER VIEW shop.totals OWNER TO owner_$R;
GRANT SELECT, INSERT ON shop.orders TO reader_$R WITH GRANT OPTION;
GRANT USAGE ON SEQUENCE shop.counter TO reader_$R;
REVOKE EXECUTE ON FUNCTION shop.twice(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shop.twice(int) TO owner_$R;

CREATE TABLE public.plain (a int);
INSERT INTO public.plain SELECT generate_series(1, 10);

SELECT lo_from_bytea(777001, decode(repeat('00ff41', 200000), 'hex'));
SELECT lo_from_bytea(777002, '');
SELECT lo_from_bytea(777003, 'short');
ALTER LARGE OBJECT 777001 OWNER TO owner_$R;
GRANT SELECT ON LARGE OBJECT 777001 TO reader_$R;

CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
	RAISE EXCEPTION 'the event trigger fired on %', tg_tag; END $$;
CREATE PUBLICATION everything FOR TABLE shop.orders;
CREATE SUBSCRIPTION quiet_$R CONNECTION 'host=192.0.2.1 password=hidden' PUBLICATION p WITH (connect = false, slot_name = NONE);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'u', password 'p');
CREATE FOREIGN TABLE shop.remote (a int) SERVER far;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem TO ''5MB''', current_database());
EXECUTE format('ALTER DATABASE %I SET search_path TO "$user", shop, "Odd schema; -- "', current_database());
EXECUTE format('COMMENT ON DATABASE %I IS ''the shop''', current_database());
EXECUTE format('ALTER ROLE reader_$R IN DATABASE %I SET statement_timeout TO ''9s''', current_database());
EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$;
CREATE EVENT TRIGGER watch ON ddl_command_start EXECUTE FUNCTION public.watch();
`

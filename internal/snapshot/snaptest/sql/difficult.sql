-- A database with much of what a copy can get wrong. {{role}} is replaced by a
-- name that no other test uses: roles belong to the whole server.
CREATE ROLE {{role}}_owner; CREATE ROLE {{role}}_app NOINHERIT; GRANT {{role}}_owner TO {{role}}_app;
CREATE EXTENSION hstore; CREATE EXTENSION btree_gist;
CREATE SCHEMA pay AUTHORIZATION {{role}}_owner; COMMENT ON SCHEMA pay IS 'money''s place';
CREATE SCHEMA "Odd Name";
GRANT USAGE ON SCHEMA pay TO {{role}}_app;
ALTER DEFAULT PRIVILEGES FOR ROLE {{role}}_owner IN SCHEMA pay GRANT SELECT ON TABLES TO {{role}}_app;

CREATE TYPE pay.state AS ENUM ('new', 'paid', 'void');
CREATE DOMAIN pay.amount AS numeric(18,4) CHECK (VALUE >= 0);
CREATE TYPE pay.address AS (street text, zip text);

CREATE FUNCTION pay.double(x numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS $$ SELECT x * 2 $$;
CREATE FUNCTION pay.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := coalesce(NEW.note, '') || '!'; RETURN NEW; END $$;

CREATE TABLE pay.customers (
	id bigint GENERATED ALWAYS AS IDENTITY (START 1000) PRIMARY KEY,
	name text COLLATE "C" NOT NULL, addr pay.address, tags hstore, extra jsonb, raw bytea,
	seen timestamptz, span interval, f float8, m money, bits bit varying(9), ips inet[], during tstzrange,
	gone int, doubled numeric GENERATED ALWAYS AS (length(name) * 2) STORED
);
ALTER TABLE pay.customers DROP COLUMN gone;
ALTER TABLE pay.customers ADD COLUMN late int DEFAULT 7;
INSERT INTO pay.customers (name, addr, tags, extra, raw, seen, span, f, m, bits, ips, during)
SELECT CASE g % 9 WHEN 0 THEN E'tab\there' WHEN 1 THEN E'line\nbreak' WHEN 2 THEN E'back\\slash' WHEN 3 THEN '\N' WHEN 4 THEN '\.'
		WHEN 5 THEN '' WHEN 6 THEN 'żółć ☃ 𝄞' WHEN 7 THEN E'cr\rhere' ELSE 'plain ' || g END,
	CASE WHEN g % 3 = 0 THEN NULL ELSE ROW('street ' || g, NULL)::pay.address END,
	hstore('k' || g % 5, CASE WHEN g % 2 = 0 THEN NULL ELSE 'v"' || g END),
	jsonb_build_object('n', g, 'deep', jsonb_build_array(g, NULL, 'x''y')),
	CASE WHEN g % 4 = 0 THEN NULL ELSE decode(md5(g::text), 'hex') END,
	'2024-02-29 23:59:59.999999+00'::timestamptz + g * interval '37 minutes', make_interval(months => g % 13, secs => g / 7.0),
	CASE g % 6 WHEN 0 THEN 'NaN'::float8 WHEN 1 THEN '-Infinity' WHEN 2 THEN 1e-300 WHEN 3 THEN 0.1::float8 + 0.2 ELSE sqrt(g) END,
	g * 1.01, g::bit(9)::varbit, ARRAY['10.0.0.1'::inet, NULL], tstzrange('2024-01-01', NULL)
FROM generate_series(1, 3000) g;

CREATE TABLE pay.orders (
	id bigserial, customer bigint NOT NULL REFERENCES pay.customers DEFERRABLE INITIALLY DEFERRED, placed date NOT NULL,
	state pay.state NOT NULL DEFAULT 'new', total pay.amount, note text, PRIMARY KEY (id, placed)
) PARTITION BY RANGE (placed);
CREATE TABLE pay.orders_2024 PARTITION OF pay.orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE pay.orders_2025 PARTITION OF pay.orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY HASH (id);
CREATE TABLE pay.orders_2025_0 PARTITION OF pay.orders_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE pay.orders_2025_1 PARTITION OF pay.orders_2025 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE pay.orders_rest PARTITION OF pay.orders DEFAULT;
INSERT INTO pay.orders (customer, placed, state, total, note)
SELECT 1000 + g % 3000, '2023-06-01'::date + g % 1000, (ARRAY['new','paid','void'])[1 + g % 3]::pay.state, g / 3.0, repeat('n', g % 50)
FROM generate_series(1, 20000) g;
SET CONSTRAINTS ALL IMMEDIATE;
CREATE INDEX orders_by_state ON pay.orders (state, placed DESC) WHERE state <> 'void';
CREATE INDEX customers_by_expr ON pay.customers (lower(name), (extra ->> 'n'));
CREATE INDEX customers_tags ON pay.customers USING gin (tags);
CREATE STATISTICS pay.orders_stats ON customer, state FROM pay.orders;
CREATE TRIGGER touch BEFORE UPDATE ON pay.customers FOR EACH ROW EXECUTE FUNCTION pay.touch();
ALTER TABLE pay.customers DISABLE TRIGGER touch;
ALTER TABLE pay.customers ADD CONSTRAINT late_small CHECK (late < 5) NOT VALID;

CREATE TABLE pay.rooms (room int, during tsrange, EXCLUDE USING gist (room WITH =, during WITH &&));
INSERT INTO pay.rooms SELECT g, tsrange('2024-01-01', '2024-01-02') FROM generate_series(1, 50) g;

CREATE TABLE pay.base (a int, b text); CREATE TABLE pay.child (c int) INHERITS (pay.base);
INSERT INTO pay.base SELECT g, 'base' FROM generate_series(1, 10) g; INSERT INTO pay.child SELECT g, 'child', g FROM generate_series(1, 20) g;
CREATE TABLE pay.no_columns (); INSERT INTO pay.no_columns SELECT FROM generate_series(1, 5);
CREATE TABLE pay.empty (a int PRIMARY KEY);
CREATE UNLOGGED TABLE pay.cache (k text, v text); INSERT INTO pay.cache VALUES ('a', 'b');
CREATE TABLE pay.wide (id int, big text); INSERT INTO pay.wide SELECT g, (SELECT string_agg(md5(g || '/' || i), '') FROM generate_series(1, 150000) i) FROM generate_series(1, 2) g;
CREATE TABLE "Odd Name"."Tab""le.x" ("Col umn" text, "select" int); INSERT INTO "Odd Name"."Tab""le.x" VALUES ('a', 1), (NULL, NULL), ('a', 1);
CREATE SEQUENCE pay.lone INCREMENT 5 START 100 CYCLE MAXVALUE 100000; SELECT nextval('pay.lone'), nextval('pay.lone');

CREATE VIEW pay.totals AS SELECT customer, sum(total) AS total FROM pay.orders GROUP BY customer;
CREATE MATERIALIZED VIEW pay.top AS SELECT * FROM pay.totals ORDER BY total DESC NULLS LAST, customer LIMIT 10;
CREATE UNIQUE INDEX top_customer ON pay.top (customer);
ALTER TABLE pay.rooms ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON pay.rooms FOR SELECT TO {{role}}_app USING (room < 10);
ALTER TABLE pay.orders OWNER TO {{role}}_owner; GRANT SELECT, UPDATE (state) ON pay.orders TO {{role}}_app;
COMMENT ON COLUMN pay.orders.note IS 'free text';
SELECT lo_create(4242); SELECT lo_put(4242, 0, decode(repeat('00ff5c0a', 200000), 'hex')); SELECT lo_create(4243);
ALTER LARGE OBJECT 4242 OWNER TO {{role}}_owner;

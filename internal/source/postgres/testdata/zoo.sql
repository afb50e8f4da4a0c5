-- One of every kind of object that a capture must carry. The test has made the
-- roles and splits the file where it must be committed.
CREATE SCHEMA shop AUTHORIZATION zoo_owner;
GRANT USAGE ON SCHEMA shop TO zoo_reader;
COMMENT ON SCHEMA shop IS 'sells things';
CREATE SCHEMA ext;
CREATE EXTENSION pg_trgm SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;

CREATE TYPE shop.state AS ENUM ('new', 'paid', 'it''s gone');
ALTER TYPE shop.state ADD VALUE 'returned' BEFORE 'paid';
-- commit
CREATE TYPE shop.address AS (street text, "Zip Code" varchar(10));
CREATE DOMAIN shop.email AS varchar(100) NOT NULL DEFAULT 'nobody@example.com' CONSTRAINT has_at CHECK (value ~ '@');
CREATE TYPE shop.price_range AS RANGE (subtype = numeric);
CREATE COLLATION shop.german (provider = icu, locale = 'de');
COMMENT ON TYPE shop.state IS 'of an order';

CREATE FUNCTION shop.twice(n integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT n * 2';
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE PROCEDURE shop.nothing() LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
CREATE AGGREGATE shop.total(integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE OPERATOR shop.=== (leftarg = integer, rightarg = integer, function = int4eq, commutator = OPERATOR(shop.===));
REVOKE EXECUTE ON FUNCTION shop.twice(integer) FROM PUBLIC;

CREATE TABLE shop.customers (
	id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 10) PRIMARY KEY,
	mail shop.email, home shop.address, tags ext.hstore,
	name varchar(50) COLLATE shop.german CHECK (name IN ('Anna', 'Bob') OR name NOT IN ('x', 'y')),
	gone text,
	shout text GENERATED ALWAYS AS (upper(name)) STORED,
	notes text DEFAULT 'none');
ALTER TABLE shop.customers DROP COLUMN gone;
ALTER TABLE shop.customers ALTER notes SET STORAGE EXTERNAL, ALTER notes SET STATISTICS 500, ALTER name SET (n_distinct = 7);
ALTER TABLE shop.customers OWNER TO zoo_owner;
GRANT SELECT, UPDATE ON shop.customers TO zoo_reader;
GRANT INSERT (name), UPDATE (name, notes) ON shop.customers TO zoo_reader WITH GRANT OPTION;
COMMENT ON COLUMN shop.customers.notes IS 'by "staff"';
CREATE INDEX customers_name ON shop.customers USING gin (name ext.gin_trgm_ops);
CREATE UNIQUE INDEX customers_partial ON shop.customers (lower(mail), id DESC) WHERE (name)::text IN ('Anna', 'Bob');
CREATE STATISTICS shop.customers_stats (ndistinct, mcv) ON name, notes FROM shop.customers;
INSERT INTO shop.customers (mail, home, tags, name, notes)
	SELECT 'a@b' || i, ROW('Street ' || i, 'Z' || i)::shop.address, 'k=>1', CASE i % 3 WHEN 0 THEN NULL ELSE 'Anna' END, repeat(md5(i::text), i)
	FROM generate_series(1, 100) i;

CREATE SEQUENCE shop.tickets INCREMENT 5 MINVALUE 5 MAXVALUE 1000 CYCLE CACHE 3;
SELECT nextval('shop.tickets'), nextval('shop.tickets');
CREATE SEQUENCE shop.unused;

CREATE TABLE shop.orders (
	id serial, customer bigint REFERENCES shop.customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
	state shop.state DEFAULT 'new', placed date NOT NULL, amount money, took interval, at timestamptz, ratio float8, raw bytea, doc xml, j jsonb,
	ticket bigint DEFAULT nextval('shop.tickets'),
	PRIMARY KEY (id, placed, state)
) PARTITION BY RANGE (placed);
CREATE TABLE shop.orders_2024 PARTITION OF shop.orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.orders_2025 PARTITION OF shop.orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (state);
CREATE TABLE shop.orders_2025_new PARTITION OF shop.orders_2025 FOR VALUES IN ('new');
CREATE TABLE shop.orders_2025_rest PARTITION OF shop.orders_2025 DEFAULT;
CREATE INDEX orders_at ON shop.orders (at);
INSERT INTO shop.orders (placed, amount, state, took, at, ratio, raw, doc, j, customer)
	SELECT date '2024-01-01' + i, i::text::money, (enum_range(NULL::shop.state))[1 + i % 4], i * interval '1 day 2:03:04.5',
		timestamptz '2024-01-01 12:00+02' + i * interval '1 hour', i / 3.0, decode(md5(i::text), 'hex'), '<a/>', '{"a": [1, null]}', NULL
	FROM generate_series(1, 700) i;

-- commit
CREATE TABLE shop.spread (k text, v int) PARTITION BY HASH (k);
CREATE TABLE shop.spread_0 PARTITION OF shop.spread FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shop.spread_1 PARTITION OF shop.spread FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO shop.spread SELECT i, i FROM generate_series(1, 50) i;

CREATE TABLE shop.parent (a int, b text CHECK (b <> ''));
CREATE TABLE shop.child (c int) INHERITS (shop.parent);
ALTER TABLE shop.parent ADD COLUMN later int DEFAULT 3;
INSERT INTO shop.parent (a) SELECT generate_series(1, 10);
INSERT INTO shop.child (a, c) SELECT i, i FROM generate_series(1, 20) i;

CREATE TABLE shop."We""ird Näme.x" ("Sp ace" int, "select" text, "ü" int[]);
INSERT INTO shop."We""ird Näme.x" VALUES (1, E'tab\t nl\n bs\\ \\. ', '{1,NULL}'), (NULL, '', NULL), (NULL, '\N', NULL);
CREATE TABLE shop.nothing ();
INSERT INTO shop.nothing SELECT FROM generate_series(1, 7);
CREATE TABLE shop.only_generated (g int GENERATED ALWAYS AS (42) STORED);
INSERT INTO shop.only_generated SELECT FROM generate_series(1, 3);
CREATE UNLOGGED TABLE shop.cache (k text PRIMARY KEY) WITH (fillfactor = 70, autovacuum_enabled = off);
INSERT INTO shop.cache VALUES ('x');
CREATE TABLE shop.empty (a int);
ALTER TABLE shop.empty ADD CONSTRAINT sane CHECK (a > 0) NOT VALID;

CREATE VIEW shop.overview WITH (security_barrier) AS SELECT name, count(*) AS n FROM shop.customers WHERE name IN ('Anna', 'Carl') GROUP BY name;
CREATE MATERIALIZED VIEW shop.summary AS SELECT state, count(*) AS n FROM shop.orders GROUP BY state;
CREATE UNIQUE INDEX ON shop.summary (state);
CREATE RULE no_delete AS ON DELETE TO shop.empty DO INSTEAD NOTHING;

CREATE TRIGGER touch BEFORE UPDATE ON shop.customers FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION shop.touch();
CREATE TRIGGER off AFTER INSERT ON shop.empty FOR EACH ROW EXECUTE FUNCTION shop.touch();
ALTER TABLE shop.empty DISABLE TRIGGER off;
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customers AS RESTRICTIVE FOR SELECT TO zoo_reader USING (name = current_user);
ALTER TABLE shop.orders_2024 REPLICA IDENTITY FULL;
ALTER DEFAULT PRIVILEGES FOR ROLE zoo_owner IN SCHEMA shop GRANT SELECT ON TABLES TO zoo_reader;
ALTER SEQUENCE shop.tickets OWNER TO zoo_owner;

CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere OPTIONS (host 'example.com');
CREATE USER MAPPING FOR zoo_reader SERVER far OPTIONS (password 'secret');
CREATE FOREIGN TABLE public.distant (a int OPTIONS (c 'x')) SERVER far OPTIONS (t 'y');
CREATE FUNCTION public.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('DROP TABLE', 'ALTER TABLE') EXECUTE FUNCTION public.on_ddl();
CREATE PUBLICATION news FOR TABLE shop.customers, shop.empty WITH (publish = 'insert');
CREATE FUNCTION shop.weigh(shop.address) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE CAST (shop.address AS integer) WITH FUNCTION shop.weigh(shop.address) AS ASSIGNMENT;
CREATE TEXT SEARCH CONFIGURATION shop.words (COPY = simple);
CREATE TEXT SEARCH DICTIONARY shop.stems (TEMPLATE = snowball, language = english);
CREATE OPERATOR CLASS shop.backwards FOR TYPE integer USING btree AS
	OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 btint4cmp(integer, integer);

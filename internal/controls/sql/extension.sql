CREATE EXTENSION hstore VERSION '1.7';
SET ROLE drill_owner;
CREATE TABLE shop.traits (id bigint PRIMARY KEY, traits hstore NOT NULL);
INSERT INTO shop.traits SELECT i, hstore('colour', md5(i::text)) FROM generate_series(1, 50) i;
GRANT SELECT ON shop.traits TO drill_blind;

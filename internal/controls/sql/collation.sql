-- An order of text that another library, or another version of it, does not
-- share: in Swedish å comes after z, in German it sorts with a.
SET ROLE drill_owner;
CREATE COLLATION shop.alphabet (provider = icu, locale = 'sv');
CREATE TABLE shop.ranges (
  id bigint PRIMARY KEY,
  low text COLLATE shop.alphabet NOT NULL,
  high text COLLATE shop.alphabet NOT NULL,
  CHECK (low < high));
INSERT INTO shop.ranges VALUES (1, 'a', 'b'), (2, 'z', 'å');
GRANT SELECT ON shop.ranges TO drill_blind;

ALTER TABLE catalog.products ADD PRIMARY KEY (id);
ALTER TABLE catalog.products ADD CONSTRAINT products_sku_key UNIQUE (sku);
CREATE INDEX products_category ON catalog.products (category_id) INCLUDE (price);
CREATE INDEX products_search ON catalog.products USING gin (search);
ALTER TABLE catalog.stock_levels ADD PRIMARY KEY (product_id, warehouse);
ALTER TABLE catalog.stock_moves ADD PRIMARY KEY (id);
CREATE INDEX stock_moves_product ON catalog.stock_moves (product_id, moved_at);
CREATE INDEX stock_moves_time ON catalog.stock_moves USING brin (moved_at);

ALTER TABLE catalog.products ADD CONSTRAINT products_category_fk FOREIGN KEY (category_id) REFERENCES catalog.categories;
ALTER TABLE catalog.stock_levels ADD CONSTRAINT levels_product_fk FOREIGN KEY (product_id) REFERENCES catalog.products;
ALTER TABLE catalog.stock_moves ADD CONSTRAINT moves_level_fk FOREIGN KEY (product_id, warehouse) REFERENCES catalog.stock_levels;

SELECT setval(pg_get_serial_sequence('catalog.categories', 'id'), 156);
SELECT setval(pg_get_serial_sequence('catalog.products', 'id'), {{products}});
SELECT setval(pg_get_serial_sequence('catalog.stock_moves', 'id'), {{moves}});

-- A move changes the level in the same transaction. A restore that lets this
-- fire while it loads would count every move twice.
CREATE FUNCTION catalog.apply_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog.stock_levels SET quantity = quantity + NEW.delta, counted_at = NEW.moved_at
    WHERE product_id = NEW.product_id AND warehouse = NEW.warehouse;
    RETURN NULL;
END $$;
CREATE TRIGGER moves_apply AFTER INSERT ON catalog.stock_moves FOR EACH ROW EXECUTE FUNCTION catalog.apply_move();

CREATE VIEW catalog.running_low AS
    SELECT p.id, p.sku, p.name, sum(l.quantity) AS left_over
    FROM catalog.products p JOIN catalog.stock_levels l ON l.product_id = p.id
    GROUP BY p.id, p.sku, p.name HAVING sum(l.quantity) < 20;
CREATE MATERIALIZED VIEW catalog.category_sizes AS
    SELECT c.id, c.name, count(p.id) AS products, avg(p.price)::numeric(12, 2) AS price
    FROM catalog.categories c LEFT JOIN catalog.products p ON p.category_id = c.id GROUP BY c.id, c.name;
CREATE UNIQUE INDEX category_sizes_id ON catalog.category_sizes (id);

GRANT USAGE ON SCHEMA catalog TO market_app, market_reporting;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA catalog TO market_app;
GRANT SELECT ON ALL TABLES IN SCHEMA catalog TO market_reporting;
ANALYZE catalog.products, catalog.stock_levels, catalog.stock_moves;

INSERT INTO catalog.categories (id, parent_id, slug, name)
SELECT i, CASE WHEN i > 12 THEN 1 + (i - 13) / 12 END,
    pg_temp.word(i * 7) || '-' || i, initcap(pg_temp.word(i * 7) || ' ' || pg_temp.word(i * 11))
FROM generate_series(1, 156) i;

INSERT INTO catalog.products (id, sku, category_id, name, description, attributes, price, tags, updated_at)
SELECT g, 'SKU-' || upper(substr(md5('sku' || g), 1, 8)) || '-' || g, 13 + pg_temp.h(g, 101) % 144,
    initcap(pg_temp.word(pg_temp.h(g, 102)) || ' ' || pg_temp.word(pg_temp.h(g, 103)) || ' ' || pg_temp.word(pg_temp.h(g, 104))),
    initcap(a.t) || '. ' || initcap(b.t) || '. ' || initcap(c.t) || ', ' || d.t || '.',
    jsonb_build_object('colour', pg_temp.word(pg_temp.h(g, 105) % 40), 'weight_g', 20 + pg_temp.h(g, 106) % 30000,
        'size', jsonb_build_array(pg_temp.h(g, 107) % 900, pg_temp.h(g, 108) % 900, pg_temp.h(g, 109) % 900),
        'ean', (6000000000000 + pg_temp.h(g, 110) % 999999999999)::text, 'material', pg_temp.word(pg_temp.h(g, 111)),
        'warranty_months', 6 * (pg_temp.h(g, 112) % 7), 'image', md5('image' || g) || '.webp'),
    (99 + pg_temp.h(g, 113) % 990000) / 100.0,
    ARRAY[pg_temp.word(pg_temp.h(g, 114)), pg_temp.word(pg_temp.h(g, 115))],
    pg_temp.at(g, {{products}})
FROM generate_series(1::bigint, {{products}}) g
JOIN phrase a ON a.i = pg_temp.h(g, 116) & 4095
JOIN phrase b ON b.i = pg_temp.h(g, 117) & 4095
JOIN phrase c ON c.i = pg_temp.h(g, 118) & 4095
JOIN phrase d ON d.i = pg_temp.h(g, 119) & 4095;

INSERT INTO catalog.stock_levels (product_id, warehouse, quantity, counted_at)
SELECT g, w, 5 + pg_temp.h(g * 10 + w, 121) % 400, pg_temp.at(g, {{products}})
FROM generate_series(1::bigint, {{products}}) g, generate_series(1, 2) w;

INSERT INTO catalog.stock_moves (id, product_id, warehouse, delta, reason, batch, moved_at)
OVERRIDING SYSTEM VALUE
SELECT g, 1 + pg_temp.h(g, 131) % {{products}}, 1 + pg_temp.h(g, 132) % 2,
    CASE WHEN pg_temp.h(g, 133) % 6 = 0 THEN 10 + pg_temp.h(g, 134) % 90 ELSE -(1 + pg_temp.h(g, 135) % 3) END,
    (CASE WHEN pg_temp.h(g, 133) % 6 = 0 THEN 'delivery' WHEN pg_temp.h(g, 136) % 40 = 0 THEN 'loss' ELSE 'sale' END)::catalog.move_reason,
    'B' || to_char(pg_temp.at(g, {{moves}}), 'YYMMDD') || '-' || pg_temp.h(g, 137) % 100000,
    pg_temp.at(g, {{moves}})
FROM generate_series(1::bigint, {{moves}}) g;

INSERT INTO payments.orders (id, number, user_id, state, total, lines, note, placed_at)
SELECT g, 'SP-' || lpad(g::text, 9, '0'), 1 + pg_temp.h(g, 81) % {{users}},
    (ARRAY['paid', 'shipped', 'delivered', 'delivered', 'delivered', 'delivered', 'returned'])[1 + pg_temp.h(g, 82) % 7]::payments.order_state,
    (1999 + pg_temp.h(g, 51) % 480000)::numeric(14, 2) / 100,
    jsonb_build_array(
        jsonb_build_object('product', 1 + pg_temp.h(g, 83) % {{products}}, 'quantity', 1 + pg_temp.h(g, 84) % 4, 'price', pg_temp.h(g, 85) % 90000 / 100.0),
        jsonb_build_object('product', 1 + pg_temp.h(g, 86) % {{products}}, 'quantity', 1 + pg_temp.h(g, 87) % 2, 'price', pg_temp.h(g, 88) % 90000 / 100.0)),
    CASE WHEN pg_temp.h(g, 89) % 3 = 0 THEN p.t END,
    pg_temp.at(g, {{orders}})
FROM generate_series(1::bigint, {{orders}}) g
JOIN phrase p ON p.i = pg_temp.h(g, 90) & 4095;

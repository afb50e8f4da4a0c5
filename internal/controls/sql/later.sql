-- Business between the two recovery points of a round.
INSERT INTO shop.orders (customer, amount, note)
  SELECT 1 + i % 200, i + 0.75, md5('later ' || i) FROM generate_series(1, 100) i;
INSERT INTO shop.canary VALUES (2, clock_timestamp());

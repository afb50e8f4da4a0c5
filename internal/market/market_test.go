package market_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/market"
	"github.com/saypro/backupd/internal/testenv"
)

func seed(t *testing.T, opts market.Options) *testenv.PG {
	t.Helper()
	pg := testenv.Postgres(t)
	if err := market.Seed(t.Context(), pg.URL(), opts); err != nil {
		t.Fatal(err)
	}
	return pg
}

// content is a digest of every table, in the order of its primary key or of
// the whole row.
func content(t *testing.T, pg *testenv.PG) map[string]string {
	t.Helper()
	digests := map[string]string{}
	for _, row := range pg.Query(t, `SELECT schemaname || '.' || tablename FROM pg_tables
		WHERE schemaname = ANY ('{accounts,payments,catalog}')`) {
		digests[row[0]] = pg.Value(t, fmt.Sprintf(
			`SELECT count(*) || ' ' || coalesce(sum(hashtextextended(r::text, 0)::numeric), 0) FROM %s r`, row[0]))
	}
	return digests
}

func TestSeedIsDeterministic(t *testing.T) {
	opts := market.Options{Scale: 2, Seed: 7}
	first, second := content(t, seed(t, opts)), content(t, seed(t, opts))
	if len(first) < 20 {
		t.Fatalf("only %d tables: %v", len(first), first)
	}
	for table, digest := range first {
		if second[table] != digest {
			t.Errorf("%s: %q, then %q", table, digest, second[table])
		}
		if strings.HasPrefix(digest, "0 ") && !strings.HasPrefix(table, "payments.transactions_") {
			t.Errorf("%s is empty", table)
		}
	}
	other := content(t, seed(t, market.Options{Scale: 2, Seed: 8}))
	if other["accounts.users"] == first["accounts.users"] || other["catalog.products"] == first["catalog.products"] {
		t.Error("another seed gives the same rows")
	}
}

func TestSeedReachesItsScale(t *testing.T) {
	pg := seed(t, market.Options{Scale: 24})
	bytes, rows, err := market.Size(t.Context(), pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	if mib := float64(bytes) / (1 << 20); mib < 24*0.9 || mib > 24*1.1 {
		t.Errorf("%.1f MiB, want about 24", mib)
	}
	if rows < 100_000 {
		t.Errorf("%d rows", rows)
	}
}

func TestSeedHasWhatABackupMustCarry(t *testing.T) {
	pg := seed(t, market.Options{Scale: 1})
	for what, query := range map[string]string{
		"partitions":        `SELECT count(*) >= 13 FROM pg_inherits WHERE inhparent = 'payments.transactions'::regclass`,
		"generated columns": `SELECT count(*) = 1 FROM pg_attribute WHERE attgenerated = 's'`,
		"identity columns":  `SELECT count(*) >= 8 FROM pg_attribute WHERE attidentity <> ''`,
		"matviews":          `SELECT count(*) = 2 FROM pg_matviews WHERE ispopulated`,
		"triggers":          `SELECT count(*) >= 3 FROM pg_trigger WHERE NOT tgisinternal`,
		"foreign keys":      `SELECT count(*) >= 10 AND bool_and(convalidated) FROM pg_constraint WHERE contype = 'f'`,
		"domains, enums":    `SELECT count(DISTINCT typtype) = 2 FROM pg_type WHERE typtype IN ('d', 'e') AND typnamespace <> 'pg_catalog'::regnamespace AND typnamespace <> 'information_schema'::regnamespace`,
		"grants":            `SELECT has_table_privilege('market_app', 'payments.orders', 'INSERT') AND NOT has_table_privilege('market_app', 'payments.ledger_entries', 'UPDATE')`,
		"another owner":     `SELECT count(*) = 2 FROM pg_tables WHERE tableowner = 'market_owner' AND tablename IN ('users', 'ledger_entries')`,
		"out-of-line data":  `SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class WHERE oid = 'accounts.documents'::regclass`,
		"balanced books":    `SELECT count(*) = 0 FROM (SELECT FROM payments.ledger_entries GROUP BY transaction_id HAVING sum(amount) <> 0) x`,
		"sequences ahead":   `SELECT nextval(pg_get_serial_sequence('payments.orders', 'id')) > (SELECT max(id) FROM payments.orders)`,
		"no reference across schemas": `SELECT count(*) = 0 FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid JOIN pg_class b ON b.oid = c.confrelid
			WHERE c.contype = 'f' AND a.relnamespace <> b.relnamespace`,
	} {
		if got := pg.Value(t, query); got != "t" {
			t.Errorf("%s: %s\n%s", what, got, query)
		}
	}
}

func TestSeedRefusesWhatIsThere(t *testing.T) {
	pg := seed(t, market.Options{Scale: 1})
	err := market.Seed(t.Context(), pg.URL(), market.Options{Scale: 1})
	if err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Fatalf("second seeding: %v", err)
	}
}

// waitFor lets the customers work until done says that it is enough.
func waitFor(t *testing.T, traffic *market.Traffic, done func(market.Counts) bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !done(traffic.Counts()) {
		select {
		case <-deadline:
			t.Fatalf("after 30 s only %+v, last refusal: %v", traffic.Counts(), traffic.Refusal())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestLiveWritesWhatItCounts(t *testing.T) {
	pg := seed(t, market.Options{Scale: 1})
	counted := map[string]func(market.Counts) int64{
		"payments.orders":       func(c market.Counts) int64 { return c.Orders },
		"payments.transactions": func(c market.Counts) int64 { return c.Orders },
		"payments.refunds":      func(c market.Counts) int64 { return c.Refunds },
		"accounts.sessions":     func(c market.Counts) int64 { return c.Sessions },
		"catalog.stock_moves":   func(c market.Counts) int64 { return c.Moves },
	}
	count := func(table string) int64 {
		n, err := strconv.ParseInt(pg.Value(t, "SELECT count(*) FROM "+table), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := map[string]int64{}
	for table := range counted {
		before[table] = count(table)
	}
	stock := `SELECT coalesce(sum(l.quantity), 0) - (SELECT sum(delta) FROM catalog.stock_moves) FROM catalog.stock_levels l`
	balance := pg.Value(t, stock)

	traffic, err := market.Live(t.Context(), pg.URL(), 2000, 1)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, traffic, func(c market.Counts) bool {
		return c.Orders > 50 && c.Refunds > 5 && c.Sessions > 5 && c.Moves > 5 && c.Prices > 1
	})
	counts, err := traffic.Stop()
	if err != nil {
		t.Fatal(err)
	}
	if counts.Refused != 0 {
		t.Errorf("%d writes refused: %v", counts.Refused, traffic.Refusal())
	}
	for table, want := range counted {
		if got := count(table) - before[table]; got != want(counts) {
			t.Errorf("%s grew by %d, counted %d", table, got, want(counts))
		}
	}
	if sum := pg.Value(t, "SELECT sum(amount) FROM payments.ledger_entries"); sum != "0.00" {
		t.Errorf("the ledger sums to %s", sum)
	}
	if now := pg.Value(t, stock); now != balance {
		t.Errorf("stock less moves was %s and is %s", balance, now)
	}
}

func TestLiveGoesOnWithoutADroppedTable(t *testing.T) {
	pg := seed(t, market.Options{Scale: 1})
	traffic, err := market.Live(t.Context(), pg.URL(), 2000, 2)
	if err != nil {
		t.Fatal(err)
	}
	// Locked first: dropping the foreign key locks partition after partition,
	// which may deadlock with a purchase.
	pg.Exec(t, "LOCK TABLE payments.transactions; DROP TABLE payments.refunds CASCADE")
	before := traffic.Counts()
	waitFor(t, traffic, func(c market.Counts) bool { return c.Refused > 3 && c.Orders > before.Orders+20 })
	if _, err := traffic.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := traffic.Refusal(); err == nil || !strings.Contains(err.Error(), "payments.refunds") {
		t.Errorf("refusal: %v", err)
	}
}

func TestLiveEndsWithItsContextAndWithItsServer(t *testing.T) {
	pg := seed(t, market.Options{Scale: 1})
	ctx, cancel := context.WithCancel(t.Context())
	traffic, err := market.Live(ctx, pg.URL(), 500, 3)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := traffic.Stop(); err != nil {
		t.Errorf("after the end of its context: %v", err)
	}
	traffic, err = market.Live(t.Context(), pg.URL(), 500, 3)
	if err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	select {
	case <-traffic.Done():
	case <-time.After(10 * time.Second):
		t.Error("the traffic goes on without its connection")
	}
	if _, err := traffic.Stop(); err == nil {
		t.Error("the connection was cut and nothing is said about it")
	}
}

package snapshot_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/market"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/snapshot/snaptest"
)

// shop is the demonstration's marketplace with its functions, and somebody who
// watches them.
type shop struct {
	*snaptest.Bench
	url       string
	functions []config.Function
	random    *rand.Rand

	captures, alarms int
	// Of the runs, of what judging added to them, and of canaries, which are
	// read while tables are copied.
	seconds, judged, canaries float64
}

func newShop(t *testing.T, url string, seed uint64) *shop {
	t.Helper()
	if err := market.Seed(t.Context(), url, market.Options{Scale: 2, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	s := &shop{Bench: snaptest.New(t, url), url: url, random: rand.New(rand.NewPCG(seed, 4))}
	for name, canary := range map[string]config.Canary{
		"payments": {Table: "payments.orders", Key: "id = 1"},
		"accounts": {Table: "accounts.users", Key: "id <= 10"},
		"catalog":  {SQL: "SELECT count(*), md5(string_agg(slug, ' ' ORDER BY id)) FROM catalog.categories"},
	} {
		s.functions = append(s.functions, config.Function{
			Name: name, Source: snaptest.Source, Schemas: []string{name}, RPO: time.Minute, RTO: time.Hour,
			Suspect: config.Suspect{Canary: map[string]config.Canary{"bird": canary}},
		})
	}
	return s
}

// trade lets the customers do some things.
func (s *shop) trade(t *testing.T, writes int64) {
	t.Helper()
	traffic, err := market.Live(t.Context(), s.url, 5000, s.random.Uint64())
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(2 * time.Minute)
	for traffic.Counts().Writes() < writes {
		if traffic.Counts().Refused > 0 || time.Now().After(deadline) {
			t.Fatalf("the customers cannot trade: %+v, %v", traffic.Counts(), traffic.Refusal())
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := traffic.Stop(); err != nil {
		t.Fatal(err)
	}
}

// chores are what the shop's own people and programs do now and then.
var chores = []string{
	`DELETE FROM accounts.sessions WHERE id IN (SELECT id FROM accounts.sessions ORDER BY created_at LIMIT 120)`,
	`VACUUM FULL payments.orders`,
	`CLUSTER catalog.products USING products_pkey`,
	`REFRESH MATERIALIZED VIEW payments.monthly_turnover`,
	`UPDATE payments.orders SET state = 'shipped' WHERE id IN (SELECT id FROM payments.orders WHERE state = 'paid' ORDER BY id DESC LIMIT 200)`,
	`ALTER TABLE accounts.users ADD COLUMN IF NOT EXISTS nickname text DEFAULT ''`,
	`ALTER TABLE payments.orders ADD COLUMN IF NOT EXISTS channel text DEFAULT 'web'`,
	`CREATE TABLE IF NOT EXISTS catalog.reviews (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stars int); INSERT INTO catalog.reviews (stars) SELECT 5 FROM generate_series(1, 30)`,
	`UPDATE catalog.products SET price = price * 0.9, updated_at = now() WHERE category_id = 1 + (random() * 20)::int`,
	`ANALYZE`,
}

// look captures every function and returns what looked wrong in each.
func (s *shop) look(t *testing.T) map[string]snapshot.Result {
	t.Helper()
	out := map[string]snapshot.Result{}
	for _, f := range s.functions {
		r := s.Take(t, f)
		s.captures++
		s.seconds += r.DurationSeconds
		s.judged += r.Phases["judge"]
		s.canaries += r.Phases["canaries"]
		if len(r.Suspect) > 0 {
			s.alarms++
		}
		out[f.Name] = r
	}
	return out
}

func (s *shop) exec(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// steps is how many times each function is captured; SUSPECT_STEPS says how
// many when somebody wants more.
func steps(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SUSPECT_STEPS")
	if text == "" {
		return 10
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("SUSPECT_STEPS: %v", err)
	}
	return n
}

// TestMarketLife: customers trade, people do their chores, and no recovery point
// is suspect; then each attack is told at its table and nowhere else.
func TestMarketLife(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("TEST_SEED: %v", err)
		}
	}
	t.Logf("TEST_SEED=%d", seed)
	s := newShop(t, filled(t, 1).NewDatabase(t).URL(), seed)
	begin := time.Now()
	for n := range steps(t) {
		s.trade(t, 20+s.random.Int64N(400))
		if s.random.IntN(2) == 0 {
			s.exec(t, chores[s.random.IntN(len(chores))])
		}
		for f, r := range s.look(t) {
			if len(r.Suspect) > 0 {
				t.Errorf("step %d: %s: %+v", n, f, r.Suspect)
			}
		}
	}
	t.Logf("%d captures in %v, %d alarms; a run took %.3f s, judging %.2f %% of it and beside the copying canaries %.2f %%",
		s.captures, time.Since(begin).Round(time.Second), s.alarms, s.seconds/float64(s.captures), 100*s.judged/s.seconds, 100*s.canaries/s.seconds)
	// Of few runs a slow disk makes too much.
	if s.captures > 100 && s.judged > 0.03*s.seconds {
		t.Errorf("judging took %.3f s of %.3f s", s.judged, s.seconds)
	}
	s.attacked(t)
}

// attacked carries out attack after attack, while the customers go on.
func (s *shop) attacked(t *testing.T) {
	t.Helper()
	for _, attack := range []struct{ sql, function, want string }{
		{`DELETE FROM accounts.sessions WHERE user_id % 10 <> 0`, "accounts", "rows collapsed accounts.sessions"},
		{`UPDATE accounts.users SET full_name = md5(full_name) WHERE id > 10`, "accounts", "rows changed accounts.users"},
		{`UPDATE payments.orders SET total = total + 0.01 WHERE id > 1`, "payments", "rows changed payments.orders"},
		{`UPDATE payments.orders SET note = 'paid in full' WHERE id = 1`, "payments", "canary bird"},
		{`UPDATE catalog.products SET name = 'SEND MONEY'`, "catalog", "rows changed catalog.products"},
		{`DELETE FROM catalog.stock_moves WHERE id % 3 <> 0`, "catalog", "rows collapsed catalog.stock_moves"},
		{`DELETE FROM catalog.products WHERE id = -1; UPDATE catalog.categories SET slug = slug || '-x' WHERE id = 3`, "catalog", "canary bird"},
		{`ALTER TABLE catalog.products DROP COLUMN tags`, "catalog", "schema shrunk catalog.products"},
		{`DROP TABLE payments.refunds CASCADE`, "payments", "schema shrunk payments.refunds"},
	} {
		s.exec(t, attack.sql)
		for f, r := range s.look(t) {
			want := ""
			if f == attack.function {
				want = attack.want
			}
			if got := told(r.Suspect); got != want {
				t.Errorf("%s: of %s is told %q, want %q: %+v", attack.sql, f, got, want, r.Suspect)
			}
			if len(r.Suspect) > 0 {
				if err := s.Clear(t.Context(), r.Snapshot, fmt.Sprintf("exercise: %s", attack.sql)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

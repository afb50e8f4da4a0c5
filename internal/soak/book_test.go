package soak

import (
	"context"
	"crypto/md5" // what PostgreSQL has; nobody attacks this content
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/testenv"
)

// book is the content of one function. It goes on step by step, and the number
// of the step tells all of it: what a recovery point must contain is computed,
// not remembered.
type book struct {
	function string // and its schema
	mu       sync.Mutex
	seen     []moment // steps that were committed, and since when for sure
}

type moment struct {
	at   time.Time
	step int64
}

const (
	bookEntries  = 500 // that stay in the table
	bookAccounts = 200
)

// makeBook makes the tables of a function, at step 0.
func makeBook(t testing.TB, pg *testenv.PG, function string) *book {
	pg.Exec(t, strings.ReplaceAll(fmt.Sprintf(`
		CREATE SCHEMA FN;
		CREATE TABLE FN.state (id int PRIMARY KEY, step bigint NOT NULL);
		CREATE TABLE FN.accounts (id int PRIMARY KEY, step bigint NOT NULL, memo text NOT NULL);
		CREATE TABLE FN.entries (id bigint PRIMARY KEY, account int NOT NULL REFERENCES FN.accounts, note text NOT NULL);
		CREATE INDEX ON FN.entries (account);
		INSERT INTO FN.state VALUES (1, 0);
		INSERT INTO FN.accounts SELECT g, 0, 'none' FROM generate_series(0, %d) g;`, bookAccounts-1), "FN", function))
	return &book{function: function}
}

// advance takes the book n steps on, in one transaction.
func (b *book) advance(ctx context.Context, conn *pgx.Conn, n int) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it is committed by then, or of no use
	var from int64
	if err := tx.QueryRow(ctx, "SELECT step + 1 FROM "+b.function+".state FOR UPDATE").Scan(&from); err != nil {
		return err
	}
	to := from + int64(n) - 1
	_, err = tx.Exec(ctx, strings.ReplaceAll(fmt.Sprintf(`
		UPDATE FN.accounts SET step = g, memo = md5(g::text) FROM generate_series(%[1]d::bigint, %[2]d) g WHERE id = g %% %[3]d;
		INSERT INTO FN.entries SELECT g, g %% %[3]d,
			(SELECT string_agg(md5(g || '/' || k), '' ORDER BY k) FROM generate_series(1, 2 + g %% 9) k)
			FROM generate_series(%[1]d::bigint, %[2]d) g;
		DELETE FROM FN.entries WHERE id <= %[2]d - %[4]d;
		UPDATE FN.state SET step = %[2]d`, from, to, bookAccounts, bookEntries), "FN", b.function), pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, moment{time.Now(), to})
	return nil
}

// since returns the last step that was committed for sure at that time.
func (b *book) since(at time.Time) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var step int64
	for _, m := range b.seen {
		if m.at.After(at) {
			break
		}
		step = m.step
	}
	return step
}

func sum(text string) string {
	return fmt.Sprintf("%x", md5.Sum([]byte(text)))
}

// content returns the rows of each table at a step, sorted, as COPY writes
// them.
func (b *book) content(step int64) map[string][]string {
	accounts := make([]string, bookAccounts)
	for id := range accounts {
		last := step - (step-int64(id)+bookAccounts)%bookAccounts
		accounts[id] = fmt.Sprintf("%d\t%d\t%s", id, last, sum(fmt.Sprint(last)))
		if last < 1 {
			accounts[id] = fmt.Sprintf("%d\t0\tnone", id)
		}
	}
	var entries []string
	for n := max(1, step-bookEntries+1); n <= step; n++ {
		var note strings.Builder
		for k := range 2 + n%9 {
			note.WriteString(sum(fmt.Sprintf("%d/%d", n, k+1)))
		}
		entries = append(entries, fmt.Sprintf("%d\t%d\t%s", n, n%bookAccounts, &note))
	}
	slices.Sort(accounts)
	slices.Sort(entries)
	return map[string][]string{
		b.function + ".state":    {fmt.Sprintf("1\t%d", step)},
		b.function + ".accounts": accounts,
		b.function + ".entries":  entries,
	}
}

// compare checks that tables hold what the book held at one step, and returns
// which.
func (b *book) compare(tables map[string][]byte) (step int64, err error) {
	state := tables[b.function+".state"]
	if _, err := fmt.Sscanf(string(state), "1\t%d\n", &step); err != nil {
		return 0, fmt.Errorf("%s.state holds %q", b.function, state)
	}
	want := b.content(step)
	if len(tables) != len(want) {
		return step, fmt.Errorf("%d tables instead of %d", len(tables), len(want))
	}
	for name, rows := range want {
		got := slices.Sorted(strings.Lines(string(tables[name])))
		for i := range got {
			got[i] = strings.TrimSuffix(got[i], "\n")
		}
		if slices.Equal(got, rows) {
			continue
		}
		for i := range rows {
			if i >= len(got) || got[i] != rows[i] {
				return step, fmt.Errorf("%s at step %d: %d rows instead of %d, %q where %q must be", name, step, len(got), len(rows), slices.Concat(got, []string{"nothing"})[min(i, len(got))], rows[i])
			}
		}
		return step, fmt.Errorf("%s at step %d: %d rows instead of %d", name, step, len(got), len(rows))
	}
	return step, nil
}

// traffic writes to the books until the test ends or stop is called.
type traffic struct {
	cancel context.CancelFunc
	done   chan error
}

func (w *world) startTraffic(seed uint64) *traffic {
	conn := w.pg.Conn(w.t)
	ctx, cancel := context.WithCancel(context.Background())
	tr := &traffic{cancel: cancel, done: make(chan error, 1)}
	rnd := rand.New(rand.NewPCG(seed, 7))
	go func() {
		for ctx.Err() == nil {
			// A statement is not cut off: it would be unknown whether it took place.
			b := w.books[rnd.IntN(len(w.books))]
			if err := b.advance(context.WithoutCancel(ctx), conn, 1+rnd.IntN(30)); err != nil {
				tr.done <- err
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(10+rnd.IntN(40)) * time.Millisecond):
			}
		}
		tr.done <- nil
	}()
	w.t.Cleanup(func() {
		if err := tr.stop(); err != nil {
			w.t.Errorf("the traffic broke down: %v", err)
		}
	})
	return tr
}

func (tr *traffic) stop() error {
	if tr.done == nil {
		return nil
	}
	tr.cancel()
	err := <-tr.done
	tr.done = nil
	if err != nil {
		return errors.Join(errors.New("traffic"), err)
	}
	return nil
}

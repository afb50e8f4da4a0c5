package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/testenv"
)

// The index of a partition is attached to that of the whole, and those of its
// own parts to it: however many sessions restore, all of them are valid in the
// end.
func TestIndexesOfPartsOfPartsAreValid(t *testing.T) {
	t.Parallel()
	source := testenv.Postgres(t)
	var sql strings.Builder
	sql.WriteString("CREATE SCHEMA shop;")
	for i := range 25 {
		fmt.Fprintf(&sql, `CREATE TABLE shop.t%[1]d (a int, b int) PARTITION BY LIST (a);
			CREATE TABLE shop.t%[1]d_1 PARTITION OF shop.t%[1]d FOR VALUES IN (1) PARTITION BY LIST (b);
			CREATE TABLE shop.t%[1]d_1_1 PARTITION OF shop.t%[1]d_1 FOR VALUES IN (1);
			CREATE INDEX ON shop.t%[1]d (b);`, i)
	}
	source.Exec(t, sql.String())
	s := save(t, source, Scope{Function: "shop"})
	for range 3 {
		to := testenv.Postgres(t)
		target := into(t, to.URL(), TargetOptions{})
		must(t, target.MarkUnfinished(context.Background(), "shop"))
		s.restore(t, target)
		if left := to.Query(t, "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"); len(left) > 0 {
			t.Errorf("not valid: %v", left)
		}
	}
}

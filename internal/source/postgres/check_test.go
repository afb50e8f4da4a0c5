package postgres

import (
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/testenv"
)

func TestCheckTellsWhatToKnow(t *testing.T) {
	pg := testenv.Postgres(t)
	zoo(t, pg)
	pg.Exec(t, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.customers_name'::regclass;
		CREATE SCHEMA other; CREATE TABLE other.t (c bigint REFERENCES shop.customers)`)
	s := newSource(t, pg.URL())
	findings := s.Check(t.Context(), []Scope{
		{Function: "all"}, {Function: "other", Schemas: []string{"other"}}, {Function: "lost", Tables: []string{"shop.lost"}},
	})
	var lines []string
	for _, f := range findings {
		lines = append(lines, f.String())
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{
		"ok: source market: PostgreSQL ", "ok: source market: pg_dump: pg_dump 1", "is new enough for the server's 1", "ok: source market: connections: a capture needs 5",
		"ok: function all: all 17 tables", "the index shop.customers_name is not valid", "shop.cache is unlogged",
		"public.distant is a foreign table", "ok: function other: the foreign key t_c_fkey of other.t refers to shop.customers, which is outside",
		`FAILED: function lost: its scope cannot be captured: no table matches "shop.lost"`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("lacks %q:\n%s", want, all)
		}
	}
	if strings.Count(all, "FAILED") != 1 {
		t.Errorf("more fails than should:\n%s", all)
	}
	few := newSource(t, pg.URL(), func(o *Options) { o.Connections = 10000 })
	if f := few.Check(t.Context(), nil); f[len(f)-1].OK || f[len(f)-1].Hint == "" {
		t.Errorf("10000 connections: %+v", f[len(f)-1])
	}
}

func TestStandby(t *testing.T) {
	// A standby needs a second cluster; what differs there is decided by the
	// point alone.
	pg := testenv.Postgres(t)
	zoo(t, pg)
	s := newSource(t, pg.URL())
	conn, err := s.connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	mustExec(t, conn, "BEGIN")
	sel, err := resolve(t.Context(), conn, whole)
	if err != nil {
		t.Fatal(err)
	}
	if err := lockTables(t.Context(), conn, sel.lockable(), s.opts.LockTimeout); err != nil {
		t.Fatal(err)
	}
	seen, err := inspect(t.Context(), conn, sel.lockable())
	if err != nil {
		t.Fatal(err)
	}
	tables, notes, err := s.planTables(t.Context(), conn, sel, seen, Point{Standby: true, ServerVersionNum: 130000})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if table.Name == "cache" {
			t.Error("an unlogged table of a standby is to be read")
		}
		if len(table.Parts) != 1 || !table.Parts[0].Whole {
			t.Errorf("%s is cut although the server is too old for it", table)
		}
	}
	if !strings.Contains(strings.Join(notes, "\n"), "shop.cache is unlogged: a standby does not have its rows") {
		t.Errorf("notes %q", notes)
	}
	old := Point{ServerVersion: "11.2", ServerVersionNum: 110002}
	mustContain(t, old.versionError(), "11.2", "12 is the oldest")
}

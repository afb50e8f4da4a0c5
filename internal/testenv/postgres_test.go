package testenv

import (
	"testing"
)

func TestPostgresGivesFreshDatabases(t *testing.T) {
	first := Postgres(t)
	first.Exec(t, "CREATE TABLE kept(a int); INSERT INTO kept VALUES (1), (NULL)")
	if got := first.Query(t, "SELECT a FROM kept ORDER BY a"); len(got) != 2 || got[0][0] != "1" || got[1][0] != "∅" {
		t.Errorf("rows %q", got)
	}
	second := first.NewDatabase(t)
	if got := second.Value(t, "SELECT count(*) FROM pg_class WHERE relname = 'kept'"); got != "0" {
		t.Errorf("the second database is not fresh: %s tables named kept", got)
	}
}

func TestPostgresDropsDatabasesAtTheEnd(t *testing.T) {
	outer := Postgres(t)
	var name string
	t.Run("inner", func(t *testing.T) {
		inner := Postgres(t)
		name = inner.Database
		inner.Conn(t) // still open at the end of the test
	})
	if got := outer.Value(t, "SELECT count(*) FROM pg_database WHERE datname = '"+name+"'"); got != "0" {
		t.Errorf("database %s of a finished test is still there", name)
	}
}

func TestPrivatePostgresSurvivesKill(t *testing.T) {
	p := PrivatePostgres(t, map[string]string{"work_mem": "5MB"})
	if got := p.Value(t, "SHOW work_mem"); got != "5MB" {
		t.Errorf("work_mem is %s", got)
	}
	p.Exec(t, "CREATE TABLE kept(a int); INSERT INTO kept VALUES (1)")
	p.Kill()
	p.Start(t)
	if got := p.Value(t, "SELECT count(*) FROM kept"); got != "1" {
		t.Errorf("%s rows after the crash, want 1", got)
	}
}

package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/testenv"
)

func TestCreateDatabaseLikeTheSource(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := testenv.Postgres(t)
	server := db.URLOf("postgres")
	for _, c := range []struct {
		name string
		like Point
		want string // encoding, collate
		note string
	}{
		{"like_utf8", Point{Encoding: "UTF8", Collate: "C.UTF-8", CType: "C.UTF-8", LocaleProvider: "libc"}, "UTF8 C.UTF-8", ""},
		{"like_latin1", Point{Encoding: "LATIN1", Collate: "C", CType: "C"}, "LATIN1 C", ""},
		{"like_icu", Point{Encoding: "UTF8", Collate: "C", CType: "C", LocaleProvider: "icu", Locale: "de"}, "UTF8 C", ""},
		{"like_nowhere", Point{Encoding: "UTF8", Collate: "xx_YY.UTF-8", CType: "xx_YY.UTF-8"}, "UTF8 C", "xx_YY.UTF-8"},
		{`Odd "na/me"? 50%`, Point{}, "UTF8 C", ""},
	} {
		address, note, err := CreateDatabase(ctx, server, c.name, c.like)
		must(t, err)
		t.Cleanup(func() { must(t, DropDatabase(ctx, server, c.name)) })
		if (c.note == "") != (note == "") || !strings.Contains(note, c.note) {
			t.Errorf("%s: note %q, want %q", c.name, note, c.note)
		}
		got, err := queryTarget[string](ctx, into(t, address, TargetOptions{}), `
			SELECT pg_encoding_to_char(encoding) || ' ' || datcollate FROM pg_database WHERE datname = current_database() AND datname = $1`, c.name)
		must(t, err)
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	_, _, err := CreateDatabase(ctx, server, db.Database, Point{Encoding: "UTF8", Collate: "C", CType: "C"})
	wantError(t, err, "already exists")
	_, _, err = CreateDatabase(ctx, server, strings.Repeat("x", 64), Point{})
	wantError(t, err, "63")
}

func TestDropDatabaseInUse(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := testenv.Postgres(t)
	db.Conn(t)
	db.Exec(t, "CREATE SUBSCRIPTION s_"+db.Database+" CONNECTION 'host=192.0.2.1' PUBLICATION p WITH (connect = false, slot_name = 'x')")
	// The address names the database that is dropped.
	must(t, DropDatabase(ctx, db.URL(), db.Database))
	must(t, DropDatabase(ctx, db.URL(), db.Database))
	other := testenv.Postgres(t)
	if got := other.Value(t, "SELECT count(*) FROM pg_database WHERE datname = '"+db.Database+"'"); got != "0" {
		t.Error("the database is still there")
	}
}

func TestSwapDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	// Prepared transactions are what a rename cannot end.
	live := testenv.PrivatePostgres(t, map[string]string{"max_prepared_transactions": "2"})
	live.Exec(t, "CREATE TABLE old()")
	restored := live.NewDatabase(t)
	restored.Exec(t, "CREATE TABLE new()")
	// Sessions that come back as soon as they are ended.
	stop, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if target, err := Connect(ctx, TargetOptions{URL: live.URL()}); err == nil {
				_ = target.exec(ctx, "SELECT pg_sleep(0.2)") // is ended by the swap
				_ = target.Close(ctx)
			}
		}
	}()
	defer func() { close(stop); <-gone }()
	live.Conn(t)
	restored.Conn(t)

	restored.Exec(t, "BEGIN; CREATE TABLE half(); PREPARE TRANSACTION 'half'")
	err := SwapDatabase(ctx, live.URL(), live.Database, restored.Database, "kept")
	wantError(t, err, "put database "+restored.Database, live.Database+" is as it was")
	if got := live.Value(t, "SELECT count(*) FROM pg_class WHERE relname = 'old'"); got != "1" {
		t.Error("the live database is not as it was")
	}
	restored.Exec(t, "ROLLBACK PREPARED 'half'")

	must(t, SwapDatabase(ctx, live.URL(), live.Database, restored.Database, "kept"))
	if got := live.Value(t, "SELECT string_agg(relname, ',') FROM pg_class WHERE relname IN ('old', 'new')"); got != "new" {
		t.Errorf("the live database holds %s", got)
	}
	kept := *live
	kept.Database = "kept"
	if got := kept.Value(t, "SELECT string_agg(relname, ',') FROM pg_class WHERE relname IN ('old', 'new')"); got != "old" {
		t.Errorf("the kept database holds %s", got)
	}
	wantError(t, SwapDatabase(ctx, live.URL(), live.Database, "nowhere", "kept2"), "nowhere")
	if got := live.Value(t, "SELECT count(*) FROM pg_class WHERE relname = 'new'"); got != "1" {
		t.Error("a swap with nothing changed the live database")
	}
	must(t, RenameDatabase(ctx, live.URL(), "kept", "kept3"))
}

func TestUnfinishedNameFits(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"shop", strings.Repeat("é", 40)} {
		got := UnfinishedName(name, "0a1b2c3d")
		if len(got) > nameMax || !strings.HasSuffix(got, "_restoring_0a1b2c3d") || strings.ContainsRune(got, '\uFFFD') {
			t.Errorf("%q of %d bytes", got, len(got))
		}
	}
}

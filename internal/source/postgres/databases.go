package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/progress"
)

const (
	codeDuplicateDatabase = "42P04"
	codeUnknownDatabase   = "3D000"
	codeObjectInUse       = "55006"
	// nameMax is the longest name of an object in bytes; the server cuts
	// longer ones short without a word.
	nameMax = 63
)

// CreateDatabase makes an empty database with the encoding and locale of
// like on the server at serverURL and returns its address. Where the server
// does not have that locale the database gets the server's own, and note says
// what that means; it is empty otherwise.
func CreateDatabase(ctx context.Context, serverURL, name string, like Point) (address, note string, err error) {
	if address, err = databaseURL(serverURL, name); err != nil {
		return "", "", fmt.Errorf("create database %s: %w", displayName(name), err)
	}
	err = administer(ctx, serverURL, nil, func(ctx context.Context, conn *pgx.Conn) error {
		note, err = createDatabase(ctx, conn, name, like)
		return err
	})
	if err != nil {
		return "", "", fmt.Errorf("create database %s: %w", displayName(name), err)
	}
	return address, note, nil
}

func createDatabase(ctx context.Context, conn *pgx.Conn, name string, like Point) (note string, err error) {
	if len(name) > nameMax {
		return "", fmt.Errorf("its name has %d bytes, more than the %d that PostgreSQL keeps", len(name), nameMax)
	}
	create := "CREATE DATABASE " + quoted("", name) + " TEMPLATE template0"
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return "", err
	}
	_, err = conn.Exec(ctx, create+localeOptions(like, version))
	if err == nil || hasCode(err, codeDuplicateDatabase, codeNoPrivilege) || like.Encoding == "" {
		return "", err
	}
	var plain string
	if like.Encoding != "" {
		plain = " ENCODING " + literal(like.Encoding)
	}
	if _, again := conn.Exec(ctx, create+plain); again != nil {
		return "", errors.Join(err, again)
	}
	return fmt.Sprintf("the server cannot make a database with the locale of the source (%s): the order of text, "+
		"and with it ORDER BY and unique text in ICU or case-insensitive columns, may differ from the source: %v",
		describeLocale(like), err), nil
}

// localeOptions are the options of CREATE DATABASE for encoding and locale.
func localeOptions(like Point, version int) string {
	var sql strings.Builder
	option := func(name, value string) {
		if value != "" {
			sql.WriteString(" " + name + " " + literal(value))
		}
	}
	option("ENCODING", like.Encoding)
	option("LC_COLLATE", like.Collate)
	option("LC_CTYPE", like.CType)
	if version >= 150000 && like.LocaleProvider != "" {
		sql.WriteString(" LOCALE_PROVIDER " + quoted("", like.LocaleProvider))
		switch like.LocaleProvider {
		case "icu":
			option("ICU_LOCALE", like.Locale)
		case "builtin":
			option("BUILTIN_LOCALE", like.Locale)
		}
	}
	return sql.String()
}

func describeLocale(p Point) string {
	text := p.Collate
	if p.CType != p.Collate {
		text += "/" + p.CType
	}
	if p.Locale != "" {
		text += ", " + p.LocaleProvider + " " + p.Locale
	}
	return text
}

// DropDatabase drops a database and ends the sessions in it. That it does not
// exist is no error.
func DropDatabase(ctx context.Context, serverURL, name string) error {
	err := administer(ctx, serverURL, []string{name}, func(ctx context.Context, conn *pgx.Conn) error {
		if err := dropSubscriptions(ctx, conn, serverURL, name); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+quoted("", name)+" WITH (FORCE)")
		return err
	})
	if err != nil {
		return fmt.Errorf("drop database %s: %w", displayName(name), err)
	}
	return nil
}

// dropSubscriptions removes the subscriptions of a database, which otherwise
// cannot be dropped. Their slots, on other servers, are left alone: they
// belong to the source.
func dropSubscriptions(ctx context.Context, conn *pgx.Conn, serverURL, name string) error {
	rows, err := conn.Query(ctx, `
		SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = $1`, name)
	if err != nil {
		return err
	}
	subscriptions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if hasCode(err, codeNoPrivilege) {
		return nil // only a superuser sees them; the drop will tell
	}
	if err != nil || len(subscriptions) == 0 {
		return err
	}
	address, err := databaseURL(serverURL, name)
	if err != nil {
		return err
	}
	inside, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = hangUp(inside) }() // its work is done by then
	if err := dropEventTriggers(ctx, inside); err != nil {
		return err
	}
	for _, s := range subscriptions {
		for _, sql := range []string{"ALTER SUBSCRIPTION %s DISABLE", "ALTER SUBSCRIPTION %s SET (slot_name = NONE)", "DROP SUBSCRIPTION %s"} {
			if _, err := inside.Exec(ctx, fmt.Sprintf(sql, quoted("", s))); err != nil {
				return fmt.Errorf("drop its subscription %s: %w", displayName(s), err)
			}
		}
	}
	return nil
}

// dropEventTriggers removes what could stand in the way of other statements.
func dropEventTriggers(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "SELECT evtname FROM pg_event_trigger")
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := conn.Exec(ctx, "DROP EVENT TRIGGER "+quoted("", name)); err != nil {
			return fmt.Errorf("drop its event trigger %s: %w", displayName(name), err)
		}
	}
	return nil
}

// RenameDatabase renames a database and ends the sessions in it.
func RenameDatabase(ctx context.Context, serverURL, from, to string) error {
	if err := renameDatabases(ctx, serverURL, [][2]string{{from, to}}); err != nil {
		return fmt.Errorf("rename database %s to %s: %w", displayName(from), displayName(to), err)
	}
	return nil
}

// SwapDatabase puts the database restored in the place of live, which is kept
// under the name keepAs. Sessions in both are ended. Either both renames
// happen or none does, also in a crash: they are one transaction.
func SwapDatabase(ctx context.Context, serverURL, live, restored, keepAs string) error {
	err := renameDatabases(ctx, serverURL, [][2]string{{live, keepAs}, {restored, live}})
	if err != nil {
		return fmt.Errorf("put database %s in the place of %s: %w; %s is as it was",
			displayName(restored), displayName(live), err, displayName(live))
	}
	return nil
}

// renameDatabases renames databases in one transaction. The first thing that
// a rename does is to lock the database against new sessions, and then it
// waits up to 5 s for the old ones to go: a second connection ends them
// meanwhile, so that nobody can slip in between.
func renameDatabases(ctx context.Context, serverURL string, names [][2]string) error {
	var busy []string
	for _, n := range names {
		if len(n[1]) > nameMax {
			return fmt.Errorf("the name %s has more than the %d bytes that PostgreSQL keeps", n[1], nameMax)
		}
		busy = append(busy, n[0], n[1])
	}
	return administer(ctx, serverURL, busy, func(ctx context.Context, conn *pgx.Conn) error {
		return administer(ctx, serverURL, busy, func(ctx context.Context, second *pgx.Conn) error {
			stop := endSessions(ctx, second, busy)
			err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '30s'"); err != nil {
					return err
				}
				for _, n := range names {
					_, err := tx.Exec(ctx, "ALTER DATABASE "+quoted("", n[0])+" RENAME TO "+quoted("", n[1]))
					if err != nil {
						return err
					}
					crash.Point(crash.RestoreRenaming)
				}
				return nil
			})
			// What failed to end sessions matters only when they were in the way.
			if ending := stop(); hasCode(err, codeObjectInUse) && ending != nil {
				return fmt.Errorf("%w; ending its sessions: %w", err, ending)
			}
			return err
		})
	})
}

// endSessions ends the sessions in the databases again and again until the
// returned function is called, which returns the last error.
func endSessions(ctx context.Context, conn *pgx.Conn, databases []string) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan error, 1)
	go func() {
		var last error
		for {
			_, err := conn.Exec(ctx, `
				SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = ANY ($1) AND pid <> pg_backend_pid()`, databases)
			if ctx.Err() == nil {
				last = err
			}
			if last != nil || clock.System.Sleep(ctx, 50*time.Millisecond) != nil {
				result <- last
				return
			}
		}
	}()
	return func() error { cancel(); return <-result }
}

// UnfinishedName is the name of the database into which name is restored
// until it is complete; id, short and without spaces, tells restores apart.
func UnfinishedName(name, id string) string {
	suffix := "_restoring_" + id
	if over := len(name) + len(suffix) - nameMax; over > 0 {
		name = strings.ToValidUTF8(name[:max(0, len(name)-over)], "")
	}
	return name + suffix
}

// UnfinishedDatabases returns the databases of a server whose restore did not
// come to its end, by name with the note of [Target.MarkUnfinished]. One with
// an [UnfinishedName] that has no mark, because the restore was cut short just
// before it was made or just after it was taken away, has a note of its own.
func UnfinishedDatabases(ctx context.Context, serverURL string) (map[string]string, error) {
	found := map[string]string{}
	err := administer(ctx, serverURL, nil, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
			SELECT d.datname, CASE WHEN starts_with(c.description, $1) THEN c.description ELSE 'it bears no mark' END
			FROM pg_database d
			LEFT JOIN pg_shdescription c ON c.objoid = d.oid AND c.classoid = 'pg_database'::regclass
			WHERE starts_with(c.description, $1) OR d.datname ~ ('_restoring_[0-9a-f]{8}$')`, unfinishedMark)
		if err != nil {
			return err
		}
		var name, mark string
		_, err = pgx.ForEachRow(rows, []any{&name, &mark}, func() error {
			found[name] = strings.TrimPrefix(mark, unfinishedMark+": ")
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for unfinished restores: %w", err)
	}
	return found, nil
}

// administerBound is how long a server may take for one statement about whole
// databases. Making or dropping one waits for a checkpoint, which a server with
// much memory and a slow disk needs minutes for.
const administerBound = 3 * progress.DefaultStall

// administer calls f with a connection to the server that is in none of the
// databases in avoid.
func administer(ctx context.Context, serverURL string, avoid []string, f func(context.Context, *pgx.Conn) error) error {
	config, err := pgx.ParseConfig(serverURL)
	if err != nil {
		return errors.New("the url is not an address of PostgreSQL: write it as postgres://user@host:5432/database")
	}
	config.RuntimeParams["application_name"] = "backupd restore"
	stayConnected(config)
	var failed error
	for _, database := range []string{config.Database, "postgres", "template1"} {
		if slices.Contains(avoid, database) {
			continue
		}
		config.Database = database
		conn, err := dial(ctx, config)
		if err == nil {
			defer func() { _ = hangUp(conn) }() // its work is done by then
			dog := progress.Watchdog{Clock: clock.System, Bound: administerBound}
			return watched(ctx, dog, conn, func(ctx context.Context) error { return f(ctx, conn) })
		}
		failed = errors.Join(failed, err)
		if !hasCode(err, codeUnknownDatabase) {
			break
		}
	}
	return failed
}

// databaseURL returns the address of another database on the same server.
func databaseURL(serverURL, name string) (string, error) {
	if !strings.HasPrefix(serverURL, "postgres://") && !strings.HasPrefix(serverURL, "postgresql://") {
		// In the form "key=value …" the last one counts.
		return serverURL + " dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(name) + "'", nil
	}
	u, err := url.Parse(serverURL)
	if err != nil {
		return "", errors.New("the url is not an address of PostgreSQL") // err quotes it
	}
	u.Path, u.RawPath = "/"+name, ""
	if strings.Contains(name, "/") {
		u.RawPath = "/" + url.PathEscape(name)
	}
	query := u.Query()
	query.Del("dbname")
	query.Del("database")
	u.RawQuery = query.Encode()
	return u.String(), nil
}

package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const (
	codeForeignKeyViolation = "23503"
	codeInvalidForeignKey   = "42830"
)

// PostData finishes the restore once the rows are there: indexes, constraints,
// triggers, policies; owners and rights of large objects; materialized views
// are filled and statistics gathered; the properties of the database; event
// triggers last. jobs is how many indexes are built at once.
//
// Any error of any of these is a failure. Only the foreign keys in outside,
// which leave the scope, may stay away, or come as NOT VALID because the
// other table was captured at another moment; those, and the ones that leave
// a choice of tables, are returned.
func (t *Target) PostData(ctx context.Context, archivePath string, jobs int, outside []Reference) ([]Unrestored, error) {
	a, c, err := t.chosen(archivePath)
	if err != nil {
		return nil, t.fail("finish it", err)
	}
	left, err := t.finish(ctx, a, c, jobs, outside)
	if err != nil {
		return nil, t.fail("finish it", err)
	}
	return append(left, c.left...), nil
}

func (t *Target) finish(ctx context.Context, a *archive, c choice, jobs int, outside []Reference) ([]Unrestored, error) {
	keys := a.outsideKeys(c, outside)
	events := a.withNotes(a.where(func(e *entry) bool { return c.ids[e.id] && e.kind == "EVENT TRIGGER" }))
	rest := maps.Clone(c.ids)
	maps.DeleteFunc(rest, func(id int, _ bool) bool { return events[id] })
	for id := range keys {
		delete(rest, id)
	}
	for id := range a.withNotes(keysOf(keys)) {
		delete(rest, id)
	}
	foreign := a.withNotes(a.where(func(e *entry) bool { return rest[e.id] && e.kind == "FK CONSTRAINT" }))
	maps.DeleteFunc(rest, func(id int, _ bool) bool { return foreign[id] })
	attached := a.needing(a.where(func(e *entry) bool { return rest[e.id] && e.kind == "INDEX ATTACH" }), rest)
	maps.DeleteFunc(rest, func(id int, _ bool) bool { return attached[id] })
	if err := t.restore(ctx, a, postData, rest, jobs); err != nil {
		return nil, err
	}
	// From one session: of two that attach at once, one to a part and the other
	// that part to the whole, neither sees that the whole has become valid.
	if len(attached) > 0 {
		if err := t.restore(ctx, a, postData, attached, 1); err != nil {
			return nil, err
		}
	}
	t.mu.Lock()
	g := t.globals
	t.mu.Unlock()
	if !t.opts.NoOwner && len(t.opts.Tables) == 0 {
		if err := t.giveLargeObjects(ctx, g.LargeObjects); err != nil {
			return nil, err
		}
	}
	left, err := t.connect(ctx, a, foreign, keys, jobs)
	if err != nil {
		return nil, err
	}
	if len(t.opts.Tables) == 0 {
		if err := t.setDatabase(ctx, g.Database); err != nil {
			return nil, err
		}
	}
	if err := t.restoreEventTriggers(ctx, a, events); err != nil {
		return nil, err
	}
	return left, t.watch.check(ctx)
}

// connect adds the foreign keys and, beside that, fills the materialized views
// and gathers statistics: the first often keeps one processor busy only. None
// of the three waits for the others: views are read-only to tables, and a table
// that is analyzed is let go before the next is locked.
func (t *Target) connect(ctx context.Context, a *archive, foreign idSet, outside map[int]Reference, jobs int) ([]Unrestored, error) {
	var left []Unrestored
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := t.restore(ctx, a, postData, foreign, a.keyJobs(jobs)); err != nil {
			return err
		}
		var err error
		left, err = t.addOutsideKeys(ctx, a, outside)
		return err
	})
	group.Go(func() error {
		if err := t.refreshViews(ctx, jobs); err != nil {
			return err
		}
		return t.analyze(ctx, max(1, jobs-1))
	})
	err := group.Wait()
	return left, err
}

// keyJobs is how many sessions add foreign keys. Two sessions of pg_restore
// deadlock now and then (2 of 25 restores of a small database) when one attaches
// the index of a partition while the other adds a foreign key to the
// partitioned table, because pg_restore does not know that both lock the same.
// So foreign keys come after the indexes, and from one session where there are
// partitions.
func (a *archive) keyJobs(jobs int) int {
	if len(a.where(func(e *entry) bool { return e.kind == "TABLE ATTACH" })) > 0 {
		return 1
	}
	return jobs
}

// restoreEventTriggers makes the event triggers, which nothing that comes
// after may fire.
func (t *Target) restoreEventTriggers(ctx context.Context, a *archive, events idSet) error {
	if t.opts.Scratch {
		onLogin := a.where(func(e *entry) bool {
			return events[e.id] && e.kind == "EVENT TRIGGER" && strings.Contains(strings.ToLower(e.definition), " on login")
		})
		for id := range onLogin {
			t.note("the event trigger %s is left out in scratch: it fires at every login", displayName(a.get(id).tag))
		}
		onLogin = a.withNotes(onLogin)
		maps.DeleteFunc(events, func(id int, _ bool) bool { return onLogin[id] })
	}
	return t.restore(ctx, a, postData, events, 1)
}

// outsideKeys finds the entries of the foreign keys that leave the scope.
func (a *archive) outsideKeys(c choice, outside []Reference) map[int]Reference {
	keys := map[int]Reference{}
	for _, ref := range outside {
		for _, e := range a.entries {
			if c.ids[e.id] && e.kind == "FK CONSTRAINT" && e.namespace == ref.Schema && e.tag == ref.Table+" "+ref.Constraint {
				keys[e.id] = ref
			}
		}
	}
	return keys
}

func keysOf[T any](m map[int]T) idSet {
	ids := idSet{}
	for id := range m {
		ids[id] = true
	}
	return ids
}

// addOutsideKeys adds the foreign keys whose other table is there, and returns
// those that could not be restored as they were.
func (t *Target) addOutsideKeys(ctx context.Context, a *archive, keys map[int]Reference) ([]Unrestored, error) {
	var left []Unrestored
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		ref := keys[id]
		reason, err := t.addOutsideKey(ctx, a.get(id).definition, ref)
		if err != nil {
			return nil, fmt.Errorf("foreign key %s on %s: %w", displayName(ref.Constraint), display(ref.Schema, ref.Table), err)
		}
		if reason != "" {
			left = append(left, Unrestored{Reference: ref, Reason: reason})
		}
		if strings.HasPrefix(reason, leftOut) {
			continue
		}
		for note := range a.withNotes(idSet{id: true}) {
			if note == id {
				continue
			}
			if err := t.exec(ctx, a.get(note).definition); err != nil {
				return nil, fmt.Errorf("comment on foreign key %s: %w", displayName(ref.Constraint), err)
			}
		}
	}
	return left, nil
}

// leftOut begins the reasons of foreign keys that were not made at all.
const leftOut = "left out: "

// addOutsideKey adds one foreign key by the statement of the archive, and says
// why when it could not, or not as it was.
func (t *Target) addOutsideKey(ctx context.Context, statement string, ref Reference) (reason string, err error) {
	exists, err := queryTarget[bool](ctx, t, `SELECT to_regclass($1) IS NOT NULL`, quoted(ref.ToSchema, ref.ToTable))
	if err != nil {
		return "", err
	}
	if !exists[0] {
		return leftOut + display(ref.ToSchema, ref.ToTable) + " is not in this database", nil
	}
	err = t.execLong(ctx, statement)
	if hasCode(err, codeForeignKeyViolation) {
		loose := strings.TrimRight(statement, "; \n") + " NOT VALID"
		if err := t.exec(ctx, loose); err != nil {
			return leftOut + "rows refer to missing rows of " + display(ref.ToSchema, ref.ToTable), nil
		}
		return "made NOT VALID: rows refer to missing rows of " + display(ref.ToSchema, ref.ToTable) +
			", which is of another moment", nil
	}
	if hasCode(err, codeInvalidForeignKey) {
		return leftOut + err.Error(), nil
	}
	return "", err
}

// setDatabase gives the database the owner, rights and settings that the one
// of the source has. Its comment comes with [Target.MarkFinished].
func (t *Target) setDatabase(ctx context.Context, d Database) error {
	name := quoted("", t.config.Database)
	if !t.opts.NoOwner && d.Owner != "" {
		if err := t.exec(ctx, "ALTER DATABASE "+name+" OWNER TO "+quoted("", d.Owner)); err != nil {
			return fmt.Errorf("give the database to %s: %w", displayName(d.Owner), err)
		}
		if err := t.grant(ctx, "DATABASE "+name, d.Owner, d.Grants); err != nil {
			return err
		}
	}
	for _, setting := range d.Settings {
		if err := t.applySetting(ctx, "ALTER DATABASE "+name, setting); err != nil {
			return err
		}
	}
	if t.opts.NoOwner {
		return nil
	}
	for _, role := range slices.Sorted(maps.Keys(d.RoleSettings)) {
		for _, setting := range d.RoleSettings[role] {
			if err := t.applySetting(ctx, "ALTER ROLE "+quoted("", role)+" IN DATABASE "+name, setting); err != nil {
				return err
			}
		}
	}
	return nil
}

// analyze gathers statistics of every table, the largest first, so that the
// database answers at speed at once. Statistics over all partitions of a table
// are left to whoever wants them, as autovacuum and vacuumdb leave them: they
// would read each partition once more, in one session. What extensions own is
// left to them.
func (t *Target) analyze(ctx context.Context, jobs int) error {
	tables, err := queryTarget[string](ctx, t, `
		SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.oid >= 16384
		AND (c.relkind <> 'm' OR c.relispopulated)
		ORDER BY pg_table_size(c.oid) DESC, 1`)
	if err != nil {
		return fmt.Errorf("list tables to analyze: %w", err)
	}
	return t.each(ctx, jobs, tables, func(ctx context.Context, conn *pgx.Conn, table string) error {
		if _, err := conn.Exec(ctx, "ANALYZE "+table); err != nil {
			return fmt.Errorf("analyze %s: %w", table, err)
		}
		return nil
	})
}

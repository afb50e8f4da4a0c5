package postgres

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"
)

// querier is a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// relation is a table, view, sequence or the like.
type relation struct {
	OID       uint32
	Namespace uint32
	Schema    string
	Name      string
	Kind      string // pg_class.relkind
	Member    bool   // belongs to an extension
	Config    bool   // and is configuration of it, so that its rows matter
}

func (r relation) String() string { return display(r.Schema, r.Name) }

// selection is what a scope comes to in one database at one moment.
type selection struct {
	Scope
	// schemas are those of which everything belongs to the scope; none in a
	// scope of tables.
	schemas     []uint32
	schemaNames []string
	// relations are those in the scope, without those of extensions.
	relations []relation
	// config are the tables and sequences of extensions that hold rows of the
	// user.
	config []relation
	// types and functions are what a scope of tables takes along, because its
	// tables need them; see alongSQL.
	types, functions []uint32
	// others are the relations that a scope of tables does not hold.
	others []relation
	// unmatched are the patterns that nothing meets.
	unmatched []string
}

// oids returns the relations as numbers, for queries.
func (s selection) oids() []uint32 {
	oids := make([]uint32, len(s.relations))
	for i, r := range s.relations {
		oids[i] = r.OID
	}
	return oids
}

// args are the arguments that the queries of this package share: relations,
// schemas, whether the scope is the whole database, types and functions that
// are taken along.
func (s selection) args() []any {
	return []any{s.oids(), nonNil(s.schemas), s.Whole(), nonNil(s.types), nonNil(s.functions)}
}

// nonNil makes nil an empty list, which is not NULL in a query.
func nonNil(oids []uint32) []uint32 { return append([]uint32{}, oids...) }

// resolve finds what belongs to the scope. Patterns that match nothing are
// left to the caller, for a restored database may well lack what they name.
func resolve(ctx context.Context, q querier, scope Scope) (selection, error) {
	sel := selection{Scope: scope}
	patterns, err := parseScope(scope)
	if err != nil {
		return sel, err
	}
	if err := sel.findSchemas(ctx, q, patterns); err != nil {
		return sel, fmt.Errorf("listing the schemas: %w", err)
	}
	all, err := listRelations(ctx, q)
	if err != nil {
		return sel, fmt.Errorf("listing the tables: %w", err)
	}
	if len(scope.Tables) > 0 {
		all, err = sel.findTables(ctx, q, patterns, all)
	} else {
		all = within(all, sel.schemas)
	}
	if err != nil {
		return sel, fmt.Errorf("listing what belongs to the tables: %w", err)
	}
	for _, r := range all {
		switch {
		case r.Config:
			sel.config = append(sel.config, r)
		case !r.Member:
			sel.relations = append(sel.relations, r)
		}
	}
	if len(scope.Tables) > 0 {
		if err := sel.takeAlong(ctx, q); err != nil {
			return sel, fmt.Errorf("listing what the tables need: %w", err)
		}
	}
	return sel, nil
}

// parseScope checks and splits the patterns of a scope.
func parseScope(scope Scope) ([]pattern, error) {
	if len(scope.Schemas) > 0 && len(scope.Tables) > 0 {
		return nil, &ScopeError{Problems: []string{
			"it names schemas and tables at once: write the schemas as tables (\"schema.*\") or make two functions of it",
		}}
	}
	var patterns []pattern
	for _, text := range scope.Schemas {
		patterns = append(patterns, pattern{text: text, schema: unquote(text)})
	}
	for _, text := range scope.Tables {
		p, ok := parsePattern(text)
		if !ok {
			return nil, &ScopeError{Problems: []string{
				fmt.Sprintf("the table %q has no schema: write it as schema.table", text),
			}}
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// findSchemas finds the schemas of a scope of schemas or of the whole database.
func (s *selection) findSchemas(ctx context.Context, q querier, patterns []pattern) error {
	if len(s.Tables) > 0 {
		return nil
	}
	rows, err := q.Query(ctx, `
		SELECT oid, nspname FROM pg_namespace
		WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY nspname`)
	if err != nil {
		return err
	}
	matched := make([]bool, len(patterns))
	var oid uint32
	var name string
	_, err = pgx.ForEachRow(rows, []any{&oid, &name}, func() error {
		wanted := s.Whole()
		for i, p := range patterns {
			if match(p.schema, name) {
				matched[i], wanted = true, true
			}
		}
		if wanted {
			s.schemas = append(s.schemas, oid)
			s.schemaNames = append(s.schemaNames, name)
		}
		return nil
	})
	s.noteUnmatched(patterns, matched)
	return err
}

func (s *selection) noteUnmatched(patterns []pattern, matched []bool) {
	for i, p := range patterns {
		if !matched[i] {
			s.unmatched = append(s.unmatched, p.text)
		}
	}
}

// findTables finds the relations of a scope of tables: those that a pattern
// matches, what inherits from them or is a partition of them, and the
// sequences that belong to all these or that their defaults draw from, unless
// such a sequence belongs to a table itself.
func (s *selection) findTables(ctx context.Context, q querier, patterns []pattern, all []relation) ([]relation, error) {
	matched := make([]bool, len(patterns))
	wanted := map[uint32]bool{}
	for _, r := range all {
		for i, p := range patterns {
			if match(p.schema, r.Schema) && match(p.name, r.Name) && (!r.Member || r.Config) {
				matched[i], wanted[r.OID] = true, true
			}
		}
	}
	s.noteUnmatched(patterns, matched)
	oids := make([]uint32, 0, len(wanted))
	for oid := range wanted {
		oids = append(oids, oid)
	}
	rows, err := q.Query(ctx, `
		WITH RECURSIVE family(oid) AS (
			SELECT unnest($1::oid[])
			UNION SELECT i.inhrelid FROM pg_inherits i JOIN family f ON i.inhparent = f.oid)
		SELECT oid FROM family
		UNION SELECT d.objid FROM pg_depend d JOIN family f ON d.refobjid = f.oid
			WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
			AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
		UNION SELECT c.oid FROM family f JOIN pg_attrdef a ON a.adrelid = f.oid
			JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
			JOIN pg_class c ON c.oid = d.refobjid AND c.relkind = 'S'
			WHERE NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = 'pg_class'::regclass AND o.objid = c.oid
				AND o.refclassid = 'pg_class'::regclass AND o.refobjsubid > 0 AND o.deptype IN ('a', 'i'))`, oids)
	if err != nil {
		return nil, err
	}
	var oid uint32
	_, err = pgx.ForEachRow(rows, []any{&oid}, func() error { wanted[oid] = true; return nil })
	var found []relation
	for _, r := range all {
		if wanted[r.OID] {
			found = append(found, r)
		} else {
			s.others = append(s.others, r)
		}
	}
	return found, err
}

// listRelations lists every table, view and sequence of the user in the
// order of their names. Temporary ones belong to a session and are left out.
func listRelations(ctx context.Context, q querier) ([]relation, error) {
	rows, err := q.Query(ctx, `
		SELECT c.oid, n.oid AS namespace, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
			e.oid IS NOT NULL AS member, coalesce(c.oid = ANY(e.extconfig), false) AS config
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
			AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		LEFT JOIN pg_extension e ON e.oid = d.refobjid
		WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.relpersistence <> 't'
		AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relation])
	sort.Slice(all, func(i, j int) bool {
		if all[i].Schema != all[j].Schema {
			return all[i].Schema < all[j].Schema
		}
		return all[i].Name < all[j].Name
	})
	return all, err
}

// within returns the relations in the schemas.
func within(all []relation, schemas []uint32) []relation {
	in := make(map[uint32]bool, len(schemas))
	for _, oid := range schemas {
		in[oid] = true
	}
	var found []relation
	for _, r := range all {
		if in[r.Namespace] {
			found = append(found, r)
		}
	}
	return found
}

// unmatchedError tells of patterns that nothing meets; nil when there are none.
func (s selection) unmatchedError() error {
	if len(s.unmatched) == 0 {
		return nil
	}
	word := "table"
	if len(s.Schemas) > 0 {
		word = "schema"
	}
	var problems []string
	for _, p := range s.unmatched {
		problems = append(problems, fmt.Sprintf("no %s matches %q: correct the name (case matters) or remove it", word, p))
	}
	return &ScopeError{Problems: problems}
}

// pattern is one entry of a scope.
type pattern struct {
	text         string // as written
	schema, name string // with stars
}

// parsePattern splits schema.name at the first dot that is not in quotes.
func parsePattern(text string) (pattern, bool) {
	inQuotes := false
	for i, r := range text {
		switch {
		case r == '"':
			inQuotes = !inQuotes
		case r == '.' && !inQuotes:
			p := pattern{text: text, schema: unquote(text[:i]), name: unquote(text[i+1:])}
			return p, p.schema != "" && p.name != ""
		}
	}
	return pattern{}, false
}

// unquote removes the double quotes that a name may be written with.
func unquote(name string) string {
	if len(name) < 2 || name[0] != '"' || name[len(name)-1] != '"' {
		return name
	}
	return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
}

// match reports whether name is what pattern stands for; a star stands for any
// run of characters, also for none.
func match(pattern, name string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	if !strings.HasPrefix(name, first) {
		return false
	}
	name = name[len(first):]
	for {
		next, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, next)
		}
		at := strings.Index(name, next)
		if at < 0 {
			return false
		}
		name, rest = name[at+len(next):], more
	}
}

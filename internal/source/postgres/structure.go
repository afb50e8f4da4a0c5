package postgres

import (
	"context"
	"fmt"
	"sort"

	"github.com/jackc/pgx/v5"
)

// Structure lists every object of the scope with its definition, as the
// snapshot sees it.
//
// Left out is what a restore rightly changes: foreign keys that leave the
// scope (see Outside), indexes that are not valid and so not dumped, names
// that the server gives to the copies of a foreign key on partitions, whether
// a materialized view is filled, positions in sequences, tablespaces,
// subscriptions, and what belongs to extensions.
func (c *Capture) Structure(ctx context.Context) (Structure, error) {
	var s Structure
	err := c.onWorker(ctx, "reading the structure", func(ctx context.Context, conn *pgx.Conn) error {
		var err error
		s, err = structureOf(ctx, conn, c.sel)
		return err
	})
	return s, err
}

// structure lists the objects of a scope in any database; what the scope names
// and the database lacks is no error. The session must have the pinned
// settings, on which the text of definitions depends.
func structure(ctx context.Context, q querier, scope Scope) (Structure, error) {
	sel, err := resolve(ctx, q, scope)
	if err != nil {
		return Structure{}, fmt.Errorf("reading the structure: %w", err)
	}
	s, err := structureOf(ctx, q, sel)
	if err != nil {
		return Structure{}, fmt.Errorf("reading the structure: %w", err)
	}
	return s, nil
}

func structureOf(ctx context.Context, q querier, sel selection) (Structure, error) {
	var version int
	if err := q.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return Structure{}, err
	}
	var s Structure
	for _, query := range structureQueries(version) {
		objects, err := listObjects(ctx, q, sel, query)
		if err != nil {
			return s, fmt.Errorf("listing every %s: %w", query.kind, err)
		}
		s.Objects = append(s.Objects, objects...)
	}
	extensions, err := neededExtensions(ctx, q, sel)
	if err != nil {
		return s, fmt.Errorf("listing every extension: %w", err)
	}
	for _, e := range extensions {
		s.Objects = append(s.Objects, Object{
			Kind: "extension", Name: displayName(e.Name),
			Definition: fmt.Sprintf("version %s in schema %s", e.Version, displayName(e.Schema)),
		})
	}
	groups, err := largeObjectGroups(ctx, q, sel)
	if err != nil {
		return s, fmt.Errorf("listing the large objects: %w", err)
	}
	s.Objects = append(s.Objects, largeObjectOwners(groups)...)
	s.sort()
	return s, nil
}

// structureQuery lists the objects of one kind: name and definition.
type structureQuery struct{ kind, sql string }

func listObjects(ctx context.Context, q querier, sel selection, query structureQuery) ([]Object, error) {
	rows, err := q.Query(ctx, inScope+query.sql, sel.args()...)
	if err != nil {
		return nil, err
	}
	var objects []Object
	var name, definition string
	_, err = pgx.ForEachRow(rows, []any{&name, &definition}, func() error {
		objects = append(objects, Object{Kind: query.kind, Name: name, Definition: canonical(definition)})
		return nil
	})
	return objects, err
}

// largeObjectOwners tells who owns which large objects, with which rights.
func largeObjectOwners(groups []LargeObjects) []Object {
	var objects []Object
	for _, g := range groups {
		rights := "default rights"
		if g.Grants != nil {
			rights = "rights"
			for _, r := range g.Grants {
				rights += fmt.Sprintf(" %s=%s", displayGrantee(r), r.Privilege)
			}
		}
		objects = append(objects, Object{
			Kind:       KindOwner,
			Name:       fmt.Sprintf("large objects of %s, %s", displayName(g.Owner), rights),
			Definition: fmt.Sprint(g.OIDs),
		})
	}
	return objects
}

func displayGrantee(g Grant) string {
	if g.Grantee == "" {
		return "PUBLIC"
	}
	return displayName(g.Grantee)
}

func (s Structure) sort() {
	sort.Slice(s.Objects, func(i, j int) bool { return s.Objects[i].before(s.Objects[j]) })
}

func (o Object) before(other Object) bool {
	if o.Kind != other.Kind {
		return o.Kind < other.Kind
	}
	if o.Name != other.Name {
		return o.Name < other.Name
	}
	return o.Definition < other.Definition
}

// Diff compares the structure of a source with that of a restored database and
// returns what is not the same, by kind and name; nothing when all is.
func (s Structure) Diff(restored Structure) []Difference {
	type key struct{ kind, name string }
	there := map[key]Object{}
	for _, o := range restored.Objects {
		there[key{o.Kind, o.Name}] = o
	}
	var differences []Difference
	for _, o := range s.Objects {
		k := key{o.Kind, o.Name}
		r, ok := there[k]
		delete(there, k)
		switch {
		case !ok:
			differences = append(differences, Difference{Kind: o.Kind, Name: o.Name, Change: Missing, Source: o.Definition})
		case r.Definition != o.Definition:
			differences = append(differences, Difference{
				Kind: o.Kind, Name: o.Name, Change: Changed,
				Source: o.Definition, Restored: r.Definition,
			})
		}
	}
	for _, o := range there {
		differences = append(differences, Difference{Kind: o.Kind, Name: o.Name, Change: Extra, Restored: o.Definition})
	}
	sort.Slice(differences, func(i, j int) bool {
		a, b := differences[i], differences[j]
		if a.Kind != b.Kind {
			return a.Kind < b.Kind
		}
		return a.Name < b.Name
	})
	return differences
}

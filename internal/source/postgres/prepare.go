package postgres

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// PreData makes everything that the rows need: missing roles, schemas,
// extensions in the recorded versions, and the first section of the schema
// archive: types, functions, tables, sequences, views. Indexes, constraints
// and triggers come with [Target.PostData], when the rows are there.
func (t *Target) PreData(ctx context.Context, archivePath string, g Globals) error {
	t.mu.Lock()
	t.globals = g
	t.mu.Unlock()
	a, c, err := t.chosen(archivePath)
	if err != nil {
		return t.fail("prepare it", err)
	}
	for _, lost := range c.lost {
		t.note("%s", lost)
	}
	if err := t.prepare(ctx, a, c, g); err != nil {
		return t.fail("prepare it", err)
	}
	return nil
}

// chosen opens the archive and picks the entries that are restored.
func (t *Target) chosen(archivePath string) (*archive, choice, error) {
	a, err := t.openArchive(archivePath)
	if err != nil {
		return nil, choice{}, err
	}
	c, err := a.choose(t.opts.Tables)
	return a, c, err
}

func (t *Target) prepare(ctx context.Context, a *archive, c choice, g Globals) error {
	if t.opts.NoOwner {
		if err := t.makePolicyRoles(ctx, a, c, g); err != nil {
			return err
		}
	} else {
		if err := t.makeRoles(ctx, g); err != nil {
			return err
		}
		if err := t.checkOwners(ctx, a, c); err != nil {
			return err
		}
	}
	if err := t.makeSchemas(ctx, g.Schemas); err != nil {
		return err
	}
	// The schemas of the archive come before the extensions that are in them.
	schemas, err := t.archiveSchemas(ctx, a, c)
	if err != nil {
		return err
	}
	if err := t.restore(ctx, a, preData, schemas.make, 1); err != nil {
		return err
	}
	if err := t.makeExtensions(ctx, g.Extensions); err != nil {
		return err
	}
	rest := idSet{}
	for _, e := range a.entries {
		switch {
		case !c.ids[e.id], schemas.make[e.id], schemas.exist[e.id]:
		case t.opts.Scratch && e.kind == "USER MAPPING":
			t.note("the user mapping %s is left out in scratch, so that nothing can log in elsewhere", displayName(e.tag))
		default:
			rest[e.id] = true
		}
	}
	return t.restore(ctx, a, preData, rest, 1)
}

// schemaEntries are the entries of the archive that make schemas.
type schemaEntries struct{ make, exist idSet }

// archiveSchemas tells the schemas that the archive must make from those that
// exist, such as public, or one made for an extension. These get the owner
// that the archive names.
func (t *Target) archiveSchemas(ctx context.Context, a *archive, c choice) (schemaEntries, error) {
	existing, err := queryTarget[string](ctx, t, `SELECT nspname FROM pg_namespace`)
	if err != nil {
		return schemaEntries{}, fmt.Errorf("look for schemas: %w", err)
	}
	s := schemaEntries{make: idSet{}, exist: idSet{}}
	for _, e := range a.entries {
		switch {
		// The archive may only change the owner of public.
		case e.kind != "SCHEMA" || !c.ids[e.id] || !strings.Contains(e.definition, "CREATE SCHEMA"):
		case !slices.Contains(existing, e.tag):
			s.make[e.id] = true
		default:
			s.exist[e.id] = true
			if t.opts.NoOwner || e.owner == "" {
				continue
			}
			if err := t.exec(ctx, "ALTER SCHEMA "+quoted("", e.tag)+" OWNER TO "+quoted("", e.owner)); err != nil {
				return s, fmt.Errorf("give schema %s to %s: %w", displayName(e.tag), displayName(e.owner), err)
			}
		}
	}
	return s, nil
}

// makeSchemas makes the schemas that the archive of a scope leaves out.
func (t *Target) makeSchemas(ctx context.Context, schemas []Schema) error {
	for _, s := range schemas {
		if err := t.makeSchema(ctx, s); err != nil {
			return fmt.Errorf("make schema %s: %w", displayName(s.Name), err)
		}
	}
	return nil
}

func (t *Target) makeSchema(ctx context.Context, s Schema) error {
	name := quoted("", s.Name)
	if err := t.exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+name); err != nil {
		return err
	}
	if s.Comment != "" {
		if err := t.exec(ctx, "COMMENT ON SCHEMA "+name+" IS "+literal(s.Comment)); err != nil {
			return err
		}
	}
	if t.opts.NoOwner {
		return nil
	}
	if err := t.exec(ctx, "ALTER SCHEMA "+name+" OWNER TO "+quoted("", s.Owner)); err != nil {
		return err
	}
	return t.grant(ctx, "SCHEMA "+name, s.Owner, s.Grants)
}

var privilege = regexp.MustCompile(`^[A-Z ]+$`)

// grant gives an object exactly the rights in grants; nil leaves it with the
// default ones.
func (t *Target) grant(ctx context.Context, object, owner string, grants []Grant) error {
	if grants == nil {
		return nil
	}
	if err := t.exec(ctx, "REVOKE ALL ON "+object+" FROM PUBLIC, "+quoted("", owner)); err != nil {
		return err
	}
	for _, g := range grants {
		if !privilege.MatchString(g.Privilege) {
			return fmt.Errorf("grant on %s: %q is no privilege", object, g.Privilege)
		}
		sql := "GRANT " + g.Privilege + " ON " + object + " TO "
		if g.Grantee == "" {
			sql += "PUBLIC"
		} else {
			sql += quoted("", g.Grantee)
		}
		if g.Grantable {
			sql += " WITH GRANT OPTION"
		}
		if err := t.exec(ctx, sql); err != nil {
			return fmt.Errorf("grant on %s to %s: %w", object, displayName(g.Grantee), err)
		}
	}
	return nil
}

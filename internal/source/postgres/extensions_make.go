package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// offer is a version of an extension that the server could install.
type offer struct {
	Name      string
	Version   string
	Schema    string // that it insists on; empty when any will do
	Requires  []string
	Installed bool
}

// makeExtensions installs the extensions in the recorded versions, each after
// those that it requires.
func (t *Target) makeExtensions(ctx context.Context, extensions []Extension) error {
	if len(extensions) == 0 {
		return nil
	}
	var offers []offer
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `
			SELECT name, version, coalesce(schema, ''), coalesce(requires::text[], '{}'), installed
			FROM pg_available_extension_versions ORDER BY name, version`)
		if err != nil {
			return err
		}
		offers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[offer])
		return err
	})
	if err != nil {
		return fmt.Errorf("look for extensions: %w", err)
	}
	done := map[string]bool{}
	var install func(e Extension) error
	install = func(e Extension) error {
		if done[e.Name] {
			return nil
		}
		done[e.Name] = true
		o, err := findOffer(e, offers)
		if err != nil {
			return err
		}
		for _, needed := range o.Requires {
			if i := slices.IndexFunc(extensions, func(x Extension) bool { return x.Name == needed }); i >= 0 {
				if err := install(extensions[i]); err != nil {
					return err
				}
			}
		}
		return t.makeExtension(ctx, e, o)
	}
	for _, e := range extensions {
		if err := install(e); err != nil {
			return fmt.Errorf("extension %s: %w", displayName(e.Name), err)
		}
	}
	return nil
}

// findOffer finds the recorded version among those that the server offers.
func findOffer(e Extension, offers []offer) (offer, error) {
	var versions []string
	for _, o := range offers {
		if o.Name != e.Name {
			continue
		}
		if o.Version == e.Version {
			return o, nil
		}
		if o.Installed && o.Name == "plpgsql" {
			return o, nil // comes with the server, in its version
		}
		versions = append(versions, o.Version)
	}
	if len(versions) == 0 {
		return offer{}, fmt.Errorf("the server does not have it; install the package that brings version %s", e.Version)
	}
	return offer{}, fmt.Errorf("version %s is not available on the server, which has %s; install the package that brings it",
		e.Version, strings.Join(versions, ", "))
}

func (t *Target) makeExtension(ctx context.Context, e Extension, o offer) error {
	have, err := queryTarget[string](ctx, t, `SELECT extversion FROM pg_extension WHERE extname = $1`, e.Name)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		if have[0] != o.Version {
			return fmt.Errorf("the database has version %s, the recovery point needs %s", have[0], e.Version)
		}
		return nil
	}
	schema := " SCHEMA " + quoted("", e.Schema)
	exists, err := queryTarget[bool](ctx, t, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, e.Schema)
	if err != nil {
		return err
	}
	switch {
	case exists[0]:
	case o.Schema != "":
		schema = "" // it makes its schema itself
	default:
		if err := t.exec(ctx, "CREATE SCHEMA "+quoted("", e.Schema)); err != nil {
			return err
		}
	}
	return t.exec(ctx, "CREATE EXTENSION "+quoted("", e.Name)+" WITH"+schema+" VERSION "+quoted("", e.Version)+" CASCADE")
}

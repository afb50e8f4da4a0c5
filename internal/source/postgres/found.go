package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Found is what a source holds, held against what functions cover of it.
type Found struct {
	Database, ServerVersion string
	// Covered counts tables by function.
	Covered map[string]int
	// Uncovered are the tables that no function covers, in order, and how many
	// of each schema those are.
	Uncovered map[string]int
	Tables    []string
	// Databases are the others of the server, without templates, "postgres"
	// and those that nobody may connect to.
	Databases []string
}

// Find lists what the source holds and which of it is in none of the scopes.
// It reads the catalog of the database, and no table.
func (s *Source) Find(ctx context.Context, scopes []Scope) (Found, error) {
	conn, err := s.connect(ctx, "inventory")
	if err != nil {
		return Found{}, err
	}
	defer func() { _ = hangUp(conn) }() // nothing was changed that could be lost
	var found Found
	err = watched(ctx, s.dog(), conn, func(ctx context.Context) (err error) {
		found, err = find(ctx, conn, scopes)
		return err
	})
	if err != nil {
		return Found{}, fmt.Errorf("list what source %s holds: %w", s.opts.Name, err)
	}
	return found, nil
}

func find(ctx context.Context, conn *pgx.Conn, scopes []Scope) (Found, error) {
	point, err := identity(ctx, conn)
	if err != nil {
		return Found{}, err
	}
	out := Found{Database: point.Database, ServerVersion: point.ServerVersion, Covered: map[string]int{}, Uncovered: map[string]int{}}
	covered := map[uint32]bool{}
	for _, scope := range scopes {
		sel, err := resolve(ctx, conn, scope)
		if err != nil {
			return out, err
		}
		for _, r := range sel.relations {
			if r.isTable() {
				out.Covered[scope.Function]++
				covered[r.OID] = true
			}
		}
	}
	all, err := listRelations(ctx, conn)
	if err != nil {
		return out, err
	}
	for _, r := range all {
		if r.isTable() && !r.Member && !covered[r.OID] {
			out.Uncovered[r.Schema]++
			out.Tables = append(out.Tables, r.String())
		}
	}
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database
		WHERE datallowconn AND NOT datistemplate AND datname NOT IN ('postgres', current_database()) ORDER BY datname`)
	if err != nil {
		return out, err
	}
	out.Databases, err = pgx.CollectRows(rows, pgx.RowTo[string])
	return out, err
}

// isTable reports whether a relation has rows of its own, or partitions with
// rows.
func (r relation) isTable() bool { return r.Kind == "r" || r.Kind == "p" || r.Kind == "f" }

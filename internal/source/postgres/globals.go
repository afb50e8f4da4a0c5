package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Globals reads what a restore of the scope needs and its archive lacks:
// roles without their passwords, memberships, extensions, schemas, properties
// of the database and of the large objects.
func (c *Capture) Globals(ctx context.Context) (Globals, error) {
	var g Globals
	err := c.onWorker(ctx, "reading roles and extensions", func(ctx context.Context, conn *pgx.Conn) error {
		var err error
		g, err = globals(ctx, conn, c.sel)
		return err
	})
	return g, err
}

func globals(ctx context.Context, q querier, sel selection) (Globals, error) {
	var g Globals
	steps := []struct {
		what string
		read func() error
	}{
		{"the database", func() error { return readDatabase(ctx, q, &g.Database) }},
		{"roles", func() (err error) { g.Roles, err = readRoles(ctx, q, sel); return err }},
		{"memberships", func() (err error) { g.Memberships, err = readMemberships(ctx, q, g.Roles); return err }},
		{"extensions", func() (err error) { g.Extensions, err = neededExtensions(ctx, q, sel); return err }},
		{"schemas", func() (err error) { g.Schemas, err = neededSchemas(ctx, q, sel, g.Extensions); return err }},
		{"large objects", func() (err error) { g.LargeObjects, err = largeObjectGroups(ctx, q, sel); return err }},
	}
	for _, step := range steps {
		if err := step.read(); err != nil {
			return g, fmt.Errorf("reading %s: %w", step.what, err)
		}
	}
	return g, nil
}

func readDatabase(ctx context.Context, q querier, d *Database) error {
	err := q.QueryRow(ctx, `
		SELECT pg_get_userbyid(datdba)::text, CASE WHEN datacl IS NOT NULL THEN `+grantsJSON("datacl")+` END,
			coalesce(shobj_description(oid, 'pg_database'), ''),
			coalesce((SELECT setconfig FROM pg_db_role_setting s WHERE s.setdatabase = d.oid AND s.setrole = 0), '{}')
		FROM pg_database d WHERE datname = current_database()`).Scan(&d.Owner, &d.Grants, &d.Comment, &d.Settings)
	if err != nil {
		return err
	}
	rows, err := q.Query(ctx, `
		SELECT r.rolname::text, s.setconfig FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
		WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	if err != nil {
		return err
	}
	var role string
	var settings []string
	_, err = pgx.ForEachRow(rows, []any{&role, &settings}, func() error {
		if d.RoleSettings == nil {
			d.RoleSettings = map[string][]string{}
		}
		d.RoleSettings[role] = append([]string(nil), settings...)
		return nil
	})
	return err
}

// rolesSQL finds the roles that own something in the scope or have a right on
// it, with all their members, who have that right through them.
var rolesSQL = inScope + `,
	things AS (` + securables + `),
	acls AS (
		SELECT acl FROM things WHERE acl IS NOT NULL
		UNION ALL SELECT datacl FROM pg_database WHERE datname = current_database() AND datacl IS NOT NULL
		UNION ALL SELECT defaclacl FROM pg_default_acl WHERE defaclnamespace = ANY($2) OR ($3 AND defaclnamespace = 0)
		UNION ALL SELECT DISTINCT lomacl FROM pg_largeobject_metadata WHERE $6 AND lomacl IS NOT NULL),
	seeds(oid) AS (
		SELECT owner FROM things
		UNION SELECT a.grantee FROM acls, aclexplode(acls.acl) a
		UNION SELECT datdba FROM pg_database WHERE datname = current_database()
		UNION SELECT unnest(polroles) FROM pg_policy WHERE polrelid = ANY($1)
		UNION SELECT defaclrole FROM pg_default_acl WHERE defaclnamespace = ANY($2) OR ($3 AND defaclnamespace = 0)
		UNION SELECT lomowner FROM pg_largeobject_metadata WHERE $6
		UNION SELECT umuser FROM pg_user_mappings WHERE $3
		UNION SELECT s.setrole FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
			WHERE d.datname = current_database() AND $3),
	family(oid) AS (
		WITH RECURSIVE f(oid) AS (
			SELECT oid FROM seeds UNION SELECT m.member FROM pg_auth_members m JOIN f ON m.roleid = f.oid)
		SELECT oid FROM f)
	SELECT r.rolname::text, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication,
		r.rolbypassrls, r.rolconnlimit, coalesce(r.rolvaliduntil::text, ''),
		coalesce((SELECT setconfig FROM pg_db_role_setting s WHERE s.setdatabase = 0 AND s.setrole = r.oid), '{}'),
		coalesce(shobj_description(r.oid, 'pg_authid'), '')
	FROM pg_roles r WHERE r.oid IN (SELECT oid FROM family) AND r.rolname !~ '^pg_' ORDER BY 1`

func readRoles(ctx context.Context, q querier, sel selection) ([]Role, error) {
	rows, err := q.Query(ctx, rolesSQL, append(sel.args(), sel.holdsLargeObjects())...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Role])
}

// readMemberships lists the memberships of the roles in each other and in the
// roles that the system brings.
func readMemberships(ctx context.Context, q querier, roles []Role) ([]Membership, error) {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = r.Name
	}
	rows, err := q.Query(ctx, `
		SELECT r.rolname::text, u.rolname::text, bool_or(m.admin_option),
			bool_or((to_jsonb(m) ->> 'inherit_option')::bool), bool_or((to_jsonb(m) ->> 'set_option')::bool)
		FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member
		WHERE u.rolname = ANY($1) AND (r.rolname = ANY($1) OR r.rolname ~ '^pg_')
		GROUP BY 1, 2 ORDER BY 1, 2`, names)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Membership])
}

// extensionsSQL finds the extensions that the scope depends on, those in its
// schemas, those whose tables it holds, and what all these require.
const extensionsSQL = inScope + `,
	inside AS MATERIALIZED (` + objectsInScope + `),
	needed(oid) AS (
		SELECT CASE WHEN d.refclassid = 'pg_extension'::regclass THEN d.refobjid ELSE m.refobjid END
		FROM inside i JOIN pg_depend d ON d.classid = i.classid AND d.objid = i.objid
		LEFT JOIN pg_depend m ON m.classid = d.refclassid AND m.objid = d.refobjid AND m.deptype = 'e'
		WHERE d.refclassid = 'pg_extension'::regclass OR m.refobjid IS NOT NULL
		UNION SELECT oid FROM pg_extension WHERE extnamespace = ANY($2) OR extconfig && $6 OR $3
		UNION SELECT d.refobjid FROM needed n JOIN pg_depend d ON d.classid = 'pg_extension'::regclass AND d.objid = n.oid
			AND d.refclassid = 'pg_extension'::regclass)
	SELECT e.extname, e.extversion, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
	WHERE e.oid IN (SELECT oid FROM needed) ORDER BY 1`

func neededExtensions(ctx context.Context, q querier, sel selection) ([]Extension, error) {
	config := []uint32{}
	for _, r := range sel.config {
		config = append(config, r.OID)
	}
	rows, err := q.Query(ctx, extensionsSQL, append(sel.args(), config)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Extension])
}

// neededSchemas lists the schemas that the archive of the scope does not make:
// those of a scope of tables and those that extensions are in.
func neededSchemas(ctx context.Context, q querier, sel selection, extensions []Extension) ([]Schema, error) {
	if sel.Whole() {
		return nil, nil
	}
	names := []string{}
	for _, e := range extensions {
		names = append(names, e.Schema)
	}
	rows, err := q.Query(ctx, inScope+`
		SELECT n.nspname, pg_get_userbyid(n.nspowner)::text,
			CASE WHEN n.nspacl IS NOT NULL THEN `+grantsJSON("n.nspacl")+` END, coalesce(obj_description(n.oid, 'pg_namespace'), '')
		FROM pg_namespace n
		WHERE (n.nspname = ANY($6) OR n.oid IN (`+schemasOfTables+`))
		AND n.oid <> ALL($2) AND n.nspname !~ '^pg_' ORDER BY 1`, append(sel.args(), names)...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Schema])
}

package postgres

import "strings"

// grantsJSON is an expression that lists the rights in an ACL column as JSON
// of []Grant, sorted, without who granted them.
func grantsJSON(acl string) string {
	return `coalesce((SELECT jsonb_agg(g ORDER BY g ->> 'grantee', g ->> 'privilege') FROM (
		SELECT DISTINCT jsonb_build_object(
			'grantee', CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END,
			'privilege', a.privilege_type, 'grantable', a.is_grantable) AS g
		FROM aclexplode(` + acl + `) a) x), '[]'::jsonb)`
}

// rightsText is an expression that writes an ACL as sorted text, without who
// granted what. acl may be NULL, which stands for the default.
func rightsText(acl, kind, owner string) string {
	return `array_to_string(ARRAY(
		SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
			|| '=' || a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END
		FROM aclexplode(coalesce(` + acl + `, acldefault(` + kind + `, ` + owner + `))) a ORDER BY 1), ', ')`
}

// defaultRightsText is like rightsText and says "default" for rights that are
// those of a new object, however they are written down: the default depends on
// the version of the server.
func defaultRightsText(acl, kind, owner string) string {
	return `CASE WHEN ` + rightsText(acl, kind, owner) + ` = ` + rightsText("NULL::aclitem[]", kind, owner) +
		` THEN 'default' ELSE ` + rightsText(acl, kind, owner) + ` END`
}

// notMember is a condition that leaves out what belongs to an extension.
func notMember(catalog, oid string) string {
	return `NOT EXISTS (SELECT FROM pg_depend ext WHERE ext.classid = '` + catalog + `'::regclass AND ext.objid = ` + oid +
		` AND ext.objsubid = 0 AND ext.deptype = 'e')`
}

// inScope begins every query whose arguments are those of selection.args, so
// that each of them has a type even where it is not used: relations, schemas,
// whether the scope is the whole database, types, functions.
const inScope = `WITH RECURSIVE scope AS (SELECT $1::oid[], $2::oid[], $3::bool, $4::oid[], $5::oid[]) `

// securables lists everything in the scope that has an owner, with the rights
// on it and their kind as acldefault wants it, NULL where there are none.
var securables = strings.Join([]string{
	`SELECT 'schema' AS kind, quote_ident(n.nspname) AS name, n.nspowner AS owner, n.nspacl AS acl, 'n'::"char" AS aclkind
		FROM pg_namespace n WHERE (n.oid = ANY($2) OR n.oid IN (` + schemasOfTables + `))
		AND ` + notMember("pg_namespace", "n.oid"),
	`SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'matview' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table'
			ELSE 'table' END, c.oid::regclass::text, c.relowner, c.relacl, (CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char"
		FROM pg_class c WHERE c.oid = ANY($1)`,
	`SELECT 'column', c.oid::regclass::text || '.' || quote_ident(a.attname), c.relowner, a.attacl, 'c'
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.oid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped AND cardinality(a.attacl) > 0`,
	`SELECT 'function', p.oid::regprocedure::text, p.proowner, p.proacl, 'f'
		FROM pg_proc p WHERE ` + functionInScope + ` AND ` + notMember("pg_proc", "p.oid"),
	`SELECT 'type', format_type(t.oid, NULL), t.typowner, t.typacl, 'T'
		FROM pg_type t LEFT JOIN pg_class tc ON tc.oid = t.typrelid
		WHERE ` + typeInScope + ` AND (t.typrelid = 0 OR tc.relkind = 'c') AND t.typtype <> 'm'
		AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND ` + notMember("pg_type", "t.oid"),
	`SELECT 'language', quote_ident(l.lanname), l.lanowner, l.lanacl, 'l'
		FROM pg_language l WHERE $3 AND l.oid >= 16384 AND ` + notMember("pg_language", "l.oid"),
	`SELECT 'foreign-data wrapper', quote_ident(w.fdwname), w.fdwowner, w.fdwacl, 'F'
		FROM pg_foreign_data_wrapper w WHERE $3 AND ` + notMember("pg_foreign_data_wrapper", "w.oid"),
	`SELECT 'server', quote_ident(s.srvname), s.srvowner, s.srvacl, 'S'
		FROM pg_foreign_server s WHERE $3 AND ` + notMember("pg_foreign_server", "s.oid"),
	`SELECT 'event trigger', quote_ident(e.evtname), e.evtowner, NULL::aclitem[], NULL::"char"
		FROM pg_event_trigger e WHERE $3 AND ` + notMember("pg_event_trigger", "e.oid"),
	`SELECT 'publication', quote_ident(p.pubname), p.pubowner, NULL, NULL FROM pg_publication p WHERE $3`,
	owned("operator", "pg_operator", "oprnamespace", "oprowner"),
	owned("operator class", "pg_opclass", "opcnamespace", "opcowner"),
	owned("operator family", "pg_opfamily", "opfnamespace", "opfowner"),
	owned("collation", "pg_collation", "collnamespace", "collowner"),
	owned("conversion", "pg_conversion", "connamespace", "conowner"),
	owned("text search configuration", "pg_ts_config", "cfgnamespace", "cfgowner"),
	owned("text search dictionary", "pg_ts_dict", "dictnamespace", "dictowner"),
	`SELECT 'statistics', pg_describe_object('pg_statistic_ext'::regclass, s.oid, 0), s.stxowner, NULL, NULL
		FROM pg_statistic_ext s WHERE s.stxrelid = ANY($1)`,
}, ` UNION ALL `)

// owned is the securables query for objects that have an owner and no rights.
func owned(kind, catalog, namespace, owner string) string {
	return `SELECT '` + kind + `', (pg_identify_object('` + catalog + `'::regclass, o.oid, 0)).identity, o.` + owner + `, NULL, NULL
		FROM ` + catalog + ` o WHERE o.` + namespace + ` = ANY($2) AND ` + notMember(catalog, "o.oid")
}

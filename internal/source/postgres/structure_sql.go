package postgres

import "strconv"

// structureQueries are the queries for a server of the given version. Each
// gives names and definitions without internal numbers.
func structureQueries(version int) []structureQuery {
	queries := []structureQuery{
		{"schema", `SELECT quote_ident(n.nspname), 'schema' FROM pg_namespace n
			WHERE (n.oid = ANY($2) OR n.oid IN (` + schemasOfTables + `))
			AND ` + notMember("pg_namespace", "n.oid")},
		{"table", tableSQL},
		{"column", columnSQL(version)},
		{"index", indexSQL},
		{"constraint", constraintSQL},
		{"trigger", `SELECT t.tgname || ' on ' || t.tgrelid::regclass::text, pg_get_triggerdef(t.oid) || '; ' || ` + firing("t.tgenabled") + `
			FROM pg_trigger t WHERE t.tgrelid = ANY($1) AND NOT t.tgisinternal`},
		{"rule", `SELECT quote_ident(r.rulename) || ' on ' || r.ev_class::regclass::text, pg_get_ruledef(r.oid) || ' ' || ` + firing("r.ev_enabled") + `
			FROM pg_rewrite r WHERE r.ev_class = ANY($1) AND r.rulename <> '_RETURN'`},
		{"policy", `SELECT quote_ident(p.polname) || ' on ' || p.polrelid::regclass::text, concat_ws(' ',
				CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, 'for ' || p.polcmd::text,
				'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
			FROM pg_policy p WHERE p.polrelid = ANY($1)`},
		{KindPolicyRoles, `SELECT quote_ident(p.polname) || ' on ' || p.polrelid::regclass::text,
				array_to_string(ARRAY(SELECT CASE WHEN r = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END
					FROM unnest(p.polroles) r ORDER BY 1), ', ')
			FROM pg_policy p WHERE p.polrelid = ANY($1)`},
		{"view", viewSQL("v")},
		{"matview", viewSQL("m")},
		{"sequence", sequenceSQL},
		{"statistics", `SELECT n.nspname || '.' || s.stxname, concat_ws(' ', pg_get_statisticsobjdef(s.oid),
				'target ' || nullif(to_jsonb(s) ->> 'stxstattarget', '-1'))
			FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = ANY($1)`},
		{"function", `SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid)
			FROM pg_proc p WHERE ` + functionInScope + ` AND p.prokind <> 'a' AND ` + notMember("pg_proc", "p.oid")},
		{"aggregate", aggregateSQL},
		{"type", typeSQL},
		{KindOwner, `SELECT s.kind || ' ' || s.name, pg_get_userbyid(s.owner)::text FROM (` + securables + `) s WHERE s.kind <> 'column'`},
		{KindGrants, `SELECT s.kind || ' ' || s.name, ` + defaultRightsText("s.acl", "s.aclkind", "s.owner") + `
			FROM (` + securables + `) s WHERE s.aclkind IS NOT NULL`},
		{KindDefaultACL, `SELECT 'of ' || quote_ident(pg_get_userbyid(d.defaclrole)) || coalesce(' in ' || d.defaclnamespace::regnamespace::text, '')
				|| ' on ' || d.defaclobjtype::text, ` + rightsText("d.defaclacl", "'r'", "d.defaclrole") + `
			FROM (SELECT defaclrole, nullif(defaclnamespace, 0) AS defaclnamespace, defaclobjtype, defaclacl FROM pg_default_acl
				WHERE defaclnamespace = ANY($2) OR ($3 AND defaclnamespace = 0)) d`},
		{KindComment, remarkSQL("pg_description", "'' ", "description")},
		{"security_label", remarkSQL("pg_seclabel", "r.provider || ' on '", "label")},
	}
	return append(queries, rareQueries...)
}

// KindComment is the kind of comments.
const KindComment = "comment"

// firing says when a trigger or a rule fires.
func firing(column string) string {
	return `CASE ` + column + ` WHEN 'O' THEN 'enabled' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'enabled on replicas'
		WHEN 'A' THEN 'enabled always' ELSE ` + column + `::text END`
}

// sortedOptions writes an array of options in the order of their names.
func sortedOptions(column string) string {
	return `(SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(` + column + `) o)`
}

var tableSQL = `SELECT c.oid::regclass::text, concat_ws(' ',
		CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
		CASE c.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END,
		'of type ' || format_type(nullif(c.reloftype, 0), NULL),
		(SELECT 'using ' || am.amname FROM pg_am am WHERE am.oid = c.relam AND am.amname <> 'heap'),
		'partition by ' || pg_get_partkeydef(c.oid),
		(SELECT CASE WHEN c.relispartition THEN 'partition of ' ELSE 'inherits ' END ||
			string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid),
		pg_get_expr(c.relpartbound, c.oid),
		'with (' || ` + sortedOptions("c.reloptions") + ` || ')',
		'toast with (' || ` + sortedOptions("t.reloptions") + ` || ')',
		CASE WHEN c.relreplident <> 'd' THEN 'replica identity ' || c.relreplident::text END,
		CASE WHEN c.relrowsecurity THEN 'row security' END,
		CASE WHEN c.relforcerowsecurity THEN 'forced row security' END,
		(SELECT 'server ' || quote_ident(s.srvname) || coalesce(' options (' || ` + sortedOptions("f.ftoptions") + ` || ')', '')
			FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid))
	FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
	WHERE c.oid = ANY($1) AND c.relkind IN ('r', 'p', 'f')`

// columnSQL gives the position of a column except below a parent: an inherited
// column that came later stands elsewhere after a restore.
func columnSQL(version int) string {
	compression := "NULL"
	if version >= 140000 {
		compression = `CASE a.attcompression WHEN 'p' THEN 'compression pglz' WHEN 'l' THEN 'compression lz4' END`
	}
	return `SELECT c.oid::regclass::text || '.' || quote_ident(a.attname), concat_ws(' ',
		CASE WHEN c.relispartition OR NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
			THEN '#' || row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) END,
		format_type(a.atttypid, a.atttypmod),
		CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation THEN 'collate ' || a.attcollation::regcollation::text END,
		CASE WHEN a.attnotnull THEN 'not null' END,
		CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity by default' END,
		CASE a.attgenerated WHEN '' THEN 'default ' WHEN 's' THEN 'generated stored ' ELSE 'generated virtual ' END
			|| pg_get_expr(d.adbin, d.adrelid),
		CASE WHEN a.attstorage <> t.typstorage AND c.relkind IN ('r', 'p', 'f', 'm') THEN 'storage ' || a.attstorage::text END,
		` + compression + `,
		'statistics ' || nullif(a.attstattarget, -1),
		'with (' || ` + sortedOptions("a.attoptions") + ` || ')',
		'options (' || ` + sortedOptions("a.attfdwoptions") + ` || ')')
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
	LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	WHERE c.oid = ANY($1) AND c.relkind <> 'S' AND a.attnum > 0 AND NOT a.attisdropped`
}

// indexSQL leaves out what is not valid, except on partitioned tables: pg_dump
// does so too.
var indexSQL = `SELECT i.indexrelid::regclass::text, concat_ws('; ', pg_get_indexdef(i.indexrelid),
		CASE WHEN i.indisvalid THEN 'valid' ELSE 'not valid' END,
		CASE WHEN i.indisclustered THEN 'clustered' END,
		CASE WHEN i.indisreplident THEN 'replica identity' END,
		(SELECT 'part of ' || h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = i.indexrelid),
		(SELECT 'statistics ' || string_agg(a.attnum || '=' || a.attstattarget, ', ' ORDER BY a.attnum)
			FROM pg_attribute a WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0))
	FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
	WHERE i.indrelid = ANY($1) AND (i.indisvalid OR c.relkind = 'p')`

// constraintSQL leaves out triggers, which have their own kind, copies of
// foreign keys on partitions, foreign keys that leave the scope, and plain NOT
// NULL, which is in the columns of servers of every version.
var constraintSQL = `SELECT quote_ident(k.conname) || ' on ' || k.conrelid::regclass::text, concat_ws('; ',
		pg_get_constraintdef(k.oid), CASE WHEN k.convalidated THEN 'validated' ELSE 'not validated' END,
		CASE WHEN to_jsonb(k) ->> 'conenforced' = 'false' THEN 'not enforced' END)
	FROM pg_constraint k WHERE k.conrelid = ANY($1) AND k.contype <> 't'
	AND (k.contype <> 'f' OR (k.conparentid = 0 AND k.confrelid = ANY($1)))
	AND (k.contype <> 'n' OR NOT k.convalidated OR k.connoinherit)`

func viewSQL(kind string) string {
	return `SELECT c.oid::regclass::text, concat_ws(' ', pg_get_viewdef(c.oid), 'with (' || ` + sortedOptions("c.reloptions") + ` || ')')
		FROM pg_class c WHERE c.oid = ANY($1) AND c.relkind = '` + kind + `'`
}

var sequenceSQL = `SELECT c.oid::regclass::text, concat_ws(' ',
		CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
		format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement, 'min', s.seqmin, 'max', s.seqmax,
		'cache', s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END,
		(SELECT CASE d.deptype WHEN 'i' THEN 'identity of ' ELSE 'owned by ' END || a.attrelid::regclass::text || '.' || quote_ident(a.attname)
			FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
			WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
			AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') LIMIT 1))
	FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid WHERE c.oid = ANY($1)`

// remarkSQL lists comments or labels of what is in the scope.
func remarkSQL(catalog, prefix, text string) string {
	return `SELECT ` + prefix + ` || i.type || ' ' || i.identity, r.` + text + `
		FROM ` + catalog + ` r CROSS JOIN LATERAL pg_identify_object(r.classoid, r.objoid, r.objsubid) i
		WHERE ((r.classoid, r.objoid) IN (` + objectsInScope + `)
			OR (r.classoid = 'pg_namespace'::regclass AND r.objoid = ANY($2))
			OR (r.classoid = 'pg_constraint'::regclass AND r.objoid IN (SELECT oid FROM pg_constraint
				WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY($1) AND confrelid = ANY($1)))
			OR ($3 AND r.objoid >= ` + strconv.Itoa(firstUserOID) + ` AND r.classoid IN ('pg_language'::regclass, 'pg_cast'::regclass,
				'pg_event_trigger'::regclass, 'pg_publication'::regclass, 'pg_foreign_server'::regclass,
				'pg_foreign_data_wrapper'::regclass, 'pg_am'::regclass)))
		AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = r.classoid AND e.objid = r.objoid AND e.deptype = 'e')`
}

// firstUserOID is the first number that the server gives to objects of users.
const firstUserOID = 16384

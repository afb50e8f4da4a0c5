package postgres

// aggregateSQL and the following list objects that the server has no function
// for to print their definition.
var aggregateSQL = `SELECT p.oid::regprocedure::text, concat_ws(' ',
		'returns', format_type(p.prorettype, NULL), 'kind', a.aggkind, 'direct arguments', a.aggnumdirectargs,
		'state', format_type(a.aggtranstype, NULL), 'step', a.aggtransfn::regprocedure,
		'final', nullif(a.aggfinalfn, 0)::regprocedure, a.aggfinalmodify, a.aggfinalextra,
		'combine', nullif(a.aggcombinefn, 0)::regprocedure, 'serialize', nullif(a.aggserialfn, 0)::regprocedure,
		'deserialize', nullif(a.aggdeserialfn, 0)::regprocedure, 'initially', a.agginitval,
		'moving', format_type(nullif(a.aggmtranstype, 0), NULL), nullif(a.aggmtransfn, 0)::regprocedure,
		nullif(a.aggminvtransfn, 0)::regprocedure, nullif(a.aggmfinalfn, 0)::regprocedure, a.aggminitval,
		'sort', nullif(a.aggsortop, 0)::regoperator, 'parallel', p.proparallel)
	FROM pg_proc p JOIN pg_aggregate a ON a.aggfnoid = p.oid
	WHERE ` + functionInScope + ` AND ` + notMember("pg_proc", "p.oid")

// typeSQL leaves out the types of rows and arrays, which come with others, and
// multiranges, which come with ranges.
var typeSQL = `SELECT format_type(t.oid, NULL), CASE t.typtype
	WHEN 'e' THEN 'enum (' || coalesce((SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
		FROM pg_enum e WHERE e.enumtypid = t.oid), '') || ')'
	WHEN 'd' THEN concat_ws(' ', 'domain', format_type(t.typbasetype, t.typtypmod),
		CASE WHEN t.typcollation <> b.typcollation THEN 'collate ' || t.typcollation::regcollation::text END,
		CASE WHEN t.typnotnull THEN 'not null' END, 'default ' || t.typdefault,
		(SELECT string_agg(quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), ', ' ORDER BY k.conname)
			FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype <> 'n'))
	WHEN 'c' THEN 'composite (' || coalesce((SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
			CASE WHEN a.attcollation <> at.typcollation THEN 'collate ' || a.attcollation::regcollation::text END), ', ' ORDER BY a.attnum)
		FROM pg_attribute a JOIN pg_type at ON at.oid = a.atttypid
		WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '') || ')'
	WHEN 'r' THEN (SELECT concat_ws(' ', 'range of', format_type(r.rngsubtype, NULL), 'class', (pg_identify_object('pg_opclass'::regclass, r.rngsubopc, 0)).identity,
			'collate ' || nullif(r.rngcollation, 0)::regcollation::text, 'canonical ' || nullif(r.rngcanonical, 0)::regprocedure::text,
			'subdiff ' || nullif(r.rngsubdiff, 0)::regprocedure::text,
			'multirange ' || format_type((to_jsonb(r) ->> 'rngmultitypid')::oid, NULL))
		FROM pg_range r WHERE r.rngtypid = t.oid)
	WHEN 'b' THEN concat_ws(' ', 'base', t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze,
		t.typlen, t.typalign, t.typstorage, t.typcategory, t.typdelim, t.typdefault)
	ELSE 'shell' END
	FROM pg_type t LEFT JOIN pg_type b ON b.oid = t.typbasetype LEFT JOIN pg_class c ON c.oid = t.typrelid
	WHERE ` + typeInScope + ` AND (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype <> 'm'
	AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND ` + notMember("pg_type", "t.oid")

// rareQueries list what few databases have.
var rareQueries = []structureQuery{
	{"operator", `SELECT o.oid::regoperator::text, concat_ws(' ', o.oprcode::regprocedure, 'commutator', nullif(o.oprcom, 0)::regoperator,
			'negator', nullif(o.oprnegate, 0)::regoperator, 'restrict', nullif(o.oprrest, 0)::regprocedure,
			'join', nullif(o.oprjoin, 0)::regprocedure, 'hashes', o.oprcanhash, 'merges', o.oprcanmerge)
		FROM pg_operator o WHERE o.oprnamespace = ANY($2) AND ` + notMember("pg_operator", "o.oid")},
	{"operator class", `SELECT (pg_identify_object('pg_opclass'::regclass, o.oid, 0)).identity, concat_ws(' ',
			(pg_identify_object('pg_opfamily'::regclass, o.opcfamily, 0)).identity, 'for', format_type(o.opcintype, NULL),
			'storage ' || format_type(nullif(o.opckeytype, 0), NULL), CASE WHEN o.opcdefault THEN 'default' END)
		FROM pg_opclass o WHERE o.opcnamespace = ANY($2) AND ` + notMember("pg_opclass", "o.oid")},
	{"operator family", `SELECT (pg_identify_object('pg_opfamily'::regclass, f.oid, 0)).identity, concat_ws('; ',
			(SELECT string_agg(a.amopstrategy || ' ' || a.amopopr::regoperator::text, ', ' ORDER BY a.amopstrategy, a.amopopr::regoperator::text)
				FROM pg_amop a WHERE a.amopfamily = f.oid),
			(SELECT string_agg(a.amprocnum || ' ' || a.amproc::regprocedure::text, ', ' ORDER BY a.amprocnum, a.amproc::regprocedure::text)
				FROM pg_amproc a WHERE a.amprocfamily = f.oid))
		FROM pg_opfamily f WHERE f.opfnamespace = ANY($2) AND ` + notMember("pg_opfamily", "f.oid")},
	{"cast", `SELECT format_type(c.castsource, NULL) || ' to ' || format_type(c.casttarget, NULL),
			concat_ws(' ', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod)
		FROM pg_cast c WHERE $3 AND c.oid >= 16384 AND ` + notMember("pg_cast", "c.oid")},
	{"collation", `SELECT c.oid::regcollation::text, concat_ws(' ', 'provider', c.collprovider,
			'deterministic', c.collisdeterministic, 'encoding', c.collencoding, to_jsonb(c) ->> 'collcollate', to_jsonb(c) ->> 'collctype',
			coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale'), to_jsonb(c) ->> 'collicurules')
		FROM pg_collation c WHERE c.collnamespace = ANY($2) AND ` + notMember("pg_collation", "c.oid")},
	{"conversion", `SELECT (pg_identify_object('pg_conversion'::regclass, c.oid, 0)).identity, concat_ws(' ', pg_encoding_to_char(c.conforencoding),
			'to', pg_encoding_to_char(c.contoencoding), 'by', c.conproc::regprocedure, CASE WHEN c.condefault THEN 'default' END)
		FROM pg_conversion c WHERE c.connamespace = ANY($2) AND ` + notMember("pg_conversion", "c.oid")},
	{"text search configuration", `SELECT c.oid::regconfig::text, concat_ws(' ',
			'parser', (pg_identify_object('pg_ts_parser'::regclass, c.cfgparser, 0)).identity,
			(SELECT string_agg(m.maptokentype || '=' || m.mapdict::regdictionary::text, ', ' ORDER BY m.maptokentype, m.mapseqno)
				FROM pg_ts_config_map m WHERE m.mapcfg = c.oid))
		FROM pg_ts_config c WHERE c.cfgnamespace = ANY($2) AND ` + notMember("pg_ts_config", "c.oid")},
	{"text search dictionary", `SELECT d.oid::regdictionary::text, concat_ws(' ',
			(pg_identify_object('pg_ts_template'::regclass, d.dicttemplate, 0)).identity, d.dictinitoption)
		FROM pg_ts_dict d WHERE d.dictnamespace = ANY($2) AND ` + notMember("pg_ts_dict", "d.oid")},
	{"language", `SELECT quote_ident(l.lanname), concat_ws(' ', CASE WHEN l.lanpltrusted THEN 'trusted' END, nullif(l.lanplcallfoid, 0)::regprocedure)
		FROM pg_language l WHERE $3 AND l.oid >= 16384 AND ` + notMember("pg_language", "l.oid")},
	{"access method", `SELECT quote_ident(a.amname), concat_ws(' ', a.amtype, a.amhandler::regprocedure)
		FROM pg_am a WHERE $3 AND a.oid >= 16384 AND ` + notMember("pg_am", "a.oid")},
	{"event trigger", `SELECT quote_ident(e.evtname), concat_ws(' ', 'on', e.evtevent, 'calls', e.evtfoid::regprocedure,
			(SELECT 'when tag in ' || string_agg(t, ', ' ORDER BY t) FROM unnest(e.evttags) t), ` + firing("e.evtenabled") + `)
		FROM pg_event_trigger e WHERE $3 AND ` + notMember("pg_event_trigger", "e.oid")},
	{"publication", `SELECT quote_ident(p.pubname), concat_ws(' ', CASE WHEN p.puballtables THEN 'all tables' END,
			'insert', p.pubinsert, 'update', p.pubupdate, 'delete', p.pubdelete, 'truncate', p.pubtruncate, 'via root', to_jsonb(p) ->> 'pubviaroot',
			(SELECT string_agg(concat_ws(' ', r.prrelid::regclass, to_jsonb(r) ->> 'prattrs',
					pg_get_expr((to_jsonb(r) ->> 'prqual')::pg_node_tree, r.prrelid)), ', ' ORDER BY r.prrelid::regclass::text)
				FROM pg_publication_rel r WHERE r.prpubid = p.oid))
		FROM pg_publication p WHERE $3`},
	{"foreign-data wrapper", `SELECT quote_ident(w.fdwname), concat_ws(' ', 'handler', nullif(w.fdwhandler, 0)::regprocedure, 'validator', nullif(w.fdwvalidator, 0)::regprocedure)
		FROM pg_foreign_data_wrapper w WHERE $3 AND ` + notMember("pg_foreign_data_wrapper", "w.oid")},
	{"server", `SELECT quote_ident(s.srvname), concat_ws(' ', 'wrapper', quote_ident(w.fdwname), 'type ' || s.srvtype, 'version ' || s.srvversion)
		FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE $3 AND ` + notMember("pg_foreign_server", "s.oid")},
	{KindUserMapping, `SELECT quote_ident(m.usename) || ' on ' || quote_ident(m.srvname), 'user mapping' FROM pg_user_mappings m WHERE $3`},
}

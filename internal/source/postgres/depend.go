package postgres

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"
)

// outside lists the foreign keys from the scope to tables outside it. A dump of
// the scope holds their definition, but not what they refer to.
func outside(ctx context.Context, q querier, sel selection) ([]Reference, error) {
	if sel.Whole() {
		return nil, nil
	}
	rows, err := q.Query(ctx, `
		SELECT n.nspname, c.relname, k.conname, fn.nspname, f.relname, pg_get_constraintdef(k.oid)
		FROM pg_constraint k
		JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
		WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY($1) AND k.confrelid <> ALL($1)
		ORDER BY 1, 2, 3`, sel.oids())
	if err != nil {
		return nil, fmt.Errorf("listing the foreign keys that leave the scope: %w", err)
	}
	refs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Reference])
	if err != nil {
		return nil, fmt.Errorf("listing the foreign keys that leave the scope: %w", err)
	}
	return refs, nil
}

// checkDependencies refuses a scope with objects that need others outside it:
// its archive could not be restored into an empty database.
func checkDependencies(ctx context.Context, q querier, sel selection) error {
	problems, err := unmetDependencies(ctx, q, sel)
	if err != nil {
		return fmt.Errorf("following the dependencies: %w", err)
	}
	if len(problems) > 0 {
		return &ScopeError{Problems: problems}
	}
	return nil
}

// unmetDependencies returns a sentence for each object outside the scope that
// something inside needs.
func unmetDependencies(ctx context.Context, q querier, sel selection) ([]string, error) {
	if sel.Whole() {
		return nil, nil
	}
	needs, err := sel.listNeeds(ctx, q, dependencySQL)
	if err != nil {
		return nil, err
	}
	partitions, err := sel.listNeeds(ctx, q, partitionSQL)
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, n := range merge(append(needs, partitions...)) {
		problems = append(problems, fmt.Sprintf("%s, outside it, is needed by %s: %s", n.target, n.users, sel.remedy(n.need)))
	}
	return problems, nil
}

// need is an object of the scope that needs one outside.
type need struct {
	User   string // type and name of the object in the scope
	Type   string // of the one outside, in words
	Schema string // of the one outside; empty where it has none
	Name   string // of the one outside, qualified and quoted
}

func (s selection) listNeeds(ctx context.Context, q querier, sql string) ([]need, error) {
	rows, err := q.Query(ctx, inScope+sql, s.args()...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[need])
}

// merged is one object outside with all that needs it.
type merged struct {
	need
	target, users string
}

// merge joins the needs for the same object.
func merge(needs []need) []merged {
	users := map[string][]string{}
	first := map[string]need{}
	for _, n := range needs {
		target := n.Type + " " + n.Name
		users[target] = append(users[target], n.User)
		first[target] = n
	}
	var all []merged
	for target, list := range users {
		sort.Strings(list)
		all = append(all, merged{need: first[target], target: "the " + target, users: shortList(list)})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].target < all[j].target })
	return all
}

// remedy says what to write into the scope.
func (s selection) remedy(n need) string {
	relation := strings.Contains(n.Type, "table") || n.Type == "view" || n.Type == "sequence" || n.Type == "materialized view"
	switch {
	case n.Schema == "":
		return "only a function of the whole database (neither schemas nor tables) can hold it"
	case len(s.Tables) > 0 && relation:
		return fmt.Sprintf("add %s to tables", n.Name)
	case len(s.Tables) > 0:
		return fmt.Sprintf("tables alone cannot hold it: write schemas: [%s] instead", n.Schema)
	default:
		return fmt.Sprintf("add %s to schemas", n.Schema)
	}
}

// objectsInScope are the catalog entries of everything in the scope, without
// foreign keys, which have their own way.
const objectsInScope = `
	SELECT 'pg_class'::regclass::oid AS classid, oid AS objid FROM pg_class
		WHERE oid = ANY($1) OR relnamespace = ANY($2) OR relkind = 'c' AND reltype = ANY($4)
	UNION ALL SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid = ANY($1)
	UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid = ANY($1)
	UNION ALL SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_class = ANY($1)
	UNION ALL SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid = ANY($1) AND NOT tgisinternal
	UNION ALL SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid = ANY($1)
	UNION ALL SELECT 'pg_statistic_ext'::regclass, oid FROM pg_statistic_ext WHERE stxrelid = ANY($1)
	UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t WHERE ` + typeInScope + ` OR t.typrelid = ANY($1)
		OR t.typelem IN (SELECT e.oid FROM pg_type e WHERE e.typrelid = ANY($1))
	UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k
		WHERE k.contype <> 'f' AND (k.conrelid = ANY($1)
			OR k.contypid IN (SELECT t.oid FROM pg_type t WHERE ` + typeInScope + `))
	UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p WHERE ` + functionInScope + `
	UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator WHERE oprnamespace = ANY($2)
	UNION ALL SELECT 'pg_opclass'::regclass, oid FROM pg_opclass WHERE opcnamespace = ANY($2)
	UNION ALL SELECT 'pg_opfamily'::regclass, oid FROM pg_opfamily WHERE opfnamespace = ANY($2)
	UNION ALL SELECT 'pg_collation'::regclass, oid FROM pg_collation WHERE collnamespace = ANY($2)
	UNION ALL SELECT 'pg_conversion'::regclass, oid FROM pg_conversion WHERE connamespace = ANY($2)
	UNION ALL SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config WHERE cfgnamespace = ANY($2)
	UNION ALL SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict WHERE dictnamespace = ANY($2)
	UNION ALL SELECT 'pg_ts_parser'::regclass, oid FROM pg_ts_parser WHERE prsnamespace = ANY($2)
	UNION ALL SELECT 'pg_ts_template'::regclass, oid FROM pg_ts_template WHERE tmplnamespace = ANY($2)`

// dependencySQL finds what the scope needs and does not hold. Objects of the
// system have numbers below 16384; those of extensions come with these, which
// Globals lists. The type of the rows of a table stands for the table.
const dependencySQL = `,
	inside AS MATERIALIZED (` + objectsInScope + `),
	members AS MATERIALIZED (` + membersSQL + `),
	rowtypes AS MATERIALIZED (` + rowTypesSQL + `),
	needed AS (
		SELECT DISTINCT i.classid, i.objid, d.refclassid, d.refobjid
		FROM inside i JOIN pg_depend d ON d.classid = i.classid AND d.objid = i.objid
		WHERE d.refobjid >= 16384 AND d.deptype NOT IN ('e', 'x')
		AND d.refclassid NOT IN ('pg_namespace'::regclass, 'pg_extension'::regclass)
		AND NOT EXISTS (SELECT FROM inside o WHERE o.classid = d.refclassid AND o.objid = d.refobjid)
		AND NOT EXISTS (SELECT FROM members m WHERE m.classid = d.refclassid AND m.objid = d.refobjid)
		AND NOT EXISTS (SELECT FROM members m WHERE m.classid = i.classid AND m.objid = i.objid))
	SELECT DISTINCT u.type || ' ' || u.identity, r.type, coalesce(r.schema, ''), r.identity
	FROM needed n LEFT JOIN rowtypes t ON n.refclassid = 'pg_type'::regclass AND t.oid = n.refobjid,
		pg_identify_object(n.classid, n.objid, 0) u,
		pg_identify_object(CASE WHEN t.oid IS NULL THEN n.refclassid ELSE 'pg_class'::regclass END, coalesce(t.relation, n.refobjid), 0) r
	WHERE r.schema IS NULL OR r.schema NOT LIKE 'pg\_%'`

// partitionSQL finds partitions outside the scope of tables inside: the table
// would come back without their rows.
const partitionSQL = `
	SELECT 'table ' || p.oid::regclass::text, 'table', n.nspname, c.oid::regclass::text
	FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
	JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE p.oid = ANY($1) AND c.oid <> ALL($1) AND p.relkind = 'p'`

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// copyLargeObjects reads all large objects in pieces. Each is opened only to
// learn its size and closed before its pieces are read, so that few are open
// at a time; OFFSET 0 keeps the planner from calling a function twice.
// 262144 is both LargeObjectChunk and the mode INV_READ.
const copyLargeObjects = `COPY (
	SELECT o.oid, n.chunk, lo_get(o.oid, n.chunk * 262144, 262144)
	FROM (SELECT oid, CASE WHEN lo_close(fd) = 0 THEN size END AS size
		FROM (SELECT oid, fd, lo_lseek64(fd, 0, 2) AS size
			FROM (SELECT oid, lo_open(oid, 262144) AS fd FROM pg_largeobject_metadata ORDER BY oid OFFSET 0) a
			OFFSET 0) b
		OFFSET 0) o,
	LATERAL generate_series(0::bigint, greatest(o.size - 1, 0) / 262144) AS n(chunk)) TO STDOUT`

// holdsLargeObjects reports whether large objects are in the scope.
func (s Scope) holdsLargeObjects() bool { return s.LargeObjects || s.Whole() }

// largeObjectsTable returns the table of the large objects, none when the scope
// does not hold them or there are none.
func largeObjectsTable(ctx context.Context, q querier, sel selection) ([]Table, error) {
	if !sel.holdsLargeObjects() {
		return nil, nil
	}
	var exist bool
	var bytes int64
	err := q.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_largeobject_metadata), pg_table_size('pg_largeobject'::regclass)`).Scan(&exist, &bytes)
	if err != nil {
		return nil, fmt.Errorf("looking for large objects: %w", err)
	}
	if !exist {
		return nil, nil
	}
	return []Table{{
		Name: KindLargeObjects, Kind: KindLargeObjects, Columns: []string{"oid", "chunk", "data"},
		Bytes: bytes, Parts: []Part{{Whole: true, Bytes: bytes}},
	}}, nil
}

// largeObjectRights returns a sentence when the role may not read all large
// objects. Neither pg_read_all_data nor rights on tables cover them.
func largeObjectRights(ctx context.Context, q querier, sel selection, as string) ([]string, error) {
	if !sel.holdsLargeObjects() {
		return nil, nil
	}
	var closed int64
	var example uint32
	err := q.QueryRow(ctx, `
		SELECT count(*), coalesce(min(m.oid::bigint), 0)::oid FROM pg_largeobject_metadata m
		WHERE current_setting('lo_compat_privileges') = 'off'
		AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
		AND NOT EXISTS (
			SELECT FROM aclexplode(coalesce(m.lomacl, acldefault('L', m.lomowner))) a
			WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))`).Scan(&closed, &example)
	if err != nil || closed == 0 {
		return nil, err
	}
	return []string{fmt.Sprintf("%d large objects, %d for one: GRANT SELECT ON LARGE OBJECT %[2]d TO %s for each of them, "+
		"or GRANT their owner TO %[3]s", closed, example, as)}, nil
}

// largeObjectGroups lists owners and rights of the large objects.
func largeObjectGroups(ctx context.Context, q querier, sel selection) ([]LargeObjects, error) {
	if !sel.holdsLargeObjects() {
		return nil, nil
	}
	rows, err := q.Query(ctx, `
		SELECT pg_get_userbyid(lomowner)::text, lomacl::text IS NULL, `+grantsJSON("m.lomacl")+`, min(oid::bigint), max(oid::bigint)
		FROM (SELECT *, oid::bigint - row_number() OVER (PARTITION BY lomowner, lomacl::text ORDER BY oid) AS run
			FROM pg_largeobject_metadata) m
		GROUP BY lomowner, lomacl, run ORDER BY 1, lomacl::text, min(oid::bigint)`)
	if err != nil {
		return nil, err
	}
	var groups []LargeObjects
	var last string
	var owner string
	var plain bool
	var grants []Grant
	var from, to int64
	_, err = pgx.ForEachRow(rows, []any{&owner, &plain, &grants, &from, &to}, func() error {
		if plain {
			grants = nil
		}
		key := fmt.Sprint(owner, plain, grants)
		if len(groups) == 0 || key != last {
			groups = append(groups, LargeObjects{Owner: owner, Grants: append([]Grant(nil), grants...)})
		}
		last = key
		g := &groups[len(groups)-1]
		g.OIDs = append(g.OIDs, [2]uint32{uint32(from), uint32(to)})
		return nil
	})
	return groups, err
}

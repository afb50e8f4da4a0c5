package postgres

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// largeObjectBatch is how many bytes of large objects are sent before an
// answer is waited for.
const largeObjectBatch = 4 << 20

// loadLargeObjects writes rows of (oid, chunk, data) into large objects, which
// it makes under their own numbers, and returns how many rows there were.
func (t *Target) loadLargeObjects(ctx context.Context, conn *pgx.Conn, rows io.Reader) (int64, error) {
	in := bufio.NewReaderSize(rows, 1<<20)
	batch, pending := &pgx.Batch{}, 0
	send := func() error {
		err := conn.SendBatch(ctx, batch).Close()
		batch, pending = &pgx.Batch{}, 0
		return err
	}
	for count := int64(0); ; count++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return count, send()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return count, fmt.Errorf("reading its rows: %w", err)
		}
		oid, chunk, data, err := parseLargeObject(line)
		if err != nil {
			return count, fmt.Errorf("row %d: %w", count+1, err)
		}
		if err := t.makeLargeObject(ctx, conn, oid); err != nil {
			return count, fmt.Errorf("large object %d: %w", oid, err)
		}
		if len(data) == 0 {
			continue
		}
		batch.Queue(`SELECT lo_put($1, $2, $3)`, oid, chunk*LargeObjectChunk, data)
		if pending += len(data); pending >= largeObjectBatch {
			if err := send(); err != nil {
				return count, fmt.Errorf("large object %d: %w", oid, err)
			}
		}
	}
}

// makeLargeObject makes an object unless a row of it came before, perhaps on
// another connection. Holding the lock while the object is made keeps others
// from writing into it before it is there.
func (t *Target) makeLargeObject(ctx context.Context, conn *pgx.Conn, oid uint32) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.objects[oid] {
		return nil
	}
	if _, err := conn.Exec(ctx, `SELECT lo_create($1)`, oid); err != nil {
		return err
	}
	t.objects[oid] = true
	return nil
}

// parseLargeObject takes a row apart: number, chunk, and bytes as \\x….
func parseLargeObject(line []byte) (oid uint32, chunk int64, data []byte, err error) {
	fields := bytes.Split(bytes.TrimSuffix(line, []byte("\n")), []byte("\t"))
	if len(fields) != 3 || !bytes.HasPrefix(fields[2], []byte(`\\x`)) {
		return 0, 0, nil, errors.New("it is no row of a large object")
	}
	number, err := strconv.ParseUint(string(fields[0]), 10, 32)
	if err != nil {
		return 0, 0, nil, err
	}
	if chunk, err = strconv.ParseInt(string(fields[1]), 10, 64); err != nil {
		return 0, 0, nil, err
	}
	digits := fields[2][len(`\\x`):]
	data = make([]byte, hex.DecodedLen(len(digits)))
	if _, err = hex.Decode(data, digits); err != nil {
		return 0, 0, nil, err
	}
	return uint32(number), chunk, data, nil
}

// giveLargeObjects gives the large objects their owners and rights.
func (t *Target) giveLargeObjects(ctx context.Context, groups []LargeObjects) error {
	for _, g := range groups {
		statements := []string{"ALTER LARGE OBJECT %s OWNER TO " + quoted("", g.Owner)}
		if g.Grants != nil {
			statements = append(statements, "REVOKE ALL ON LARGE OBJECT %s FROM PUBLIC, "+quoted("", g.Owner))
		}
		for _, grant := range g.Grants {
			if !privilege.MatchString(grant.Privilege) {
				return fmt.Errorf("rights on large objects: %q is no privilege", grant.Privilege)
			}
			sql := "GRANT " + grant.Privilege + " ON LARGE OBJECT %s TO "
			if grant.Grantee == "" {
				sql += "PUBLIC"
			} else {
				sql += quoted("", grant.Grantee)
			}
			if grant.Grantable {
				sql += " WITH GRANT OPTION"
			}
			statements = append(statements, sql)
		}
		if err := t.eachLargeObject(ctx, g.OIDs, statements); err != nil {
			return fmt.Errorf("owner and rights of large objects: %w", err)
		}
	}
	return nil
}

// eachLargeObject runs the statements, in which %s stands for the number, for
// every object in the ranges.
func (t *Target) eachLargeObject(ctx context.Context, ranges [][2]uint32, statements []string) error {
	return t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var batch strings.Builder
		send := func() error {
			_, err := conn.Exec(ctx, batch.String())
			batch.Reset()
			return err
		}
		for _, r := range ranges {
			for oid := uint64(r[0]); oid <= uint64(r[1]); oid++ {
				for _, s := range statements {
					// Not through fmt: a name may hold a percent sign.
					batch.WriteString(strings.Replace(s, "%s", strconv.FormatUint(oid, 10), 1) + ";\n")
				}
				if batch.Len() >= 64<<10 {
					if err := send(); err != nil {
						return err
					}
				}
			}
		}
		return send()
	})
}

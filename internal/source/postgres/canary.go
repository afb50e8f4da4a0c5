package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Canary is what nobody changes: the rows of a table that a condition finds,
// or the result of a query.
type Canary struct {
	// Table is schema.name, Key a condition in SQL.
	Table, Key string
	// SQL is one query that stands instead of both. The order of what it gives
	// counts.
	SQL string
}

// What a canary may cost the source.
const (
	canaryTimeout = "10s"
	canaryRows    = 1000
	canaryBytes   = 1 << 20
)

// query is what the canary is read with. The key is written by who may read
// everything anyhow: it comes from the configuration.
func (c Canary) query() string {
	if c.SQL != "" {
		return c.SQL
	}
	schema, table, _ := strings.Cut(c.Table, ".")
	return "SELECT canary::text FROM " + quoted(schema, table) + " AS canary WHERE (" + c.Key + ") ORDER BY 1"
}

// Definition stands for how the canary is read.
func (c Canary) Definition() string {
	sum := sha256.Sum256([]byte(c.query()))
	return hex.EncodeToString(sum[:])
}

// Canary reads a canary under the snapshot and returns a digest of what it
// gives, in which nothing of it can be read. A canary that the server refuses
// leaves the capture as it is.
func (c *Capture) Canary(ctx context.Context, what Canary) (digest string, err error) {
	var refused error
	err = c.onWorker(ctx, "reading a canary", func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SAVEPOINT canary"); err != nil {
			return err
		}
		digest, refused = readCanary(ctx, conn.PgConn(), what)
		// This also takes the time limit back, and leaves no lock behind.
		_, err := conn.Exec(ctx, "ROLLBACK TO SAVEPOINT canary")
		if err == nil {
			_, err = conn.Exec(ctx, "RELEASE SAVEPOINT canary")
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return digest, refused
}

func readCanary(ctx context.Context, conn *pgconn.PgConn, what Canary) (string, error) {
	if _, err := conn.Exec(ctx, "SET LOCAL statement_timeout = '"+canaryTimeout+"'").ReadAll(); err != nil {
		return "", told(err)
	}
	// With parameters a statement cannot be several.
	result := conn.ExecParams(ctx, what.query(), nil, nil, nil, nil)
	sum := sha256.New()
	rows, bytes := 0, 0
	for result.NextRow() {
		if rows++; rows > canaryRows || bytes > canaryBytes {
			continue
		}
		bytes += digestRow(sum, result.Values())
	}
	_, err := result.Close()
	switch {
	case err != nil:
		return "", told(err)
	case rows == 0:
		return "", errors.New("it gives no row")
	case rows > canaryRows || bytes > canaryBytes:
		return "", fmt.Errorf("it gives more than %d rows or %d KiB: let it sum up", canaryRows, canaryBytes>>10)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// digestRow adds a row to the digest, so that no two rows look like another.
func digestRow(sum hash.Hash, row [][]byte) (bytes int) {
	size := func(n int64) { _ = binary.Write(sum, binary.BigEndian, n) } // a hash takes everything
	size(int64(len(row)))
	for _, v := range row {
		if v == nil {
			size(-1)
			continue
		}
		size(int64(len(v)))
		_, _ = sum.Write(v)
		bytes += len(v)
	}
	return bytes
}

// told leaves of an error of the server what holds no data: its details may.
func told(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return fmt.Errorf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	}
	return err
}

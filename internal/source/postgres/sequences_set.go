package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// SetSequences sets the sequences to where they stood in the source. With a
// choice of tables, sequences that were not restored are passed over.
func (t *Target) SetSequences(ctx context.Context, sequences []Sequence) error {
	if len(t.opts.Tables) > 0 {
		var err error
		if sequences, err = t.presentSequences(ctx, sequences); err != nil {
			return t.fail("set sequences", err)
		}
	}
	err := t.pool.use(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		for _, s := range sequences {
			_, err := conn.Exec(ctx, `SELECT setval($1::text::regclass, $2, $3)`, quoted(s.Schema, s.Name), s.LastValue, s.IsCalled)
			if err != nil {
				return fmt.Errorf("%s to %d: %w", display(s.Schema, s.Name), s.LastValue, err)
			}
		}
		return nil
	})
	if err != nil {
		return t.fail("set sequences", err)
	}
	return nil
}

func (t *Target) presentSequences(ctx context.Context, sequences []Sequence) ([]Sequence, error) {
	var present []Sequence
	for _, s := range sequences {
		there, err := queryTarget[bool](ctx, t, `SELECT to_regclass($1) IS NOT NULL`, quoted(s.Schema, s.Name))
		if err != nil {
			return nil, err
		}
		if there[0] {
			present = append(present, s)
		}
	}
	return present, nil
}

// counter is an integer column that takes its values from a sequence.
type counter struct {
	Sequence  string // schema-qualified and quoted
	Table     string
	Column    string
	Increment int64
}

// counters finds columns that own a sequence or whose default calls one.
const counters = `
SELECT DISTINCT quote_ident(sn.nspname) || '.' || quote_ident(s.relname), quote_ident(tn.nspname) || '.' || quote_ident(t.relname),
	quote_ident(a.attname), q.seqincrement
FROM (
	SELECT d.objid AS seq, d.refobjid AS rel, d.refobjsubid AS col FROM pg_depend d
	WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
		AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
	UNION
	SELECT d.refobjid, f.adrelid, f.adnum FROM pg_attrdef f
	JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
) l
JOIN pg_sequence q ON q.seqrelid = l.seq
JOIN pg_class s ON s.oid = l.seq JOIN pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_class t ON t.oid = l.rel JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = l.rel AND a.attnum = l.col
WHERE t.relkind IN ('r', 'p') AND t.relpersistence <> 't' AND NOT q.seqcycle
	AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
ORDER BY 1, 2, 3`

// SequencesAhead returns a sentence for each sequence whose next value is not
// beyond the values of a column that takes its values from it, so that an
// insert would collide. Sequences that cycle are not looked at.
func (t *Target) SequencesAhead(ctx context.Context) ([]string, error) {
	var behind []string
	err := t.long(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, counters)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[counter])
		if err != nil {
			return err
		}
		for _, c := range all {
			text, err := c.behind(ctx, conn)
			if err != nil {
				return fmt.Errorf("%s of %s: %w", c.Sequence, c.Table, err)
			}
			if text != "" {
				behind = append(behind, text)
			}
		}
		return nil
	})
	if err != nil {
		return nil, t.fail("compare sequences with their columns", err)
	}
	return behind, nil
}

// behind describes the sequence if the column is ahead of it.
func (c counter) behind(ctx context.Context, conn *pgx.Conn) (string, error) {
	furthest := "max"
	if c.Increment < 0 {
		furthest = "min"
	}
	var last int64
	var called bool
	var reached *int64
	err := conn.QueryRow(ctx, "SELECT last_value, is_called, (SELECT "+furthest+"("+c.Column+")::int8 FROM "+c.Table+") FROM "+c.Sequence).
		Scan(&last, &called, &reached)
	if err != nil || reached == nil {
		return "", err
	}
	ahead := *reached - last
	if c.Increment < 0 {
		ahead = -ahead
	}
	if ahead < 0 || ahead == 0 && called {
		return "", nil
	}
	return fmt.Sprintf("%s stands at %d and %s.%s at %d", c.Sequence, last, c.Table, c.Column, *reached), nil
}

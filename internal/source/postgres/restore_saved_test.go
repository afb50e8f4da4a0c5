package postgres

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/rowhash"
	"github.com/saypro/backupd/internal/testenv"
)

// saved is a recovery point in memory.
type saved struct {
	scope     Scope
	archive   string
	globals   Globals
	tables    []Table
	rows      map[string][]byte
	digests   map[string]rowhash.Digest
	sequences []Sequence
	outside   []Reference
	structure Structure
	point     Point
}

// save captures a scope of a database.
func save(t testing.TB, pg *testenv.PG, scope Scope) *saved {
	t.Helper()
	ctx := context.Background()
	source, err := New(Options{Name: "test", URL: pg.URL(), Connections: 2})
	must(t, err)
	c, err := source.Capture(ctx, scope)
	must(t, err)
	defer func() { must(t, c.Close(ctx)) }()
	s := &saved{
		scope: scope, archive: filepath.Join(t.TempDir(), "schema.dump"), tables: c.Tables(), outside: c.Outside(),
		point: c.Point(), rows: map[string][]byte{}, digests: map[string]rowhash.Digest{},
	}
	for _, table := range s.tables {
		var rows bytes.Buffer
		for _, p := range table.Parts {
			_, err := c.CopyPart(ctx, table, p, &rows)
			must(t, err)
		}
		s.rows[table.String()] = rows.Bytes()
		var sum rowhash.Writer
		_, _ = sum.Write(rows.Bytes())
		s.digests[table.String()], _ = sum.Sum()
	}
	f, err := os.Create(s.archive)
	must(t, err)
	must(t, c.Schema(ctx, f))
	must(t, f.Close())
	s.globals, err = c.Globals(ctx)
	must(t, err)
	s.structure, err = c.Structure(ctx)
	must(t, err)
	s.sequences, err = c.Sequences(ctx)
	must(t, err)
	return s
}

// into connects to a database to restore to.
func into(t testing.TB, url string, opts TargetOptions) *Target {
	t.Helper()
	opts.URL, opts.Jobs = url, 2
	target, err := Connect(context.Background(), opts)
	must(t, err)
	t.Cleanup(func() { must(t, target.Close(context.Background())) })
	return target
}

// load restores all steps up to the rows.
func (s *saved) load(target *Target) error {
	ctx := context.Background()
	if err := target.PreData(ctx, s.archive, s.globals); err != nil {
		return err
	}
	var group errgroup.Group
	for _, table := range s.tables {
		if len(target.opts.Tables) > 0 && !slices.Contains(target.opts.Tables, TableName{table.Schema, table.Name}) {
			continue
		}
		group.Go(func() error {
			_, err := target.CopyIn(ctx, table, bytes.NewReader(s.rows[table.String()]))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return target.SetSequences(ctx, s.sequences)
}

// restore restores everything.
func (s *saved) restore(t testing.TB, target *Target) []Unrestored {
	t.Helper()
	must(t, s.load(target))
	left, err := target.PostData(context.Background(), s.archive, 2, s.outside)
	must(t, err)
	return left
}

// checkSame compares content and structure with what was saved. Differences
// of which the description holds one of the words are expected.
func (s *saved) checkSame(t testing.TB, target *Target, expected ...string) {
	t.Helper()
	ctx := context.Background()
	for _, table := range s.tables {
		got, _, err := target.Digest(ctx, table)
		must(t, err)
		if want := s.digests[table.String()]; got != want {
			t.Errorf("%s: digest %v of %d rows, want %v of %d", table, got, got.Rows, want, want.Rows)
		}
	}
	restored, err := target.Structure(ctx, s.scope)
	must(t, err)
	found := map[string]bool{}
	for _, d := range s.structure.Diff(restored) {
		text := d.Change + " " + d.Kind + " " + d.Name
		i := slices.IndexFunc(expected, func(word string) bool { return strings.Contains(text, word) })
		if i < 0 {
			t.Errorf("%s\n   source: %s\n restored: %s", text, d.Source, d.Restored)
			continue
		}
		found[expected[i]] = true
	}
	for _, word := range expected {
		if !found[word] {
			t.Errorf("no difference %q", word)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError checks that err is one and holds all the texts.
func wantError(t testing.TB, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q, want %q in it", err, text)
		}
	}
}

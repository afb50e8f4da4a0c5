package verify

import (
	"errors"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/snapshot/snaptest"
)

// checked takes a snapshot of a small database whose function has these checks.
func checked(t *testing.T, checks ...config.Check) *fixture {
	t.Helper()
	db := small(t)
	f := &fixture{Bench: snaptest.New(t, db.URL()), db: db}
	fn := payments()
	fn.Checks = checks
	f.snapshot = f.Take(t, fn).Snapshot
	f.Verifier = f.verifier(db)
	f.Checks = map[string][]config.Check{"payments": checks}
	t.Cleanup(func() { f.nothingLeft(t) })
	return f
}

const count = "SELECT count(*) FROM pay.orders"

// found returns the verdicts of L6 by the names of the checks.
func own(r Result) map[string]Check {
	out := map[string]Check{}
	for _, c := range r.Checks {
		if c.Level == levelChecks {
			out[c.Name] = c
		}
	}
	return out
}

func TestOwnChecks(t *testing.T) {
	f := checked(
		t,
		config.Check{Name: "some", SQL: count, Expect: ">= 1"},
		config.Check{Name: "same", SQL: "SELECT sum(id) FROM pay.orders", SameAtSource: true, Expect: "!= 0"},
		config.Check{Name: "later", SQL: "SELECT nothing", Expect: "1", Skip: "until the view is there"},
	)
	// What changes at the source after the snapshot must not matter.
	f.db.Exec(t, "DELETE FROM pay.orders WHERE id > 2000")
	r := f.prove(t, "")
	if r.Level != "L6" || !r.Passed || r.Difference || r.RequestedLevel != "L6" || r.Phases["checks"] <= 0 {
		t.Errorf("result %+v", r)
	}
	got := own(r)
	want := map[string]Check{
		"some":                 {Status: Pass, Operator: ">=", Expected: "1", Observed: "3000"},
		"same":                 {Status: Pass, Operator: "!=", Expected: "0", Observed: "4501500"},
		"same: same at source": {Status: Pass, Operator: "=", Expected: "4501500", Observed: "4501500"},
		"later":                {Status: Skipped},
	}
	for name, w := range want {
		g := got[name]
		if g.Status != w.Status || g.Passed != (w.Status == Pass) || g.Operator != w.Operator || g.Expected != w.Expected || g.Observed != w.Observed || len(g.Definition) != 64 {
			t.Errorf("%s: got %+v, want %+v", name, g, w)
		}
	}
	if len(got) != len(want) || got["later"].Detail != "until the view is there" {
		t.Errorf("checks %+v", got)
	}
	text := strings.Join(r.NotProven, "\n")
	if strings.Contains(text, "L6:") || !strings.Contains(text, "L7:") || !strings.Contains(text, "later, which is skipped: until the view is there") {
		t.Errorf("not proven: %s", text)
	}
	if r := f.prove(t, "L5"); r.Level != "L5" || !r.Passed || len(own(r)) > 0 || !strings.Contains(strings.Join(r.NotProven, "\n"), "they were not run") {
		t.Errorf("asked for L5: %+v", r)
	}
}

// Whatever is not a pass keeps L6 from being reached, and only a comparison that
// fails is a difference.
func TestOwnChecksThatDoNotPass(t *testing.T) {
	good := config.Check{Name: "good", SQL: count, Expect: "3000"}
	f := checked(t, good, config.Check{Name: "slow", SQL: "SELECT 1 FROM pg_sleep(20)", SameAtSource: true})
	note := f.Take(t, config.Function{Name: "payments", Source: snaptest.Source, Checks: []config.Check{{Name: "broken", SQL: "SELECT 1/0", SameAtSource: true}}}).Notes
	if len(note) == 0 || !strings.Contains(strings.Join(note, "\n"), "broken was not observed") {
		t.Errorf("notes %q", note)
	}
	for name, c := range map[string]struct {
		checks     []config.Check
		status     Status
		difference bool
		word       string
	}{
		"fails":           {[]config.Check{good, {Name: "x", SQL: count, Expect: "< 3000"}}, Fail, true, `answered "3000", expected < "3000"`},
		"text and number": {[]config.Check{good, {Name: "x", SQL: "SELECT 'f'", Expect: ">= 1"}}, Inconclusive, false, "one is a number"},
		"several rows":    {[]config.Check{good, {Name: "x", SQL: "SELECT id FROM pay.orders", Expect: ">= 1"}}, Inconclusive, false, "several rows"},
		"error":           {[]config.Check{good, {Name: "x", SQL: "SELECT 1 FROM gone", Expect: ">= 1"}}, Inconclusive, false, "outside of the function's scope"},
		"writes":          {[]config.Check{good, {Name: "x", SQL: "SELECT nextval('pay.orders_id_seq')", Expect: ">= 1"}}, Inconclusive, false, "read-only"},
		"not observed":    {[]config.Check{good, {Name: "broken", SQL: "SELECT 1/0", Expect: "1", SameAtSource: true}}, Inconclusive, false, "division by zero"},
		"all skipped":     {[]config.Check{{Name: "x", SQL: count, Expect: "1", Skip: "why"}}, Skipped, false, "all of them are skipped"},
		"none":            {nil, "", false, "it has none"},
		"never asked":     {[]config.Check{{Name: "new", SQL: count, SameAtSource: true}}, Skipped, false, "was not asked this"},
	} {
		t.Run(name, func(t *testing.T) {
			f.Checks["payments"] = c.checks
			r := f.prove(t, "L6")
			if r.Level != "L5" || r.Passed || r.Difference != c.difference || r.Error != "" || r.Unmet() == "" {
				t.Errorf("reached %s, passed %t, difference %t, error %q, unmet %q", r.Level, r.Passed, r.Difference, r.Error, r.Unmet())
			}
			seen := c.status == ""
			for _, check := range own(r) {
				seen = seen || check.Status == c.status
			}
			if text := failures(r) + strings.Join(r.NotProven, "\n"); !seen || !strings.Contains(text, c.word) || !strings.Contains(text, "L6: ") {
				t.Errorf("no %s with %q: %s", c.status, c.word, text)
			}
			if p := lastProof(t, f.Bench.Catalog); p.Passed || p.Difference != c.difference || p.Level != "L5" {
				t.Errorf("recorded %+v", p)
			}
		})
	}
}

// A changed row that no digest could tell of would be told by the checks: they
// read the restored copy, not the source.
func TestOwnChecksReadTheCopy(t *testing.T) {
	f := checked(t, config.Check{Name: "same", SQL: "SELECT count(*) FROM pay.orders WHERE note = 'note 7'", SameAtSource: true})
	f.before = func(p *proof, level string) {
		if level == levelChecks {
			if _, err := f.db.Conn(t).Exec(t.Context(), "SELECT 1"); err != nil {
				t.Error(err)
			}
			scratchOf(t, f, p).Exec(t, "DELETE FROM pay.orders WHERE note = 'note 7'")
		}
	}
	r := f.prove(t, "")
	if c := own(r)["same: same at source"]; r.Level != "L5" || !r.Difference || c.Status != Fail || c.Observed != "0" || c.Expected != "1" {
		t.Errorf("result %+v", r)
	}
}

// A recovery point that is older than the checks is proven as far as it can be.
func TestPointsOlderThanTheChecks(t *testing.T) {
	f := newFixture(t, small(t))
	f.Checks = map[string][]config.Check{"payments": {{Name: "new", SQL: count, SameAtSource: true}}}
	if r := f.prove(t, ""); r.RequestedLevel != "L5" || !r.Passed || r.Lowered {
		t.Errorf("asked for nothing: %+v", r)
	}
	r, err := f.Prove(t.Context(), Request{Function: "payments", From: "onsite", Level: "L6", Lower: true}, nil)
	if err != nil || r.Level != "L5" || !r.Passed || !r.Lowered || !lastProof(t, f.Bench.Catalog).Lowered {
		t.Errorf("may be lowered: %+v, %v", r, err)
	}
	f.Checks["payments"] = []config.Check{{Name: "new", SQL: count, SameAtSource: true, Expect: "3000"}}
	if r := f.prove(t, ""); r.Level != "L6" || !r.Passed || own(r)["new: same at source"].Status != Skipped {
		t.Errorf("what is expected can be checked: %+v", r)
	}
}

func TestColdStartsAreNotMadeHere(t *testing.T) {
	f := newFixture(t, small(t))
	if _, err := f.Prove(t.Context(), Request{Function: "payments", From: "onsite", Level: "L7"}, nil); !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), "--cold") {
		t.Errorf("L7: %v", err)
	}
}

// The record of a proof has all that L5 follows from.
func TestTablesHaveBothSides(t *testing.T) {
	f := newFixture(t, small(t))
	f.before = func(p *proof, level string) {
		if level == levelContent {
			scratchOf(t, f, p).Exec(t, "DELETE FROM pay.orders WHERE id = 7")
		}
	}
	r := f.prove(t, "")
	if len(r.Tables) != 1 {
		t.Fatalf("tables %+v", r.Tables)
	}
	if table := r.Tables[0]; table.Equal || table.Rows != 2999 || table.SourceRows != 3000 || table.Digest == table.SourceDigest || table.SourceDigest == "" {
		t.Errorf("table %+v", table)
	}
}

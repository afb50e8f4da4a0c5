package suspicion

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// preset are the limits of a function that configures none.
var preset = Limits{RowsDrop: 0.5, RowsChanged: 0.5, MinRows: 100, Schema: true}

// table is a table of a world that lives: its rows by their hashes.
type table struct {
	rows    []uint64
	columns []string
}

// world is a database for the judge.
type world struct {
	random   *rand.Rand
	tables   map[string]*table
	canaries map[string]Canary
	now      time.Time
}

func newWorld(seed uint64) *world {
	return &world{
		random: rand.New(rand.NewPCG(seed, 3)), tables: map[string]*table{}, canaries: map[string]Canary{},
		now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
}

func (w *world) table(name string, rows int) *table {
	t := &table{columns: []string{"id", "body"}}
	w.tables[name] = t
	w.insert(name, rows)
	return t
}

func (w *world) insert(name string, n int) {
	for range n {
		w.tables[name].rows = append(w.tables[name].rows, w.random.Uint64())
	}
}

// update changes a share of the rows, each with that chance.
func (w *world) update(name string, share float64) {
	rows := w.tables[name].rows
	for i := range rows {
		if w.random.Float64() < share {
			rows[i] = w.random.Uint64()
		}
	}
}

// remove deletes n rows, any.
func (w *world) remove(name string, n int) {
	t := w.tables[name]
	w.random.Shuffle(len(t.rows), func(i, j int) { t.rows[i], t.rows[j] = t.rows[j], t.rows[i] })
	t.rows = t.rows[:len(t.rows)-min(n, len(t.rows))]
}

func (w *world) point() Point {
	w.now = w.now.Add(5 * time.Minute)
	p := Point{Time: w.now, Scope: "all", Tables: map[string]Table{}, Canaries: map[string]Canary{}}
	for name, t := range w.tables {
		var s Sampler
		var sum uint64
		for _, h := range t.rows {
			s.Add(h)
			sum += h
		}
		p.Tables[name] = Table{Rows: int64(len(t.rows)), Columns: slices.Clone(t.columns), Digest: fmt.Sprint(sum), Sample: s.Sample()}
	}
	for name, c := range w.canaries {
		p.Canaries[name] = c
	}
	return p
}

// watch is somebody who judges point after point.
type watch struct {
	last *Point
}

func (j *watch) see(p Point) []Signal {
	signals := Judge(j.last, nil, p, preset)
	learned := Learn(j.last, p, signals)
	j.last = &learned
	return signals
}

// Whatever a table does all the time is ordinary for it: tables that grow,
// that are written anew each time, of which a part changes, small ones that
// empty and fill. Of a thousand points none is suspect.
func TestOrdinaryLifeIsNotSuspect(t *testing.T) {
	for seed := range uint64(10) {
		w, j := newWorld(seed), watch{}
		w.table("ledger", 500)
		w.table("stock", 3000)
		w.table("sessions", 2000)
		w.table("cache", 400)
		w.table("queue", 40)
		w.table("few", 12)
		busy := w.random.Float64()
		for range 100 {
			w.insert("ledger", w.random.IntN(60))
			w.update("stock", busy*w.random.Float64())
			w.remove("sessions", w.random.IntN(300))
			w.insert("sessions", max(0, 2000-len(w.tables["sessions"].rows)-w.random.IntN(200)))
			w.update("cache", 1)
			w.remove("queue", w.random.IntN(50))
			w.insert("queue", w.random.IntN(50))
			w.update("few", w.random.Float64()/2)
			if w.random.IntN(20) == 0 { // the service was away
				w.now = w.now.Add(time.Duration(w.random.IntN(300)) * time.Minute)
			}
			if s := j.see(w.point()); len(s) > 0 {
				t.Fatalf("seed %d: %v", seed, s)
			}
		}
	}
}

// After a time without recovery points more has changed than usual; that is no
// alarm, and the same change in the usual time is one.
func TestALongGapIsNotSuspect(t *testing.T) {
	for _, gap := range []time.Duration{0, 10 * time.Hour} {
		w, j := newWorld(5), watch{}
		w.table("stock", 3000)
		for range 20 {
			w.update("stock", 0.02)
			j.see(w.point())
		}
		w.update("stock", 0.7)
		w.now = w.now.Add(gap)
		if s := j.see(w.point()); (len(s) == 0) != (gap > 0) {
			t.Errorf("after %s: %v", gap, s)
		}
	}
}

// What an attack does is told at its table and at no other, whatever the size
// of the table and however its life was before.
func TestAttacksAreSuspect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, j := newWorld(rapid.Uint64().Draw(t, "seed")), watch{}
		rows := rapid.IntRange(100, 3000).Draw(t, "rows")
		churn := rapid.Float64Range(0, 0.2).Draw(t, "churn")
		for _, name := range []string{"hit", "other"} {
			w.table(name, rows)
		}
		w.canaries["bird"] = Canary{Definition: "d", Table: "hit", Value: "alive"}
		for range rapid.IntRange(5, 12).Draw(t, "points") {
			for name := range w.tables {
				w.update(name, churn*w.random.Float64())
				w.insert(name, w.random.IntN(1+rows/20))
			}
			if s := j.see(w.point()); len(s) > 0 {
				t.Fatalf("before the attack: %v", s)
			}
		}
		kind, at := w.attack(rapid.IntRange(0, 5).Draw(t, "attack"))
		s := j.see(w.point())
		if len(s) != 1 || s[0].Kind != kind || s[0].Table != at || s[0].Detail == "" {
			t.Fatalf("%s at %s is told as %v", kind, at, s)
		}
		if s := j.see(w.point()); len(s) > 0 {
			t.Fatalf("afterwards, when nothing happened: %v", s)
		}
	})
}

func (w *world) attack(which int) (kind, table string) {
	hit := w.tables["hit"]
	switch which {
	case 0: // TRUNCATE
		hit.rows = nil
		return RowsCollapsed, "hit"
	case 1: // DELETE of most
		w.remove("hit", len(hit.rows)*6/10)
		return RowsCollapsed, "hit"
	case 2: // UPDATE without WHERE
		w.update("hit", 1)
		return RowsChanged, "hit"
	case 3: // DROP TABLE
		delete(w.tables, "hit")
		return SchemaShrunk, "hit"
	case 4: // DROP COLUMN: all rows look different
		hit.columns = hit.columns[:1]
		w.update("hit", 1)
		return SchemaShrunk, "hit"
	default:
		w.canaries["bird"] = Canary{Definition: "d", Table: "hit", Value: "dead"}
		return CanaryAltered, "bird"
	}
}

// However often something was judged fine, the next time is told again: what
// was suspect is never ordinary.
func TestTheNextOneIsTold(t *testing.T) {
	w, j := newWorld(1), watch{}
	w.table("orders", 1000)
	for range 10 {
		w.update("orders", 0.01)
		j.see(w.point())
	}
	for n := range 40 {
		before := len(w.tables["orders"].rows)
		w.remove("orders", before*8/10)
		if s := j.see(w.point()); len(s) != 1 || s[0].Kind != RowsCollapsed {
			t.Fatalf("collapse %d: %v", n+1, s)
		}
		w.insert("orders", before-len(w.tables["orders"].rows))
		j.see(w.point())
		w.update("orders", 0.9)
		if s := j.see(w.point()); len(s) != 1 || s[0].Kind != RowsChanged {
			t.Fatalf("change %d: %v", n+1, s)
		}
	}
}

// The past raises limits and never lowers them.
func TestLimitsAreAtLeastAsConfigured(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.Float64Range(0, 1)
		seen := rapid.SliceOfN(share, 0, past).Draw(t, "seen")
		configured := rapid.Float64Range(0, 1.5).Draw(t, "configured")
		lapse := rapid.Float64Range(1, 1000).Draw(t, "lapse")
		limit := limitFrom(configured, seen, lapse)
		if limit < configured || len(seen) >= enough && limit < slices.Max(seen)-1e-12 {
			t.Fatalf("the limit is %v with %v configured and %v seen", limit, configured, seen)
		}
		if len(seen) < enough && limit != configured {
			t.Fatalf("%d measures move the limit", len(seen))
		}
	})
}

// When the data has gone back to how it was before the doubt, that is no alarm,
// though everything is different from the point before.
func TestGoingBackIsNotSuspect(t *testing.T) {
	w, j := newWorld(2), watch{}
	w.table("orders", 1000)
	w.canaries["bird"] = Canary{Definition: "d", Value: "alive"}
	for range 8 {
		j.see(w.point())
	}
	clean := *j.last
	saved := slices.Clone(w.tables["orders"].rows)
	w.update("orders", 1)
	w.canaries["bird"] = Canary{Definition: "d", Value: "dead"}
	if s := j.see(w.point()); len(s) != 2 {
		t.Fatalf("the attack: %v", s)
	}
	bad := *j.last
	w.tables["orders"].rows = saved
	w.canaries["bird"] = Canary{Definition: "d", Value: "alive"}
	back := w.point()
	if s := Judge(&bad, nil, back, preset); len(s) != 2 {
		t.Errorf("without the clean one: %v", s)
	}
	if s := Judge(&bad, &clean, back, preset); len(s) != 0 {
		t.Errorf("with it: %v", s)
	}
	w.remove("orders", 900)
	if s := Judge(&bad, &clean, w.point(), preset); len(s) != 1 || s[0].Kind != RowsCollapsed {
		t.Errorf("another attack: %v", s)
	}
}

func TestWhatIsLeftOut(t *testing.T) {
	w, j := newWorld(3), watch{}
	w.table("hit", 1000)
	w.canaries["bird"] = Canary{Definition: "d", Value: "alive"}
	for range 8 {
		j.see(w.point())
	}
	before := *j.last
	delete(w.tables, "hit")
	gone := w.point()
	other := gone
	other.Scope = "less"
	for name, test := range map[string]struct {
		now    Point
		change func(*Limits)
		want   int
	}{
		"as configured":       {gone, func(*Limits) {}, 1},
		"another scope":       {other, func(*Limits) {}, 0},
		"schema not watched":  {gone, func(l *Limits) { l.Schema = false }, 0},
		"table not watched":   {gone, func(l *Limits) { l.Ignored = func(t string) bool { return t == "hit" } }, 0},
		"another not watched": {gone, func(l *Limits) { l.Ignored = func(t string) bool { return t == "other" } }, 1},
	} {
		l := preset
		test.change(&l)
		if s := Judge(&before, nil, test.now, l); len(s) != test.want {
			t.Errorf("%s: %v", name, s)
		}
	}
}

// A canary that cannot be read is told when it begins, and another definition
// begins anew.
func TestCanaries(t *testing.T) {
	alive, dead := Canary{Definition: "d", Value: "alive"}, Canary{Definition: "d", Value: "dead"}
	lost, lostSince := Canary{Definition: "d", Error: "no such table"}, Canary{Definition: "d", Error: "still none"}
	for name, test := range map[string]struct {
		before, now map[string]Canary
		want        int
	}{
		"as it was":                {map[string]Canary{"a": alive}, map[string]Canary{"a": alive}, 0},
		"altered":                  {map[string]Canary{"a": alive}, map[string]Canary{"a": dead}, 1},
		"new":                      {nil, map[string]Canary{"a": alive}, 0},
		"no longer configured":     {map[string]Canary{"a": alive}, nil, 0},
		"read in another way":      {map[string]Canary{"a": alive}, map[string]Canary{"a": {Definition: "e", Value: "dead"}}, 0},
		"not to be read":           {map[string]Canary{"a": alive}, map[string]Canary{"a": lost}, 1},
		"never to be read":         {nil, map[string]Canary{"a": lost}, 1},
		"not to be read for long":  {map[string]Canary{"a": lost}, map[string]Canary{"a": lostSince}, 0},
		"read again":               {map[string]Canary{"a": lost}, map[string]Canary{"a": alive}, 0},
		"two, of which one is odd": {map[string]Canary{"a": alive, "b": alive}, map[string]Canary{"a": alive, "b": dead}, 1},
	} {
		if s := canaries(test.before, test.now); len(s) != test.want {
			t.Errorf("%s: %v", name, s)
		}
	}
}

// Whatever becomes of a table with few rows is no alarm, unless it goes.
func TestSmallTablesDoNotCryWolf(t *testing.T) {
	w, j := newWorld(4), watch{}
	w.table("accounts", 99)
	for range 30 {
		if s := j.see(w.point()); len(s) > 0 {
			t.Fatalf("quiet: %v", s)
		}
	}
	w.update("accounts", 1)
	if s := j.see(w.point()); len(s) > 0 {
		t.Errorf("changed: %v", s)
	}
	w.tables["accounts"].rows = nil
	if s := j.see(w.point()); len(s) > 0 {
		t.Errorf("emptied: %v", s)
	}
	delete(w.tables, "accounts")
	if s := j.see(w.point()); len(s) != 1 {
		t.Errorf("dropped: %v", s)
	}
}

package selection

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func at(hours float64) time.Time { return start.Add(time.Duration(hours * float64(time.Hour))) }

func choose(t *testing.T, rule Rule, points []Point, seed string) Choice {
	t.Helper()
	c, ok := Choose(rule, points, seed, at(1000), 30*24*time.Hour)
	if !ok {
		t.Fatalf("%s: nothing was chosen", rule)
	}
	return c
}

func TestRules(t *testing.T) {
	points := []Point{
		{ID: "a", Time: at(1), Looked: at(90), Proven: true, Restored: true, Schema: "one"},
		{ID: "b", Time: at(2), Looked: at(50), Restored: true, Schema: "one"},
		{ID: "c", Time: at(60), Schema: "two"},
		{ID: "d", Time: at(70), Schema: "two"},
		{ID: "e", Time: at(80), Looked: at(85), Proven: true, Restored: true, Schema: "three"},
		{ID: "f", Time: at(2000)}, // the clock was wrong
	}
	for rule, want := range map[Rule]Choice{
		Latest:   {ID: "e", Population: 6, Proven: 2},
		Oldest:   {ID: "a", Population: 6, Proven: 2},
		Rotation: {ID: "b", Population: 6, Proven: 2},
		Schema:   {ID: "d", Population: 1},
	} {
		want.Rule = rule
		if got := choose(t, rule, points, "seed"); got != want {
			t.Errorf("%s: got %+v, want %+v", rule, got, want)
		}
	}
	// A proof that could not be carried out does not hold up the others for ever.
	points[1].Failed = at(999)
	if got := choose(t, Rotation, points, "").ID; got != "c" {
		t.Errorf("rotation past one that failed: %s", got)
	}
	points[1].Failed = at(1000 - 8*24)
	if got := choose(t, Rotation, points, "").ID; got != "b" {
		t.Errorf("rotation some days after one that failed: %s", got)
	}
	for _, rule := range Rules {
		if _, ok := Choose(rule, nil, "", at(0), 0); ok {
			t.Errorf("%s: chosen from nothing", rule)
		}
	}
	if _, ok := Choose(Schema, points[:2], "", at(0), 0); ok {
		t.Error("a schema that is known was chosen")
	}
}

// What the manual says of random choices: sha256sum of seed, colon and ID, and
// the lowest wins.
func TestRandomChoiceCanBeRepeatedByHand(t *testing.T) {
	script := `for id in 3f9c2ab10001 3f9c2ab10002 3f9c2ab10003 3f9c2ab10004; do echo "$(printf %s "$1:$id" | sha256sum | cut -d" " -f1) $id"; done | sort | head -1 | cut -d" " -f2`
	var points []Point
	for i := range 4 {
		points = append(points, Point{ID: fmt.Sprintf("3f9c2ab1000%d", i+1), Time: at(float64(i))})
	}
	seen := map[string]bool{}
	for _, seed := range []string{"audit 2026", "b7e1", "c", "d", "e", "f", "g", "h"} {
		out, err := exec.Command("sh", "-c", script, "sh", seed).Output()
		if err != nil {
			t.Fatal(err)
		}
		got := choose(t, Random, points, seed)
		if want := strings.TrimSpace(string(out)); got.ID != want || got.Seed != seed {
			t.Errorf("seed %q: chose %s, by hand %s", seed, got.ID, want)
		}
		seen[got.ID] = true
	}
	if len(seen) < 3 {
		t.Errorf("eight seeds chose only %v", seen)
	}
}

// A change is a definition that nobody has looked at, whatever they found.
func TestChanged(t *testing.T) {
	points := []Point{
		{ID: "a", Time: at(1), Looked: at(90), Restored: true, Schema: "one"},
		{ID: "b", Time: at(70), Schema: "one"},
		{ID: "c", Time: at(60), Schema: "two"},
		{ID: "d", Time: at(70), Schema: "two"},
		{ID: "e", Time: at(80), Looked: at(85), Schema: "three"}, // a difference was found
		{ID: "f", Time: at(81), Schema: "three"},
		{ID: "g", Time: at(90), Failed: at(91), Schema: "four"},
		{ID: "h", Time: at(95)}, // made before definitions were noted
	}
	var got string
	for _, p := range Changed(points) {
		got += p.ID
	}
	if got != "gd" {
		t.Errorf("changed: %q, want %q", got, "gd")
	}
}

func somePoints(t *rapid.T) []Point {
	n := rapid.IntRange(1, 30).Draw(t, "points")
	out := make([]Point, n)
	for i := range out {
		out[i] = Point{
			ID: fmt.Sprintf("%012x", i), Time: at(float64(rapid.IntRange(0, 50).Draw(t, "time"))),
			Schema: rapid.SampledFrom([]string{"", "one", "two"}).Draw(t, "schema"), Restored: rapid.Bool().Draw(t, "restored"),
		}
		if rapid.Bool().Draw(t, "looked") {
			out[i].Looked = at(float64(rapid.IntRange(50, 99).Draw(t, "looked at")))
		}
		out[i].Proven = out[i].Restored && rapid.Bool().Draw(t, "proven")
	}
	return out
}

// The order in which points are told must not matter, nor for a random choice
// what else is there, unless that wins.
func TestChoicesDependOnThePointsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		points := somePoints(t)
		seed := rapid.String().Draw(t, "seed")
		for _, rule := range append(Rules, Schema) {
			a, okA := Choose(rule, points, seed, at(100), time.Hour)
			mixed := slices.Clone(points)
			rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "shuffle"))).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
			b, okB := Choose(rule, mixed, seed, at(100), time.Hour)
			if a != b || okA != okB {
				t.Fatalf("%s: %+v or %+v", rule, a, b)
			}
			if rule == Random {
				without := slices.DeleteFunc(mixed, func(p Point) bool { return p.ID != a.ID && rapid.Bool().Draw(t, "gone") })
				if c, _ := Choose(rule, without, seed, at(100), time.Hour); c.ID != a.ID {
					t.Fatalf("random: %s without some that were not chosen, %s with them", c.ID, a.ID)
				}
			}
		}
	})
}

// world is proofs on schedule over simulated time: sites take turns, points come
// and go, and each proof comes to a verdict.
type world struct {
	points map[string]*Point
	proven map[string]map[string]bool // site, id
	past   map[string][]Rule
	pace   Pace
	now    time.Time
	next   int
}

func newWorld(pace Pace) *world {
	w := &world{points: map[string]*Point{}, proven: map[string]map[string]bool{}, past: map[string][]Rule{}, pace: pace, now: start}
	for i := range pace.Sites {
		w.proven[fmt.Sprint(i)] = map[string]bool{}
	}
	return w
}

func (w *world) at(site string) []Point {
	var out []Point
	for _, p := range w.points {
		q := *p
		q.Proven = w.proven[site][p.ID]
		out = append(out, q)
	}
	slices.SortFunc(out, func(a, b Point) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (w *world) prove(seed string) Choice {
	site := fmt.Sprint(w.next % w.pace.Sites)
	w.next++
	points := w.at(site)
	rule := Turn(points, w.past[site], w.now, w.pace)
	c, ok := Choose(rule, points, seed, w.now, w.pace.Bound)
	if !ok {
		return c
	}
	w.past[site] = append([]Rule{rule}, w.past[site]...)
	p := w.points[c.ID]
	p.Looked, p.Restored = w.now, true
	w.proven[site][c.ID] = true
	return c
}

// As long as the outlook says that the bound is met, it is: no kept point goes
// unseen for longer, however many sites there are and whatever else is proven in
// between. And the outlook promises it whenever the pace is enough for all.
func TestTheOutlookTellsTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pace := Pace{
			Every: time.Hour, Sites: rapid.IntRange(1, 3).Draw(t, "sites"),
			Bound: time.Duration(rapid.IntRange(10, 80).Draw(t, "bound")) * time.Hour,
		}
		w := newWorld(pace)
		kept := rapid.IntRange(1, 25).Draw(t, "kept")
		made, every := 0, rapid.IntRange(1, 40).Draw(t, "a point each so many hours")
		changes := rapid.IntRange(1, 9).Draw(t, "the definitions change each so many points")
		promised := 0
		for hour := range 400 {
			w.now = at(float64(hour))
			if hour%every == 0 {
				id := fmt.Sprintf("%012x", made)
				made++
				w.points[id] = &Point{ID: id, Time: w.now, Schema: fmt.Sprint(made / changes)}
				if gone := made - kept - 1; gone >= 0 {
					delete(w.points, fmt.Sprintf("%012x", gone)) // unannounced: the outlook counted on it
				}
			}
			outlook := Look(w.at("0"), w.now, pace)
			if outlook.Late > 0 && promised > 0 && fits(pace, kept) {
				t.Fatalf("hour %d: %d are late, though the pace is enough: %+v", hour, outlook.Late, outlook)
			}
			if outlook.Met() {
				promised++
			}
			w.prove(fmt.Sprint(hour))
		}
		if fits(pace, kept) && promised < 400 {
			t.Fatalf("promised in %d of 400 hours, though the pace is enough: %+v", promised, Look(w.at("0"), w.now, pace))
		}
	})
}

// fits is whether all points can be seen in one bound: schema changes take some
// turns, and the first round some more.
func fits(o Pace, kept int) bool {
	return time.Duration(kept+2)*2*o.Every*rareSchema/(rareSchema-1)+2*o.slack() <= o.Bound
}

// Without any slack the rotation still comes round: nobody waits for longer than
// it takes to prove everybody else.
func TestRotationStarvesNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pace := Pace{Every: time.Hour, Sites: rapid.IntRange(1, 3).Draw(t, "sites"), Bound: 5 * time.Hour}
		w := newWorld(pace)
		kept := rapid.IntRange(2, 20).Draw(t, "kept")
		for i := range kept {
			w.points[fmt.Sprint(i)] = &Point{ID: fmt.Sprint(i), Time: start}
		}
		if o := Look(w.at("0"), start.Add(time.Minute), pace); kept > 2 && o.Met() {
			t.Fatalf("%d in five hours, one each two: %+v", kept, o)
		}
		rounds := 2*kept + 4*pace.Sites
		for hour := range rounds {
			w.now = at(float64(hour))
			w.prove("")
		}
		for id, p := range w.points {
			if !p.Restored {
				t.Fatalf("%s of %d was not proven in %d rounds", id, kept, rounds)
			}
		}
	})
}

// The latest comes every other time at each site while there is a new one; the
// rest is shared out.
func TestTurns(t *testing.T) {
	w := newWorld(Pace{Every: time.Hour, Sites: 2, Bound: 60 * 24 * time.Hour})
	rules := map[string]map[Rule]int{"0": {}, "1": {}}
	for hour := range 400 {
		w.now = at(float64(hour))
		if hour < 20 || hour%5 == 0 {
			id := fmt.Sprintf("%012x", hour)
			w.points[id] = &Point{ID: id, Time: w.now, Schema: "one", Goes: w.now.Add(30 * 24 * time.Hour)}
		}
		c := w.prove(fmt.Sprint(hour))
		rules[fmt.Sprint(hour%2)][c.Rule]++
	}
	for site, count := range rules {
		if count[Latest] < 60 || count[Rotation] < 50 || count[Random] < 10 || count[Oldest] < 5 || count[Schema] > 1 {
			t.Errorf("site %s: %v", site, count)
		}
	}
}

func TestOutlook(t *testing.T) {
	day := 24 * time.Hour
	points := []Point{
		{ID: "a", Time: at(0), Looked: at(0), Restored: true},
		{ID: "b", Time: at(24)},
		{ID: "c", Time: at(48)},
		{ID: "d", Time: at(48), Goes: at(72)},
	}
	pace := Pace{Every: day, Sites: 2, Bound: 10 * day}
	got := Look(points, at(48), pace)
	if got.Points != 4 || got.Proven != 1 || !got.OldestUnproven.Equal(at(24)) || got.Wanted != 3 || got.Late != 0 {
		t.Errorf("outlook %+v", got)
	}
	// a falls due in 8 days, b in 9, c in 10; turns come in 6, 8 and 10 days.
	if !got.Met() || got.Every < day || got.Every > day*4/3 {
		t.Errorf("outlook %+v", got)
	}
	pace.Every = got.Every
	if o := Look(points, at(48), pace); !o.Met() {
		t.Errorf("at the pace that was said to do: %+v", o)
	}
	pace.Every = got.Every + got.Every/50 + time.Hour
	if o := Look(points, at(48), pace); o.Met() || o.Missed == 0 {
		t.Errorf("slower than that: %+v", o)
	}
	pace.Every = day
	if o := Look(points, at(24*11), pace); o.Late != 1 || o.Met() {
		t.Errorf("too late: %+v", o)
	}
	pace.Bound = 0
	if o := Look(points, at(24*1000), pace); !o.Met() || o.Wanted != 0 {
		t.Errorf("without a bound: %+v", o)
	}
}

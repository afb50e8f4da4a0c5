package retention

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// history is a function's life: runs that succeed and fail, sites that are
// away and come back, proofs, holds, clocks that jump, and pruning meanwhile.
type history struct {
	*rapid.T
	r      *rand.Rand
	policy Policy
	sites  []string
	now    time.Time // the true time
	pace   time.Duration
	prune  int  // one step in so many prunes; 0: none does
	skewed bool // whether points may bear wrong times
	away   map[string]bool
	all    map[string]*Point // every point there ever was, as last seen
	alive  []*Point          // those that no prune has taken
	prunes int
	lastID int
}

func newHistory(t *rapid.T) *history {
	seed := rapid.Uint64().Draw(t, "seed")
	return &history{
		T: t, r: rand.New(rand.NewPCG(seed, 2)), policy: somePolicy(t), sites: slices.Clone(both),
		now:    time.Date(2016, 11, 23, 0, 0, 0, 0, time.UTC),
		pace:   rapid.SampledFrom([]time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}).Draw(t, "pace"),
		prune:  rapid.SampledFrom([]int{1, 2, 10, 100, 0}).Draw(t, "prune one step in"),
		skewed: rapid.Bool().Draw(t, "points bear wrong times"),
		away:   map[string]bool{}, all: map[string]*Point{},
	}
}

// oneIn says true once in n times.
func (h *history) oneIn(n int) bool { return n > 0 && h.r.IntN(n) == 0 }

// jump is a duration of any size from seconds to years.
func (h *history) jump() time.Duration { return time.Second << h.r.IntN(26) }

// step lets time go on by about one interval.
func (h *history) step() {
	h.now = h.now.Add(time.Duration(h.r.Int64N(int64(2 * h.pace))))
	if h.oneIn(50) { // nothing runs for a while
		h.now = h.now.Add(time.Duration(h.r.Int64N(int64(100 * h.pace))))
	}
	for _, s := range h.sites {
		if h.oneIn(20) {
			h.away[s] = !h.away[s]
		}
	}
	if !h.oneIn(5) { // else the run failed
		h.capture(h.now)
	}
	for _, s := range h.sites {
		if !h.away[s] {
			h.catchUp(s)
		}
	}
	h.people()
	if h.oneIn(h.prune) {
		h.decide(h.clock())
	}
}

func (h *history) capture(when time.Time) {
	if h.skewed && h.oneIn(10) {
		if d := h.jump(); h.oneIn(2) {
			when = when.Add(d)
		} else {
			when = when.Add(-d)
		}
	}
	h.lastID++
	p := &Point{ID: fmt.Sprintf("%05d", h.lastID), Time: when}
	h.all[p.ID] = p
	h.alive = append(h.alive, p)
}

// catchUp brings a site some of what it lacks, in any order.
func (h *history) catchUp(site string) {
	order := slices.Clone(h.alive)
	if h.oneIn(2) {
		slices.Reverse(order)
	}
	for _, p := range order {
		if h.oneIn(8) {
			return // the rest comes later
		}
		if !slices.Contains(p.Sites, site) {
			p.Sites = append(p.Sites, site)
		}
	}
}

// people prove, hold and release points.
func (h *history) people() {
	if len(h.alive) == 0 {
		return
	}
	p := h.alive[len(h.alive)-1]
	if h.oneIn(3) {
		p = h.alive[h.r.IntN(len(h.alive))]
	}
	if h.oneIn(5) && len(p.Sites) > 0 {
		site := p.Sites[h.r.IntN(len(p.Sites))]
		if !slices.Contains(p.Proven, site) {
			p.Proven = append(p.Proven, site)
		}
	}
	if h.oneIn(30) {
		p.Held = "reason"
	} else if h.oneIn(10) {
		p.Held = ""
	}
}

// clock is the time as a decision sees it. It may be behind. It may be ahead
// only where no point bears a time that is still to come.
func (h *history) clock() time.Time {
	switch {
	case h.oneIn(5):
		return h.now.Add(-h.jump())
	case h.oneIn(5) && !h.skewed:
		return h.now.Add(h.jump())
	}
	return h.now
}

func values(points []*Point) []Point {
	out := make([]Point, len(points))
	for i, p := range points {
		out[i] = *p
		out[i].Sites, out[i].Proven = slices.Clone(p.Sites), slices.Clone(p.Proven)
	}
	return out
}

func (h *history) everything() []Point {
	var out []*Point
	for _, p := range h.all {
		out = append(out, p)
	}
	return values(out)
}

// decide prunes. What goes is never seen again.
func (h *history) decide(now time.Time) {
	before := values(h.alive)
	left := ids(kept(Decide(&h.policy, before, h.sites, now)))
	if h.prunes++; h.prunes%97 == 0 {
		if diff := cmp.Diff(model(h.policy, before, h.sites, now), left); diff != "" {
			h.Fatalf("a prune (-model +Decide):\n%s", diff)
		}
	}
	h.alive = slices.DeleteFunc(h.alive, func(p *Point) bool {
		_, ok := slices.BinarySearch(left, p.ID)
		return !ok
	})
}

// steps is how long a history is.
func steps(t *rapid.T) int { return rapid.IntRange(1, 500).Draw(t, "steps") }

// TestPruningOftenEndsWherePruningOnceDoes is the promise: whatever was pruned
// whenever, by whatever clock that was behind, in the end exactly that is kept
// which one decision about everything there ever was would keep.
func TestPruningOftenEndsWherePruningOnceDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range steps(t) {
			h.step()
		}
		h.decide(h.now)
		want, got := model(h.policy, h.everything(), h.sites, h.now), ids(values(h.alive))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("after %d prunes of %d points (-all at once +as it went):\n%s", h.prunes, len(h.all), diff)
		}
		h.checkPromises()
	})
}

// checkPromises: a rule of n has kept points of n periods, or of all that ever
// had one, taken together and at each site alone.
func (h *history) checkPromises() {
	due := func(p Point) bool { return !p.Time.After(h.now) && anywhere(h.sites)(p) }
	ever, left := where(h.everything(), due), where(values(h.alive), due)
	views := map[string]func(Point) bool{"all sites": due}
	for _, s := range h.sites {
		views[s] = heldAt(s)
	}
	for name, view := range views {
		for rule, n := range counts(h.policy) {
			had, has := len(periodsOf(rule, where(ever, view))), len(periodsOf(rule, where(left, view)))
			if has < min(n, had) {
				h.Fatalf("%s: %s %d was promised of %d that there were; %d are left", name, rule, n, had, has)
			}
		}
	}
}

// TestSitesThatLoseWhatTheyHad: buckets made anew, objects gone, sites that
// come later. What another site holds still fulfils the rules.
func TestSitesThatLoseWhatTheyHad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for i := range steps(t) {
			h.step()
			if h.oneIn(20) {
				h.lose(h.sites[h.r.IntN(len(h.sites))])
			}
			if i == 200 {
				h.sites = append(h.sites, "vault")
			}
		}
		h.decide(h.now)
		due := where(h.everything(), func(p Point) bool { return !p.Time.After(h.now) && anywhere(h.sites)(p) })
		for rule, n := range counts(h.policy) {
			if lost := without(ids(asked(rule, n, due)), ids(values(h.alive))); lost != "" {
				t.Fatalf("%s %d: %s are gone", rule, n, lost)
			}
		}
	})
}

// lose takes points from a site that another one holds too.
func (h *history) lose(site string) {
	all := h.oneIn(2)
	for _, p := range h.alive {
		if len(p.Sites) > 1 && (all || h.oneIn(3)) {
			p.Sites = slices.DeleteFunc(p.Sites, func(s string) bool { return s == site })
		}
	}
}

// TestClockThatWasAhead: points captured, and decisions made, by a clock that
// is ahead for a while. What they displace is no more than what they make
// themselves; without a decision meanwhile it is nothing.
func TestClockThatWasAhead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		h.skewed = false
		for range steps(t) {
			h.step()
		}
		ahead, decided := time.Duration(1+h.r.Int64N(int64(2000*h.pace))), rapid.Bool().Draw(t, "decide meanwhile")
		for range rapid.IntRange(1, 30).Draw(t, "steps ahead") {
			h.now = h.now.Add(time.Duration(1 + h.r.Int64N(int64(2*h.pace))))
			h.capture(h.now.Add(ahead))
			h.catchUp("onsite")
			if decided {
				h.decide(h.now.Add(ahead))
			}
		}
		h.decide(h.now)
		honest := func(p Point) bool { return !p.Time.After(h.now) && anywhere(h.sites)(p) }
		wrong := where(h.everything(), func(p Point) bool { return p.Time.After(h.now) })
		for rule, n := range counts(h.policy) {
			if decided {
				n -= len(periodsOf(rule, wrong))
			}
			if lost := without(ids(asked(rule, n, where(h.everything(), honest))), ids(values(h.alive))); lost != "" {
				t.Fatalf("%s: %s are gone, though %d are owed", rule, lost, n)
			}
		}
		if lost := without(ids(wrong), ids(values(h.alive))); lost != "" {
			t.Fatalf("points ahead of the clock were dropped: %s", lost)
		}
	})
}

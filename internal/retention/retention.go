// Package retention decides which recovery points of a function are kept. It
// is pure: no clock, no state, and deciding often ends in the same as deciding
// once.
//
// A rule of n periods keeps the newest point of each of the newest n periods
// that have one. Periods are of UTC and weeks begin on Monday. Only periods
// with a point count, so a run that failed never costs one. A point counts
// when a site could give it back. Each site has the rules to itself: one that
// has not got the newest point of a day yet keeps the newest that it has.
//
// # What is guaranteed
//
// While sites lose nothing, let S be all the points that a function ever had,
// each as it was last seen:
//
//   - Deciding on what earlier decisions left keeps exactly what deciding on
//     all of S keeps, however often and whenever that happened. So for each
//     rule the newest of each of the newest n periods of S is there.
//   - A decision by a clock that is behind loses nothing: what seems to be
//     ahead of it is kept and not counted, and of the rest no less is kept.
//     The next decision by the right clock ends where a steady one does.
//
// What is not: points that bear a wrong time stand where their time says. When
// they are ahead, and a decision is made by that same clock, they take the
// place of as many of the oldest periods as they make themselves, not of more.
// When they are behind, they may be the newest of their period, or be dropped
// as old ones once the clock is right.
package retention

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Policy says how many points are kept: the Last newest ones, and the newest
// of each of so many hours, days, weeks, months and years. Zero and less: that
// rule keeps nothing.
type Policy struct{ Last, Hourly, Daily, Weekly, Monthly, Yearly int }

// Point is a recovery point as far as keeping it goes.
type Point struct {
	// ID tells points apart. It decides between points of the same time.
	ID string
	// Time is the consistency point.
	Time time.Time
	// Sites are those that hold it whole: each could give it back alone.
	Sites []string
	// Proven are the sites from which a proof of it passed.
	Proven []string
	// Held is the reason why somebody wants it kept; "" when nobody does.
	Held string
	// Suspect tells that something looks wrong in it and nobody has judged it,
	// Doubtful that it is such a point or was taken after one.
	Suspect, Doubtful bool
}

// Decision is what becomes of a point.
type Decision struct {
	Point
	Keep bool
	// Reasons are why it is kept, or why not; for people. There is at least
	// one.
	Reasons []string
}

// Decide says which of the points are kept at that time, and why, newest
// first. Sites are those of the configuration; other ones do not count. Without
// a policy everything is kept.
//
// Whatever the policy says, these are kept: of each site the newest point that
// it holds and the newest proven from it, the newest that all sites hold, the
// newest that is proven at all, points that are held, points that a site has
// not got yet, and points ahead of now. While points are in doubt the same goes
// for the newest of those that are not, and what looks wrong is kept until
// somebody has judged it.
func Decide(p *Policy, points []Point, sites []string, now time.Time) []Decision {
	d := newDecider(points, sites, now)
	if p == nil {
		for i := range d.line {
			d.keep(int32(i), "everything is kept: the function has no rules")
		}
	} else {
		d.rules(*p)
	}
	d.floors()
	d.unsettled()
	if p != nil {
		d.explainDropped(*p)
	}
	return d.line
}

// decider holds the points of one decision in order.
type decider struct {
	line  []Decision // newest first
	secs  []int64    // their times, in seconds since 1970
	sites []string
	now   time.Time
	// counted are those that a site could give back and that are not ahead of
	// now, by their place in line.
	counted []int32
	// chosen are what the rules picked among all that count.
	chosen []picked
}

func newDecider(points []Point, sites []string, now time.Time) *decider {
	type entry struct {
		sec  int64
		nsec int32
		at   int32
	}
	order := make([]entry, len(points))
	for i, p := range points {
		order[i] = entry{p.Time.Unix(), int32(p.Time.Nanosecond()), int32(i)}
	}
	slices.SortFunc(order, func(a, b entry) int {
		if a.sec != b.sec {
			return cmp.Compare(b.sec, a.sec)
		}
		return cmp.Or(cmp.Compare(b.nsec, a.nsec), strings.Compare(points[b.at].ID, points[a.at].ID))
	})
	d := &decider{line: make([]Decision, len(points)), secs: make([]int64, len(points)), now: now.Round(0)}
	for _, s := range sites {
		if !slices.Contains(d.sites, s) {
			d.sites = append(d.sites, s)
		}
	}
	for i, e := range order {
		d.line[i].Point, d.secs[i] = points[e.at], e.sec
		if !d.ahead(int32(i)) && d.restorable(int32(i)) {
			d.counted = append(d.counted, int32(i))
		}
	}
	return d
}

func (d *decider) keep(i int32, reason string) {
	d.line[i].Keep = true
	d.line[i].Reasons = append(d.line[i].Reasons, reason)
}

// ahead says whether the point seems to come from the future. A clock was
// wrong then, nobody knows which.
func (d *decider) ahead(i int32) bool { return d.line[i].Time.Round(0).After(d.now) }

func (d *decider) holds(site string, i int32) bool { return slices.Contains(d.line[i].Sites, site) }

// restorable says whether a site could give the point back.
func (d *decider) restorable(i int32) bool {
	for _, s := range d.sites {
		if d.holds(s, i) {
			return true
		}
	}
	return false
}

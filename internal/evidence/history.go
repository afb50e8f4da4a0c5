package evidence

import (
	"cmp"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/objective"
)

// Reader is a log that is searched: an open one, or the records of a bundle.
type Reader interface {
	// Size is the sequence after the newest record.
	Size() uint64
	// Records returns the records with from ≤ sequence < to, in order.
	Records(from, to uint64) iter.Seq2[Record, error]
	// Find returns the records of an act that were written in from ≤ time < to,
	// in order. An empty function means all, a zero time no bound.
	Find(act Act, function string, from, to time.Time) iter.Seq2[Record, error]
}

// lookBack are how far before a period the records are read for what was
// usable at its begin; when they tell of no recovery point that was, of all
// sites, one tries the next, and at last all there is.
var lookBack = []time.Duration{7 * 24 * time.Hour, 60 * 24 * time.Hour, math.MaxInt64}

// History returns all that the records tell of a function and that a period is
// judged by: read from the Days, and from the records themselves where there is
// no Day yet. Both give the same.
func History(log Reader, function string, from, to time.Time) (objective.History, error) {
	policies, err := Policies(log, function, to)
	if err != nil || len(policies) == 0 {
		return objective.History{}, err
	}
	for i, back := range lookBack {
		begin := policies[0].From
		if from.Sub(begin) > back { // Sub does not overflow
			begin = from.Add(-back)
		}
		h, err := historySince(log, function, begin, to)
		h.Policies = policies
		if err != nil || i == len(lookBack)-1 || begin.Equal(policies[0].From) || knownAt(h, from) {
			return h, err
		}
	}
	return objective.History{}, nil // not reached
}

// Policies returns what was promised of a function until a time, in order. Those
// that change nothing for it are left out.
func Policies(log Reader, function string, to time.Time) ([]objective.Policy, error) {
	var out []objective.Policy
	for r, err := range log.Find(ActPolicy, "", time.Time{}, to) {
		if err != nil {
			return nil, err
		}
		if r.Policy == nil {
			continue
		}
		f, promised := r.Policy.Functions[function]
		p := objective.Policy{From: r.Time}
		if promised {
			p.RPO, p.RTO, p.Sites = duration(f.RPOSeconds), duration(f.RTOSeconds), r.Policy.Sites
			if f.ProveLevel >= restoring {
				p.ProveEvery = duration(f.ProveEverySeconds)
			}
		}
		if n := len(out); n == 0 && promised || n > 0 && !samePromise(out[n-1], p) {
			out = append(out, p)
		}
	}
	return out, nil
}

func samePromise(a, b objective.Policy) bool {
	return a.RPO == b.RPO && a.RTO == b.RTO && a.ProveEvery == b.ProveEvery && slices.Equal(a.Sites, b.Sites)
}

func duration(seconds float64) time.Duration {
	return time.Duration(math.Round(seconds * float64(time.Second)))
}

// knownAt reports whether the history tells, of each site of the policy in force
// at that time, what was durable and what was proven there.
func knownAt(h objective.History, at time.Time) bool {
	var policy objective.Policy
	for _, p := range h.Policies {
		if !p.From.After(at) {
			policy = p
		}
	}
	has := func(arrivals []objective.Arrival) bool {
		return slices.ContainsFunc(arrivals, func(a objective.Arrival) bool { return !a.At.After(at) })
	}
	for _, site := range policy.Sites {
		if !has(h.Durable[site]) || policy.ProveEvery > 0 && !has(h.Proven[site]) {
			return false
		}
	}
	return true
}

// historySince tells the days from that of begin to that of to.
func historySince(log Reader, function string, begin, to time.Time) (objective.History, error) {
	c := newChronicle(int(to.Sub(begin)/(24*time.Hour)) + 1)
	if err := c.startFrom(log, function); err != nil {
		return objective.History{}, err
	}
	for day, err := range days(log, function, begin, to) {
		if err != nil {
			return objective.History{}, err
		}
		c.take(&day)
	}
	return clipped(c.finish(to), log), nil
}

// days returns the Day of each day from that of begin to that of to, or derives
// it from the records of the day.
func days(log Reader, function string, begin, to time.Time) iter.Seq2[Day, error] {
	return func(yield func(Day, error) bool) {
		first, last := begin.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly)
		next, err := firstOf(log, first, begin)
		if err != nil {
			yield(Day{}, err)
			return
		}
		// A Day is written when its day is over, and most are at once.
		for r, err := range log.Find(ActDay, function, begin, to.AddDate(0, 0, 2)) {
			if err == nil && (r.Day == nil || r.Day.Date < first || r.Day.Date > last || r.Day.First < next) {
				continue
			}
			if err != nil {
				yield(Day{}, err)
				return
			}
			if r.Day.First > next && !derive(log, function, next, r.Day.First, first, last, yield) {
				return
			}
			next = r.Day.Next
			if !yield(*r.Day, nil) {
				return
			}
		}
		derive(log, function, next, log.Size(), first, last, yield)
	}
}

// firstOf returns where the records of a day begin, or an earlier place.
func firstOf(log Reader, date string, at time.Time) (uint64, error) {
	next := uint64(0)
	for r, err := range log.Find(ActDay, "", at.AddDate(0, 0, -2), at.AddDate(0, 0, 2)) {
		if err != nil {
			return 0, err
		}
		if r.Day == nil {
			continue
		}
		if r.Day.Date < date {
			next = max(next, r.Day.Next)
		} else if r.Day.Date == date {
			whole, err := wasNotSetBack(log, date)
			if whole {
				next = max(next, r.Day.First)
			}
			return next, err
		}
	}
	return next, nil
}

// wasNotSetBack reports whether the clock was not set back on a day: the Day of
// one on which it was begins there, and not with the day.
func wasNotSetBack(log Reader, date string) (bool, error) {
	begin, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return false, err
	}
	for _, err := range log.Find(ActClock, "", begin, begin.AddDate(0, 0, 1)) {
		return false, err
	}
	return true, nil
}

// derive makes Days of the records with begin ≤ sequence < next, from the day
// first to the day last. It reports whether to go on.
func derive(log Reader, function string, begin, next uint64, first, last string, yield func(Day, error) bool) bool {
	var today []Record
	date := ""
	flush := func() bool {
		if date == "" {
			return true
		}
		day, err := DeriveDay(function, date, today[0].Sequence, today[0].Sequence+uint64(len(today)), each(today))
		return yield(day, err) && err == nil
	}
	for r, err := range log.Records(begin, next) {
		if err != nil {
			yield(Day{}, err)
			return false
		}
		of := r.Time.UTC().Format(time.DateOnly)
		if of > last {
			break
		}
		if of < first {
			continue
		}
		if of != date {
			if !flush() {
				return false
			}
			date, today = of, today[:0]
		}
		today = append(today, r)
	}
	return flush()
}

func each(records []Record) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// chronicle puts Days together, in their order.
type chronicle struct {
	h       objective.History
	open    map[uint64]DayOpen
	pending map[int64]int // by consistency point, the run whose point no site has yet
	end     time.Time     // of the last day
	days    int           // how many there may be
}

func newChronicle(days int) *chronicle {
	return &chronicle{
		days: days,
		h:    objective.History{Durable: map[string][]objective.Arrival{}, Proven: map[string][]objective.Arrival{}},
		open: map[uint64]DayOpen{}, pending: map[int64]int{},
	}
}

func (c *chronicle) take(d *Day) {
	c.until(d)
	begun := map[int64]int{} // by the start of a run that was not done, its place
	for _, f := range d.Failures {
		run := objective.Run{
			Started: moment(f.Started), Ended: moment(f.Ended),
			Failure: &objective.Failure{Outcome: string(f.Outcome), Error: f.Error, Site: f.Site},
		}
		if f.Intent != 0 {
			run.Started = run.Ended
			if o, known := c.open[f.Intent]; known {
				run.Started = moment(o.At)
			}
		}
		switch f.Act {
		case ActSnapshot:
			begun[f.Started] = len(c.h.Runs)
			c.h.Runs = append(c.h.Runs, run)
		case ActProof:
			c.h.Proofs = append(c.h.Proofs, run)
		}
	}
	c.points(&d.Points, begun)
	for _, n := range d.Closed {
		delete(c.open, n)
	}
	for _, o := range d.Open {
		c.open[o.Intent] = o
	}
	for i, s := range d.Silent {
		c.silent(objective.Period{From: moment(s[0]), To: moment(s[1])}, i == 0)
	}
}

// until notes that days that are left out had no records.
func (c *chronicle) until(d *Day) {
	begin, err := time.Parse(time.DateOnly, d.Date)
	if err != nil {
		return
	}
	if !c.end.IsZero() && begin.After(c.end) {
		c.silent(objective.Period{From: c.end, To: begin}, true)
	}
	c.end = begin.AddDate(0, 0, 1)
}

// points takes in the points of a day, column by column.
func (c *chronicle) points(p *DayPoints, begun map[int64]int) {
	at := make([]int64, len(p.Consistent))
	sum := int64(0)
	for i, since := range p.Consistent {
		sum += since
		at[i] = sum
	}
	reached := make([]int64, len(at)) // by the first site
	for site, column := range p.Durable {
		arrivals := c.h.Durable[site]
		if arrivals == nil {
			arrivals = make([]objective.Arrival, 0, c.room(len(at)))
		}
		for i, after := range column[:min(len(column), len(at))] {
			if after == 0 {
				continue
			}
			t := at[i] + after
			arrivals = append(arrivals, objective.Arrival{At: moment(t), Consistent: moment(at[i])})
			if reached[i] == 0 || t < reached[i] {
				reached[i] = t
			}
		}
		c.h.Durable[site] = arrivals
	}
	for site, pairs := range p.Proven {
		for pair := range slices.Chunk(pairs, 2) {
			if len(pair) == 2 && pair[0] >= 0 && pair[0] < int64(len(at)) {
				i := pair[0]
				c.h.Proven[site] = append(c.h.Proven[site], objective.Arrival{At: moment(at[i] + pair[1]), Consistent: moment(at[i])})
			}
		}
	}
	c.runs(p, at, reached, begun)
}

// room is for as many of something as there will be when each day is as the one
// at hand, within reason.
func (c *chronicle) room(today int) int { return min(today*c.days, 1<<20) }

// runs takes in the runs that the points came of.
func (c *chronicle) runs(p *DayPoints, at, reached []int64, begun map[int64]int) {
	if c.h.Runs == nil {
		c.h.Runs = make([]objective.Run, 0, c.room(len(at)))
	}
	size := int64(0)
	for i := range at {
		size += cell(p.Bytes, i)
		if n, waits := c.pending[at[i]]; waits && reached[i] != 0 {
			c.h.Runs[n].Ended = moment(reached[i])
			delete(c.pending, at[i])
		}
		before := cell(p.Started, i)
		if before == 0 {
			continue
		}
		run := objective.Run{Started: moment(at[i] - before), Ended: moment(reached[i]), Consistent: moment(at[i]), Bytes: size}
		n, there := begun[at[i]-before]
		if there {
			run.Failure = c.h.Runs[n].Failure
			c.h.Runs[n] = run
		} else {
			n = len(c.h.Runs)
			c.h.Runs = append(c.h.Runs, run)
		}
		if reached[i] == 0 {
			c.pending[at[i]] = n
		}
	}
}

// silent notes a stretch without records. One that a day begins with is one with
// the one that the day before ended with.
func (c *chronicle) silent(p objective.Period, begins bool) {
	if n := len(c.h.Silent); begins && n > 0 && !c.h.Silent[n-1].To.Before(p.From) {
		c.h.Silent[n-1].To = p.To
		return
	}
	c.h.Silent = append(c.h.Silent, p)
}

func (c *chronicle) finish(to time.Time) objective.History {
	for _, n := range slices.Sorted(maps.Keys(c.open)) {
		o := c.open[n]
		run := objective.Run{Started: moment(o.At)}
		switch o.Act {
		case ActSnapshot:
			c.h.Runs = append(c.h.Runs, run)
		case ActProof:
			c.h.Proofs = append(c.h.Proofs, run)
		}
	}
	byStart := func(a, b objective.Run) int {
		return cmp.Or(a.Started.Compare(b.Started), a.Consistent.Compare(b.Consistent))
	}
	slices.SortStableFunc(c.h.Runs, byStart)
	slices.SortStableFunc(c.h.Proofs, byStart)
	if !c.end.IsZero() && to.After(c.end) {
		c.silent(objective.Period{From: c.end, To: to}, true)
	}
	for i := range c.h.Silent {
		if c.h.Silent[i].To.After(to) {
			c.h.Silent[i].To = to // the rest of the day is not over
		}
	}
	c.h.Silent = slices.DeleteFunc(c.h.Silent, func(p objective.Period) bool { return p.To.Sub(p.From) <= Silence })
	return c.h
}

// moment is the time of milliseconds since 1970; 0 is no time.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

package evidence

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// restoring is the lowest level that restores: below it nothing is proven in
// the sense of proven exposure.
const restoring = "L3"

// maxDayError bounds what a Day tells of an error, in bytes.
const maxDayError = 200

// DeriveDay returns what the records with first ≤ sequence < next say of one
// function: all that were written on the UTC day date, "2026-11-25". Whoever
// writes a Day and whoever checks it derive it here. It is an error when one of
// the records is not there or is of another day.
func DeriveDay(function, date string, first, next uint64, records iter.Seq2[Record, error]) (Day, error) {
	begin, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return Day{}, fmt.Errorf("day %q: %w", date, err)
	}
	d, q := newDeriver(function), newQuiet(begin)
	from := first
	for r, err := range records {
		if err != nil {
			return Day{}, err
		}
		if r.Sequence < first {
			continue
		}
		if r.Sequence != first || first >= next {
			break
		}
		first++
		if err := q.take(&r); err != nil {
			return Day{}, err
		}
		d.take(&r)
	}
	if first != next {
		return Day{}, fmt.Errorf("day %s: record %d is not there", date, first)
	}
	return d.finish(date, from, next, q.finish()), nil
}

// quiet finds the stretches of a day without a record, of whatever function.
type quiet struct {
	begin, end int64 // of the day
	last       int64 // time of the record before
	any        bool
	silent     [][2]int64
}

func newQuiet(begin time.Time) *quiet {
	return &quiet{begin: begin.UnixMilli(), end: begin.AddDate(0, 0, 1).UnixMilli(), last: begin.UnixMilli()}
}

// take takes the next record, which must be of the day.
func (q *quiet) take(r *Record) error {
	at := r.Time.UnixMilli()
	if at < q.begin || at >= q.end {
		return fmt.Errorf("record %d is of %s, not of %s", r.Sequence, r.Time.UTC().Format(time.RFC3339), time.UnixMilli(q.begin).UTC().Format(time.DateOnly))
	}
	q.until(at, !q.any)
	q.any = true
	return nil
}

// until notes the stretch without records that ends at a time. One that the day
// begins or ends with is noted however short, if only of a moment: it is one with
// that of the day before or after.
func (q *quiet) until(at int64, edge bool) {
	if edge || at-q.last > Silence.Milliseconds() {
		q.silent = append(q.silent, [2]int64{q.last, at})
	}
	q.last = at
}

func (q *quiet) finish() [][2]int64 {
	q.until(q.end, true)
	return q.silent
}

// deriver sums up a day of one function.
type deriver struct {
	function string
	day      Day
	points   map[int64]*DayPoint // by consistency point
	open     map[uint64]DayOpen
}

func newDeriver(function string) *deriver {
	return &deriver{function: function, points: map[int64]*DayPoint{}, open: map[uint64]DayOpen{}}
}

// take takes the next record of the day, of whatever function.
func (d *deriver) take(r *Record) {
	if r.Function != d.function || r.Function == "" {
		return
	}
	switch r.Phase {
	case Intent:
		d.day.Intents++
		if r.Act == ActSnapshot || r.Act == ActProof {
			d.open[r.Sequence] = DayOpen{Act: r.Act, Site: siteOf(r), Intent: r.Sequence, At: r.Time.UnixMilli()}
		}
	case Result:
		d.day.Results++
		if r.Outcome != Done {
			d.day.NotDone++
		}
		d.ended(r)
	case Event:
		if r.Act == ActDurable && r.Durable != nil {
			p := d.point(r.Durable.RecoveryPoint)
			p.Durable = soonest(p.Durable, r.Durable.Site, r.Durable.At)
		}
	}
}

// ended takes in the result of a snapshot or a proof.
func (d *deriver) ended(r *Record) {
	if r.Act != ActSnapshot && r.Act != ActProof {
		return
	}
	failure := DayFailure{Act: r.Act, Ended: ceil(r.Time), Outcome: r.Outcome, Error: firstLine(r.Error)}
	if r.Intent != nil {
		begun, today := d.open[*r.Intent]
		delete(d.open, *r.Intent)
		failure.Started, failure.Site = begun.At, begun.Site
		if !today {
			failure.Intent = *r.Intent
			d.day.Closed = append(d.day.Closed, *r.Intent)
		}
	}
	if site := siteOf(r); site != "" {
		failure.Site = site
	}
	if s := r.Snapshot; s != nil && r.Act == ActSnapshot && !s.RecoveryPoint.IsZero() {
		failure.Started, failure.Intent = d.snapshot(s), 0
	}
	if p := r.Proof; p != nil && r.Outcome == Done && p.Passed && p.Level >= restoring {
		point := d.point(p.RecoveryPoint)
		at := p.Ended
		if at.IsZero() {
			at = r.Time
		}
		point.Proven = soonest(point.Proven, p.Site, at)
	}
	if r.Outcome != Done {
		d.day.Failures = append(d.day.Failures, failure)
	}
}

// snapshot takes in a recovery point, and returns the start of its run as the
// point tells it.
func (d *deriver) snapshot(s *Snapshot) int64 {
	p := d.point(s.RecoveryPoint)
	p.Started, p.Bytes = s.Started.UnixMilli(), s.BytesRaw
	if p.Started == p.Consistent {
		p.Started-- // as a column tells it: 0 is "not told"
	}
	for site, at := range s.Durable {
		p.Durable = soonest(p.Durable, site, at)
	}
	return p.Started
}

func (d *deriver) point(consistent time.Time) *DayPoint {
	at := consistent.UnixMilli()
	if d.points[at] == nil {
		d.points[at] = &DayPoint{Consistent: at}
	}
	return d.points[at]
}

func (d *deriver) finish(date string, first, next uint64, silent [][2]int64) Day {
	d.day.Date, d.day.First, d.day.Next, d.day.Silent = date, first, next, silent
	var points []DayPoint
	for _, at := range slices.Sorted(maps.Keys(d.points)) {
		points = append(points, *d.points[at])
	}
	d.day.Points = foldPoints(points)
	for _, n := range slices.Sorted(maps.Keys(d.open)) {
		d.day.Open = append(d.day.Open, d.open[n])
	}
	return d.day
}

func siteOf(r *Record) string {
	if r.Proof != nil {
		return r.Proof.Site
	}
	return ""
}

// soonest notes when something was reached, unless it was before.
func soonest(m map[string]int64, site string, at time.Time) map[string]int64 {
	if have, ok := m[site]; at.IsZero() || ok && have <= ceil(at) {
		return m
	}
	return put(m, site, ceil(at))
}

// ceil returns milliseconds since 1970, rounded up.
func ceil(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

func firstLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if len(text) <= maxDayError {
		return text
	}
	text = text[:maxDayError]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + "…"
}

package report

import (
	"math"
	"time"

	"github.com/saypro/backupd/internal/objective"
)

// columns is how many columns a chart has, one for each unit of its width.
const columns = 900

// chart is exposure over a period, decimated exactly: each column knows the
// least and the greatest exposure of its stretch of time, so that no peak is
// lost however short it was.
type chart struct {
	Title    string
	From, To time.Time
	Columns  []column
	// Limits are the RPO and since when.
	Limits []limit
	// Peak is the greatest known exposure, in seconds.
	Peak       float64
	Violations int
	// Zoomed: From and To are what is judged of a longer period.
	Zoomed bool
}

// column is one column: exposure in seconds. None: for a part of it there was no
// recovery point, Unknown: nothing was measured or the log ends before it.
type column struct {
	Min, Max float64
	Known    bool // Min and Max are there
	None     bool
	Unknown  bool
	Violated bool
}

type limit struct {
	From, To float64 // columns
	Seconds  float64
}

// chartOf draws what was durable in a scope. False: nothing was measured.
func (p *Period) chartOf(h objective.History, a objective.Assessment, scope string) (chart, bool) {
	view := objective.View{Scope: scope}
	c := chart{Title: viewName(view), From: p.From, To: p.To, Columns: make([]column, columns)}
	if len(a.Parts) == 0 {
		return c, false
	}
	c.zoom(a.Parts, view)
	for i := range c.Columns {
		c.Columns[i] = column{Min: math.Inf(1), Unknown: true}
	}
	for _, part := range a.Parts {
		if rpo, ok := part.Policy.Limit(view); ok {
			c.addLimit(limit{c.place(part.From), c.place(part.To), rpo.Seconds()})
		}
		for _, s := range h.Curve(view, part.Policy.Sites).Segments(part.From, part.To) {
			c.addSegment(s)
		}
	}
	for _, f := range a.Views {
		if f.View == view {
			c.Violations = len(f.Violations)
			for _, v := range f.Violations {
				c.violate(v.Start, v.End)
			}
		}
	}
	return c, true
}

// zoom narrows a chart to what is judged, when that is less than half of the
// period: else there would be nothing to see.
func (c *chart) zoom(parts []objective.Part, view objective.View) {
	var from, to time.Time
	for _, part := range parts {
		if _, ok := part.Policy.Limit(view); !ok {
			continue
		}
		if from.IsZero() {
			from = part.From
		}
		to = part.To
	}
	if from.Before(to) && 2*to.Sub(from) < c.To.Sub(c.From) {
		c.From, c.To, c.Zoomed = from.UTC(), to.UTC(), true
	}
}

// place is where a time is, in columns.
func (c *chart) place(t time.Time) float64 {
	return float64(t.Sub(c.From)) / float64(c.To.Sub(c.From)) * columns
}

// at is the time at which a column begins.
func (c *chart) at(i int) time.Time {
	return c.From.Add(time.Duration(float64(c.To.Sub(c.From)) * float64(i) / columns))
}

// over returns the columns that a stretch of time touches.
func (c *chart) over(from, to time.Time) (first, last int) {
	first = min(max(int(c.place(from)), 0), columns-1)
	last = min(max(int(math.Ceil(c.place(to)))-1, first), columns-1)
	return first, last
}

func (c *chart) addSegment(s objective.Segment) {
	if !s.From.Before(s.To) {
		return
	}
	first, last := c.over(s.From, s.To)
	for i := first; i <= last; i++ {
		from, to := s.From, s.To
		if i > first {
			from = c.at(i)
		}
		if i < last {
			to = c.at(i + 1)
		}
		if !from.Before(to) {
			continue // the border of a column is rounded
		}
		col := &c.Columns[i]
		col.Unknown = false
		if s.None {
			col.None = true
			continue
		}
		col.Known = true
		col.Min = math.Min(col.Min, max(from.Sub(s.Newest).Seconds(), 0))
		col.Max = math.Max(col.Max, max(to.Sub(s.Newest).Seconds(), 0))
		c.Peak = math.Max(c.Peak, col.Max)
	}
}

func (c *chart) violate(from, to time.Time) {
	first, last := c.over(from, to)
	for i := first; i <= last; i++ {
		c.Columns[i].Violated = true
	}
}

func (c *chart) addLimit(l limit) {
	if n := len(c.Limits); n > 0 && c.Limits[n-1].Seconds == l.Seconds && c.Limits[n-1].To == l.From {
		c.Limits[n-1].To = l.To
		return
	}
	c.Limits = append(c.Limits, l)
}

// scale is the vertical scale of a chart: linear, or logarithmic where a peak
// is so far above the RPO that it would flatten everything else.
type scale struct {
	top float64
	log bool
	low float64 // of a logarithmic one: what is below is drawn at the bottom
}

// tooFar is from how many times the RPO on a scale is logarithmic.
const tooFar = 8

func (c *chart) scale() scale {
	greatest, least := 0.0, math.Inf(1)
	for _, l := range c.Limits {
		greatest, least = math.Max(greatest, l.Seconds), math.Min(least, l.Seconds)
	}
	top := math.Max(c.Peak*1.08, greatest*1.3)
	if top == 0 {
		top = 1
	}
	if greatest > 0 && c.Peak > tooFar*greatest {
		low := least / 10
		for _, col := range c.Columns {
			if col.Known && col.Min > 0 {
				low = math.Min(low, col.Min)
			}
		}
		return scale{top: top * 1.5, log: true, low: math.Max(low, least/100)}
	}
	return scale{top: top}
}

// height is where an exposure is, from 0 at the bottom to 1.
func (s scale) height(seconds float64) float64 {
	if !s.log {
		return math.Min(seconds/s.top, 1)
	}
	if seconds <= s.low {
		return 0
	}
	return math.Min(math.Log(seconds/s.low)/math.Log(s.top/s.low), 1)
}

// ticks are the exposures that are written at the side.
func (s scale) ticks() []float64 {
	var out []float64
	steps := []float64{0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 2592000, 8640000, 31536000}
	if s.log {
		last := -1.0
		for _, t := range steps {
			if h := s.height(t); t > s.low && t <= s.top && h-last > 0.16 {
				out, last = append(out, t), h
			}
		}
		return out
	}
	for _, step := range steps {
		if s.top/step <= 5 {
			for t := 0.0; t <= s.top; t += step {
				out = append(out, t)
			}
			return out
		}
	}
	return []float64{0, s.top}
}

// moments are the times that are written below a chart.
func (c *chart) moments() []moment {
	span := c.To.Sub(c.From)
	var out []moment
	add := func(t time.Time, layout string) {
		if x := c.place(t); x >= 0 && x <= columns {
			out = append(out, moment{x, t.Format(layout)})
		}
	}
	switch {
	case span > 75*day:
		months := 1 + int(span/(400*day))
		for t := firstOfMonth(c.From); t.Before(c.To); t = t.AddDate(0, months, 0) {
			add(t, "2006-01")
		}
	case span > 2*day:
		every := time.Duration(1+int(span/(11*day))) * day
		for t := c.From.Truncate(day); t.Before(c.To); t = t.Add(every) {
			add(t, "01-02")
		}
	default:
		every, layout := 3*time.Hour, "15:04"
		if span < 3*time.Minute {
			layout = "15:04:05"
		}
		for _, e := range []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour} {
			if span/e <= 12 {
				every = e
				break
			}
		}
		for t := c.From.Truncate(every); t.Before(c.To); t = t.Add(every) {
			add(t, layout)
		}
	}
	return out
}

type moment struct {
	X    float64
	Text string
}

func firstOfMonth(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

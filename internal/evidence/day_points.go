package evidence

import (
	"iter"
	"slices"
)

// All unfolds the points, in the order of their consistency points. Columns
// that are too short tell nothing of the points beyond their end.
func (c DayPoints) All() iter.Seq[DayPoint] {
	return func(yield func(DayPoint) bool) {
		proven := c.provenOf()
		var at, size int64
		for i, since := range c.Consistent {
			at += since
			size += cell(c.Bytes, i)
			p := DayPoint{Consistent: at, Bytes: size, Proven: proven[i]}
			if before := cell(c.Started, i); before != 0 {
				p.Started = at - before
			}
			for site, column := range c.Durable {
				if after := cell(column, i); after != 0 {
					p.Durable = put(p.Durable, site, at+after)
				}
			}
			for site, after := range p.Proven {
				p.Proven[site] = at + after
			}
			if !yield(p) {
				return
			}
		}
	}
}

// provenOf returns, by place, how long after its consistency point a point was
// proven at each site.
func (c DayPoints) provenOf() map[int]map[string]int64 {
	out := map[int]map[string]int64{}
	for site, pairs := range c.Proven {
		for pair := range slices.Chunk(pairs, 2) {
			if len(pair) == 2 {
				out[int(pair[0])] = put(out[int(pair[0])], site, pair[1])
			}
		}
	}
	return out
}

func cell(column []int64, i int) int64 {
	if i < len(column) {
		return column[i]
	}
	return 0
}

func put(m map[string]int64, site string, v int64) map[string]int64 {
	if m == nil {
		m = map[string]int64{}
	}
	m[site] = v
	return m
}

// foldPoints puts points, in the order of their consistency points, into
// columns.
func foldPoints(points []DayPoint) DayPoints {
	var c DayPoints
	var at, size int64
	for i, p := range points {
		c.Consistent = append(c.Consistent, p.Consistent-at)
		before := int64(0)
		if p.Started != 0 {
			before = nonZero(p.Consistent - p.Started)
		}
		c.Started = append(c.Started, before)
		if p.Bytes == 0 {
			p.Bytes = size
		}
		c.Bytes = append(c.Bytes, p.Bytes-size)
		at, size = p.Consistent, p.Bytes
		for site, t := range p.Durable {
			c.Durable = widen(c.Durable, site, len(points))
			c.Durable[site][i] = nonZero(t - p.Consistent)
		}
		for site, t := range p.Proven {
			if c.Proven == nil {
				c.Proven = map[string][]int64{}
			}
			c.Proven[site] = append(c.Proven[site], int64(i), t-p.Consistent)
		}
	}
	return c
}

// nonZero makes a duration of 0, which means that nothing is told, 1
// millisecond.
func nonZero(d int64) int64 {
	if d == 0 {
		return 1
	}
	return d
}

func widen(columns map[string][]int64, site string, n int) map[string][]int64 {
	if columns == nil {
		columns = map[string][]int64{}
	}
	if columns[site] == nil {
		columns[site] = make([]int64, n)
	}
	return columns
}

package retention

import (
	"cmp"
	"slices"
	"time"
)

// Goes estimates when the policy will have given up each of the points, in
// their order, when one more is taken every so often from now on; zero: never.
// Points that are held, or that no policy may take, are not known here.
func Goes(p *Policy, points []time.Time, every time.Duration, now time.Time) []time.Time {
	out := make([]time.Time, len(points))
	if p == nil {
		return out
	}
	order := make([]int, len(points)) // newest first
	for i := range points {
		order[i], out[i] = i, now
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(points[b].Compare(points[a]), cmp.Compare(b, a)) })
	for _, r := range p.of() {
		if r.unit.period == nil {
			for rank, i := range order[:min(len(order), r.count)] {
				out[i] = latest(out[i], points[order[0]].Add(time.Duration(r.count-rank)*every))
			}
			continue
		}
		r.goes(out, points, order, every, now)
	}
	return out
}

// goes applies a rule that counts periods: the newest of a period goes when as
// many newer periods as the rule counts have a point.
func (r rule) goes(out, points []time.Time, order []int, every time.Duration, now time.Time) {
	var newest, before period
	place := -1
	for _, i := range order {
		of := r.unit.period(points[i].Unix())
		if place >= 0 && of == before {
			continue // one that is newer has its period
		}
		place++
		before = of
		if place == 0 {
			newest = of
			if ends := time.Unix(of.to, 0); now.Before(ends) && points[i].Add(every).Before(ends) {
				continue // the next point takes its period
			}
		}
		if place >= r.count {
			return
		}
		length := max(time.Duration(of.to-of.from)*time.Second, every)
		out[i] = latest(out[i], time.Unix(newest.from, 0).UTC().Add(time.Duration(r.count-place)*length))
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

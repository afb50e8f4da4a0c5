package retention

import (
	"fmt"
	"math"
	"strings"
)

// rule is one number of a policy.
type rule struct {
	unit  unit
	count int
}

// of returns the rules of a policy that keep something, finest first.
func (p Policy) of() []rule {
	var rules []rule
	for _, r := range []rule{
		{last, p.Last},
		{hourly, p.Hourly},
		{daily, p.Daily},
		{weekly, p.Weekly},
		{monthly, p.Monthly},
		{yearly, p.Yearly},
	} {
		if r.count > 0 {
			rules = append(rules, r)
		}
	}
	return rules
}

func (r rule) String() string { return fmt.Sprintf("%s %d", r.unit.name, r.count) }

// pick is the newest point of a period, by its place in the line.
type pick struct {
	at     int32
	period period
}

// picked is what a rule chose, newest first.
type picked struct {
	rule  rule
	picks []pick
}

// rules keeps what the policy asks for: of all points that count, and then of
// those that each site holds.
func (d *decider) rules(p Policy) {
	for _, r := range p.of() {
		all := picked{r, d.pick(d.counted, r)}
		d.chosen = append(d.chosen, all)
		d.keepPicked(all, nil, "")
	}
	for _, s := range d.sites {
		held := d.heldBy(s)
		if len(held) == len(d.counted) {
			continue // the same choice again
		}
		for _, all := range d.chosen {
			d.keepPicked(picked{all.rule, d.pick(held, all.rule)}, all.picks, " at "+s)
		}
	}
}

// heldBy returns those of the counted points that the site holds.
func (d *decider) heldBy(site string) []int32 {
	var held []int32
	for _, i := range d.counted {
		if d.holds(site, i) {
			held = append(held, i)
		}
	}
	return held
}

// pick returns the newest of each of the newest periods among the points given.
func (d *decider) pick(points []int32, r rule) []pick {
	var picks []pick
	from := int64(math.MaxInt64) // where the period of the last pick begins
	for _, i := range points {
		if r.unit.period != nil && d.secs[i] >= from {
			continue
		}
		if len(picks) == r.count {
			break
		}
		next := pick{at: i}
		if r.unit.period != nil {
			next.period = r.unit.period(d.secs[i])
			from = next.period.from
		}
		picks = append(picks, next)
	}
	return picks
}

// keepPicked keeps what a rule picked, but for what is among the other picks:
// that has its reason already.
func (d *decider) keepPicked(p picked, others []pick, where string) {
	for n, one := range p.picks {
		for len(others) > 0 && others[0].at < one.at {
			others = others[1:]
		}
		if len(others) > 0 && others[0].at == one.at {
			continue
		}
		if p.rule.unit.period == nil {
			d.keep(one.at, fmt.Sprintf("last %d of %d%s", n+1, p.rule.count, where))
			continue
		}
		d.keep(one.at, fmt.Sprintf("newest of %s%s (%s %d of %d)", p.rule.unit.label(one.period), where, p.rule.unit.name, n+1, p.rule.count))
	}
}

// explainDropped gives each point that is not kept its reason: what is kept
// instead, by the finest rule that still reaches it.
func (d *decider) explainDropped(p Policy) {
	beyond := "no rule needs it: there is none"
	if rules := p.of(); len(rules) > 0 {
		names := make([]string, len(rules))
		for i, r := range rules {
			names[i] = r.String()
		}
		beyond = "no rule needs it: older than what is kept by " + strings.Join(names, ", ")
	}
	next := make([]int, len(d.chosen))
	instead := make([]string, len(d.chosen)) // the reason at next, made when needed
	for i := range d.line {
		if d.line[i].Keep {
			continue
		}
		reason := beyond
		for r := len(d.chosen) - 1; r >= 0; r-- {
			c := d.chosen[r]
			if c.rule.unit.period == nil {
				continue
			}
			for next[r] < len(c.picks) && c.picks[next[r]].period.from > d.secs[i] {
				next[r], instead[r] = next[r]+1, ""
			}
			if next[r] == len(c.picks) {
				continue
			}
			if instead[r] == "" {
				one := c.picks[next[r]]
				instead[r] = fmt.Sprintf("no rule needs it: %s (%s) is kept by %s", c.rule.unit.its, c.rule.unit.label(one.period), d.line[one.at].ID)
			}
			reason = instead[r]
		}
		d.line[i].Reasons = []string{reason}
	}
}

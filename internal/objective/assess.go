package objective

import (
	"slices"
	"strings"
	"time"
)

// Assessment is how well the promises of a function were kept in a period.
type Assessment struct {
	// From and To are the period that was asked for.
	From, To time.Time
	// Since is from when on something was promised in it, and so is judged.
	// Zero: nothing was, and nothing can be said, which is never good.
	Since time.Time
	// Parts are the stretches of the period with one policy each.
	Parts []Part
	// Views are the sites, any site and every site; durable, then proven.
	Views []Figures
}

// Part is a stretch of time that is judged by one policy.
type Part struct {
	Period
	Policy Policy
}

// Figures are the exposure of one view.
type Figures struct {
	View
	// Judged is how long the view was promised anything in the period; 0: never,
	// so that Violations and Attainment tell nothing. The exposure is measured
	// nevertheless, for as long as Measured.
	Judged, Measured time.Duration
	// Maximum is the greatest known exposure, the achieved RPO. Unprotected is
	// how long there was no usable point at all: unless that is 0, the maximum
	// is not the whole truth.
	Maximum, Unprotected time.Duration
	// New is the stretch without any point, from when the function was first
	// promised anything, that breaks nothing yet: its exposure counts from that
	// promise on. Its end is that of the period when there was none by then;
	// zero when there is no such stretch in the period.
	New Period
	// P99 was not exceeded for 99 % of the time. Unbounded: there was no usable
	// point for more than 1 %, so there is no such figure.
	P99       time.Duration
	Unbounded bool
	// Attainment is the share of the judged time, 0 to 1, within the limit, and
	// Broken how long it was exceeded.
	Attainment float64
	Broken     time.Duration
	Violations []Violation
}

// Kept reports whether the view was promised something and the promise held
// all the time.
func (f Figures) Kept() bool { return f.Judged > 0 && f.Broken == 0 }

// Assess judges the period from..to, each instant by the policy that was in
// force then. A later policy changes nothing of what was judged before it.
func Assess(h History, from, to time.Time) Assessment {
	j := &judge{History: h, curves: map[string]Curve{}}
	a := Assessment{From: from, To: to, Parts: h.parts(from, to)}
	if len(a.Parts) == 0 {
		return a
	}
	a.Since = a.Parts[0].From
	for _, proven := range []bool{false, true} {
		for _, v := range viewsOf(a.Parts, proven) {
			a.Views = append(a.Views, j.figures(v, a.Parts))
		}
	}
	return a
}

// due is from when on it breaks a promise that there is no point at all: once the
// first had its time. When none is durable that counts from the first promise
// that the function was ever given, whatever has been promised since, so that no
// change of a policy puts it off; when none is proven, from when proofs were
// promised.
func (h History) due(v View, in Policy, limit time.Duration) time.Time {
	if !v.Proven {
		return h.began().Add(limit)
	}
	since := in.From
	for _, p := range slices.Backward(h.Policies) {
		if !p.From.Before(in.From) {
			continue
		}
		if _, promised := p.Limit(v); !promised {
			break
		}
		since = p.From
	}
	return since.Add(limit)
}

// began is when the function was first promised anything.
func (h History) began() (at time.Time) {
	for _, p := range h.Policies {
		if p.RPO > 0 {
			return p.From
		}
	}
	return at
}

// judge is a history with the curves that were made of it: there may be many
// violations, and each asks for them.
type judge struct {
	History
	curves map[string]Curve
	all    []Segment // of the view at hand: years have many
}

func (j *judge) curve(v View, sites []string) Curve {
	key := v.String()
	if v.Scope != ScopeSite {
		key += "\x00" + strings.Join(sites, "\x00")
	}
	c, ok := j.curves[key]
	if !ok {
		c = j.Curve(v, sites)
		j.curves[key] = c
	}
	return c
}

// parts cuts the period where the policy changes, and leaves out where nothing
// is promised.
func (h History) parts(from, to time.Time) (out []Part) {
	for i, p := range h.Policies {
		part := Part{Period{later(from, p.From), to}, p}
		if i+1 < len(h.Policies) && h.Policies[i+1].From.Before(to) {
			part.To = h.Policies[i+1].From
		}
		if p.RPO > 0 && part.From.Before(part.To) {
			out = append(out, part)
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// viewsOf are all sites that a policy names, in that order, then any and all.
func viewsOf(parts []Part, proven bool) (out []View) {
	for _, p := range parts {
		for _, site := range p.Policy.Sites {
			if v := (View{Scope: ScopeSite, Site: site, Proven: proven}); !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	return append(out, View{Scope: ScopeAny, Proven: proven}, View{Scope: ScopeAll, Proven: proven})
}

func (j *judge) figures(v View, parts []Part) Figures {
	f := Figures{View: v}
	all := j.all[:0]
	for i, p := range parts {
		if v.Scope == ScopeSite && !slices.Contains(p.Policy.Sites, v.Site) {
			continue
		}
		before := len(all)
		all = j.curve(v, p.Policy.Sites).segments(all, p.From, p.To)
		segments := all[before:]
		f.Measured += p.To.Sub(p.From)
		limit, promised := p.Policy.Limit(v)
		if !promised {
			continue
		}
		f.Judged += p.To.Sub(p.From)
		due := j.due(v, p.Policy, limit)
		if first := segments[0]; first.None && !v.Proven && first.From.Before(due) {
			f.New = Period{j.began(), earlier(first.To, due)}
		}
		for _, violation := range violations(segments, limit, due) {
			violation.Limit = limit
			violation.Causes = j.causes(v, parts[:i+1], violation)
			f.Violations = append(f.Violations, violation)
		}
	}
	j.all = all
	f.Maximum, f.Unprotected = worst(all)
	p99, ok := p99(all)
	f.P99, f.Unbounded = p99, !ok
	f.Broken = broken(f.Violations)
	if f.Judged > 0 {
		f.Attainment = 1 - float64(f.Broken)/float64(f.Judged)
	}
	return f
}

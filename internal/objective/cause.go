package objective

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Cause is one reason, told by the records, why a promise was broken.
type Cause struct {
	Kind string
	// Period is when it was so; of failed runs from the start of the first to
	// the end of the last.
	Period
	Site string // of what concerns one site
	// Count is the number of runs that it is about; 0: it is about none.
	Count int
	// Detail says it in a sentence.
	Detail string
}

// The kinds of causes.
const (
	// CauseStricter: the change of a policy asked for more than was there.
	CauseStricter = "stricter policy"
	// CauseFirst: there was no recovery point before.
	CauseFirst = "no recovery point yet"
	// CauseFailed: runs failed, CauseNoResult: nothing tells how they ended.
	CauseFailed   = "failed runs"
	CauseNoResult = "no result"
	// CauseSlow: a run took longer than those before it.
	CauseSlow = "slow run"
	// CauseBehind: other sites had what this one lacked.
	CauseBehind = "site behind"
	// CauseNoRun: no run was begun, though the program was running.
	CauseNoRun = "no run"
	// CauseSilent: no run was begun, and no record shows that the program ran.
	CauseSilent = "no records"
	// CauseProofs: proofs did not pass, CauseNoProof: none was made.
	CauseProofs  = "failed proofs"
	CauseNoProof = "no proof"
	// CauseUnknown: the records tell of no cause.
	CauseUnknown = "unknown"
)

// inquiry looks for the causes of one violation.
type inquiry struct {
	h     *judge
	view  View
	parts []Part // up to the one that judges it
	v     Violation
	// since is where a newer point had to come from: the consistency point of
	// the newest that was usable at the start, or when the promise began.
	since time.Time
	none  bool // no point was usable at the start
	// asked is since when a newer point was asked for: since, or when the
	// policy became stricter.
	asked time.Time
	out   []Cause
}

// causes returns what the records tell of why v came about, never empty. The
// last of the parts is the one that judges it.
func (j *judge) causes(view View, parts []Part, v Violation) []Cause {
	q := inquiry{h: j, view: view, parts: parts, v: v}
	newest, ok := j.curve(view, q.policy().Sites).Newest(v.Start)
	q.since, q.none = newest, !ok
	if q.none {
		q.since = q.part().From
	}
	q.asked = q.since
	if q.policyChanged(); len(q.out) > 0 {
		q.asked = q.part().From
	}
	if view.Proven {
		q.notProven()
	} else {
		q.notDurable()
	}
	if len(q.out) == 0 {
		q.add(CauseUnknown, q.window(), "", 0, "the records tell of no cause")
	}
	return q.out
}

func (q *inquiry) part() Part     { return q.parts[len(q.parts)-1] }
func (q *inquiry) policy() Policy { return q.part().Policy }

// window is when a newer point should have become usable.
func (q *inquiry) window() Period { return Period{q.asked, q.v.End} }

func (q *inquiry) add(kind string, p Period, site string, count int, format string, args ...any) {
	q.out = append(q.out, Cause{Kind: kind, Period: p, Site: site, Count: count, Detail: fmt.Sprintf(format, args...)})
}

// policyChanged finds that the violation began because more was asked for.
func (q *inquiry) policyChanged() {
	part := q.part()
	if len(q.parts) < 2 || !q.v.Start.Equal(part.From) {
		return
	}
	before := q.parts[len(q.parts)-2]
	if before.To != part.From {
		return
	}
	limit, promised := before.Policy.Limit(q.view)
	at := Period{part.From, part.From}
	if !promised {
		q.add(CauseStricter, at, q.view.Site, 0, "nothing was promised of this before: the policy of %s asks for it", stamp(part.From))
		return
	}
	exposure, ok := q.h.curve(q.view, before.Policy.Sites).At(q.v.Start)
	if !ok || exposure > limit {
		return // it was broken by the policy before, too
	}
	if q.v.Limit < limit {
		q.add(CauseStricter, at, "", 0, "the limit was made stricter, from %v to %v", limit, q.v.Limit)
		return
	}
	q.add(CauseStricter, at, "", 0, "the sites were changed, from %s to %s", strings.Join(before.Policy.Sites, ", "), strings.Join(part.Policy.Sites, ", "))
}

// notDurable finds why no newer point was durable.
func (q *inquiry) notDurable() {
	if q.sitesBehind() {
		return // the others kept the promise all the time
	}
	runs := q.h.runsIn(q.window())
	q.failed(CauseFailed, "run", runs)
	q.slow(runs)
	q.noRun(CauseNoRun, "run", runs)
}

// sitesBehind finds the sites that lacked what another one had when the
// promise broke, or for most of the time after that, and reports whether with
// that other one it held throughout.
func (q *inquiry) sitesBehind() bool {
	if q.view.Scope == ScopeAny {
		return false
	}
	best := q.h.curve(View{Scope: ScopeAny}, q.policy().Sites)
	newest, ok := best.Newest(q.v.Start)
	lags := ok && (q.none || newest.After(q.since))
	without := broken(best.Violations(q.v.Start, q.v.End, q.v.Limit))
	if !lags && 2*without >= q.v.End.Sub(q.v.Start) {
		return false
	}
	for _, site := range q.policy().Sites {
		if q.view.Scope == ScopeSite && site != q.view.Site {
			continue
		}
		late := q.h.curve(View{Scope: ScopeSite, Site: site}, nil).Violations(q.v.Start, q.v.End, q.v.Limit)
		if 4*(broken(late)-without) <= q.v.End.Sub(q.v.Start) {
			continue // no worse than the best of them
		}
		q.add(CauseBehind, Period{late[0].Start, late[len(late)-1].End}, site, 0, "site %s lacked what another site had%s", site, q.degraded())
	}
	return without == 0
}

// degraded is what the first run in the window that was not done at every site
// says of it.
func (q *inquiry) degraded() string {
	for _, r := range q.h.runsIn(q.window()) {
		if r.Failure != nil && r.Failure.Outcome == "degraded" && r.Failure.Error != "" {
			return ": " + r.Failure.Error
		}
	}
	return ""
}

// failed finds runs that gave nothing, those with the same error together.
func (q *inquiry) failed(kind, what string, runs []Run) {
	var order []string
	groups := map[string][]Run{}
	for _, r := range runs {
		if !r.Consistent.IsZero() {
			continue
		}
		why := ""
		if r.Failure != nil {
			why = r.Failure.Error
			if why == "" || r.Failure.Outcome == "cut short" {
				why = strings.TrimSuffix(r.Failure.Outcome+": "+why, ": ")
			}
		}
		if groups[why] == nil {
			order = append(order, why)
		}
		groups[why] = append(groups[why], r)
	}
	for _, why := range order {
		g := groups[why]
		first, last := g[0], g[len(g)-1]
		if why == "" {
			q.add(CauseNoResult, Period{first.Started, q.v.End}, "", len(g), "%s, begun at %s: nothing tells how it ended", count(len(g), what), stamp(first.Started))
			continue
		}
		q.add(kind, Period{first.Started, last.Ended}, first.Failure.Site, len(g), "%s failed, the first begun at %s: %s", count(len(g), what), stamp(first.Started), why)
	}
}

// before is how many runs a slow one is held against.
const before = 100

// slow finds the first run that made a recovery point which was durable too
// late: because no site took it, or because the run took longer than 99 of 100
// before it did, and that is why the promise broke, or for most of the time.
func (q *inquiry) slow(runs []Run) {
	i := slices.IndexFunc(runs, func(r Run) bool {
		return !r.Consistent.IsZero() && (r.Ended.IsZero() || r.Ended.After(q.v.Start))
	})
	if i < 0 {
		return
	}
	r := runs[i]
	if r.Ended.IsZero() || r.Failure != nil {
		until := Period{r.Started, r.Ended}
		if r.Ended.IsZero() {
			until.To = q.v.End
		}
		why := ""
		if r.Failure != nil && r.Failure.Error != "" {
			why = ": " + r.Failure.Error
		}
		q.add(CauseBehind, until, "", 1, "no site took the recovery point of the run of %s for %v%s", stamp(r.Started), round(until.To.Sub(until.From)), why)
		return
	}
	took := r.Ended.Sub(r.Started)
	usual, n := q.h.usual(r.Started)
	switch {
	case n > 0 && took > usual && (!r.Started.Add(usual).After(q.v.Start) || 2*(took-usual) > q.v.End.Sub(q.v.Start)):
		q.add(CauseSlow, Period{r.Started, r.Ended}, "", 1, "the run of %s took %v until it was durable; the p99 of the %s before it was %v",
			stamp(r.Started), round(took), count(n, "run"), round(usual))
	case n == 0 && r.Started.Before(q.v.Start) && !q.none:
		q.add(CauseSlow, Period{r.Started, r.Ended}, "", 1, "the run of %s took %v until it was durable", stamp(r.Started), round(took))
	}
}

// usual returns the p99 of the time to durable of the runs before.
func (h History) usual(at time.Time) (time.Duration, int) {
	var took []time.Duration
	for i := h.runsBefore(at) - 1; i >= 0 && len(took) < before; i-- {
		if r := h.Runs[i]; !r.Consistent.IsZero() && !r.Ended.IsZero() {
			took = append(took, r.Ended.Sub(r.Started))
		}
	}
	return P99(took), len(took)
}

// noRun finds the longest stretch in which nothing was tried: a cause when the
// stretch alone is longer than what is allowed, or when there is no other.
func (q *inquiry) noRun(kind, what string, runs []Run) {
	gap := idle(q.window(), runs)
	length := gap.To.Sub(gap.From)
	if length <= 0 || length <= q.v.Limit && len(q.out) > 0 {
		return
	}
	if q.none && len(q.out) == 0 {
		q.add(CauseFirst, gap, q.view.Site, 0, "no run had given one before")
		return
	}
	if silent := q.h.silentIn(gap); 2*silent.To.Sub(silent.From) > length {
		q.add(CauseSilent, silent, "", 0, "no %s was begun from %s on for %v, and there is no record of any kind from %s to %s: nothing shows that the program was running",
			what, stamp(gap.From), round(length), stamp(silent.From), stamp(silent.To))
		return
	}
	q.add(kind, gap, q.view.Site, 0, "no %s was begun from %s on for %v", what, stamp(gap.From), round(length))
}

// idle returns the longest stretch of p in which none of the runs, which are
// in order, was begun or under way.
func idle(p Period, runs []Run) (longest Period) {
	from := p.From
	note := func(to time.Time) {
		if to.Sub(from) > longest.To.Sub(longest.From) {
			longest = Period{from, to}
		}
	}
	for _, r := range runs {
		note(r.Started)
		from = later(from, later(r.Started, r.Ended))
		if r.Ended.IsZero() && r.Consistent.IsZero() {
			return longest // it may be under way still
		}
	}
	note(p.To)
	return longest
}

// silentIn returns the longest stretch of p without records.
func (h History) silentIn(p Period) (longest Period) {
	i, _ := slices.BinarySearchFunc(h.Silent, p.From, func(s Period, t time.Time) int { return s.To.Compare(t) })
	for _, s := range h.Silent[i:] {
		if !s.From.Before(p.To) {
			break
		}
		s = Period{later(s.From, p.From), earlier(s.To, p.To)}
		if s.To.Sub(s.From) > longest.To.Sub(longest.From) {
			longest = s
		}
	}
	return longest
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// notProven finds why no newer point was proven.
func (q *inquiry) notProven() {
	var proofs []Run
	w := q.provenWindow()
	for _, p := range q.h.Proofs {
		inView := q.view.Scope != ScopeSite || p.Failure == nil || p.Failure.Site == "" || p.Failure.Site == q.view.Site
		if inView && p.Started.After(w.From) && p.Started.Before(w.To) {
			proofs = append(proofs, p)
		}
	}
	q.failed(CauseProofs, "proof", proofs)
	gap := idle(w, proofs)
	if length := gap.To.Sub(gap.From); length > q.v.Limit || len(q.out) == 0 && length > 0 {
		q.noProof(gap, length)
	}
}

func (q *inquiry) noProof(gap Period, length time.Duration) {
	if silent := q.h.silentIn(gap); 2*silent.To.Sub(silent.From) > length {
		q.add(CauseSilent, silent, "", 0, "no proof was made, and there is no record of any kind from %s to %s: nothing shows that the program was running",
			stamp(silent.From), stamp(silent.To))
		return
	}
	if q.none && len(q.out) == 0 {
		q.add(CauseFirst, gap, q.view.Site, 0, "no proof had passed before")
		return
	}
	q.add(CauseNoProof, gap, q.view.Site, 0, "no newer recovery point was proven from %s on for %v", stamp(gap.From), round(length))
}

// provenWindow begins when the newest proven point at the start was proven.
func (q *inquiry) provenWindow() Period {
	w := q.window()
	curve := q.h.curve(q.view, q.policy().Sites)
	if i := curve.after(q.v.Start); i > 0 {
		w.From = later(w.From, curve.steps[i-1].At)
	}
	return w
}

// runsIn returns the runs that were begun within p.
func (h History) runsIn(p Period) []Run {
	first, last := h.runsBefore(p.From), h.runsBefore(p.To)
	for first < last && !h.Runs[first].Started.After(p.From) {
		first++
	}
	return h.Runs[first:max(first, last)]
}

// runsBefore returns how many runs were begun before at.
func (h History) runsBefore(at time.Time) int {
	i, _ := slices.BinarySearchFunc(h.Runs, at, func(r Run, t time.Time) int { return r.Started.Compare(t) })
	return i
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d
	}
	return d.Round(time.Second)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

package objective

import (
	"slices"
	"time"
)

// History is what is known of a function: what was promised, and everything
// that became of its recovery points. A promise is judged by nothing else.
type History struct {
	// Policies are in the order of time. Nothing is judged before the first.
	Policies []Policy
	// Durable and Proven say by site which recovery point became durable, or
	// was proven there, and when; in any order.
	Durable, Proven map[string][]Arrival
	// Runs are the snapshots that were tried, in the order of their starts;
	// Proofs are those proofs that did not pass, likewise.
	Runs   []Run
	Proofs []Run
	// Silent are stretches without any record, in the order of time.
	Silent []Period
}

// Policy is what was promised from an instant on, until the next one.
type Policy struct {
	From     time.Time
	RPO, RTO time.Duration // RPO 0: nothing is promised of this function
	// ProveEvery is the time between two proofs that restore, which take turns
	// over the sites; 0: none are promised.
	ProveEvery time.Duration
	Sites      []string
}

// Arrival says that from At on the recovery point of Consistent is usable.
type Arrival struct{ At, Consistent time.Time }

// Period is a stretch of time, To not in it.
type Period struct{ From, To time.Time }

// Run is one attempt at a snapshot or a proof.
type Run struct {
	Started time.Time
	// Ended, of a snapshot that gave a recovery point, is when the first site
	// had it. Zero: nothing tells how it ended.
	Ended time.Time
	// Consistent is of the recovery point that came of it; zero: none.
	Consistent time.Time
	Bytes      int64 // of data in it; 0: not known
	// Failure is nil of a run that was done.
	Failure *Failure
}

// Failure says how a run ended that was not done.
type Failure struct {
	Outcome string // "failed", "degraded", "different", "cut short"
	Error   string
	Site    string // of a proof
}

// Add puts a recovery point into the history.
func (h *History) Add(p Point) {
	for site, at := range p.Durable {
		h.Durable = arrive(h.Durable, site, Arrival{at, p.Consistent})
	}
	for site, at := range p.Proven {
		h.Proven = arrive(h.Proven, site, Arrival{at, p.Consistent})
	}
}

func arrive(m map[string][]Arrival, site string, a Arrival) map[string][]Arrival {
	if m == nil {
		m = map[string][]Arrival{}
	}
	m[site] = append(m[site], a)
	return m
}

// The scopes of a view.
const (
	ScopeSite = "site" // one site alone
	ScopeAny  = "any"  // the best of the sites: all can be reached
	ScopeAll  = "all"  // the worst of them: each site alone is at least this good
)

// View is one way to look at a function's exposure.
type View struct {
	Scope string
	Site  string // of ScopeSite
	// Proven counts only what a restore from there has proven.
	Proven bool
}

func (v View) String() string {
	text := map[string]string{ScopeSite: "site " + v.Site, ScopeAny: "any site", ScopeAll: "every site"}[v.Scope]
	if v.Proven {
		return "proven, " + text
	}
	return text
}

// Limit returns how old the newest usable recovery point may be in a view;
// false when nothing is promised of it.
//
// What is durable must be younger than the RPO. What is proven is promised by
// the rhythm of the proofs: they take turns over the sites, every other one from
// a site is of the newest point, which is younger than the RPO, and one of those
// is allowed to fail. So at one site that is RPO + 4 × sites × rhythm, and at any
// RPO + 4 × rhythm. For so long there need be no proven point when that is
// promised first.
func (p Policy) Limit(v View) (time.Duration, bool) {
	if p.RPO <= 0 || len(p.Sites) == 0 || v.Scope == ScopeSite && !slices.Contains(p.Sites, v.Site) {
		return 0, false
	}
	if !v.Proven {
		return p.RPO, true
	}
	turns := time.Duration(4)
	if v.Scope != ScopeAny {
		turns *= time.Duration(len(p.Sites))
	}
	return p.RPO + turns*p.ProveEvery, p.ProveEvery > 0
}

// Curve returns the exposure in a view with these sites.
func (h History) Curve(v View, sites []string) Curve {
	at := h.Durable
	if v.Proven {
		at = h.Proven
	}
	if v.Scope == ScopeSite {
		return curveOf(at[v.Site])
	}
	curves := make([]Curve, len(sites))
	for i, site := range sites {
		curves[i] = curveOf(at[site])
	}
	if v.Scope == ScopeAny {
		return bestOf(curves)
	}
	return worstOf(curves)
}

package schedule

import "time"

// Change is what is known of definitions (tables, indexes, grants, …) that no
// proof has looked at yet.
type Change struct {
	// Sites hold a recovery point with them; none: there is no such change.
	Sites []string
	// Since is the consistency point of that recovery point.
	Since time.Time
	// Last is when the last proof of a change of the function began; zero: never.
	Last time.Time
}

// changeGap is the least time between two proofs of changes of a function. It
// bounds what a function costs whose definitions change at every run.
func changeGap(j *job) time.Duration { return j.ProveEvery / 4 }

// changeDue returns when and at which site j is proven because its definitions
// changed: at once, beside the turns of the sites, which it does not move. Needs
// s.mu.
func (s *Scheduler) changeDue(j *job, now time.Time) (at time.Time, site string, ok bool) {
	if j.ProveEvery <= 0 {
		return at, "", false
	}
	c := s.opts.History.Changed(j.Function)
	if len(c.Sites) == 0 {
		return at, "", false
	}
	at = earlier(c.Since, now) // a clock that was wrong does not put it off
	if last, seen := latestUntil(now, c.Last, j.change); seen {
		at = later(at, last.Add(changeGap(j)))
	}
	if j.proof.failed > 0 { // what keeps other proofs from being made keeps this one
		at = later(at, believable(j.proof.retry, now))
	}
	return at, s.longestUnproven(j, c.Sites, now), true
}

// longestUnproven returns the site whose last proof of j is the oldest, the
// first of those that are equal. Needs s.mu.
func (s *Scheduler) longestUnproven(j *job, sites []string, now time.Time) (site string) {
	var oldest time.Time
	for i, name := range sites {
		last, _ := s.opts.History.LastProof(j.Function, name)
		last, _ = latestUntil(now, last, j.proofs[name]) // zero when never
		if i == 0 || last.Before(oldest) {
			oldest, site = last, name
		}
	}
	return site
}

// Why a proof is due.
const (
	// DueTurn: the time between two proofs is over.
	DueTurn = "turn"
	// DueSchema: definitions changed that no proof has looked at.
	DueSchema = "schema"
)

// NextProof returns when the next proof of the function is due, now or earlier
// when it waits for its slot, at which site, and why; zero when none is. It is
// the start of the one that is being made, if there is one, without a site.
func (s *Scheduler) NextProof(function string) (at time.Time, site, why string) {
	j := s.byID[function]
	if j == nil {
		return at, "", ""
	}
	now := s.opts.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.proof.running {
		why = DueTurn
		if j.change.Equal(j.proof.started) {
			why = DueSchema
		}
		return j.proof.started, "", why
	}
	at, site, ok := s.proofDue(j, now)
	if ok {
		why = DueTurn
	}
	if changed, there, has := s.changeDue(j, now); has && (!ok || changed.Before(at) && at.After(now)) {
		return changed, there, DueSchema
	}
	return at, site, why
}

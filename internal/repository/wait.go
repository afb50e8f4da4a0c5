package repository

import (
	"context"
	"errors"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// Copy states of a snapshot at a site.
const (
	// StateDurable: the site has acknowledged the commit and all it names.
	StateDurable = "durable"
	// StateSpooled: it waits in the spool and is being sent.
	StateSpooled = "spooled"
	// StateDamaged: the site took it, and something that it needs is missing or
	// wrong there now. It is put right when another site or the spool has it.
	StateDamaged = "damaged"
	// StateMissing: it is not there and nothing is on its way.
	StateMissing = "missing"
)

// SiteState says where a snapshot's copy for one site is.
type SiteState struct {
	State   string    `json:"state"`
	Durable time.Time `json:"durable,omitzero"`
	Error   string    `json:"error,omitempty"`
}

// Patience says how long to wait for sites.
type Patience struct {
	// Failing is how long a site may fail; less when it was failing before or
	// when its error will not go away by itself.
	Failing time.Duration
	// Enough sites are waited for as long as they do not fail. When they hold
	// the snapshot the others get Lag more, or as long as they do not fail
	// when Lag is 0.
	Enough int
	Lag    time.Duration
	// Failed, when not nil, is told once of each site that is waited for
	// although it fails.
	Failed func(site string, err error)
}

// Wait waits until every site holds the snapshot or patience is over, and
// returns the state at each; the error is not nil only when ctx ends or the
// catalog fails.
func (r *Repository) Wait(ctx context.Context, snapshot string, patience Patience) (map[string]SiteState, error) {
	start := r.clock.Now()
	var enough time.Time // since when enough sites hold it
	told := map[string]bool{}
	for {
		change := r.uploads.change()
		s, err := r.catalog.Snapshot(snapshot)
		if err != nil {
			return nil, err
		}
		states, err := r.siteStates(s)
		if err != nil {
			return nil, err
		}
		now := r.clock.Now()
		if enough.IsZero() && holders(states) >= patience.Enough {
			enough = now
		}
		lagging := patience.Lag > 0 && !enough.IsZero() && now.Sub(enough) >= patience.Lag
		if lagging || !r.worthWaiting(states, start, patience.Failing) {
			return states, nil
		}
		r.tellFailures(states, told, patience.Failed)
		// A site that hangs without failing changes nothing; look again.
		if err := r.pause(ctx, change); err != nil {
			return states, err
		}
	}
}

// tellFailures tells of each site that fails, once.
func (r *Repository) tellFailures(states map[string]SiteState, told map[string]bool, tell func(site string, err error)) {
	for site, st := range states {
		f, failing := r.uploads.failure(site)
		if tell == nil || !failing || told[site] || st.State == StateDurable {
			continue
		}
		told[site] = true
		tell(site, f.err)
	}
}

func holders(states map[string]SiteState) int {
	n := 0
	for _, st := range states {
		if st.State == StateDurable {
			n++
		}
	}
	return n
}

func (r *Repository) worthWaiting(states map[string]SiteState, start time.Time, patience time.Duration) bool {
	for site, st := range states {
		if st.State != StateSpooled {
			continue
		}
		f, failing := r.uploads.failure(site)
		if !failing {
			return true
		}
		bound, since := patience, f.since
		if since.Before(start) {
			bound, since = min(patience, knownAway), start
		}
		if !storage.Permanent(f.err) && r.clock.Now().Sub(since) < bound {
			return true
		}
	}
	return false
}

// notHere reports whether a site has said that it does not hold this
// repository, and so nothing that it was given: the bucket was made anew, or
// another one is in its place.
func notHere(err error) bool {
	return errors.Is(err, ErrNoRepository) || errors.Is(err, ErrOtherRepository) || errors.Is(err, storage.ErrNoBucket)
}

// siteStates tells the state of a snapshot at every configured site.
func (r *Repository) siteStates(s *catalog.Snapshot) (map[string]SiteState, error) {
	copies, err := r.catalog.CopyStates(s, r.siteNames())
	if err != nil {
		return nil, err
	}
	out := map[string]SiteState{}
	for site, c := range copies {
		st := SiteState{State: StateMissing, Durable: c.Durable, Error: c.Fault}
		if f, failing := r.uploads.failure(site); failing && c.Fault == "" && notHere(f.err) {
			c.Fault, st.Error = f.err.Error(), f.err.Error()
		}
		switch {
		case c.Fault != "" && !c.Durable.IsZero():
			st.State = StateDamaged
		case !c.Durable.IsZero():
			st.State = StateDurable
		case c.Waiting:
			st.State = StateSpooled
			if f, failing := r.uploads.failure(site); failing {
				st.Error = f.err.Error()
			}
		}
		out[site] = st
	}
	return out, nil
}

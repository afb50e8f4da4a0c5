package repository

import (
	"errors"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

// What a site is at.
const (
	// SiteAway: it does not take its copies.
	SiteAway = "away"
	// SiteHeldUp: this host cannot give it its copies, because of its own disk.
	SiteHeldUp = "held up"
	// SiteSending: it is given what waits for it.
	SiteSending = "sending"
	// SiteComparing: what it holds is compared with what it must hold.
	SiteComparing = "comparing"
	// SiteInStep: it holds everything.
	SiteInStep = "in step"
	// SiteUnknown: nobody has asked it since the start.
	SiteUnknown = "unknown"
)

// SiteHealth says how the uploads to a site fare.
type SiteHealth struct {
	State   string    `json:"state"`
	Failing bool      `json:"failing"`
	Since   time.Time `json:"since,omitzero"` // of the first of the failures in a row
	Error   string    `json:"error,omitempty"`
	Objects int       `json:"objects_waiting"`
	Bytes   int64     `json:"bytes_waiting"`
	Commits int       `json:"snapshots_waiting"`
	// Evidence is how many objects of evidence wait.
	Evidence int `json:"evidence_waiting"`
	// Faults are what is known to be missing or wrong there.
	Faults []catalog.Fault `json:"-"`
	// Compared is when the names and sizes of all its objects were last found
	// to be what they must be; zero when they never were.
	Compared time.Time `json:"compared,omitzero"`
	// LastContact is when the site last took something or was seen to hold
	// everything; zero when that has not been since the start.
	LastContact time.Time `json:"last_contact,omitzero"`
}

// uploadState is what uploaders and those who wait for them share.
type uploadState struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	wake    map[string]chan struct{}
	retry   map[string]chan struct{} // somebody wants a site that fails tried now
	failing map[string]failure
	contact map[string]time.Time
	phase   map[string]string   // what a site is at while it does not fail
	asked   map[string]int      // comparisons that were asked for
	done    map[string]int      // the last of them that was made
	found   map[string]Compared // by the last comparison
}

type failure struct {
	since time.Time
	err   error
}

func (u *uploadState) init(sites []Site) {
	u.changed = make(chan struct{})
	u.wake, u.retry = map[string]chan struct{}{}, map[string]chan struct{}{}
	u.failing = map[string]failure{}
	u.contact = map[string]time.Time{}
	u.phase = map[string]string{}
	u.asked, u.done, u.found = map[string]int{}, map[string]int{}, map[string]Compared{}
	for _, s := range sites {
		u.wake[s.Name], u.retry[s.Name] = make(chan struct{}, 1), make(chan struct{}, 1)
	}
}

func (u *uploadState) notify() {
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.changed)
	u.changed = make(chan struct{})
}

func (u *uploadState) change() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.changed
}

// setFailing notes a failure, keeping the time of the first in a row, or its
// end when err is nil.
func (u *uploadState) setFailing(site string, now time.Time, err error) (first bool) {
	u.mu.Lock()
	was, failing := u.failing[site]
	if err == nil {
		delete(u.failing, site)
	} else {
		if !failing {
			was.since = now
		}
		u.failing[site] = failure{since: was.since, err: err}
	}
	u.mu.Unlock()
	u.notify()
	return failing != (err != nil)
}

func (u *uploadState) failure(site string) (failure, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f, ok := u.failing[site]
	return f, ok
}

func (u *uploadState) touched(site string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.contact[site] = at
}

func (u *uploadState) lastContact(site string) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.contact[site]
}

func (u *uploadState) setPhase(site, phase string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.phase[site] = phase
}

// ask asks for a comparison with the site and returns its number.
func (u *uploadState) ask(site string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked[site]++
	return u.asked[site]
}

// pending returns the number of the comparison that was asked for last; ok is
// false when it has been made.
func (u *uploadState) pending(site string) (number int, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked[site], u.asked[site] > u.done[site]
}

// compared notes the outcome of a comparison.
func (u *uploadState) compared(site string, number int, c Compared) {
	u.mu.Lock()
	u.done[site], u.found[site] = number, c
	u.mu.Unlock()
	u.notify()
}

func (u *uploadState) comparison(site string) (number int, c Compared) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.done[site], u.found[site]
}

// wake tells every uploader that something was queued.
func (r *Repository) wake() {
	for _, ch := range r.uploads.wake {
		tell(ch)
	}
}

// retryNow ends the pause of an uploader whose site fails.
func (r *Repository) retryNow(site string) { tell(r.uploads.retry[site]) }

func tell(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it has been told already
	}
}

// awayKey names the value that says since when a site is away, also across
// restarts.
func awayKey(site string) string { return "away:" + site }

// noteAway keeps since when a site is away, or that it is not. It is for people
// alone, so a catalog that does not take it only loses them the time.
func (r *Repository) noteAway(site string, err error) {
	since, readErr := r.metaTime(awayKey(site))
	if readErr != nil || since.IsZero() == (err == nil) {
		return // it says so already
	}
	var value []byte
	if err != nil {
		value = []byte(r.clock.Now().UTC().Format(time.RFC3339))
	}
	if setErr := r.catalog.SetMeta(awayKey(site), value); setErr != nil {
		r.log.Warn("since when a site is away is not kept", "site", site, "error", setErr)
	}
}

// Health returns how each site fares.
func (r *Repository) Health() (map[string]SiteHealth, error) {
	out := map[string]SiteHealth{}
	for _, site := range r.sites {
		h, err := r.siteHealth(site.Name)
		if err != nil {
			return nil, err
		}
		out[site.Name] = h
	}
	return out, nil
}

func (r *Repository) siteHealth(site string) (h SiteHealth, err error) {
	backlog, err := r.catalog.Backlog(site)
	if err != nil {
		return h, err
	}
	h.Objects, h.Bytes, h.Commits, h.Evidence = backlog.Objects, backlog.Bytes, backlog.Commits, backlog.Evidence
	if h.Faults, err = r.catalog.Faults(site); err != nil {
		return h, err
	}
	if h.Compared, err = r.lastCompared(site); err != nil {
		return h, err
	}
	h.LastContact = r.uploads.lastContact(site)
	h.State = r.uploads.state(site)
	if f, ok := r.uploads.failure(site); ok {
		h.Failing, h.Since, h.Error = true, f.since, f.err.Error()
		if kept, err := r.metaTime(awayKey(site)); err != nil {
			return h, err
		} else if !kept.IsZero() && kept.Before(h.Since) {
			h.Since = kept // before this process began
		}
		switch {
		case errors.Is(f.err, ErrOwnDisk):
			h.State = SiteHeldUp
		case h.State != SiteComparing: // it answers, so it is as good as back
			h.State = SiteAway
		}
	}
	return h, nil
}

func (u *uploadState) state(site string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if phase := u.phase[site]; phase != "" {
		return phase
	}
	return SiteUnknown
}

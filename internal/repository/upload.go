package repository

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

const (
	// uploadParallel is how many packs go to one site at once.
	uploadParallel = 3
	// After a failure a site is tried again after retryMin, then twice as
	// long each time up to retryMax, give or take a half.
	retryMin = 500 * time.Millisecond
	retryMax = 10 * time.Second
	// A site that has nothing to take is asked whether it is there this
	// often, so that its loss is an alarm before the next snapshot finds out:
	// about 170 000 small reads a month.
	lookEvery = 15 * time.Second
	// A site that was failing already when a snapshot was taken is waited for
	// no longer than this: nobody expects it back right now.
	knownAway = 2 * time.Second
)

// SiteHealth says how the uploads to a site fare.
type SiteHealth struct {
	Failing bool      `json:"failing"`
	Since   time.Time `json:"since,omitzero"` // of the first of the failures in a row
	Error   string    `json:"error,omitempty"`
	Objects int       `json:"objects_waiting"`
	Bytes   int64     `json:"bytes_waiting"`
	// LastContact is when the site last took something or was seen to hold
	// everything; zero when that has not been since the start.
	LastContact time.Time `json:"last_contact,omitzero"`
}

// uploadState is what uploaders and those who wait for them share.
type uploadState struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	wake    map[string]chan struct{}
	failing map[string]failure
	contact map[string]time.Time
}

type failure struct {
	since time.Time
	err   error
}

func (u *uploadState) init(sites []Site) {
	u.changed = make(chan struct{})
	u.wake = map[string]chan struct{}{}
	u.failing = map[string]failure{}
	u.contact = map[string]time.Time{}
	for _, s := range sites {
		u.wake[s.Name] = make(chan struct{}, 1)
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

// wake tells every uploader that something was queued.
func (r *Repository) wake() {
	for _, ch := range r.uploads.wake {
		select {
		case ch <- struct{}{}:
		default: // it has been told already
		}
	}
}

// Health returns how each site fares.
func (r *Repository) Health() (map[string]SiteHealth, error) {
	out := map[string]SiteHealth{}
	for _, site := range r.sites {
		var h SiteHealth
		var err error
		if h.Objects, h.Bytes, err = r.catalog.Backlog(site.Name); err != nil {
			return nil, err
		}
		h.LastContact = r.uploads.lastContact(site.Name)
		if f, ok := r.uploads.failure(site.Name); ok {
			h.Failing, h.Since, h.Error = true, f.since, f.err.Error()
		}
		out[site.Name] = h
	}
	return out, nil
}

// Upload sends what waits to each site, each at its own pace, until ctx ends.
// A site that fails is tried again and again, and says so in the log when it
// begins and when it ends; it never holds up another.
func (r *Repository) Upload(ctx context.Context) error {
	var group errgroup.Group
	for _, site := range r.sites {
		group.Go(func() error {
			r.uploadSite(ctx, site)
			return nil
		})
	}
	return group.Wait()
}

func (r *Repository) uploadSite(ctx context.Context, site Site) {
	known := false // that the site holds this repository
	pause := retryMin
	for ctx.Err() == nil {
		err := r.drain(ctx, site, &known)
		if ctx.Err() != nil {
			return
		}
		first := r.uploads.setFailing(site.Name, r.clock.Now(), err)
		if err == nil {
			if first {
				r.log.Info("site is back and in step", "site", site.Name)
			}
			pause = retryMin
			known = r.rest(ctx, r.uploads.wake[site.Name])
			continue
		}
		if first {
			r.log.Error("site does not take its copies; they wait in the spool", "site", site.Name, "error", err)
		}
		known = false
		jitter := time.Duration(rand.Int64N(int64(pause))) //nolint:gosec // spreads load, guards nothing
		if r.clock.Sleep(ctx, pause/2+jitter) != nil {
			return
		}
		pause = min(2*pause, retryMax)
	}
}

// rest waits until something is queued, and then returns true, or until the
// site is to be looked at again.
func (r *Repository) rest(ctx context.Context, wake <-chan struct{}) (woken bool) {
	napCtx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = r.clock.Sleep(napCtx, lookEvery) // ends early when woken
	}()
	defer func() {
		cancel()
		<-over
	}()
	select {
	case <-wake:
		return true
	case <-over:
		return false
	}
}

// drain makes sure that the site is there, unless that is known, and sends
// everything that waits for it, in order.
func (r *Repository) drain(ctx context.Context, site Site, known *bool) error {
	for {
		if !*known {
			if err := r.checkRepository(ctx, site); err != nil {
				return err
			}
			*known = true
			r.uploads.touched(site.Name, r.clock.Now())
		}
		entries, err := r.catalog.Outbox(site.Name, 4*uploadParallel)
		if err != nil || len(entries) == 0 {
			return err
		}
		if err := r.sendSome(ctx, site, entries); err != nil {
			return err
		}
		r.uploads.touched(site.Name, r.clock.Now())
	}
}

// sendSome sends the packs at the head of the queue together, or the commit
// that stands there alone.
func (r *Repository) sendSome(ctx context.Context, site Site, entries []catalog.Entry) error {
	batch := entries[:1]
	for batch[0].Kind != catalog.KindCommit && len(batch) < len(entries) && entries[len(batch)].Kind != catalog.KindCommit {
		batch = entries[:len(batch)+1]
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(uploadParallel)
	for _, e := range batch {
		group.Go(func() error { return r.sendBody(groupCtx, site, e) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	// What took them must be the site still, and not an empty folder where a
	// share was mounted a moment ago.
	if err := r.checkRepository(ctx, site); err != nil {
		return err
	}
	for _, e := range batch {
		if err := r.acknowledge(site, e); err != nil {
			return err
		}
	}
	return nil
}

// checkRepository makes sure that the site holds this repository before
// anything is written to it.
func (r *Repository) checkRepository(ctx context.Context, site Site) error {
	there, err := readObject(ctx, site, configName, maxSmall)
	if errors.Is(err, storage.ErrNotFound) {
		return &ObjectError{site.Name, configName, fmt.Errorf(
			"%w: the bucket is new or was emptied; run 'backupd init' to have it filled again", ErrNoRepository)}
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(there, r.config) {
		return &ObjectError{site.Name, configName, fmt.Errorf("%w: check bucket and prefix", ErrOtherRepository)}
	}
	return nil
}

// acknowledge takes an object that a site holds out of the site's outbox.
func (r *Repository) acknowledge(site Site, e catalog.Entry) error {
	last, err := r.catalog.Acknowledge(site.Name, e, r.clock.Now())
	if err != nil {
		return err
	}
	if last {
		if err := r.spool.remove(e.Name); err != nil {
			return err
		}
	}
	if e.Kind == catalog.KindCommit {
		r.uploads.notify()
	}
	return nil
}

func (r *Repository) sendBody(ctx context.Context, site Site, e catalog.Entry) error {
	body, err := os.Open(r.spool.path(e.Name))
	if os.IsNotExist(err) {
		// It may be there from earlier: the site was away from the
		// configuration, or the catalog is a rebuilt one.
		if err := checkSame(ctx, site, e); !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		return r.copyFromOther(ctx, site, e)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSpool, err)
	}
	defer func() { _ = body.Close() }() // it was only read
	err = putBody(ctx, site, e, body)
	if errors.Is(err, storage.ErrChecksum) || errors.Is(err, storage.ErrInvalid) {
		if otherErr := r.copyFromOther(ctx, site, e); otherErr != nil {
			return errors.Join(fmt.Errorf("%w: its copy is damaged: %w", ErrSpool, err), otherErr)
		}
		return nil
	}
	return err
}

// copyFromOther sends an object that has left the spool, from a site that has
// it.
func (r *Repository) copyFromOther(ctx context.Context, site Site, e catalog.Entry) error {
	var errs []error
	for _, other := range r.sites {
		if other.Name == site.Name {
			continue
		}
		b, err := readObject(ctx, other, e.Name, maxPack)
		if err == nil && sum(b) != e.SHA256 {
			err = &ObjectError{other.Name, e.Name, ErrCorrupt}
		}
		if err == nil {
			return putBody(ctx, site, e, bytes.NewReader(b))
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("object %s waits for site %s and is neither in the spool nor elsewhere: %w",
		e.Name, site.Name, errors.Join(append(errs, ErrUnavailable)...))
}

// putBody writes an object; one that is there already must be the same.
func putBody(ctx context.Context, site Site, e catalog.Entry, body io.ReadSeeker) error {
	err := site.Store.Put(ctx, storage.Object{Name: e.Name, Size: e.Size, SHA256: e.SHA256, Body: body})
	if !errors.Is(err, storage.ErrExists) {
		return err
	}
	return checkSame(ctx, site, e)
}

// checkSame reads an object of a site and compares its digest.
func checkSame(ctx context.Context, site Site, e catalog.Entry) error {
	there, err := site.Store.Get(ctx, e.Name, 0, -1)
	if err != nil {
		return err
	}
	digest := sha256.New()
	n, err := io.Copy(digest, io.LimitReader(there, e.Size+1))
	if closeErr := there.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return &ObjectError{site.Name, e.Name, err}
	}
	if n != e.Size || Digest(digest.Sum(nil)) != e.SHA256 {
		return &ObjectError{site.Name, e.Name, fmt.Errorf("%w: another object of that name is there, "+
			"and nothing is ever overwritten; move it away and it is written again", ErrCorrupt)}
	}
	return nil
}

func putObject(ctx context.Context, site Site, name string, body []byte) error {
	return putBody(ctx, site, catalog.Entry{
		Kind: catalog.KindCommit, Name: name, Size: int64(len(body)), SHA256: sum(body),
	}, bytes.NewReader(body))
}

// Copy states of a snapshot at a site.
const (
	// StateDurable: the site has acknowledged the commit and all it names.
	StateDurable = "durable"
	// StateSpooled: it waits in the spool and is being sent.
	StateSpooled = "spooled"
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
		states := r.siteStates(s)
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
		tick, cancel := context.WithTimeout(ctx, time.Second)
		select {
		case <-change:
		case <-tick.Done():
		}
		cancel()
		if err := ctx.Err(); err != nil {
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

// siteStates tells the state of a snapshot at every configured site.
func (r *Repository) siteStates(s *catalog.Snapshot) map[string]SiteState {
	out := map[string]SiteState{}
	for _, site := range r.sites {
		at, ok := s.Durable[site.Name]
		if ok {
			out[site.Name] = SiteState{State: StateDurable, Durable: at}
			continue
		}
		st := SiteState{State: StateSpooled}
		if f, failing := r.uploads.failure(site.Name); failing {
			st.Error = f.err.Error()
		}
		out[site.Name] = st
	}
	return out
}

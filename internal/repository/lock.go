package repository

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// lockParallel is how many retentions are put off at once.
const lockParallel = 8

// Locks is what is known of a site's protection from deletion.
type Locks struct {
	// Horizon is until when everything that is needed is protected: the end of
	// the retention that ends first. Zero when something is not protected at all.
	Horizon time.Time `json:"horizon,omitzero"`
	// Objects are needed, Unprotected of them are not protected.
	Objects     int `json:"objects"`
	Unprotected int `json:"unprotected"`
	// Extended were put off now, each for as long as the site's lock says.
	Extended int `json:"extended"`
}

// Alarm says what is wrong with the protection of a site's objects, for a lock of
// that length; empty when nothing is. Protection is extended when half of its
// time is left, so much less than half means that nobody does.
func (l Locks) Alarm(hold time.Duration, now time.Time) string {
	switch {
	case l.Unprotected > 0:
		return fmt.Sprintf("%d of %d needed objects are not protected from deletion; the running service sees to it, "+
			"and says in its log when it cannot", l.Unprotected, l.Objects)
	case l.Horizon.Sub(now) < hold/2-hold/8:
		return fmt.Sprintf("needed objects can be deleted from %s on: their protection is not being extended; look for "+
			"'protection' in the service's log", l.Horizon.UTC().Format(time.RFC3339))
	}
	return ""
}

// ExtendLocks puts off the end of the retention of whatever is needed at a site
// whose lock has half of its time or less to go: packs and commits that were
// written long ago and are needed still. What nobody needs is left to run out.
// A site without a lock has nothing to extend.
func (r *Repository) ExtendLocks(ctx context.Context, name string, tick func(done int)) (Locks, error) {
	site, err := r.Site(name)
	if err != nil || site.Lock == 0 {
		return Locks{}, err
	}
	e := extender{Repository: r, site: site, now: r.clock.Now(), tick: tick}
	if err := e.small(ctx); err != nil {
		return e.out, err
	}
	err = r.eachHolding(name, func(page []catalog.Holding) error { return e.page(ctx, page) })
	if err != nil {
		return e.out, fmt.Errorf("site %s: extend the protection of its objects: %w", name, err)
	}
	out, err := r.Locks(name)
	out.Extended = e.out.Extended
	return out, err
}

// Locks tells until when everything that is needed at a site is protected.
func (r *Repository) Locks(site string) (out Locks, err error) {
	count := func(until time.Time) {
		out.Objects++
		switch {
		case until.IsZero():
			out.Unprotected++
		case out.Horizon.IsZero() || until.Before(out.Horizon):
			out.Horizon = until
		}
	}
	small, err := r.smallLocked(site)
	if err != nil {
		return out, err
	}
	count(small)
	err = r.eachHolding(site, func(page []catalog.Holding) error {
		for _, h := range page {
			if !h.Condemned {
				count(h.Locked)
			}
		}
		return nil
	})
	if out.Unprotected > 0 {
		out.Horizon = time.Time{}
	}
	return out, err
}

// eachHolding calls fn for page after page of what a site must hold.
func (r *Repository) eachHolding(site string, fn func([]catalog.Holding) error) error {
	after := ""
	for {
		page, err := r.catalog.Holdings(site, after, 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		after = page[len(page)-1].Name
	}
}

// extender extends the locks of one site.
type extender struct {
	*Repository
	site Site
	now  time.Time
	tick func(done int)
	out  Locks
}

// due reports whether a retention is to be put off.
func (e *extender) due(until time.Time) bool { return until.Sub(e.now) <= e.site.Lock/2 }

// smallLockedKey names until when repo.json is protected, which the catalog does
// not count among the site's holdings.
func smallLockedKey(site string) string { return "locked:" + site }

func (r *Repository) smallLocked(site string) (time.Time, error) {
	v, err := r.catalog.Meta(smallLockedKey(site))
	if errors.Is(err, catalog.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339, string(v))
}

func setSmallLocked(cat *catalog.Catalog, site string, until time.Time) error {
	return cat.SetMeta(smallLockedKey(site), []byte(until.UTC().Format(time.RFC3339)))
}

// small extends the lock of repo.json.
func (e *extender) small(ctx context.Context) error {
	until, err := e.smallLocked(e.site.Name)
	if err != nil || !e.due(until) {
		return err
	}
	if until, err = e.extend(ctx, configName); err != nil {
		return err
	}
	e.out.Extended++
	return setSmallLocked(e.catalog, e.site.Name, until)
}

func (e *extender) page(ctx context.Context, page []catalog.Holding) error {
	var mu sync.Mutex
	copies := map[string]catalog.Copy{}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(lockParallel)
	for _, h := range page {
		if h.Condemned || !e.due(h.Locked) {
			continue
		}
		group.Go(func() error {
			until, err := e.extend(groupCtx, h.Name)
			if errors.Is(err, storage.ErrNotFound) {
				return e.missing(h.Name)
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			copies[h.Name] = catalog.Copy{Read: h.Read, Locked: until}
			return nil
		})
	}
	err := group.Wait()
	e.out.Extended += len(copies)
	if e.tick != nil {
		e.tick(e.out.Extended)
	}
	// What was put off before another failed is put off.
	return errors.Join(err, e.catalog.SetCopies(e.site.Name, copies))
}

// extend protects an object for the whole time from now on, unless it is
// protected for longer, and returns until when.
func (e *extender) extend(ctx context.Context, name string) (time.Time, error) {
	until := e.now.Add(e.site.Lock)
	err := storage.Retain(ctx, e.site.Store, name, storage.Retention{Mode: e.site.LockMode, Until: until})
	if errors.Is(err, storage.ErrLocked) {
		there, readErr := storage.RetentionOf(ctx, e.site.Store, name)
		if readErr == nil && there.Until.After(until) {
			return there.Until, nil
		}
		return until, errors.Join(err, readErr)
	}
	return until, err
}

// missing has an object sent again that was found not to be there.
func (e *extender) missing(name string) error {
	_, err := e.catalog.Doubt(catalog.Fault{
		Site: e.site.Name, Name: name, Since: e.now.UTC(), Detail: "missing", Found: "lock",
	})
	e.wake()
	return err
}

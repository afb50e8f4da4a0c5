package engine

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/storage"
)

// lockRounds is how often in the time of a lock it is looked at what has to be
// protected for longer: several times before the half at which that is due has
// turned into the end.
const lockRounds = 16

// keepLocked has everything that is needed at a site protected from deletion,
// for as long as it is needed, until ctx ends.
func (e *Engine) keepLocked(ctx context.Context) {
	var sites errgroup.Group
	for _, name := range e.cfg.SiteOrder {
		if lock := e.cfg.Sites[name].Lock; lock != nil {
			sites.Go(func() error {
				e.keepSiteLocked(ctx, name, lock.For/lockRounds)
				return nil
			})
		}
	}
	_ = sites.Wait() // none returns an error
}

func (e *Engine) keepSiteLocked(ctx context.Context, site string, every time.Duration) {
	const soon = time.Minute // let the start of a service be about snapshots
	for wait := min(soon, every); e.clock.Sleep(ctx, wait) == nil; wait = every {
		locks, err := e.repository.ExtendLocks(ctx, site, nil)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			e.log.Error("the protection of a site's objects could not be extended", "site", site, "error", err)
		case locks.Extended > 0:
			e.log.Info("protection extended", "site", site, "objects", locks.Extended, "horizon", locks.Horizon)
		}
	}
}

// describeLock tells how the objects of a site are protected, if it has a lock.
func (e *Engine) describeLock(s *SiteReport, locks repository.Locks, now time.Time) {
	lock := e.cfg.Sites[s.Site].Lock
	if lock == nil {
		return
	}
	s.Lock = &SiteLock{Mode: lock.Mode, Horizon: inUTC(locks.Horizon), Objects: locks.Objects, Unprotected: locks.Unprotected}
	if !locks.Horizon.IsZero() {
		s.Lock.HorizonSeconds = locks.Horizon.Sub(now).Seconds()
	}
	if alarm := locks.Alarm(lock.For, now); alarm != "" {
		s.Reasons = append(s.Reasons, alarm)
	}
}

// tamper tries to destroy a locked object of a site's own making: the site must
// refuse.
func (c *checker) tamper(ctx context.Context, site repository.Site) {
	const group = "site"
	lock := c.cfg.Sites[site.Name].Lock
	if lock == nil {
		return
	}
	mode := storage.LockMode(lock.Mode)
	result, err := storage.TamperTest(ctx, site.Store, mode, c.clock)
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		c.bad(group, site.Name, "object lock: "+err.Error(),
			"make the bucket with object lock (it cannot be added everywhere later) and let the key set retentions, see docs/operations.md")
		return
	}
	c.good(group, site.Name, fmt.Sprintf("object lock holds: deleting a locked object and shortening its lock were refused (%s, for %s)",
		mode, lock.For), "")
}

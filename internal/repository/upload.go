package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
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

// Upload sends what waits to each site, each at its own pace, until ctx ends.
// A site that fails is tried again and again, and says so in the log when it
// begins and when it ends; it never holds up another. One that comes back is
// given what waits, and then what it holds is compared with what it must hold.
func (r *Repository) Upload(ctx context.Context) error {
	if err := r.mayWrite(); err != nil {
		// It can be read from all the same.
		r.log.Error("nothing is sent to any site", "error", err)
		<-ctx.Done()
		return nil
	}
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
		before, _ := r.uploads.comparison(site.Name)
		err := r.bringInStep(ctx, site, &known)
		if ctx.Err() != nil {
			return
		}
		err = ownFault(err)
		changed := r.uploads.setFailing(site.Name, r.clock.Now(), err)
		if !errors.Is(err, ErrOwnDisk) { // which cannot be written down
			r.noteAway(site.Name, err)
		}
		if err == nil {
			if changed {
				// What happened to it meanwhile is for a comparison to say,
				// unless somebody has asked for it just now.
				if made, _ := r.uploads.comparison(site.Name); made == before {
					r.uploads.ask(site.Name)
				}
				r.log.Info("site is back and has what waited for it", "site", site.Name)
				continue
			}
			pause = retryMin
			known = r.rest(ctx, r.uploads.wake[site.Name], lookEvery)
			continue
		}
		switch {
		case changed && errors.Is(err, ErrOwnDisk):
			r.log.Error("a site cannot be given its copies; they wait in the spool", "site", site.Name, "error", err)
		case changed:
			r.log.Error("site does not take its copies; they wait in the spool", "site", site.Name, "error", err)
		}
		r.uploads.setPhase(site.Name, SiteAway)
		known = false
		jitter := time.Duration(rand.Int64N(int64(pause))) //nolint:gosec // spreads load, guards nothing
		r.rest(ctx, r.uploads.retry[site.Name], pause/2+jitter)
		pause = min(2*pause, retryMax)
	}
}

// bringInStep gives a site what waits for it, and compares what it holds with
// what it must hold when that is due.
func (r *Repository) bringInStep(ctx context.Context, site Site, known *bool) error {
	for {
		if err := r.drain(ctx, site, known); err != nil {
			return err
		}
		number, asked := r.uploads.pending(site.Name)
		if err := r.mayCheck(); err != nil {
			if asked {
				r.uploads.compared(site.Name, number, Compared{Problems: []Problem{{configName, err.Error()}}})
			}
			r.uploads.setPhase(site.Name, SiteUnknown)
			return nil
		}
		if !asked {
			due, err := r.compareDue(site.Name)
			if err != nil || !due {
				r.uploads.setPhase(site.Name, SiteInStep)
				return err
			}
		}
		r.uploads.setPhase(site.Name, SiteComparing)
		found, err := r.compare(ctx, site)
		if errors.Is(err, errUpkeep) {
			return nil // the next look does it; meanwhile the site gets its copies
		}
		if err != nil {
			return err
		}
		// What was found to be missing waits now; it is sent before anybody is
		// told that the site is in step.
		if err := r.drain(ctx, site, known); err != nil {
			return err
		}
		r.uploads.setPhase(site.Name, SiteInStep)
		r.uploads.compared(site.Name, number, found)
	}
}

// takesAgain ends what was known of a site's failures, because it takes its
// copies: there may be hours of them to send. What happened to it meanwhile is
// for a comparison to say.
func (r *Repository) takesAgain(site string) {
	r.noteAway(site, nil)
	if r.uploads.setFailing(site, r.clock.Now(), nil) {
		r.uploads.ask(site)
		r.log.Info("site takes its copies again", "site", site)
	}
}

// rest waits until somebody wakes it, and then returns true, or for so long.
func (r *Repository) rest(ctx context.Context, wake <-chan struct{}, long time.Duration) (woken bool) {
	napCtx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = r.clock.Sleep(napCtx, long) // ends early when woken
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
// everything that waits for it.
func (r *Repository) drain(ctx context.Context, site Site, known *bool) error {
	for {
		if !*known {
			if err := r.checkRepository(ctx, site); err != nil {
				return err
			}
			*known = true
			r.uploads.touched(site.Name, r.clock.Now())
		}
		entries, err := r.catalog.Next(site.Name, uploadParallel)
		if err != nil || len(entries) == 0 {
			return err
		}
		r.uploads.setPhase(site.Name, SiteSending)
		if err := r.sendSome(ctx, site, entries); err != nil {
			return err
		}
		r.uploads.touched(site.Name, r.clock.Now())
		r.takesAgain(site.Name)
	}
}

// sendSome sends objects that may go in any order among themselves, and
// acknowledges those that arrived, whatever became of the others.
func (r *Repository) sendSome(ctx context.Context, site Site, entries []catalog.Entry) error {
	since := r.clock.Now()
	sent, failed := r.sendAll(ctx, site, entries)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(sent) == 0 {
		return failed
	}
	crash.Point(crash.UploadSent)
	// What took them must be the site still, and not an empty folder where a
	// share was mounted a moment ago.
	if err := r.checkRepository(ctx, site); err != nil {
		return errors.Join(failed, err)
	}
	return errors.Join(failed, r.acknowledge(site, sent, since))
}

// sendAll sends each of the objects and returns those that the site has now.
// An object that is beyond help is put on record and is no failure of the site.
func (r *Repository) sendAll(ctx context.Context, site Site, entries []catalog.Entry) (sent []catalog.Entry, failed error) {
	var mu sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(uploadParallel)
	for _, e := range entries {
		group.Go(func() error {
			err := r.send(groupCtx, site, e)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, e)
				return nil
			}
			return r.giveUp(site, e, err)
		})
	}
	failed = group.Wait()
	return sent, failed
}

// giveUp puts an object on record that cannot be sent: one that nobody has, one
// that the site holds wrongly and does not let go. Other errors are the site's.
func (r *Repository) giveUp(site Site, e catalog.Entry, err error) error {
	switch {
	case e.Kind == catalog.KindKey:
		return err // without its keys nothing that the site is given would be of use
	case errors.Is(err, errLost) && e.Kind == catalog.KindPack:
		damaged, loseErr := r.catalog.Lose(e.Name, r.clock.Now())
		r.log.Error("a pack is lost: no site and no spool has it; the next snapshots write anew what it held",
			"pack", e.Name, "damaged_snapshots", damaged, "error", err)
		return errors.Join(loseErr, r.unspool(e.Name))
	case errors.Is(err, errLost), errors.Is(err, errStuck):
		r.log.Error("an object cannot be put right at a site", "site", site.Name, "object", e.Name, "error", err)
		err = r.catalog.SetAside(catalog.Fault{
			Site: site.Name, Name: e.Name, Since: r.clock.Now().UTC(), Detail: err.Error(), Found: "upload",
			Lost: errors.Is(err, errLost),
		})
		return errors.Join(err, r.unspool(e.Name))
	}
	return err
}

// unspool removes an object from the spool when nothing will be sent from there
// any more.
func (r *Repository) unspool(name string) error {
	keep, err := r.catalog.Spooled(name)
	if err != nil || keep {
		return err
	}
	return r.spool.remove(name)
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

// acknowledge takes objects that a site holds out of the site's outbox. They
// are locked, if at all, from the time at which sending them began.
func (r *Repository) acknowledge(site Site, entries []catalog.Entry, sent time.Time) error {
	var locked time.Time
	if site.Lock > 0 {
		locked = sent.Add(site.Lock)
	}
	free, err := r.catalog.Acknowledge(site.Name, entries, r.clock.Now(), locked)
	if err != nil {
		return err
	}
	crash.Point(crash.UploadAcknowledged)
	for _, name := range free {
		if err := r.spool.remove(name); err != nil {
			return err
		}
		crash.Point(crash.SpoolFreed)
	}
	r.uploads.notify()
	return nil
}

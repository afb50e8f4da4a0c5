package repository

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/storage"
)

// Sync asks for a comparison with the named sites, all when none is named, and
// waits until each is in step or has failed for as long as patience says. tick,
// when not nil, is told again and again how each fares. The uploads must run.
func (r *Repository) Sync(ctx context.Context, names []string, patience time.Duration, tick func(site string, h SiteHealth)) (map[string]Compared, error) {
	sites, err := r.choose(names)
	if err != nil {
		return nil, err
	}
	numbers := map[string]int{}
	for _, site := range sites {
		numbers[site.Name] = r.uploads.ask(site.Name)
		r.retryNow(site.Name)
	}
	r.wake()
	start := r.clock.Now()
	out := map[string]Compared{}
	var failed []error
	for len(numbers) > 0 {
		change := r.uploads.change()
		for site, number := range numbers {
			done, err := r.synced(site, number, start, patience, out, tick)
			if done {
				delete(numbers, site)
				failed = append(failed, err)
			}
		}
		if len(numbers) == 0 {
			break
		}
		if err := r.pause(ctx, change); err != nil {
			return out, errors.Join(append(failed, err)...)
		}
	}
	return out, errors.Join(failed...)
}

// pause waits for a change of the uploads, a second at most.
func (r *Repository) pause(ctx context.Context, change <-chan struct{}) error {
	tick, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	select {
	case <-change:
	case <-tick.Done():
	}
	return ctx.Err()
}

// synced reports whether waiting for a site is over.
func (r *Repository) synced(site string, number int, start time.Time, patience time.Duration, out map[string]Compared, tick func(string, SiteHealth)) (bool, error) {
	if tick != nil {
		h, err := r.siteHealth(site)
		if err != nil {
			return true, err
		}
		tick(site, h)
	}
	if done, found := r.uploads.comparison(site); done >= number {
		out[site] = found
		return true, nil
	}
	f, failing := r.uploads.failure(site)
	// While something is under way at a site it may be about to be back.
	over := r.uploads.state(site) == SiteAway && r.clock.Now().Sub(start) >= patience
	if failing && (over || f.since.After(start) && storage.Permanent(f.err)) {
		return true, fmt.Errorf("site %s is not in step: %w", site, f.err)
	}
	return false, nil
}

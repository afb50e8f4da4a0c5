package repository

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

const (
	// maxRotationStep is the longest time between two steps of a rotation, and
	// rotationSteps the least number of them in a period.
	maxRotationStep = time.Hour
	rotationSteps   = 720
	// rotationPatience is how long a step waits for a site that fails to take
	// what was wrong there.
	rotationPatience = time.Minute
)

// KeepScrubbed reads everything that the sites hold, again and again, so that
// none of it remains unread for longer than every, until ctx ends. How far it
// has come is in the catalog: a restart loses nothing. The uploads must run.
func (r *Repository) KeepScrubbed(ctx context.Context, every time.Duration) {
	var group sync.WaitGroup
	for _, site := range r.sites {
		group.Go(func() { r.newRounds(site, every).run(ctx) })
	}
	group.Wait()
}

// rounds is the rotation over one site.
type rounds struct {
	*Repository
	site Site
	pace pacer
}

func (r *Repository) newRounds(site Site, every time.Duration) *rounds {
	return &rounds{Repository: r, site: site.quiet(), pace: pacer{every: every, step: min(every/rotationSteps, maxRotationStep)}}
}

func stepKey(site string) string { return "scrub step:" + site }

func (t *rounds) run(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		wait, err := t.wait()
		if err == nil {
			err = t.clock.Sleep(ctx, wait)
		}
		if err == nil {
			err = t.read(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && !failing:
			t.log.Warn("scrub: a site cannot be read; it is tried again", "site", t.site.Name, "error", err)
		case err == nil && failing:
			t.log.Info("scrub: the site can be read again", "site", t.site.Name)
		}
		if failing = err != nil; failing {
			_ = t.clock.Sleep(ctx, t.pace.step) // the end of ctx is seen above
		}
	}
}

// wait returns how long it is until the next step.
func (t *rounds) wait() (time.Duration, error) {
	last, err := t.metaTime(stepKey(t.site.Name))
	return min(t.pace.step, max(0, t.pace.step-t.clock.Now().Sub(last))), err
}

// read is one step.
func (t *rounds) read(ctx context.Context) error {
	now := t.clock.Now()
	last, err := t.metaTime(stepKey(t.site.Name))
	if err != nil {
		return err
	}
	if err := t.catalog.SetMeta(stepKey(t.site.Name), []byte(now.UTC().Format(time.RFC3339Nano))); err != nil {
		return err
	}
	first, err := t.firstSeen(t.site.Name)
	if err != nil {
		return err
	}
	need, err := t.pace.need(now, first, func(fn func(catalog.Holding) error) error { return t.catalog.EachHolding(t.site.Name, fn) })
	if err != nil {
		return err
	}
	budget := t.pace.share(now.Sub(last), need)
	if budget == 0 {
		return nil
	}
	s := t.scrubber(t.site, func(ScrubProgress) {})
	err = s.step(ctx, chosen{until: t.pace.soonest(now), budget: budget})
	t.pace.credit -= float64(s.out.Bytes)
	for _, w := range s.out.Wrong {
		t.log.Error("scrub: an object could not be put right", "site", t.site.Name, "object", w.Object,
			"detail", w.Detail, "lost", w.Lost, "snapshots", w.Snapshots)
	}
	return err
}

// step reads what a rotation is to read now.
func (s *scrubber) step(ctx context.Context, c chosen) error {
	if err := s.checkConfig(ctx); err != nil {
		return err
	}
	err := s.readOldest(ctx, c)
	if len(s.suspects) > 0 && ctx.Err() == nil {
		err = errors.Join(err, s.settle(ctx, rotationPatience))
	}
	return err
}

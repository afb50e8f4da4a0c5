package repository

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/catalog"
)

// A rotation reads each object of each site at least once within a period, at
// an even pace, and no more than that takes: an object that was written or read
// less than half of the period ago is left alone.
const (
	// maxRotationStep is the longest time between two steps of a rotation.
	maxRotationStep = time.Hour
	// rotationSteps is the least number of steps in a period.
	rotationSteps = 720
	// A rotation aims at this share of the period, so that what comes in between
	// does not break the bound, …
	aimNumerator, aimDenominator = 9, 10
	// … and makes up for what it has missed within this part of it.
	catchUpPart = 30
	// rotationPatience is how long a step waits for a site that fails to take
	// what was wrong there.
	rotationPatience = time.Minute
)

// UnreadBound is for how long an object may remain unread while a rotation
// with that period runs and the sites can be read.
func UnreadBound(every time.Duration) time.Duration { return every + min(every, 24*time.Hour) }

// KeepScrubbed reads everything that the sites hold, again and again, so that
// none of it remains unread for longer than every, until ctx ends. How far it
// has come is in the catalog: a restart loses nothing. The uploads must run.
func (r *Repository) KeepScrubbed(ctx context.Context, every time.Duration) {
	var group sync.WaitGroup
	for _, site := range r.sites {
		group.Go(func() { r.rotate(ctx, site, every) })
	}
	group.Wait()
}

func stepKey(site string) string { return "scrub step:" + site }

func (r *Repository) rotate(ctx context.Context, site Site, every time.Duration) {
	t := rotation{Repository: r, site: site.quiet(), every: every, step: min(every/rotationSteps, maxRotationStep)}
	failing := false
	for {
		wait, err := t.wait()
		if err == nil {
			err = r.clock.Sleep(ctx, wait)
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = t.read(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && !failing:
			r.log.Warn("scrub: a site cannot be read; it is tried again", "site", site.Name, "error", err)
		case err == nil && failing:
			r.log.Info("scrub: the site can be read again", "site", site.Name)
		}
		if failing = err != nil; failing && r.clock.Sleep(ctx, t.step) != nil {
			return
		}
	}
}

// rotation is the reading of one site.
type rotation struct {
	*Repository
	site        Site
	every, step time.Duration
	credit      float64 // bytes that may be read; negative when more were
}

// wait returns how long it is until the next step.
func (t *rotation) wait() (time.Duration, error) {
	last, err := t.metaTime(stepKey(t.site.Name))
	return min(t.step, max(0, t.step-t.clock.Now().Sub(last))), err
}

// read is one step.
func (t *rotation) read(ctx context.Context) error {
	now := t.clock.Now()
	last, err := t.metaTime(stepKey(t.site.Name))
	if err != nil {
		return err
	}
	if err := t.catalog.SetMeta(stepKey(t.site.Name), []byte(now.UTC().Format(time.RFC3339))); err != nil {
		return err
	}
	rate, urgent, err := t.pace(now)
	if err != nil {
		return err
	}
	passed := now.Sub(last)
	if last.IsZero() || passed <= 0 || passed > t.every/catchUpPart {
		passed = t.step // what was missed is in the pace
	}
	share := rate * passed.Seconds()
	t.credit = min(t.credit+share, share) // what could not be read before is in the pace too
	if urgent {
		t.credit = share
	}
	if t.credit <= 0 {
		return nil
	}
	s := t.scrubber(t.site, func(ScrubProgress) {})
	err = s.step(ctx, chosen{until: now.Add(-t.every / 2), budget: max(1, int64(t.credit))})
	t.credit -= float64(s.out.Bytes)
	for _, w := range s.out.Wrong {
		t.log.Error("scrub: an object could not be put right", "site", t.site.Name, "object", w.Object,
			"detail", w.Detail, "lost", w.Lost, "snapshots", w.Snapshots)
	}
	return err
}

// paceParts is into how many parts the period is divided to find the pace.
const paceParts = 256

// pace returns the least number of bytes a second at which everything is read
// in time, when what was not read for longest comes first; urgent when
// something should have been read by the next step.
func (t *rotation) pace(now time.Time) (rate float64, urgent bool, err error) {
	first, err := t.firstSeen(t.site.Name)
	if err != nil {
		return 0, false, err
	}
	aim := t.every / aimDenominator * aimNumerator
	var due [paceParts]float64 // bytes whose time comes in each part
	err = t.catalog.EachHolding(t.site.Name, func(h catalog.Holding) error {
		if h.Faulty {
			return nil
		}
		at := knownRight(h, now)
		if at.IsZero() {
			at = first
		}
		left := at.Add(aim).Sub(now)
		urgent = urgent || left <= t.step
		part := int(left.Seconds() / aim.Seconds() * paceParts)
		due[max(0, min(part, paceParts-1))] += float64(h.Size)
		return nil
	})
	bytes := 0.0
	for i, n := range due {
		bytes += n
		left := max(aim.Seconds()*float64(i)/paceParts, t.every.Seconds()/catchUpPart)
		rate = max(rate, bytes/left)
	}
	return rate, urgent, err
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

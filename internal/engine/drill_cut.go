package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/storage"
)

// awaySite is one that an exercise keeps its reading from.
type awaySite struct {
	name    string
	place   string
	line    *storage.Cut
	traffic *storage.Traffic
}

// cut gives the exercise ways of its own to the sites: to the one that it reads
// from as always, to all others none. What the service does besides goes the
// ways that it always went.
func (run *exercise) cut() error {
	var lines []*storage.Cut
	var sites []repository.Site
	for _, name := range run.cfg.SiteOrder {
		if name == run.from {
			continue
		}
		c := run.cfg.Sites[name]
		away := &awaySite{name: name, place: placeOf(c), line: storage.NewCut(c.Endpoint), traffic: &storage.Traffic{}}
		store := away.line.Store(name)
		if c.Kind != "dir" {
			var err error
			if store, err = openStoreBy(name, c, c.AccessKey, c.SecretKey, away.traffic, away.line.Dial); err != nil {
				return fmt.Errorf("%w: %w", ErrConfig, err)
			}
		}
		run.away, lines = append(run.away, away), append(lines, away.line)
		sites = append(sites, repository.Site{Name: name, Store: store})
	}
	c := run.cfg.Sites[run.from]
	store, err := openStoreBy(run.from, c, c.AccessKey, c.SecretKey, run.meter.traffic[run.from], storage.DialAround(lines...))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	store = storage.WithRetry(store, siteRetry, run.clock, nil)
	run.through = run.repository.Through(append(sites, repository.Site{Name: run.from, Store: store}))
	return nil
}

// placeOf names where a site lies.
func placeOf(c config.Site) string {
	switch {
	case c.Kind == "dir":
		return c.Path
	case c.Endpoint == "":
		return "Amazon S3, bucket " + c.Bucket
	default:
		return c.Endpoint
	}
}

// refuse tries what a restore would do first: it asks every other site for the
// newest commits. None may answer.
func (run *exercise) refuse(ctx context.Context, step *evidence.DrillStep) {
	run.tryAway(ctx, step)
}

// tryAway asks each site that is away, and fills in the verdict.
func (run *exercise) tryAway(ctx context.Context, step *evidence.DrillStep) {
	var told []string
	for _, away := range run.away {
		answers, err := run.ask(ctx, away.name)
		switch {
		case err != nil:
			step.Error = err.Error()
			return
		case answers > 0:
			step.Status, step.Error = evidence.Fail, fmt.Sprintf("site %s answered", away.name)
			return
		}
		told = append(told, fmt.Sprintf("site %s (%s): %d attempts refused", away.name, away.place, away.line.Attempts()))
	}
	step.Status, step.Actual = evidence.Pass, strings.Join(told, "; ")
}

// ask asks a site for its repository and for the newest commit of each function,
// and returns how many answers came. An error is one that is no refusal.
func (run *exercise) ask(ctx context.Context, site string) (answers int, err error) {
	place, err := run.through.Site(site)
	if err != nil {
		return 0, err
	}
	asked := []func() error{func() error {
		_, err := place.Store.Stat(ctx, "repo.json")
		return err
	}}
	for _, point := range run.points {
		asked = append(asked, func() error {
			_, err := run.through.ReadCommit(ctx, point.ID, site)
			return err
		})
	}
	for _, try := range asked {
		err := try()
		switch {
		case ctx.Err() != nil:
			return answers, ctx.Err()
		case !errors.Is(err, storage.ErrCut):
			answers++
		}
	}
	return answers, nil
}

// compare shows that the sites were away to the end, and that what was restored
// came from the other one.
func (run *exercise) compare(ctx context.Context, step *evidence.DrillStep) {
	if run.tryAway(ctx, step); step.Status != evidence.Pass {
		return
	}
	for _, r := range run.refusals() {
		if r.Passed > 0 {
			step.Status, step.Error = evidence.Fail, fmt.Sprintf("%d requests reached site %s", r.Passed, r.Site)
			return
		}
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.fetched == 0 {
		step.Status, step.Error = evidence.Inconclusive, fmt.Sprintf("nothing was read from site %s either", run.from)
		return
	}
	step.Actual += fmt.Sprintf("; %d bytes were read from site %s", run.fetched, run.from)
}

// refusals says what every site was refused.
func (run *exercise) refusals() (out []evidence.Refusal) {
	for _, away := range run.away {
		n := away.traffic.Requests()
		out = append(out, evidence.Refusal{
			Site: away.name, Place: away.place, Attempts: away.line.Attempts(), Passed: int(n.Reads + n.Writes + n.Deletes),
		})
	}
	return out
}

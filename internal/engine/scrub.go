package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
)

// Scrub reads what the named sites hold, all of them when none is named, and
// compares every byte with what it must be. What is wrong is put right from
// another copy and read again. The error matches [ErrDifference] when something
// could not be put right, [ErrDegraded] when everything could; it is another one
// when a site could not be read.
func (e *Engine) Scrub(ctx context.Context, req ScrubRequest, report progress.Reporter) ([]ScrubResult, error) {
	for _, name := range req.Sites {
		if _, ok := e.cfg.Sites[name]; !ok {
			return nil, fmt.Errorf("%w: site %q is not configured; there are %v", ErrUsage, name, e.cfg.SiteOrder)
		}
	}
	if req.Budget < 0 {
		return nil, fmt.Errorf("%w: bytes to read: %d: it cannot be negative", ErrUsage, req.Budget)
	}
	var names []string // in the order of the configuration, each once
	for _, name := range e.cfg.SiteOrder {
		if len(req.Sites) == 0 || slices.Contains(req.Sites, name) {
			names = append(names, name)
		}
	}
	e.startUploads(ctx)
	options := repository.ScrubOptions{Sites: names, Every: e.cfg.Scrub.Every, Budget: req.Budget, All: req.All, Patience: e.patience}
	found, failed := e.repository.Scrub(ctx, options, scrubTick(report))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var results []ScrubResult
	for _, name := range names {
		results = append(results, e.scrubResult(name, found[name]))
	}
	return results, errors.Join(scrubVerdict(results, failed), ctx.Err())
}

// scrubTick passes on how far each site has come.
func scrubTick(report progress.Reporter) func(repository.ScrubProgress) {
	var mu sync.Mutex
	told := map[string]bool{}
	return func(p repository.ScrubProgress) {
		ev := progress.Event{Phase: "scrub", Site: p.Site, Done: p.Done, Total: p.Total}
		if p.Mending {
			ev.Phase, ev.Unit = "mend", "objects"
			mu.Lock()
			if !told[p.Site] {
				ev.Message = fmt.Sprintf("site %s: %d objects are wrong or missing; putting them right", p.Site, p.Total)
			}
			told[p.Site] = true
			mu.Unlock()
		}
		report.Report(ev)
	}
}

func (e *Engine) scrubResult(name string, s repository.Scrubbed) ScrubResult {
	return ScrubResult{
		Site: name, Objects: s.Objects, Bytes: s.Bytes, Bad: s.Bad, Missing: s.Missing, Mended: s.Mended, Wrong: s.Wrong,
		Unread: e.describeUnread(s.Unread), Error: s.Error,
	}
}

func (e *Engine) describeUnread(u repository.Unread) SiteUnread {
	out := SiteUnread{Objects: u.Objects, Bytes: u.Bytes, Oldest: inUTC(u.Oldest), Never: u.Never, BoundSeconds: e.cfg.Scrub.Every.Seconds()}
	if !u.Oldest.IsZero() {
		out.AgeSeconds = e.clock.Now().Sub(u.Oldest).Seconds()
	}
	return out
}

// scrubVerdict is the worst of what was found: something wrong, a site that
// could not be read, something that was put right.
func scrubVerdict(results []ScrubResult, failed error) error {
	var wrong, mended []string
	for _, r := range results {
		if len(r.Wrong) > 0 {
			wrong = append(wrong, fmt.Sprintf("site %s: %d of its objects are wrong or missing, the first is %s: %s",
				r.Site, len(r.Wrong), r.Wrong[0].Object, r.Wrong[0].Detail))
		}
		if r.Mended > 0 {
			mended = append(mended, fmt.Sprintf("site %s: %d of its objects were wrong or missing and have been put right", r.Site, r.Mended))
		}
	}
	switch {
	case len(wrong) > 0:
		return errors.Join(fmt.Errorf("%w: %s", ErrDifference, strings.Join(wrong, "; ")), failed)
	case failed != nil:
		return failed
	case len(mended) > 0:
		return fmt.Errorf("%w: %s", ErrDegraded, strings.Join(mended, "; "))
	}
	return nil
}

// keepScrubbed reads everything that the sites hold within scrub.every, again
// and again, until ctx ends.
func (e *Engine) keepScrubbed(ctx context.Context) {
	if e.cfg.Scrub.Every > 0 {
		e.repository.KeepScrubbed(ctx, e.cfg.Scrub.Every)
	}
}

// describeScrub tells for how long some of what a site holds has not been read,
// and what is wrong with that.
func (e *Engine) describeScrub(s *SiteReport, u repository.Unread, now time.Time) {
	unread := e.describeUnread(u)
	s.Unread = &unread
	every := e.cfg.Scrub.Every
	if age := now.Sub(u.Oldest); every > 0 && !u.Oldest.IsZero() && age > repository.UnreadBound(every) {
		s.Reasons = append(s.Reasons, fmt.Sprintf("some of what it holds has not been read for %s; that should be done within %s "+
			"(scrub.every): look for 'scrub' in the service's log, or run 'backupd scrub %s'", age.Round(time.Second), every, s.Site))
	}
}

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

// SyncRequest asks to bring sites in step.
type SyncRequest struct {
	// Sites to bring in step; empty means all.
	Sites []string `json:"sites,omitempty"`
}

// SyncResult is what became of one site.
type SyncResult struct {
	// Site is its name.
	Site string `json:"site"`
	// InStep is true when the site holds all that it must, as far as names and
	// sizes tell.
	InStep bool `json:"in_step"`
	// ComparedAt is when the comparison began, UTC; zero when none was made.
	ComparedAt time.Time `json:"compared_at,omitzero"`
	// Listed is how many objects the site holds. Missing and Wrong are those
	// that it did not hold and must, or in another length; they were sent
	// again. Adopted are snapshots, marks and evidence that only the site
	// knew of.
	Listed  int64 `json:"listed"`
	Missing int64 `json:"missing"`
	Wrong   int64 `json:"wrong"`
	Adopted int64 `json:"adopted"`
	// Problems are objects there that nobody knows and that cannot be taken in.
	Problems []repository.Problem `json:"problems,omitempty"`
	// FaultCount objects are missing or wrong there still, LostCount of them at
	// every other site too. Faults are the first of them.
	FaultCount int         `json:"fault_count"`
	LostCount  int         `json:"lost_count"`
	Faults     []SiteFault `json:"faults,omitempty"`
	// WaitingObjects of WaitingBytes wait for it still.
	WaitingObjects int64 `json:"waiting_objects"`
	WaitingBytes   int64 `json:"waiting_bytes"`
	// Error says why it was not brought in step.
	Error string `json:"error,omitempty"`
}

// Sync sends the named sites what waits for them, all when none is named,
// compares what they hold with what they must hold, and waits until that is
// done. One that fails does not keep the others from it. The error matches
// [ErrDegraded] when a site is not in step then.
func (e *Engine) Sync(ctx context.Context, req SyncRequest, report progress.Reporter) ([]SyncResult, error) {
	names := req.Sites
	if len(names) == 0 {
		names = e.cfg.SiteOrder
	}
	for _, name := range names {
		if _, ok := e.cfg.Sites[name]; !ok {
			return nil, fmt.Errorf("%w: site %q is not configured; there are %v", ErrUsage, name, e.cfg.SiteOrder)
		}
	}
	e.startUploads(ctx)
	watch := syncWatch{report: report, most: map[string]int64{}, told: map[string]bool{}}
	found, failed := e.repository.Sync(ctx, names, e.patience, watch.tick)
	var given error
	if lost, err := e.repository.LostEvidence(); err == nil && len(lost) > 0 && ctx.Err() == nil {
		// This host has what all sites have lost.
		given = e.giveLostAgain(ctx)
		found, failed = e.repository.Sync(ctx, names, e.patience, watch.tick)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	health, err := e.repository.Health()
	if err != nil {
		return nil, errors.Join(failed, err)
	}
	var results []SyncResult
	var behind []string
	if given != nil {
		behind = append(behind, given.Error())
	}
	known := true // that every failure is a site's
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		compared, ok := found[name]
		r := e.syncResult(name, compared, ok, health[name])
		results = append(results, r)
		if !r.InStep {
			behind = append(behind, ofSite(name, r.Error))
		}
		known = known && (ok || health[name].Failing)
	}
	switch {
	case failed != nil && !known:
		return results, failed
	case len(behind) > 0:
		return results, fmt.Errorf("%w: %s", ErrDegraded, strings.Join(behind, "; "))
	}
	return results, nil
}

// ofSite names the site in front of what is wrong with it, unless it is named
// there.
func ofSite(site, wrong string) string {
	if prefix := "site " + site + ":"; !strings.HasPrefix(wrong, prefix) {
		return prefix + " " + wrong
	}
	return wrong
}

func (e *Engine) syncResult(name string, c repository.Compared, compared bool, h repository.SiteHealth) SyncResult {
	s := e.describeSite(name, h, lag{})
	r := SyncResult{
		Site: name, ComparedAt: inUTC(c.At), Listed: int64(c.Objects), Missing: int64(c.Missing), Wrong: int64(c.Wrong),
		Adopted: int64(c.Adopted), Problems: c.Problems,
		FaultCount: s.FaultCount, LostCount: s.LostCount, Faults: s.Faults, WaitingObjects: s.WaitingObjects, WaitingBytes: s.WaitingBytes,
	}
	switch {
	case h.Failing:
		r.Error = h.Error
	case !compared:
		r.Error = "it was not compared"
	case r.FaultCount > s.GivenUpCount:
		r.Error = objects(r.FaultCount-s.GivenUpCount) + " missing or wrong there still"
	case len(r.Problems) > 0:
		r.Error = fmt.Sprintf("it holds %d objects that cannot be taken in", len(r.Problems))
	}
	r.InStep = r.Error == ""
	return r
}

// syncWatch tells how sites that are brought in step fare.
type syncWatch struct {
	report progress.Reporter

	mu   sync.Mutex
	most map[string]int64 // bytes that waited, at the most
	told map[string]bool  // that a site fails
}

func (w *syncWatch) tick(site string, h repository.SiteHealth) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.Failing && !w.told[site] {
		w.report.Report(progress.Event{Phase: "sync", Site: site, Message: "site " + site + " fails, trying again: " + h.Error})
	}
	w.told[site] = h.Failing
	switch {
	case h.State == repository.SiteComparing:
		w.report.Report(progress.Event{Phase: "compare", Site: site})
	case h.Bytes > 0 || w.most[site] > 0:
		w.most[site] = max(w.most[site], h.Bytes)
		w.report.Report(progress.Event{Phase: "send", Site: site, Done: w.most[site] - h.Bytes, Total: w.most[site]})
	}
}

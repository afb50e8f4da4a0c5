package restore

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/repository"
)

// choose returns the snapshot that a request asks for. It must be held by the
// site to read from, or by any: what only waits in the spool cannot be
// restored yet.
func (r *Restorer) choose(req Request) (repository.SnapshotInfo, error) {
	if req.From != "" {
		if _, err := r.Repository.Site(req.From); err != nil {
			return repository.SnapshotInfo{}, wrong("%v", err)
		}
	}
	if req.Snapshot != "" {
		return r.chooseByID(req)
	}
	if req.At.IsZero() {
		newest, ok, err := r.Repository.Newest(req.Function, func(s repository.SnapshotInfo) bool { return held(s, req.From) })
		if err != nil || ok {
			return newest, err
		}
	}
	var chosen, oldest repository.SnapshotInfo
	waiting := false
	var broken []string // what is wrong with the newest that is not held whole
	err := r.Repository.Snapshots(req.Function, func(s repository.SnapshotInfo) bool {
		if !held(s, req.From) {
			waiting = true
			if len(broken) == 0 {
				broken = damages(s, req.From)
			}
			return true
		}
		oldest = s
		if !s.RecoveryPoint.After(req.At) {
			chosen = s
			return false
		}
		return true
	})
	switch {
	case err != nil:
		return chosen, fmt.Errorf("function %s: look for a recovery point: %w", req.Function, err)
	case chosen.ID != "":
		return chosen, nil
	case oldest.ID != "":
		return chosen, wrong("function %s: no recovery point is as old as %s; the oldest is of %s",
			req.Function, stamp(req.At), stamp(oldest.RecoveryPoint))
	case len(broken) > 0:
		return chosen, fmt.Errorf("function %s: no recovery point is whole%s: %w: %s; what another site has is put right by 'backupd sync'",
			req.Function, where(req.From), repository.ErrUnavailable, strings.Join(broken, "; "))
	case waiting:
		return chosen, fmt.Errorf("function %s: its recovery points %w", req.Function, notAt(req.From))
	}
	return chosen, wrong("function %s has no recovery point", req.Function)
}

func (r *Restorer) chooseByID(req Request) (repository.SnapshotInfo, error) {
	s, err := r.Repository.Info(req.Snapshot)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		return s, requestError{err}
	case err != nil:
		return s, err
	case s.Function != req.Function:
		return s, wrong("snapshot %s belongs to function %s, not to %s", s.ID, s.Function, req.Function)
	case !held(s, req.From) && len(damages(s, req.From)) == 0:
		return s, fmt.Errorf("function %s: snapshot %s %w", req.Function, s.ID, notAt(req.From))
	}
	return s, nil
}

// held reports whether the site holds the snapshot, or any when site is empty.
func held(s repository.SnapshotInfo, site string) bool {
	if site != "" {
		return s.Sites[site].State == repository.StateDurable
	}
	_, ok := s.Durable()
	return ok
}

// damages says, a sentence each, what is wrong with the copies of a snapshot at
// the site to read from, or at all of them. Such a snapshot is not chosen by
// itself. When it is asked for by its ID what one site lacks may be at
// another, and tables that are whole can be restored.
func damages(s repository.SnapshotInfo, from string) []string {
	var out []string
	for _, name := range sortedKeys(s.Sites) {
		if at := s.Sites[name]; at.State == repository.StateDamaged && (from == "" || from == name) {
			out = append(out, fmt.Sprintf("the copy at site %s is damaged: %s", name, at.Error))
		}
	}
	return out
}

// where names the site that was asked for.
func where(site string) string {
	if site == "" {
		return ""
	}
	return " at site " + site
}

func notAt(site string) error {
	if site == "" {
		return fmt.Errorf("wait in the spool: %w; they can be restored when one has taken them", repository.ErrNotDurable)
	}
	return fmt.Errorf("has not come to site %s: %w there; leave out --from to read from another", site, repository.ErrNotDurable)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// siteOrder returns the sites to read the snapshot from, in order. Those that
// have not acknowledged it may hold much of it and come last.
func (r *Restorer) siteOrder(s repository.SnapshotInfo, from string) []string {
	if from != "" {
		return []string{from}
	}
	names := r.Sites
	if len(names) == 0 {
		names = sortedKeys(s.Sites)
	}
	var whole, partly []string
	for _, name := range names {
		if s.Sites[name].State == repository.StateDurable {
			whole = append(whole, name)
		} else {
			partly = append(partly, name)
		}
	}
	return append(whole, partly...)
}

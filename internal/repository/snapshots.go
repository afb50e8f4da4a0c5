package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/suspicion"
)

// SnapshotInfo is a snapshot in a list.
type SnapshotInfo struct {
	ID            string
	Function      string
	RecoveryPoint time.Time
	Started       time.Time
	Ended         time.Time
	Rows          int64
	BytesRaw      int64
	BytesNew      int64
	BytesStored   int64
	Sites         map[string]SiteState
	Commit        string // name of its commit; names rise with time
	// Schema stands for the definition of everything in the scope: equal ones
	// are equal. Empty where that is not known.
	Schema string
	// Condemned is since when no rule keeps it, and Reason which rule kept
	// another; it is deleted some time later. Held is why it must be kept.
	Condemned time.Time
	Reason    string
	Held      string
	// Suspect says what looked wrong in it when it was taken, Cleared why
	// somebody judged that to be fine.
	Suspect []suspicion.Signal
	Cleared string
}

// Open tells that it looked wrong and that nobody has judged it.
func (s *SnapshotInfo) Open() bool { return len(s.Suspect) > 0 && s.Cleared == "" }

// Holders is how many sites hold the snapshot.
func (s *SnapshotInfo) Holders() int { return holders(s.Sites) }

// Durable returns the time since which some site holds the snapshot; ok is
// false when none does, and then it is no recovery point yet.
func (s *SnapshotInfo) Durable() (first time.Time, ok bool) {
	for _, st := range s.Sites {
		if st.State == StateDurable && (!ok || st.Durable.Before(first)) {
			first, ok = st.Durable, true
		}
	}
	return first, ok
}

func (r *Repository) info(s *catalog.Snapshot) (SnapshotInfo, error) {
	sites, err := r.siteStates(s)
	return SnapshotInfo{
		ID: s.ID, Function: s.Function, RecoveryPoint: s.RecoveryPoint, Started: s.Started, Ended: s.Ended,
		Rows: s.Rows, BytesRaw: s.BytesRaw, BytesNew: s.BytesNew, BytesStored: s.BytesStored, Sites: sites,
		Commit: s.Commit, Schema: s.Schema, Condemned: s.Condemned, Reason: s.Reason, Held: s.Held, Suspect: s.Suspect, Cleared: s.Cleared,
	}, err
}

// Snapshots calls fn for the snapshots of a function, newest recovery point
// first, or for those of all functions when function is empty, until fn
// returns false. It includes snapshots that no site has acknowledged yet.
func (r *Repository) Snapshots(function string, fn func(SnapshotInfo) bool) error {
	var failed error
	err := r.catalog.Snapshots(function, func(s *catalog.Snapshot) bool {
		var info SnapshotInfo
		info, failed = r.info(s)
		return failed == nil && fn(info)
	})
	return errors.Join(err, failed)
}

// Newest returns the newest snapshot of a function that is wanted; ok is false
// when there is none. A recovery point that lies ahead of the clock was taken
// when the clock was wrong: nobody knows how old it is, so it comes only when
// there is no other, the one committed last first.
func (r *Repository) Newest(function string, wanted func(SnapshotInfo) bool) (newest SnapshotInfo, ok bool, err error) {
	now := r.clock.Now()
	var ahead SnapshotInfo
	err = r.Snapshots(function, func(s SnapshotInfo) bool {
		switch {
		case !wanted(s):
		case s.RecoveryPoint.After(now):
			if s.Commit > ahead.Commit {
				ahead = s
			}
		default:
			newest, ok = s, true
		}
		return !ok
	})
	if !ok && ahead.ID != "" {
		return ahead, true, err
	}
	return newest, ok, err
}

// Info returns what is known of one snapshot, by its id or the beginning of it.
func (r *Repository) Info(id string) (SnapshotInfo, error) {
	s, err := r.catalog.Snapshot(id)
	if err != nil {
		return SnapshotInfo{}, err
	}
	return r.info(s)
}

// Snapshot returns a snapshot as its commit tells it, by its id or the
// beginning of it.
func (r *Repository) Snapshot(_ context.Context, id string) (*Snapshot, error) {
	record, err := r.catalog.Manifest(id)
	if err != nil {
		return nil, err
	}
	var s Snapshot
	if err := json.Unmarshal(record.Manifest, &s); err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return &s, nil
}

// ReadCommit reads a snapshot from its commit object at a site rather than
// from the catalog.
func (r *Repository) ReadCommit(ctx context.Context, id, site string) (*Snapshot, error) {
	place, err := r.Site(site)
	if err != nil {
		return nil, err
	}
	record, err := r.catalog.Snapshot(id)
	if err != nil {
		return nil, err
	}
	object, err := readObject(ctx, place, record.Commit, maxCommit)
	if err != nil {
		return nil, err
	}
	c, err := openCommitObject(r.keys, record.Commit, object)
	if err != nil {
		return nil, &ObjectError{site, record.Commit, err}
	}
	for _, s := range c.Snapshots {
		if s.ID == record.ID {
			return s, nil
		}
	}
	return nil, &ObjectError{site, record.Commit, fmt.Errorf("%w: it does not tell of snapshot %s", ErrCorrupt, record.ID)}
}

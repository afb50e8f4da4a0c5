package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrNotSuspect means that nothing looked wrong in a snapshot, so there is
// nothing to judge.
var ErrNotSuspect = errors.New("nothing looked wrong in it")

// Doubt is what nobody has judged yet about the recovery points of a function.
// From the first that looks wrong on, all are in doubt: they were taken of the
// same data.
type Doubt struct {
	// Open are the recovery points that looked wrong and that nobody has
	// judged, newest first.
	Open []SnapshotInfo
	// Clean is the newest recovery point before all of them that a site holds;
	// nil when there is none, and without a doubt.
	Clean *SnapshotInfo
}

// About returns the recovery point that casts doubt on another one: itself or
// the newest before it that looks wrong; nil when nothing does.
func (d Doubt) About(s SnapshotInfo) *SnapshotInfo {
	for i := range d.Open {
		if !newerPoint(d.Open[i], s) {
			return &d.Open[i]
		}
	}
	return nil
}

// newerPoint says whether a is a newer recovery point than b.
func newerPoint(a, b SnapshotInfo) bool {
	if !a.RecoveryPoint.Equal(b.RecoveryPoint) {
		return a.RecoveryPoint.After(b.RecoveryPoint)
	}
	return a.ID > b.ID
}

// Suspects returns the recovery points of a function that looked wrong when they
// were taken, judged or not, newest first.
func (r *Repository) Suspects(function string) (out []SnapshotInfo, err error) {
	suspects, err := r.catalog.Suspects(function)
	if err != nil {
		return nil, err
	}
	for _, s := range suspects {
		info, err := r.info(s)
		if err != nil {
			return nil, err
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b SnapshotInfo) int {
		return cmp.Or(b.RecoveryPoint.Compare(a.RecoveryPoint), cmp.Compare(b.ID, a.ID))
	})
	return out, nil
}

// Doubt returns what is not judged about the recovery points of a function.
// Those that are given up cast no doubt any more.
func (r *Repository) Doubt(function string) (d Doubt, err error) {
	suspects, err := r.Suspects(function)
	if err != nil {
		return d, err
	}
	for _, s := range suspects {
		if s.Open() && s.Condemned.IsZero() {
			d.Open = append(d.Open, s)
		}
	}
	if len(d.Open) == 0 {
		return d, nil
	}
	oldest := d.Open[len(d.Open)-1]
	err = r.Snapshots(function, func(s SnapshotInfo) bool {
		if newerPoint(oldest, s) && s.Holders() > 0 && s.Condemned.IsZero() {
			d.Clean = &s
		}
		return d.Clean == nil
	})
	return d, err
}

// Clear records why what looked wrong in a snapshot is fine.
func (r *Repository) Clear(ctx context.Context, id, reason string) error {
	return r.mark(ctx, id, func(m *holdMark) error {
		s, err := r.catalog.Snapshot(m.Snapshot)
		if err == nil && len(s.Suspect) == 0 {
			return fmt.Errorf("clear snapshot %s of %s: %w", s.ID, s.Function, ErrNotSuspect)
		}
		m.Cleared = reason
		return err
	})
}

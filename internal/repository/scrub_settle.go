package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/storage"
)

// settle waits until the uploads have seen to each object that was found to be
// missing or wrong, and reads those that they have put right.
func (s *scrubber) settle(ctx context.Context, patience time.Duration) error {
	s.progress = ScrubProgress{Site: s.site.Name, Total: int64(len(s.suspects)), Mending: true}
	left := slices.Sorted(maps.Keys(s.suspects))
	start := s.clock.Now()
	for {
		change := s.uploads.change()
		still := left[:0]
		for _, name := range left {
			waits, err := s.catalog.Waits(s.site.Name, name)
			if err != nil {
				return err
			}
			if waits {
				still = append(still, name)
				continue
			}
			if err := s.verdict(ctx, name); err != nil {
				return err
			}
			s.progress.Done++
			s.tick(s.progress)
		}
		if left = still; len(left) == 0 {
			return nil
		}
		if why := s.hopeless(start, patience); why != nil {
			return s.giveUpOn(left, why)
		}
		if err := s.pause(ctx, change); err != nil {
			return errors.Join(err, s.giveUpOn(left, err))
		}
	}
}

// verdict says what became of an object that no longer waits for the site.
func (s *scrubber) verdict(ctx context.Context, name string) error {
	fault, faulty, err := s.catalog.FaultAt(s.site.Name, name)
	if err != nil {
		return err
	}
	if faulty {
		return s.stillWrong(name, fault.Detail, fault.Lost)
	}
	entry, ok, err := s.catalog.Entry(name)
	if err != nil || !ok {
		return err // nobody needs it any more
	}
	err = s.look(ctx, s.site, entry)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, storage.ErrNotFound) {
		return s.stillWrong(name, detailOf(err), false)
	}
	if err == nil {
		s.out.Mended++
	}
	return err
}

// hopeless says why waiting for the site is of no use.
func (s *scrubber) hopeless(start time.Time, patience time.Duration) error {
	f, failing := s.uploads.failure(s.site.Name)
	if failing && s.clock.Now().Sub(laterOf(start, f.since)) >= patience {
		return f.err
	}
	return nil
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (s *scrubber) giveUpOn(names []string, why error) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, s.stillWrong(name, fmt.Sprintf("not put right yet, it is tried again: %v", why), false))
	}
	return errors.Join(errs...)
}

// stillWrong puts an object into the answer that could not be put right.
func (s *scrubber) stillWrong(name, detail string, lost bool) error {
	snapshots, err := s.catalog.Naming(name)
	s.out.Wrong = append(s.out.Wrong, WrongObject{Object: name, Detail: detail, Lost: lost, Snapshots: snapshots})
	return err
}

package repository

import (
	"context"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/catalog"
)

// restateMarks writes anew what marks said that no site and no spool has any
// more: a catalog that is made anew from a site must know it too.
func (s *sweeper) restateMarks(ctx context.Context) error {
	lost, err := s.lostMarks()
	if err != nil || len(lost) == 0 {
		return err
	}
	s.log.Warn("marks that were lost are written anew", "marks", lost)
	if err := s.restateHolds(ctx, lost); err != nil {
		return err
	}
	if err := s.restateKeys(ctx, lost); err != nil {
		return err
	}
	if err := s.restateCondemned(ctx); err != nil {
		return err
	}
	for _, name := range lost {
		for _, site := range s.sites {
			if err := s.purge(ctx, site, name); err != nil {
				return err
			}
		}
	}
	return s.catalog.DropObjects(lost)
}

func (s *sweeper) lostMarks() (names []string, err error) {
	for _, site := range s.sites {
		faults, err := s.catalog.Faults(site.Name)
		if err != nil {
			return nil, err
		}
		for _, f := range faults {
			if f.Lost && strings.HasPrefix(f.Name, "g/") && !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return names, nil
}

func (s *sweeper) restateHolds(ctx context.Context, lost []string) error {
	holds, err := s.catalog.Holds()
	if err != nil {
		return err
	}
	for id, h := range holds {
		if !slices.Contains(lost, h.Mark) {
			continue
		}
		m := &holdMark{Snapshot: id, Reason: h.Reason, Cleared: h.Cleared}
		err := s.addMark(ctx, &mark{Hold: m}, func(o catalog.Object) error {
			return s.catalog.TakeHold(id, m.held(), o, s.siteNames())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *sweeper) restateKeys(ctx context.Context, lost []string) error {
	uses, err := s.catalog.KeyUses()
	if err != nil || len(uses) == 0 {
		return err
	}
	last := uses[len(uses)-1]
	if !slices.Contains(lost, last.Mark) {
		return nil
	}
	m := &mark{Key: last.Key}
	return s.addMark(ctx, m, func(o catalog.Object) error { return s.useKey(m, o, s.siteNames()) })
}

// restateCondemned tells of everything whether it is needed.
func (s *sweeper) restateCondemned(ctx context.Context) error {
	kept, doomed, err := s.catalog.Judged()
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		err = s.addMark(ctx, &mark{Spare: kept}, func(o catalog.Object) error { return s.catalog.Spare(kept, o, s.siteNames()) })
	}
	if err != nil || len(doomed.Snapshots)+len(doomed.Commits)+len(doomed.Packs) == 0 {
		return err
	}
	m := &mark{Condemn: &condemnMark{Snapshots: doomed.Snapshots, Commits: doomed.Commits}}
	for _, n := range doomed.Packs {
		p, err := s.catalog.PackAt(n)
		if err != nil {
			return err
		}
		m.Condemn.Packs = append(m.Condemn.Packs, p.SHA256)
	}
	return s.addMark(ctx, m, func(o catalog.Object) error { return s.catalog.Condemn(doomed, m.Time, o, s.siteNames()) })
}

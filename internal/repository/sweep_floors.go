package repository

import (
	"context"
	"maps"
	"slices"

	"github.com/saypro/backupd/internal/catalog"
)

// spareFloors takes back the condemnation of what must stay whatever was decided
// when: since then a condemned snapshot may have become the last good one of its
// function, because the others were damaged, or the last proven one.
func (s *sweeper) spareFloors(ctx context.Context) error {
	ids, err := s.floorsCondemned()
	if err != nil || len(ids) == 0 {
		return err
	}
	s.log.Warn("condemned snapshots are kept: they are the last good or the last proven ones of their functions", "snapshots", ids)
	return s.addMark(ctx, &mark{Spare: ids}, func(o catalog.Object) error {
		return s.catalog.Spare(ids, o, s.siteNames())
	})
}

// floorsCondemned returns the snapshots that must stay and are condemned.
func (s *sweeper) floorsCondemned() (ids []string, err error) {
	condemned := map[string]bool{}
	functions := map[string]bool{}
	err = s.catalog.Snapshots("", func(c *catalog.Snapshot) bool {
		if !c.Condemned.IsZero() {
			condemned[c.ID], functions[c.Function] = true, true
		}
		return true
	})
	for _, function := range slices.Sorted(maps.Keys(functions)) {
		if err != nil {
			return nil, err
		}
		var floors map[string]string
		if floors, err = s.Floors(function); err == nil {
			err = s.lastResort(function, floors)
		}
		for id := range floors {
			if condemned[id] {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids, err
}

// lastResort adds the newest good snapshot of a function to its floors although
// it is condemned, when none that is good is not.
func (s *sweeper) lastResort(function string, floors map[string]string) error {
	good := func(i SnapshotInfo) bool { return i.Holders() > 0 }
	_, ok, err := s.Newest(function, func(i SnapshotInfo) bool { return good(i) && i.Condemned.IsZero() })
	if err != nil || ok {
		return err
	}
	last, ok, err := s.Newest(function, good)
	if ok {
		floors[last.ID] = lastGood
	}
	return err
}

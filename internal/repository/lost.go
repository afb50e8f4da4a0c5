package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/catalog"
)

// LostPoint is a recovery point that no site and no spool can give back whole,
// as far as is known, and what becomes of it.
type LostPoint struct {
	LostSnapshot
	// Kept says why it is not given up all the same; empty when it is.
	Kept string
	// Unasked: it is kept because a site cannot be asked whether it has what is
	// missing.
	Unasked bool
}

// Reason is why it is given up.
func (l *LostPoint) Reason() string {
	reason := lostReason + "no site and no spool has " + strings.Join(l.Missing, ", ")
	if len(l.LostTables) > 0 {
		reason += ", which tables need: " + strings.Join(l.LostTables, ", ")
	}
	return reason
}

// GiveUpLost gives up the snapshots that cannot be had whole any more, of one
// function or of all when it is empty; tell only says which. Each site is asked once
// more for what is missing, all of it is read that is there after all, and a site
// that cannot be asked keeps every snapshot. So does a hold. What is whole of a
// snapshot that was given up can be restored until a sweep deletes it.
func (r *Repository) GiveUpLost(ctx context.Context, function string, tell bool) ([]LostPoint, error) {
	if err := errors.Join(r.mayDelete(), r.mayCheck()); err != nil {
		return nil, err
	}
	// What is found again is taken in under the same lock.
	r.upkeep.Lock()
	defer r.endUpkeep()
	search := lostSearch{Repository: r, known: map[string]answer{}}
	points, err := search.points(ctx, function)
	if err != nil || tell {
		return points, err
	}
	doomed := map[string]string{}
	for i := range points {
		if points[i].Kept == "" {
			doomed[points[i].Snapshot] = points[i].Reason()
		}
	}
	if len(doomed) == 0 {
		return points, nil
	}
	// What cannot be restored proves nothing any more, but none of it is good.
	if err := r.checkFloors(doomed, func(why string) bool { return why == lastGood }); err != nil {
		return nil, err
	}
	return points, r.condemnSnapshots(ctx, doomed)
}

// lostSearch asks for what is lost, each object once.
type lostSearch struct {
	*Repository
	known map[string]answer
}

// answer is what the sites say of an object: who has it, and who did not answer.
type answer struct {
	has     string
	unasked error
}

func (l *lostSearch) points(ctx context.Context, function string) ([]LostPoint, error) {
	var out []LostPoint
	lost := map[string][]string{}
	var ids []string
	var failed error
	err := l.catalog.Snapshots(function, func(s *catalog.Snapshot) bool {
		if !s.Condemned.IsZero() {
			return true
		}
		var names []string
		if names, failed = l.catalog.LostOf(s.ID); len(names) > 0 {
			lost[s.ID] = names
			ids = append(ids, s.ID)
		}
		return failed == nil
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	v := survey{adopter: adopter{Repository: l.Repository, site: l.sites[0]}, seen: map[ChunkID]subtree{}, anywhere: true}
	for _, id := range ids {
		p, err := l.point(ctx, id, lost[id])
		if err == nil && !p.Unasked {
			err = v.tables(ctx, &p.LostSnapshot)
		}
		if err != nil {
			return nil, fmt.Errorf("snapshot %s: %w", id, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// point says what becomes of one snapshot.
func (l *lostSearch) point(ctx context.Context, id string, names []string) (LostPoint, error) {
	s, err := l.catalog.Snapshot(id)
	if err != nil {
		return LostPoint{}, err
	}
	p := LostPoint{LostSnapshot: LostSnapshot{Snapshot: s.ID, Function: s.Function, RecoveryPoint: s.RecoveryPoint.UTC(), Missing: names}}
	found := map[string]bool{}
	gone := false
	for _, name := range names {
		a, err := l.ask(ctx, name)
		switch {
		case err != nil:
			return p, err
		case a.unasked != nil:
			p.Unasked, p.Kept = true, a.unasked.Error()
		case a.has != "":
			found[a.has] = true
		default:
			gone = true
		}
	}
	switch {
	case s.Held != "":
		p.Kept = "held: " + s.Held
	case !p.Unasked && !gone:
		p.Kept = fmt.Sprintf("what was missing is found again: %s; 'backupd sync' takes it in", strings.Join(slices.Sorted(maps.Keys(found)), ", "))
	}
	return p, nil
}

// ask looks for an object in the spool and at every site, and reads what it
// finds: a pack that is there in other bytes helps nobody.
func (l *lostSearch) ask(ctx context.Context, name string) (answer, error) {
	if a, ok := l.known[name]; ok {
		return a, nil
	}
	e, err := l.expected(name)
	if err != nil {
		return answer{}, err
	}
	var a answer
	if b, err := os.ReadFile(l.spool.path(name)); err == nil && sum(b) == e.SHA256 {
		a.has = "the spool"
	}
	for _, site := range l.sites {
		if a.has != "" {
			break
		}
		err := l.look(ctx, site.quiet(), e)
		switch {
		case err == nil:
			a.has = "site " + site.Name
		case ctx.Err() != nil:
			return a, ctx.Err()
		case !l.doesNotHave(ctx, site, err):
			a.unasked = errors.Join(a.unasked, fmt.Errorf("site %s cannot be asked: %w", site.Name, err))
		}
	}
	if a.has != "" {
		a.unasked = nil
	}
	l.known[name] = a
	return a, nil
}

// expected returns what an object must be that the catalog counts as lost.
func (l *lostSearch) expected(name string) (catalog.Entry, error) {
	if e, ok, err := l.catalog.LostPack(name); err != nil || ok {
		return e, err
	}
	o, err := l.catalog.Object(name)
	return catalog.Entry{Kind: o.Kind, Name: o.Name, Size: o.Size, SHA256: o.SHA256}, err
}

// lostReason begins the reason of every snapshot that was given up because it is
// lost.
const lostReason = "lost: "

// givenUpAsLost reports whether a snapshot was given up because it is lost, and
// still is: then it is not the last proven one, another is.
func (r *Repository) givenUpAsLost(s *catalog.Snapshot) (bool, error) {
	if s.Condemned.IsZero() || !strings.HasPrefix(s.Reason, lostReason) {
		return false, nil
	}
	names, err := r.catalog.LostOf(s.ID)
	return len(names) > 0, err
}

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/saypro/backupd/internal/evidence"
)

// straightWay follows the names of the runs back from an end to the first record:
// the host that wrote them began each where it had ended the one before. It reads
// none; ok is false when one is missing.
func straightWay(pieces []keptPiece, head keptHead) (way []keptPiece, ok bool) {
	ends := map[uint64]keptPiece{}
	for _, p := range pieces {
		if have, ok := ends[p.end()]; !ok || p.site == head.site && have.site != head.site {
			ends[p.end()] = p
		}
	}
	for at := head.size; at > 0; {
		p, ok := ends[at]
		if !ok {
			return nil, false
		}
		way, at = append(way, p), p.First
	}
	slices.Reverse(way)
	return way, true
}

// crossing is a place in a log from which runs lead on that were not tried yet.
type crossing struct {
	at    evidence.Way
	steps int // that lead there
	left  []keptPiece
}

// searchWay finds runs that lead from the first record to an end, whatever lies
// beside them: each is checked from its first record to its last, and where one leads
// nowhere another is tried. Of runs of one name that of a site is preferred, and of
// those the first that fits is taken.
func (k keptEvidence) searchWay(ctx context.Context, id string, head keptHead, prefer string) (way []keptPiece, err error) {
	from := k.byFirst(id, head.size, prefer)
	todo := []crossing{{at: evidence.NewWay(head.is.Origin), left: from[0]}}
	seen, far := map[evidence.Checkpoint]bool{}, uint64(0)
	for len(todo) > 0 && ctx.Err() == nil {
		c := &todo[len(todo)-1]
		if len(c.left) == 0 {
			todo = todo[:len(todo)-1]
			continue
		}
		p := c.left[0]
		c.left = c.left[1:]
		behind, ok := k.through(ctx, c.at, p)
		if !ok || seen[behind.At()] {
			continue
		}
		seen[behind.At()], far = true, max(far, behind.At().Size)
		way = append(way[:c.steps], p)
		if behind.At() == head.is {
			return way, nil
		}
		for len(c.left) > 0 && c.left[0].Name() == p.Name() {
			c.left = c.left[1:]
		}
		onward := crossing{behind, c.steps + 1, from[behind.At().Size]}
		if len(c.left) == 0 {
			todo = todo[:len(todo)-1] // a way without crossings takes no memory
		}
		todo = append(todo, onward)
	}
	return nil, errors.Join(fmt.Errorf("%w: no site that could be asked has what led from record %d to it", evidence.ErrDamaged, far), ctx.Err())
}

// byFirst returns the runs of a log up to an end by their first records, those of one
// name side by side, that of a site first.
func (k keptEvidence) byFirst(id string, end uint64, prefer string) map[uint64][]keptPiece {
	out := map[uint64][]keptPiece{}
	for _, p := range k.pieces[id] {
		if p.end() <= end {
			out[p.First] = append(out[p.First], p)
		}
	}
	rank := func(p keptPiece) int {
		if p.site == prefer {
			return 0
		}
		return 1
	}
	for _, at := range out {
		slices.SortStableFunc(at, func(a, b keptPiece) int { return cmp.Or(cmp.Compare(a.Count, b.Count), rank(a)-rank(b)) })
	}
	return out
}

// through checks a run from its first record to its last.
func (k keptEvidence) through(ctx context.Context, at evidence.Way, p keptPiece) (behind evidence.Way, ok bool) {
	s, ok := k.read(ctx, p)
	if !ok {
		return behind, false
	}
	behind, err := at.Through(&s)
	if err != nil {
		k.log.Warn("an object at a site is not of the evidence that is taken over, and passed over", "site", p.site, "object", p.Name(), "error", err)
	}
	return behind, err == nil
}

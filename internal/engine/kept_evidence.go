package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
)

// keptEvidence are the runs of records that sites keep, by the ids of their
// logs. Any site may lack some, or have what is no evidence at all.
type keptEvidence struct {
	*Engine
	first  string // site, which is preferred
	pieces map[string][]keptPiece
	// used are the objects at the first site that were yielded whole.
	used map[string]bool
	// unasked is why sites could not be asked; nil when all were.
	unasked error
}

// keptPiece is a run of records at a site.
type keptPiece struct {
	repository.EvidenceObject
	site string
}

func (p keptPiece) end() uint64 { return p.First + uint64(p.Count) }

// elsewherePatience is how long another site may take to tell what it keeps.
const elsewherePatience = 30 * time.Second

// keptAt asks a site, and then all others, what they keep. What the first has is
// preferred; others that cannot be asked are left out, since any one site must do.
func (e *Engine) keptAt(ctx context.Context, first string) (keptEvidence, error) {
	kept := keptEvidence{Engine: e, first: first, pieces: map[string][]keptPiece{}, used: map[string]bool{}}
	if err := kept.ask(ctx, first); err != nil {
		return kept, err
	}
	for _, other := range e.cfg.SiteOrder {
		if other == first {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, elsewherePatience)
		err := kept.ask(asking, other)
		cancel()
		if err != nil {
			e.log.Warn("a site could not be asked what it keeps of the evidence", "site", other, "error", err)
			kept.unasked = errors.Join(kept.unasked, fmt.Errorf("site %s: %w", other, err))
		}
	}
	return kept, nil
}

// keptBehind asks all sites what they keep of this host's log from a record on. Who
// cannot be asked is left out.
func (e *Engine) keptBehind(ctx context.Context, from uint64) keptEvidence {
	kept := keptEvidence{Engine: e, pieces: map[string][]keptPiece{}}
	for _, site := range e.cfg.SiteOrder {
		if err := kept.askFor(ctx, site, logID(e.evidence), from); err != nil {
			e.log.Warn("a site could not be asked whether it keeps more of the evidence than this host", "site", site, "error", err)
		}
	}
	return kept
}

func (k *keptEvidence) ask(ctx context.Context, site string) error { return k.askFor(ctx, site, "", 0) }

// askFor asks for one log from a record on, or with an empty one for all.
func (k *keptEvidence) askFor(ctx context.Context, site, log string, from uint64) error {
	objects, err := k.repository.EvidenceAt(ctx, site, log, from)
	for _, o := range objects {
		k.pieces[o.Log] = append(k.pieces[o.Log], keptPiece{o, site})
	}
	return err
}

// read returns a run of records. What is none, or is not there, is told once and
// passed over: it must not stand in the way of the same records elsewhere.
func (k keptEvidence) read(ctx context.Context, p keptPiece) (evidence.Segment, bool) {
	content, err := k.repository.ReadEvidence(ctx, p.site, p.EvidenceObject)
	if err == nil {
		err = checkSegment(p.Log, p.First, p.Count, content)
	}
	if err != nil {
		k.log.Warn("an object at a site is no evidence, and passed over", "site", p.site, "object", p.Name(), "error", err)
		return evidence.Segment{}, false
	}
	s, err := evidence.ParseSegment(content)
	return s, err == nil
}

// origin returns the name of a log.
func (k keptEvidence) origin(ctx context.Context, id string) (string, error) {
	for _, p := range k.pieces[id] {
		if s, ok := k.read(ctx, p); ok {
			return s.Origin, nil
		}
	}
	return "", fmt.Errorf("evidence %s: %w: no object of it is evidence", id, evidence.ErrDamaged)
}

// envelopes yields the records of a log from one up to an end, in order, each from the
// site that has that end or, where that lacks them, from another; or all from one
// site alone.
func (k keptEvidence) envelopes(ctx context.Context, id string, from uint64, head keptHead, alone string) iter.Seq2[[]byte, error] {
	pieces := slices.DeleteFunc(slices.Clone(k.pieces[id]), func(p keptPiece) bool { return alone != "" && p.site != alone })
	rank := func(p keptPiece) int {
		if p.site == head.site {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(pieces, func(a, b keptPiece) int { return cmp.Or(cmp.Compare(a.First, b.First), rank(a)-rank(b)) })
	way := wayTo(pieces, head)
	clear(k.used)
	return func(yield func([]byte, error) bool) {
		for next := from; next < head.size; {
			p, s, ok := k.pieceAt(ctx, pieces, way, next)
			if !ok {
				yield(nil, fmt.Errorf("%w: no site that could be asked has record %d", evidence.ErrDamaged, next))
				return
			}
			if p.site == k.first && next == s.From && s.To <= head.size {
				k.used[p.Name()] = true
			}
			for _, envelope := range s.Envelopes[next-s.From:] {
				if next == head.size {
					break
				}
				next++
				if !yield(envelope, nil) {
					return
				}
			}
		}
	}
}

// wayTo follows the runs back from an end, each to one that ends where it begins,
// by the first record. Where a log has gone on at two places each end has a way of
// its own.
func wayTo(pieces []keptPiece, head keptHead) map[uint64]keptPiece {
	ends := map[uint64]keptPiece{}
	for _, p := range slices.Backward(pieces) {
		if have, ok := ends[p.end()]; !ok || p.site == head.site || have.site != head.site {
			ends[p.end()] = p
		}
	}
	way := map[uint64]keptPiece{}
	for at := head.size; at > 0; {
		p, ok := ends[at]
		if !ok {
			break
		}
		way[p.First], at = p, p.First
	}
	return way
}

// pieceAt returns a run that has a record: that on the way, or one that begins
// with it, or any.
func (k keptEvidence) pieceAt(ctx context.Context, pieces []keptPiece, way map[uint64]keptPiece, n uint64) (keptPiece, evidence.Segment, bool) {
	if p, ok := way[n]; ok {
		if s, ok := k.read(ctx, p); ok {
			return p, s, true
		}
	}
	at, _ := slices.BinarySearchFunc(pieces, n, func(p keptPiece, n uint64) int { return cmp.Compare(p.First, n) })
	for i := at; i < len(pieces) && pieces[i].First == n; i++ {
		if s, ok := k.read(ctx, pieces[i]); ok {
			return pieces[i], s, true
		}
	}
	for i := at - 1; i >= 0; i-- {
		if pieces[i].end() <= n {
			continue
		}
		if s, ok := k.read(ctx, pieces[i]); ok {
			return pieces[i], s, true
		}
	}
	return keptPiece{}, evidence.Segment{}, false
}

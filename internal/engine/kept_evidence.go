package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
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
	// used are the objects at the first site that were yielded.
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

// keptBehind asks all sites at once what they keep of this host's log from a record
// on. Who cannot be asked, or takes longer than patience, is left out.
func (e *Engine) keptBehind(ctx context.Context, from uint64, patience time.Duration) keptEvidence {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id := logID(e.evidence)
	found := make([][]repository.EvidenceObject, len(e.cfg.SiteOrder))
	var asking sync.WaitGroup
	for i, site := range e.cfg.SiteOrder {
		asking.Go(func() {
			var err error
			if found[i], err = e.repository.EvidenceAt(ctx, site, id, from); err != nil {
				e.log.Warn("a site could not be asked whether it keeps more of the evidence than this host", "site", site, "error", err)
			}
		})
	}
	asking.Wait()
	kept := keptEvidence{Engine: e, pieces: map[string][]keptPiece{}}
	for i, site := range e.cfg.SiteOrder { // the first site stays the first of equals
		kept.note(site, found[i])
	}
	return kept
}

// note remembers what a site keeps.
func (k *keptEvidence) note(site string, objects []repository.EvidenceObject) {
	for _, o := range objects {
		k.pieces[o.Log] = append(k.pieces[o.Log], keptPiece{o, site})
	}
}

func (k *keptEvidence) ask(ctx context.Context, site string) error {
	objects, err := k.repository.EvidenceAt(ctx, site, "", 0)
	k.note(site, objects)
	return err
}

// read returns a run of records. What is none, or is not there, is told once and
// passed over: it must not stand in the way of the same records elsewhere.
func (k keptEvidence) read(ctx context.Context, p keptPiece) (evidence.Segment, bool) {
	content, err := k.repository.ReadAnyEvidence(ctx, p.site, p.EvidenceObject)
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

// envelopes yields the records of runs that follow one another.
func (k keptEvidence) envelopes(ctx context.Context, way []keptPiece) iter.Seq2[[]byte, error] {
	clear(k.used)
	return func(yield func([]byte, error) bool) {
		for _, p := range way {
			s, ok := k.read(ctx, p)
			if !ok {
				yield(nil, fmt.Errorf("%w: what site %s has as %s is no evidence", evidence.ErrDamaged, p.site, p.Name()))
				return
			}
			for _, envelope := range s.Envelopes {
				if !yield(envelope, nil) {
					return
				}
			}
			if p.site == k.first {
				k.used[p.Name()] = true
			}
		}
	}
}

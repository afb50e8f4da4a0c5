package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// tellHeld puts on record, once a day of each site, up to where it holds the log
// and until when nobody can delete that.
func (e *Engine) tellHeld(ctx context.Context) error {
	now := e.clock.Now()
	if now.Sub(e.heldTold) < heldLook && !now.Before(e.heldTold) {
		return nil
	}
	last, err := e.lastAnchors(now.Add(-heldEvery))
	if err != nil {
		return err
	}
	for _, site := range e.cfg.SiteOrder {
		if _, told := last[siteTo(site)]; told {
			continue
		}
		if err := e.tellHeldAt(ctx, site, 0); err != nil {
			return err
		}
	}
	e.heldTold = now
	return nil
}

// heldLook is how often it is looked whether that is due.
const heldLook = 10 * time.Minute

// tellHeldNow does so before a bundle is written, of each site that holds more
// than what is on record but for such records themselves.
func (e *Engine) tellHeldNow(ctx context.Context) error {
	if e.readOnly || e.evidence.Mute() != nil || e.evidence.Size() == 0 {
		return nil
	}
	last, err := e.lastAnchors(time.Time{})
	if err != nil {
		return err
	}
	for _, site := range e.cfg.SiteOrder {
		known := uint64(0)
		if told := last[siteTo(site)]; told.Anchor != nil {
			if known, err = e.nothingNewSince(told.Anchor.Size); err != nil {
				return err
			}
		}
		if err := e.tellHeldAt(ctx, site, known); err != nil {
			return err
		}
	}
	return nil
}

// nothingNewSince returns up to where the log holds, from so many records on,
// nothing but what sites were found to hold: another such record for that would
// say nothing new, and call for one more.
func (e *Engine) nothingNewSince(size uint64) (uint64, error) {
	for r, err := range e.evidence.Records(size, e.evidence.Size()) {
		switch {
		case err != nil:
			return 0, fmt.Errorf("evidence that sites hold: %w", err)
		case r.Anchor == nil || r.Anchor.Kind() != evidence.AnchorSite:
			return size, nil
		}
		size++
	}
	return size, nil
}

// tellHeldAt records what a site holds, if that is more than so many records.
func (e *Engine) tellHeldAt(ctx context.Context, site string, known uint64) error {
	held, err := e.repository.EvidenceHeld(site, logID(e.evidence))
	if err != nil || held.End <= known {
		return err
	}
	before := e.evidence.PublicKey() // another may take its place meanwhile
	signed, err := e.evidence.CheckpointAt(held.End)
	if err != nil {
		return fmt.Errorf("evidence that site %s holds: %w", site, err)
	}
	at, _, err := evidence.OpenCheckpoint(signed, before, e.evidence.PublicKey())
	if err != nil {
		return fmt.Errorf("evidence that site %s holds: %w", site, err)
	}
	a := evidence.Anchor{To: siteTo(site), Size: at.Size, Root: at.Root.String(), Checkpoint: string(signed)}
	if held.Locked.After(e.clock.Now()) {
		a.Locked = held.Locked.UTC()
	}
	return e.tell(ctx, evidence.Record{Act: evidence.ActAnchor, Anchor: &a})
}

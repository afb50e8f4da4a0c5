package engine

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// regainPatience is how long each site may take to tell whether it keeps more of the
// log than this host, and those that do to show it: whatever begins first waits.
const regainPatience = 5 * time.Second

// regain takes back what sites keep of this host's log behind its end, which only its
// own key can have signed: the catalog is one of an earlier day, as from the image of
// a machine or a copy of data_dir. Going on from there would make two histories. Where
// that cannot be told in time, or there are two already, the log goes on, and
// [Engine.lookForOthers] tells.
func (e *Engine) regain(ctx context.Context) error {
	size, id := e.evidence.Size(), logID(e.evidence)
	if size == 0 || e.evidence.Mute() != nil {
		return nil
	}
	published, err := e.published()
	if err != nil {
		return err
	}
	kept := e.keptBehind(ctx, min(published, size), regainPatience)
	asking, cancel := context.WithTimeout(ctx, regainPatience)
	defer cancel()
	heads := kept.ends(asking, id, e.evidence.PublicKey()).signed(e.evidence.PublicKey())
	if len(heads) == 0 || heads[0].size <= size {
		return nil
	}
	last := heads[0]
	err = fmt.Errorf("%w: some of it is missing", evidence.ErrDamaged)
	if way, ok := straightWay(kept.pieces[id], size, last); ok {
		err = e.evidence.Regain(without(size-way[0].First, kept.envelopes(ctx, way)), last.checkpoint)
	}
	if ctx.Err() != nil {
		return ctx.Err() // somebody with more time does it
	}
	if err != nil {
		e.log.Warn("this host's evidence log ends before what it gave to a site, and could not be completed from there", "site", last.site, "records", size, "there", last.size, "error", err)
		return nil
	}
	e.log.Warn("this host's evidence log went back to an earlier state, and goes on from what a site kept", "site", last.site, "records", size, "there", last.size)
	taken := evidence.Record{Act: evidence.ActAlive, By: e.actor(ctx), Alive: &evidence.Alive{TakenFrom: last.site}}
	if _, err := e.evidence.Note(taken); err != nil {
		return fmt.Errorf("record that the evidence was taken back from site %s: %w", last.site, err)
	}
	return nil
}

// without leaves out the first n.
func without(n uint64, all iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for envelope, err := range all {
			if err == nil && n > 0 {
				n--
				continue
			}
			if !yield(envelope, err) {
				return
			}
		}
	}
}

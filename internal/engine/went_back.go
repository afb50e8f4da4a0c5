package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// regainPatience is how long sites may take to tell whether they keep more of the
// log than this host: what has just begun waits for it.
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
	asking, cancel := context.WithTimeout(ctx, regainPatience)
	defer cancel()
	kept := e.keptBehind(asking, min(published, size))
	heads := kept.ends(asking, id, e.evidence.PublicKey()).signed(e.evidence.PublicKey())
	if len(heads) == 0 || heads[0].size <= size {
		return nil
	}
	last := heads[0]
	if err := e.evidence.Regain(kept.envelopes(asking, id, size, last, ""), last.checkpoint); err != nil {
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

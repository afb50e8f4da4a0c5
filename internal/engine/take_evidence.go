package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/evidence"
)

// metaUntaken names the site whose evidence is yet to be taken over by a rebuild.
const metaUntaken = "evidence untaken"

// untaken is what a rebuild must not forget when it is cut short: a log that
// began anew instead of going on would be a second one under the same name.
type untaken struct {
	Site     string `json:"site"`
	KeyIsNew bool   `json:"key_is_new"`
}

func (e *Engine) expectEvidence(u untaken) error {
	text, err := json.Marshal(u)
	if err != nil {
		return err
	}
	return e.catalog.SetMeta(metaUntaken, text)
}

// awaitsEvidence reports whether evidence is yet to be taken over.
func (e *Engine) awaitsEvidence() (bool, error) { return awaitsEvidence(e.catalog) }

func awaitsEvidence(cat *catalog.Catalog) (bool, error) {
	text, err := cat.Meta(metaUntaken)
	if errors.Is(err, catalog.ErrNotFound) {
		return false, nil
	}
	return len(text) > 0, err
}

// takeUntaken takes over what a rebuild had to take over, if that is still to
// be done, and returns how many records there are.
func (e *Engine) takeUntaken(ctx context.Context) (uint64, error) {
	waits, err := e.awaitsEvidence()
	if err != nil || !waits {
		return 0, err
	}
	text, err := e.catalog.Meta(metaUntaken)
	var u untaken
	if err == nil {
		err = json.Unmarshal(text, &u)
	}
	if err != nil {
		return 0, err
	}
	crash.Point(crash.RebuildKnown)
	if e.evidence.Size() == 0 {
		if err := e.takeEvidence(ctx, u.Site, u.KeyIsNew); err != nil {
			return 0, fmt.Errorf("take over the evidence that sites keep: %w", err)
		}
	}
	if e.evidence.Size() > 0 {
		// Every audit is to see that what the lost host wrote last may be missing.
		taken := evidence.Record{Act: evidence.ActAlive, By: e.actor(ctx), Alive: &evidence.Alive{TakenFrom: u.Site}}
		if _, err := e.evidence.Note(taken); err != nil {
			return 0, fmt.Errorf("record that the evidence was taken over from site %s: %w", u.Site, err)
		}
	}
	crash.Point(crash.RebuildTaken)
	return e.evidence.Size(), e.catalog.SetMeta(metaUntaken, nil)
}

// newLogHint is the way out when evidence cannot be taken over.
const newLogHint = "bring a site that keeps all of it; or, with no service running, begin a new log with 'backupd audit key --new-log', which every audit will ask about"

// takeEvidence takes over the evidence log that sites keep, so that it goes on
// where it ended when the host was lost. A key that this very rebuild has made is
// replaced by one of that log.
func (e *Engine) takeEvidence(ctx context.Context, site string, keyIsNew bool) error {
	kept, err := e.keptAt(ctx, site)
	if err != nil {
		return err
	}
	id := logID(e.evidence)
	if keyIsNew {
		id = kept.longest(ctx)
	}
	if len(kept.pieces[id]) == 0 {
		return e.noEvidence(ctx, kept, site, keyIsNew)
	}
	if keyIsNew {
		origin, err := kept.origin(ctx, id)
		if err != nil {
			return err
		}
		if err := e.keyFor(origin); err != nil {
			return err
		}
	}
	return e.adopt(ctx, kept, id)
}

// noEvidence says whether a log may begin at its beginning, since none is kept of
// the one that the key is for.
func (e *Engine) noEvidence(ctx context.Context, kept keptEvidence, site string, keyIsNew bool) error {
	if kept.unasked != nil {
		return fmt.Errorf("site %s keeps none of it, and others cannot be asked; they may: %s: %w", site, newLogHint, kept.unasked)
	}
	if keyIsNew || len(kept.pieces) == 0 {
		return nil
	}
	origins := ""
	for id := range kept.pieces {
		if origin, err := kept.origin(ctx, id); err == nil {
			origins += " " + origin
		}
	}
	if origins == "" {
		return nil // nothing of all that is evidence
	}
	return fmt.Errorf("%w: sites keep the evidence of%s, and %s holds a key of %s: put the key file of that log there and rebuild again, "+
		"or move the file away, rebuild, and go on with a new key, which every audit will show",
		evidence.ErrOtherKey, origins, e.cfg.Evidence.KeyFile, e.evidence.Origin())
}

// mostTries is how many ends of a log are tried: more are no accident.
const mostTries = 8

// adopt takes over the log of that id, from all sites together. What no key of
// the log has signed does not count; of what one has, the longest must be whole.
func (e *Engine) adopt(ctx context.Context, kept keptEvidence, id string) error {
	var failed []error
	var longer [][]byte
	for head := range kept.heads(ctx, id) {
		err := e.evidence.Adopt(kept.envelopes(ctx, id, head), head.checkpoint, longer, e.by)
		if err == nil || ctx.Err() != nil {
			return err
		}
		e.log.Warn("evidence that a site keeps could not be taken over", "site", head.site, "records", head.size, "error", err)
		failed = append(failed, fmt.Errorf("%d records, as site %s ends: %w", head.size, head.site, err))
		if errors.Is(err, evidence.ErrLonger) || errors.Is(err, evidence.ErrOtherKey) || len(failed) == mostTries {
			break
		}
		longer = append(longer, head.checkpoint)
	}
	if len(failed) == 0 {
		failed = append(failed, fmt.Errorf("%w: no object of it is evidence", evidence.ErrDamaged))
	}
	return fmt.Errorf("%s: %w", newLogHint, errors.Join(append(failed, kept.unasked)...))
}

// keyFor makes a key of another log than that of the key file, which has signed
// nothing yet.
func (e *Engine) keyFor(origin string) error {
	path := e.cfg.Evidence.KeyFile
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("make a key for the evidence of %s: %w", origin, err)
	}
	if err := evidence.MakeKeyFileOf(path, origin); err != nil {
		return explainKeyFile(err)
	}
	log, err := evidence.OpenWithKeyFile(evidence.Options{Store: e.catalog, Clock: e.clock, Program: e.version}, path)
	if err == nil {
		e.evidence = log
	}
	return explainKeyFile(err)
}

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

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
	// MadeKey is that new key. Another one in its place was put there by somebody.
	MadeKey string `json:"made_key,omitempty"`
	// Key is a public key by which a person says which evidence is ours.
	Key string `json:"key,omitempty"`
}

func (e *Engine) expectEvidence(u untaken) error {
	if u.KeyIsNew && u.MadeKey == "" {
		u.MadeKey = e.evidence.PublicKey().String()
	}
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
	u, err := e.untaken()
	if err != nil {
		return 0, err
	}
	crash.Point(crash.RebuildKnown)
	var ours map[string]bool
	if e.evidence.Size() == 0 {
		if ours, err = e.takeEvidence(ctx, u); err != nil {
			return 0, fmt.Errorf("take over the evidence that sites keep: %w", err)
		}
	}
	if e.evidence.Size() > 0 {
		if err := e.disown(ctx, u.Site, ours); err != nil {
			return 0, fmt.Errorf("tell the evidence of this host from what lies beside it: %w", err)
		}
		// Every audit is to see that what the lost host wrote last may be missing.
		taken := evidence.Record{Act: evidence.ActAlive, By: e.actor(ctx), Alive: &evidence.Alive{TakenFrom: u.Site, NotTaken: firstOf(e.notOurs)}}
		if _, err := e.evidence.Note(taken); err != nil {
			return 0, fmt.Errorf("record that the evidence was taken over from site %s: %w", u.Site, err)
		}
	}
	crash.Point(crash.RebuildTaken)
	return e.evidence.Size(), e.catalog.SetMeta(metaUntaken, nil)
}

func (e *Engine) untaken() (u untaken, err error) {
	text, err := e.catalog.Meta(metaUntaken)
	if err == nil {
		err = json.Unmarshal(text, &u)
	}
	u.KeyIsNew = u.KeyIsNew && u.MadeKey == e.evidence.PublicKey().String()
	return u, err
}

// newLogHint is the way out when evidence cannot be taken over.
const newLogHint = "bring a site that keeps all of it; or, with no service running, begin a new log with 'backupd audit key --new-log', which every audit will ask about"

// takeEvidence takes over the evidence log that sites keep, so that it goes on
// where it ended when the host was lost. A key that this very rebuild has made is
// replaced by one of that log. It returns the objects at the first site that are known to
// be of that log.
func (e *Engine) takeEvidence(ctx context.Context, u untaken) (ours map[string]bool, err error) {
	if err := e.evidence.Mute(); err != nil {
		return nil, err
	}
	kept, err := e.keptAt(ctx, u.Site)
	if err != nil {
		return nil, err
	}
	id, err := kept.ofLog(ctx, u)
	if err != nil {
		return nil, err
	}
	if len(kept.pieces[id]) == 0 {
		return nil, e.noEvidence(ctx, kept, u)
	}
	own, err := kept.ownEndsOf(ctx, id, u)
	if err != nil {
		return nil, fmt.Errorf("log %s: %w", id, errors.Join(err, kept.unasked))
	}
	if u.KeyIsNew {
		origin, err := kept.origin(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := e.keyFor(origin, u); err != nil {
			return nil, err
		}
	}
	return kept.used, e.adopt(ctx, kept, id, own)
}

// noEvidence says whether a log may begin at its beginning, since none is kept of
// the one that the key is for.
func (e *Engine) noEvidence(ctx context.Context, kept keptEvidence, u untaken) error {
	if kept.unasked != nil {
		return fmt.Errorf("site %s keeps none of it, and others cannot be asked; they may: %s: %w", u.Site, newLogHint, kept.unasked)
	}
	if u.Key != "" {
		return fmt.Errorf("%w: no site keeps any of the log of the key that was named", errWhose)
	}
	if u.KeyIsNew || len(kept.pieces) == 0 {
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

// adopt takes over the log of that id, from all sites together. The longest of its own
// ends must be whole: no shorter one is taken in its place.
func (e *Engine) adopt(ctx context.Context, kept keptEvidence, id string, own ownEnds) error {
	var failed []error
	for _, head := range own.heads {
		if head.size < own.heads[0].size {
			break
		}
		err := e.adoptUpTo(ctx, kept, id, own, head)
		if err == nil {
			e.notOurs = own.strange(head.size)
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		e.log.Warn("evidence that a site keeps could not be taken over", "site", head.site, "records", head.size, "error", err)
		if errors.Is(err, evidence.ErrHistories) {
			return fmt.Errorf("%w: as site %s ends it: %s: %w", errWhose, head.site, sayWhose, err)
		}
		failed = append(failed, fmt.Errorf("%d records, as site %s ends: %w", head.size, head.site, err))
	}
	if len(failed) == 0 {
		failed = append(failed, fmt.Errorf("%w: no object of it is evidence", evidence.ErrDamaged))
	}
	return fmt.Errorf("%s: %w", newLogHint, errors.Join(append(failed, kept.unasked)...))
}

// adoptUpTo takes over a log up to an end: on the way that the names tell, and when
// something lies in that way, on one that is searched.
func (e *Engine) adoptUpTo(ctx context.Context, kept keptEvidence, id string, own ownEnds, head keptHead) error {
	take := func(way []keptPiece) error {
		return e.evidence.Adopt(kept.envelopes(ctx, way), head.checkpoint, own.others(head), e.by, own.keys...)
	}
	straight, ok := straightWay(kept.pieces[id], head)
	err := fmt.Errorf("%w: some of it is missing", evidence.ErrDamaged)
	if ok {
		err = take(straight)
	}
	same := func(a, b keptPiece) bool { return a.site == b.site && a.Name() == b.Name() }
	for _, prefer := range e.cfg.SiteOrder {
		if err == nil || ctx.Err() != nil {
			break
		}
		way, searchErr := kept.searchWay(ctx, id, head, prefer)
		switch {
		case searchErr != nil:
			err = searchErr
		case slices.EqualFunc(way, straight, same):
			return err // it is whole, and not to be taken over
		default:
			err = take(way)
		}
	}
	return err
}

// keyFor makes a key of another log than that of the key file, which has signed
// nothing yet.
func (e *Engine) keyFor(origin string, u untaken) error {
	if e.evidence.Origin() == origin {
		return nil // made when it was tried before
	}
	path := e.cfg.Evidence.KeyFile
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("make a key for the evidence of %s: %w", origin, err)
	}
	if err := evidence.MakeKeyFileOf(path, origin); err != nil {
		return explainKeyFile(err)
	}
	log, err := evidence.OpenWithKeyFile(evidence.Options{Store: e.catalog, Clock: e.clock, Program: e.version}, path)
	if err != nil {
		return explainKeyFile(err)
	}
	e.evidence = log
	u.MadeKey = log.PublicKey().String()
	return e.expectEvidence(u)
}

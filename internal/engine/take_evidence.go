package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/evidence"
)

// keptLog is a log of which a site keeps records.
type keptLog struct {
	id, origin string
	site       string
	checkpoint []byte
	size       uint64
}

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
func (e *Engine) awaitsEvidence() (bool, error) {
	text, err := e.catalog.Meta(metaUntaken)
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
		if _, err := e.takeEvidence(ctx, u.Site, u.KeyIsNew); err != nil {
			return 0, fmt.Errorf("take over the evidence that site %s keeps: %w", u.Site, err)
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

// takeEvidence takes over the evidence log that a site keeps, so that it goes on
// where it ended when the host was lost, and returns how many records that are.
// A key that this very rebuild has made is replaced by one of that log.
func (e *Engine) takeEvidence(ctx context.Context, site string, keyIsNew bool) (uint64, error) {
	kept, err := e.keptLogs(ctx, site)
	if err == nil {
		e.keptElsewhere(ctx, site, kept)
	}
	if err != nil || len(kept) == 0 {
		return 0, err
	}
	chosen, known := kept[logID(e.evidence)]
	if !known {
		if !keyIsNew {
			return 0, fmt.Errorf("%w: it keeps the evidence of %s, and %s holds a key of %s: put the key file of that log there and rebuild again, "+
				"or move the file away, rebuild, and go on with a new key, which every audit will show",
				evidence.ErrOtherKey, origins(kept), e.cfg.Evidence.KeyFile, e.evidence.Origin())
		}
		if chosen, err = longest(kept); err != nil {
			return 0, err
		}
		if err := e.keyFor(chosen.origin); err != nil {
			return 0, err
		}
	}
	err = e.evidence.Adopt(e.keptEnvelopes(ctx, chosen.site, chosen.id), chosen.checkpoint, e.by)
	return e.evidence.Size(), err
}

// longest returns the log with the most records: without its key nothing else
// tells which one was this host's.
func longest(kept map[string]keptLog) (out keptLog, err error) {
	for _, k := range kept {
		if k.size > out.size {
			out = k
		}
	}
	if out.size == 0 {
		err = evidence.ErrDamaged
	}
	return out, err
}

func origins(kept map[string]keptLog) (out string) {
	for _, k := range kept {
		if out != "" {
			out += " and "
		}
		out += k.origin
	}
	return out
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

// keptLogs returns the logs that a site keeps, by their ids.
func (e *Engine) keptLogs(ctx context.Context, site string) (map[string]keptLog, error) {
	out := map[string]keptLog{}
	err := e.repository.Evidence(ctx, site, func(id string, _ uint64, _ int, content []byte) error {
		s, err := evidence.ParseSegment(content)
		if err == nil && s.To > out[id].size {
			out[id] = keptLog{id: id, site: site, origin: s.Origin, checkpoint: s.Checkpoint, size: s.To}
		}
		return err
	})
	return out, err
}

// elsewherePatience is how long another site may take to tell what it keeps.
const elsewherePatience = 30 * time.Second

// keptElsewhere looks whether another site keeps more of a log: it would be two
// logs from there on if this host went on from less. One that cannot be asked is
// left out, since any one site must do.
func (e *Engine) keptElsewhere(ctx context.Context, site string, kept map[string]keptLog) {
	for _, other := range e.cfg.SiteOrder {
		if other == site {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, elsewherePatience)
		more, err := e.keptLogs(asking, other)
		cancel()
		if err != nil {
			e.log.Warn("a site could not be asked whether it keeps more of the evidence", "site", other, "error", err)
			continue
		}
		for id, k := range more {
			if k.size > kept[id].size {
				kept[id] = k
			}
		}
	}
}

var errEnough = errors.New("enough")

// keptEnvelopes yields the records of a log that a site keeps, in order. What
// is told twice is yielded once.
func (e *Engine) keptEnvelopes(ctx context.Context, site, id string) func(yield func([]byte, error) bool) {
	return func(yield func([]byte, error) bool) {
		var next uint64
		err := e.repository.Evidence(ctx, site, func(log string, _ uint64, _ int, content []byte) error {
			if log != id {
				return nil
			}
			s, err := evidence.ParseSegment(content)
			if err != nil {
				return err
			}
			for i, envelope := range s.Envelopes {
				if s.From+uint64(i) < next {
					continue
				}
				if next++; !yield(envelope, nil) {
					return errEnough
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/evidence"
)

// untold is an act that went on though it could not be put on record.
type untold struct {
	// Log is the one that it belongs in, Intent the record of its intent there, if
	// that was written.
	Log    string          `json:"log"`
	Intent *uint64         `json:"intent,omitempty"`
	Begun  evidence.Record `json:"begun"`
	Ended  evidence.Record `json:"ended"`
}

// toTheMillisecond tells acts apart that follow each other.
const toTheMillisecond = "2006-01-02T15:04:05.000Z"

// keepUntold keeps such an act until it can be put on record, and tells when it was.
func (e *Engine) keepUntold(u untold, begun time.Time) {
	u.Log, u.Begun.By = e.evidence.Origin(), u.Ended.By
	if u.Intent != nil {
		u.Begun.Late = fmt.Sprintf("it was record %d of %s, and its result could not be recorded when it ended", *u.Intent, u.Log)
	} else {
		u.Begun.Late = fmt.Sprintf("it ran from %s to %s: %s", begun.UTC().Format(toTheMillisecond), e.clock.Now().UTC().Format(toTheMillisecond), u.Begun.Late)
	}
	text, err := json.Marshal(u)
	if err == nil {
		err = e.catalog.AddUntold(text)
	}
	if err != nil {
		e.log.Error("what is not on record cannot be recorded later either", "act", u.Begun.Act, "function", u.Begun.Function, "error", err)
	}
}

// tellUntold puts on record what could not be when it was done, oldest first.
func (e *Engine) tellUntold() error {
	if err := e.evidence.Mute(); err != nil {
		return err
	}
	for {
		n, text, err := e.catalog.FirstUntold()
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		var u untold
		if err = json.Unmarshal(text, &u); err == nil {
			err = e.recordUntold(u)
		}
		var garbled *json.SyntaxError
		if errors.Is(err, evidence.ErrRecord) || errors.As(err, &garbled) {
			// It would be refused for ever, and everything else wait for it.
			e.log.Error("what is not on record cannot be recorded later either", "act", u.Begun.Act, "function", u.Begun.Function, "error", err)
			err = nil
		}
		if err != nil {
			return fmt.Errorf("record a %s that is not on record yet: %w", u.Begun.Act, err)
		}
		if err := e.catalog.DropUntold(n); err != nil {
			return err
		}
		e.told(u.Ended)
	}
}

// recordUntold records one. Where its intent is on record and still open that is
// ended, and not said to have been cut short.
func (e *Engine) recordUntold(u untold) error {
	if told, err := e.isTold(u); told || err != nil {
		return err
	}
	if u.Intent != nil && u.Log == e.evidence.Origin() {
		if err := e.evidence.End(*u.Intent, u.Ended); !errors.Is(err, evidence.ErrNotOpen) {
			return err
		}
	}
	seq, err := e.evidence.Begin(u.Begun)
	if err != nil {
		return err
	}
	return e.evidence.End(seq, u.Ended)
}

// isTold reports whether the program ended just when one had been recorded.
func (e *Engine) isTold(u untold) (bool, error) {
	last, any, err := e.evidence.Latest(u.Ended.Act, u.Ended.Function)
	if err != nil || !any || last.Phase != evidence.Result {
		return false, err
	}
	if u.Intent != nil && u.Log == e.evidence.Origin() && *last.Intent == *u.Intent {
		return last.Outcome == u.Ended.Outcome, nil
	}
	for intent, err := range e.evidence.Records(*last.Intent, *last.Intent+1) {
		return err == nil && intent.Late == u.Begun.Late, err
	}
	return false, nil
}

// tellKept puts on record what waits for that, if anything does.
func (e *Engine) tellKept(ctx context.Context) error {
	if _, _, err := e.catalog.FirstUntold(); errors.Is(err, catalog.ErrNotFound) {
		return nil
	}
	return e.tellPolicy(ctx)
}

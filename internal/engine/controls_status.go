package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/evidence"
)

// ControlsStatus is the last round of negative controls of all faults that came
// to its end.
type ControlsStatus struct {
	// State is "good" when every planted fault turned the verifier red, "missed"
	// when one did not, "failed" when the round could not be carried out, "late"
	// when the last good one is too old, and "unknown" when there was none. Only
	// "good" is.
	State string `json:"state"`
	// At is when it ended, UTC, and AgeSeconds how long ago that is.
	At         time.Time `json:"at,omitzero"`
	AgeSeconds float64   `json:"age_seconds"`
	// Planted and Red count its faults; Missed names those that were not caught
	// where they must be.
	Planted int      `json:"planted"`
	Red     int      `json:"red"`
	Missed  []string `json:"missed,omitempty"`
	// Site is where its copies were; Seconds is how long it took.
	Site    string  `json:"site,omitempty"`
	Seconds float64 `json:"seconds"`
	// Error says why it failed or what it missed.
	Error string `json:"error,omitempty"`
}

// The states of negative controls besides StateGood, StateLate and StateUnknown.
const (
	// StateMissed: a planted fault did not turn the verifier red.
	StateMissed = "missed"
	// StateFailed: the round could not be carried out.
	StateFailed = "failed"
)

// round is a round of negative controls on record; run is nil when there was
// none.
type round struct {
	run    *catalog.Run
	result evidence.Controls
}

// cutShort begins the errors of runs that were not let come to their end.
const cutShort = "cut short"

// lastRound returns the last round of all faults that ended.
func (e *Engine) lastRound() (last round, err error) {
	var bad error
	err = e.catalog.Runs(func(r *catalog.Run) bool {
		if r.Kind != catalog.RunControls || r.Ended.IsZero() || strings.HasPrefix(r.Error, cutShort) {
			return true // it says nothing
		}
		var c evidence.Controls
		if len(r.Result) > 0 {
			bad = json.Unmarshal(r.Result, &c)
		}
		if bad == nil && len(c.Only) > 0 {
			return true
		}
		last = round{r, c}
		return false
	})
	if err == nil {
		err = bad
	}
	return last, err
}

// controlsStatus tells of the last round.
func (e *Engine) controlsStatus(now time.Time) (ControlsStatus, error) {
	last, err := e.lastRound()
	s := ControlsStatus{State: StateUnknown}
	if err != nil || last.run == nil {
		return s, err
	}
	s.At, s.AgeSeconds = last.run.Ended.UTC(), now.Sub(last.run.Ended).Seconds()
	s.Site, s.Seconds, s.Error = last.result.Site, last.result.Seconds, last.run.Error
	s.Planted = len(last.result.Faults)
	for _, f := range last.result.Faults {
		if f.Red {
			s.Red++
		} else {
			s.Missed = append(s.Missed, f.ID)
		}
	}
	every := e.cfg.Drills.ControlsEvery
	switch {
	case len(s.Missed) > 0:
		s.State = StateMissed
	case s.Error != "" || s.Planted == 0:
		s.State = StateFailed
	case every > 0 && now.Sub(last.run.Ended) > 2*every:
		s.State = StateLate
	default:
		s.State = StateGood
	}
	return s, nil
}

// reason says what is not as it should be; empty when nothing is known to be
// wrong.
func (s ControlsStatus) reason() string {
	switch s.State {
	case StateMissed:
		return fmt.Sprintf("negative controls of %s: the verifier missed %d of %d planted faults, so its proofs cannot be relied on: %s",
			s.At.Format(time.RFC3339), len(s.Missed), s.Planted, s.Error)
	case StateFailed:
		return fmt.Sprintf("negative controls of %s could not be carried out, so nothing shows that the verifier finds faults: %s",
			s.At.Format(time.RFC3339), s.Error)
	case StateLate:
		return fmt.Sprintf("negative controls were last made on %s, less often than drills.controls_every asks for", s.At.Format(time.RFC3339))
	}
	return ""
}

// neverControlled is a warning, because nothing is known to be wrong.
const neverControlled = "nobody has seen the verifier fail: the service makes a round of negative controls by itself, " +
	"or 'backupd drill controls' does now"

// statusOfControls fills in what negative controls say of the verifier.
func (e *Engine) statusOfControls(s *Status) (err error) {
	if s.Controls, err = e.controlsStatus(s.Time); err != nil {
		return err
	}
	if s.Controls.State == StateUnknown {
		s.Warnings = append(s.Warnings, neverControlled)
	}
	if reason := s.Controls.reason(); reason != "" {
		s.Reasons, s.Degraded = append(s.Reasons, reason), true
	}
	return nil
}

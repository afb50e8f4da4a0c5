package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// ClockSet tells that the evidence log goes on with the right time.
type ClockSet struct {
	// Record is the sequence of the record that says so, Was the time that the
	// newest record bore until then, UTC.
	Record uint64    `json:"record"`
	Was    time.Time `json:"was"`
	Time   time.Time `json:"time"`
}

// ClockRequest asks for it.
type ClockRequest struct {
	Reason string `json:"reason"`
}

// SetEvidenceClock puts on record that the clock of this host was ahead and is
// right now. The error matches [ErrUsage] when the log does not lie ahead of it.
func (e *Engine) SetEvidenceClock(ctx context.Context, req ClockRequest) (ClockSet, error) {
	if req.Reason == "" {
		return ClockSet{}, fmt.Errorf("%w: a reason says what happened to the clock", ErrUsage)
	}
	err := e.evidence.SetBack(req.Reason, e.actor(ctx))
	if errors.Is(err, evidence.ErrNotAhead) {
		err = fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if err != nil {
		return ClockSet{}, err
	}
	e.urgent.Store(true)
	r, _, err := e.evidence.Latest(evidence.ActClock, "")
	if err != nil {
		return ClockSet{}, err
	}
	return ClockSet{Record: r.Sequence, Was: r.Clock.Was, Time: r.Time}, nil
}

// clockReason says that the evidence lies ahead of the clock; empty when it does
// not.
func (e *Engine) clockReason() string {
	newest, by := e.evidence.Ahead()
	if by <= evidence.Slack {
		return ""
	}
	return fmt.Sprintf("the newest record of the evidence is of %s, %s ahead of the clock of this host: until then every record bears that time, and reports "+
		"miss what is done; put the clock right when it is behind, or, when it was ahead, say so with 'backupd audit clock --reason TEXT'",
		newest.UTC().Format(time.RFC3339), by.Round(time.Second))
}

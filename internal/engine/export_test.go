package engine

import "time"

// Hurry makes commands give up soon on a site that fails, and a service begin
// soon to keep house.
func (e *Engine) Hurry() {
	e.patience, e.settle, e.taker.Patience = 5*time.Second, 100*time.Millisecond, time.Second
}

// TellSuspects makes the engine take down suspicions in a log.
func (e *Engine) TellSuspects(log suspectLog) { e.suspectLog = log }

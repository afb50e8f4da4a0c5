package engine

import "time"

// Hurry makes commands give up soon on a site that fails.
func (e *Engine) Hurry() {
	e.patience, e.taker.Patience = 2*time.Second, time.Second
}

package engine

import (
	"time"

	"github.com/saypro/backupd/internal/evidence"
)

// Evidence is the log of what the engine did.
func (e *Engine) Evidence() *evidence.Log { return e.evidence }

// Hurry makes commands give up soon on a site that fails, and a service begin
// soon to keep house.
func (e *Engine) Hurry() {
	e.patience, e.settle, e.taker.Patience = 5*time.Second, 100*time.Millisecond, time.Second
}

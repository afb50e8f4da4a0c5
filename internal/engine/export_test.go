package engine

import (
	"context"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/verify"
)

// Evidence is the log of what the engine did.
func (e *Engine) Evidence() *evidence.Log { return e.evidence }

// Hurry makes commands give up soon on a site that fails, and a service begin
// soon to keep house.
func (e *Engine) Hurry() {
	e.patience, e.settle, e.taker.Patience = 5*time.Second, 100*time.Millisecond, time.Second
}

// ProveOnSchedule proves what a proof on schedule would prove now.
func (e *Engine) ProveOnSchedule(ctx context.Context, function, site string) error {
	return newDuty(e).Prove(ctx, function, site)
}

// BreakVerifier has the verifier of negative controls see what is not there, or
// not see what is.
func (e *Engine) BreakVerifier(broken func(verify.Result) verify.Result) { e.rounds.broken = broken }

// HurryControls has a service begin its negative controls soon.
func (e *Engine) HurryControls() { e.rounds.settle = 100 * time.Millisecond }

// ControlsDir is where rounds keep what they need on this host.
func (e *Engine) ControlsDir() string { return e.controlsDir() }

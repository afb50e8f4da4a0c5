package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/saypro/backupd/internal/controls"
)

// controlsSettle is how long a service that starts lets negative controls wait:
// its start is about snapshots and about sites that were away.
const controlsSettle = 15 * time.Minute

// keepControlled makes a round of negative controls every drills.controls_every,
// until ctx ends. When one is due is told by the record of runs.
func (e *Engine) keepControlled(ctx context.Context) {
	every := e.cfg.Drills.ControlsEvery
	if every <= 0 {
		return
	}
	settled := e.clock.Now().Add(e.rounds.settle)
	for {
		now := e.clock.Now()
		last, err := e.lastRound()
		if err != nil {
			e.log.Error("the record of negative controls could not be read", "error", err)
		}
		due := nextAfter(last.run, every, now)
		if due.Before(settled) {
			due = settled
		}
		if left := due.Sub(now); left > 0 || err != nil {
			if e.clock.Sleep(ctx, min(max(left, time.Second), houseNap)) != nil {
				return
			}
			continue
		}
		// Many that share a site should not all come at once.
		jitter := rand.N(every/50 + 1) //nolint:gosec // spreads load, guards nothing
		if e.clock.Sleep(ctx, min(jitter, e.rounds.settle)) != nil {
			return
		}
		if !e.awaitVoice(ctx) { // nothing is carried out without being on record
			return
		}
		e.controlOnSchedule(ctx)
		if ctx.Err() != nil {
			return
		}
	}
}

func (e *Engine) controlOnSchedule(ctx context.Context) {
	out, err := e.Controls(By(ctx, bySchedule), ControlsRequest{}, nil)
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, controls.ErrMissed):
		e.log.Error("negative controls: the verifier does not find what it must; do not rely on proofs until it does", "error", err)
	case err != nil:
		e.log.Error("negative controls could not be carried out; they are tried again", "error", err)
	default:
		e.log.Info("negative controls: every planted fault was found", "faults", len(out.Faults), "site", out.Site, "seconds", out.Seconds)
	}
}

package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/controls"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/verify"
)

// ControlsRequest asks for a round of negative controls.
type ControlsRequest struct {
	// From is the site on which the disposable copies are put; empty means the
	// first one.
	From string `json:"from,omitempty"`
	// Only names the faults to plant; empty means all. Only a round of all
	// counts as one in the status.
	Only []string `json:"only,omitempty"`
}

// rounds is what an engine needs for negative controls.
type rounds struct {
	turn chan struct{} // held by the round that goes on
	// settle is the time from the start of a service to its first round.
	settle time.Duration
	// broken, in tests, is what becomes of every result of the verifier.
	broken func(verify.Result) verify.Result
}

// clearPatience is how long clearing up after a round may take.
const clearPatience = 2 * time.Minute

// Controls plants faults in disposable copies and looks whether the verifier
// finds them. The error matches [controls.ErrMissed] when it did not, and
// [controls.ErrVoid] when the round says nothing. The round is on record before
// it begins, whatever comes of it.
func (e *Engine) Controls(ctx context.Context, req ControlsRequest, report progress.Reporter) (out evidence.Controls, err error) {
	out.Faults = []evidence.Fault{}
	if req.From == "" {
		req.From = e.cfg.SiteOrder[0]
	}
	if _, err := e.repository.Site(req.From); err != nil {
		return out, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if err := controls.Check(req.Only); err != nil {
		return out, usageError{err}
	}
	if err := e.voice(); err != nil { // and no round, of which a status tells, failed
		return out, notBegun(err)
	}
	select {
	case e.rounds.turn <- struct{}{}:
		defer func() { <-e.rounds.turn }()
	case <-ctx.Done():
		return out, ctx.Err()
	}
	if err := e.clearControls(ctx); err != nil {
		e.log.Warn("what a crash left of earlier negative controls could not be removed", "error", err)
	}
	err = e.recordedRound(ctx, req, func() (evidence.Controls, error) {
		out, err = e.round(ctx, req, report)
		return out, err
	})
	return out, err
}

// recordedRound has a round on record from its start to its end, in the evidence
// and in the catalog, of which the status tells.
func (e *Engine) recordedRound(ctx context.Context, req ControlsRequest, work func() (evidence.Controls, error)) error {
	run := &catalog.Run{Kind: catalog.RunControls, Started: e.clock.Now()}
	if err := e.catalog.PutRun(run); err != nil {
		return err
	}
	intent := evidence.Record{Act: evidence.ActControls, Controls: &evidence.Controls{Faults: []evidence.Fault{}, Site: req.From, Only: req.Only}}
	err := e.attest(ctx, intent, func() (result evidence.Record, err error) {
		out, err := work()
		if errors.Is(err, controls.ErrMissed) {
			result.Outcome = evidence.Different
		}
		note(run, out)
		result.Controls = &out
		return result, err
	})
	run.Ended = e.clock.Now()
	switch {
	case err != nil && ctx.Err() != nil:
		run.Error = cutShort + ": it was cancelled, or backupd ended"
	case err != nil:
		run.Error = err.Error()
	}
	return errors.Join(err, e.catalog.PutRun(run))
}

// round makes one round and clears up after it, whatever happens.
func (e *Engine) round(ctx context.Context, req ControlsRequest, report progress.Reporter) (out evidence.Controls, err error) {
	out = evidence.Controls{Faults: []evidence.Fault{}, Site: req.From, Only: req.Only}
	place, err := e.controlsPlace(ctx, req.From)
	if err != nil {
		return out, err
	}
	defer func() {
		clearing, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearPatience)
		defer cancel()
		err = errors.Join(err, e.clearRound(clearing, place))
	}()
	r := &controls.Round{
		Dir: place.dir, Site: place.Site, StandIn: place.StandIn, Clock: e.clock, Log: e.log, Report: report,
		Open:   func(sub string) (repository.Site, error) { return e.openControls(place, sub) },
		Locked: e.controlsLocked(place.Site),
		Cold:   ColdControls(e.clock, place.Site, func(sub string) config.Site { return e.controlsSite(place, sub) }),
	}
	r.Break(e.rounds.broken)
	return r.Run(ctx, req.Only)
}

// controlsDir is where rounds of negative controls keep what they need here; the
// name of each round's folder is that of its prefix at the site.
func (e *Engine) controlsDir() string { return filepath.Join(e.cfg.DataDir, "controls") }

// roundName is the name of a round, for its folder and its prefix.
func roundName() string {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	return "drill-" + hex.EncodeToString(random[:])
}

// roundPlace says where the disposable copies of a round are. It is written down
// before anything is put there, so that a crash at any moment leaves nothing that
// the next round does not find.
type roundPlace struct {
	Site    string `json:"site"`
	Prefix  string `json:"prefix"`
	StandIn string `json:"stand_in,omitempty"`

	dir string
}

const placeFile = "place.json"

func (p roundPlace) write() error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, placeFile), text, 0o600)
}

package engine

import (
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/verify"
)

// Evidence is the log of what the engine did.
func (e *Engine) Evidence() *evidence.Log { return e.evidence }

// Published is up to where the log was given to the sites.
func (e *Engine) Published() (uint64, error) { return e.published() }

// TellFound records what the sources hold, as a service does daily.
func (e *Engine) TellFound(ctx context.Context) error { return e.tellFound(ctx) }

// BusyWitness has somebody be at the log until release, for whom others wait so
// long.
func (e *Engine) BusyWitness(patience time.Duration) (release func()) {
	e.witness = patience
	e.telling <- struct{}{}
	return func() { e.witness = witnessPatience; <-e.telling }
}

// KeepUntoldTwice keeps an act that could not be put on record, or only its intent,
// as if the program ended when it was recorded later, and before that was noted.
func (e *Engine) KeepUntoldTwice(t *testing.T, intent *uint64, begun, ended evidence.Record) {
	t.Helper()
	e.keepUntold(untold{Intent: intent, Begun: begun, Ended: ended}, e.clock.Now())
	_, act, err := e.catalog.FirstUntold()
	if err == nil {
		err = e.catalog.AddUntold(act)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// CloseDays closes the days that are over, as the service does.
func (e *Engine) CloseDays(t *testing.T) {
	t.Helper()
	if err := e.closeDays(t.Context()); err != nil {
		t.Fatal(err)
	}
}

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

// StartCold starts an empty host as a cold start does, without waiting for it.
func (e *Engine) StartCold(t *testing.T, function, site, identity string) (host *exec.Cmd, in io.Closer, dir string) {
	t.Helper()
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, err := e.coldFolder()
	fatal(err)
	host, err = (&emptyHost{dir: dir}).command(t.Context())
	fatal(err)
	pipe, err := host.StdinPipe()
	fatal(err)
	order, err := json.Marshal(newColdOrder(e.cfg, e.cfg.Functions[function], site, dir, identity))
	fatal(err)
	fatal(host.Start())
	_, err = pipe.Write(order)
	fatal(err)
	return host, pipe, dir
}

// SweepCold removes what killed cold starts have left.
func (e *Engine) SweepCold(ctx context.Context) error { return e.sweepCold(ctx) }

// ColdDue is what the service would start cold now.
func (e *Engine) ColdDue(tried map[string]time.Time) (function, site string, due bool) {
	keys := map[proofKey]time.Time{}
	for site, at := range tried {
		keys[proofKey{function: "payments", site: site}] = at
	}
	f, site, due := e.coldDue(keys)
	return f.Name, site, due
}

// ColdOnSchedule makes a cold start as the service does.
func (e *Engine) ColdOnSchedule(ctx context.Context, function, site string) {
	e.coldOnSchedule(ctx, e.cfg.Functions[function], site)
}

// Promise is what is put on record of a configuration.
func Promise(cfg *config.Config) (*evidence.Policy, error) { return policyInForce(cfg) }

// SwitchedOff is what a status warns of in it.
func SwitchedOff(cfg *config.Config) []string {
	out := switchedOffForAll(cfg)
	for _, name := range cfg.FunctionOrder {
		out = append(out, switchedOff(cfg.Functions[name])...)
	}
	return out
}

// InOrder starts n pieces of work as an exercise starts its restores.
func InOrder(ctx context.Context, n, atOnce int, work func(i int, begun func())) error {
	q := queue{slots: make(chan struct{}, atOnce)}
	defer q.work.Wait()
	for i := range n {
		if err := q.wait(ctx); err != nil {
			return err
		}
		q.start(func(begun func()) { work(i, begun) })
	}
	return nil
}

// KeyWarnings are what a status says of keys.
func KeyWarnings(keys []repository.KeyInfo, wanted int) []string { return keyWarnings(keys, wanted) }

// Room says whether so much free space is enough.
func Room(free int64) (ok bool, hint string) { return room(free) }

package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/verify"
)

// coldLook is how often the service looks whether a cold start is due.
const coldLook = time.Minute

// keepCold makes the cold starts that are due, of each function from each site,
// one at a time, until ctx ends.
func (e *Engine) keepCold(ctx context.Context) {
	tried := map[proofKey]time.Time{}
	for e.clock.Sleep(ctx, coldLook) == nil {
		f, site, ok := e.coldDue(tried)
		if !ok {
			continue
		}
		tried[proofKey{function: f.Name, site: site}] = e.clock.Now()
		e.coldOnSchedule(ctx, f, site)
	}
}

func (e *Engine) coldOnSchedule(ctx context.Context, f config.Function, site string) {
	key, err := e.coldKey("")
	var r verify.Result
	if err == nil {
		err = e.apart(ctx, aProof)
	}
	if err == nil {
		var quiet progress.Reporter
		r, err = e.coldStart(ctx, f, site, key, true, quiet)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		e.log.Error("cold start failed", "function", f.Name, "site", site, "error", err)
	default:
		e.log.Info("cold start proven", "function", f.Name, "site", site, "snapshot", r.Snapshot,
			"level", r.Level, "meaning", verify.Meaning(r.Level), "seconds", r.DurationSeconds)
	}
}

// coldDue returns the first function and site whose cold start is due. One that
// could not be carried out, whatever the reason, is tried again some time later.
func (e *Engine) coldDue(tried map[proofKey]time.Time) (config.Function, string, bool) {
	wanted := false
	for _, f := range e.cfg.Functions {
		wanted = wanted || f.Prove.ColdEvery > 0
	}
	if !wanted {
		return config.Function{}, "", false
	}
	proofs, err := e.newestProofs()
	if err != nil {
		e.log.Error("the record of proofs could not be read", "error", err)
		return config.Function{}, "", false
	}
	now := e.clock.Now()
	for _, name := range e.cfg.FunctionOrder {
		f := e.cfg.Functions[name]
		newest, err := e.newestPoints(name)
		if f.Prove.ColdEvery <= 0 || err != nil {
			continue
		}
		for _, site := range e.cfg.SiteOrder {
			key := proofKey{function: name, site: site}
			if newest.at[site] != nil && dueAgain(proofs.cold[key], tried[key], f.Prove.ColdEvery, now) {
				return f, site, true
			}
		}
	}
	return config.Function{}, "", false
}

// dueAgain reports whether a cold start is due, by the last one and the last try
// of this process. Times from the future are left by a clock that was wrong.
func dueAgain(last *catalog.Proof, tried time.Time, every time.Duration, now time.Time) bool {
	recent := func(t time.Time, within time.Duration) bool {
		return !t.IsZero() && !t.After(now) && now.Sub(t) < within
	}
	if recent(tried, min(every/8, 6*time.Hour)) {
		return false
	}
	return last == nil || last.Level < restoring || !recent(last.Started, every)
}

// coldWarnings say what is wrong with cold starts that are wanted.
func coldWarnings(f config.Function, s FunctionStatus, sites []string, drill string, now time.Time) []string {
	if f.Prove.ColdEvery <= 0 {
		return nil
	}
	var out []string
	if drill == "" {
		out = append(out, "cold starts on schedule do not reach L7: they use the daemon's own key, as keys.drill_identity_file is not there")
	}
	if !f.Checked() {
		out = append(out, "cold starts do not reach L7, which includes L6: the function has no checks of its own")
	}
	for _, site := range sites {
		last := s.Sites[site].ColdStart
		switch {
		case last == nil:
			out = append(out, fmt.Sprintf("site %s: there was no cold start yet", site))
		case !last.Passed && drill != "" && f.Checked():
			out = append(out, fmt.Sprintf("site %s: the last cold start did not reach L7: %s", site, last.Error))
		case now.Sub(last.At) > 2*f.Prove.ColdEvery:
			out = append(out, fmt.Sprintf("site %s: the last cold start is %s old, one is due every %s", site, now.Sub(last.At).Round(time.Second), f.Prove.ColdEvery))
		}
	}
	return out
}

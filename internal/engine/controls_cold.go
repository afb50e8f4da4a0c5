package engine

import (
	"context"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/controls"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/selection"
	"github.com/saypro/backupd/internal/verify"
)

// ColdControls makes the cold starts of negative controls by the code of every
// cold start; at returns how the place at a prefix of the round is reached.
func ColdControls(c clock.Clock, site string, at func(prefix string) config.Site) func(context.Context, controls.ColdStart) (verify.Result, error) {
	return func(ctx context.Context, s controls.ColdStart) (verify.Result, error) {
		ids, err := identitiesIn(s.Identity)
		if err != nil {
			return verify.Result{}, err
		}
		from := &config.Config{Sites: map[string]config.Site{site: at(s.Prefix)}, Scratch: s.Scratch}
		var quiet progress.Reporter
		host := emptyHost{
			clock: c, dir: s.Dir, report: quiet, order: newColdOrder(from, s.Function, site, s.Dir, s.Identity),
			key: whoseKey(ids, s.Own, verify.TheEscrows), known: s.Known, why: verify.Selection{Rule: string(selection.Latest)},
			clear:   func() error { return nil }, // the folder is the round's
			program: s.Program, environ: s.Environ,
		}
		return host.prove(ctx)
	}
}

// controlsSite is how the place of a round, or what is below it, is reached.
func (e *Engine) controlsSite(p roundPlace, sub string) config.Site {
	if p.StandIn != "" {
		return config.Site{Kind: "dir", Path: p.standIn(), Prefix: sub}
	}
	s := e.cfg.Sites[p.Site]
	s.Prefix, s.Lock, s.MaxRate = p.below(s.Prefix, sub), nil, 0
	return s
}

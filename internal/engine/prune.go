package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/retention"
)

// Prune decides which recovery points of the named functions their rules keep,
// of all functions when none is named, and condemns the others: a sweep deletes
// them when the time of grace is over, and until then they can be held. What no
// rule may take is in the decisions themselves.
func (e *Engine) Prune(ctx context.Context, req PruneRequest, report progress.Reporter) (PruneResult, error) {
	now := e.clock.Now().UTC()
	out := PruneResult{Time: now, DryRun: req.DryRun, Lost: req.Lost, GoesAt: now.Add(e.cfg.Sweep.Grace), Functions: []PrunedFunction{}}
	if req.Lost {
		return e.pruneLost(ctx, req, out)
	}
	chosen, err := e.chosen(req.Functions)
	if err != nil {
		return out, err
	}
	slices.SortFunc(chosen, func(a, b config.Function) int { return strings.Compare(a.Name, b.Name) })
	work := func() error {
		for _, f := range chosen {
			pruned, err := e.pruneFunction(ctx, f, now, req.DryRun)
			if err != nil {
				return fmt.Errorf("prune function %s: %w", f.Name, err)
			}
			out.Functions = append(out.Functions, pruned)
			report.Report(progress.Event{Function: f.Name, Phase: "prune", Done: int64(len(pruned.Decisions)), Total: int64(len(pruned.Decisions)), Unit: "recovery points"})
		}
		return nil
	}
	if req.DryRun {
		err = work()
		return out, err
	}
	err = e.deletion(ctx, "prune", func() (evidence.Deletion, error) {
		err := e.recorded(ctx, catalog.RunPrune, func(run *catalog.Run) error {
			run.Function = strings.Join(req.Functions, " ")
			err := work()
			note(run, pruneCounts(out))
			return err
		})
		return evidence.Deletion{Snapshots: dropped(out)}, err
	})
	return out, err
}

// dropped are the recovery points that a prune gave up, and why.
func dropped(r PruneResult) map[string]string {
	out := map[string]string{}
	for _, f := range r.Functions {
		for _, d := range f.Decisions {
			if !d.Keep {
				out[d.Snapshot] = strings.Join(d.Reasons, "; ")
			}
		}
	}
	return out
}

// counted is what the record of a prune says of a function.
type counted struct {
	Function string `json:"function"`
	Kept     int    `json:"kept"`
	Dropped  int    `json:"dropped"`
}

func pruneCounts(r PruneResult) []counted {
	out := []counted{}
	for _, f := range r.Functions {
		out = append(out, counted{f.Function, f.Kept, f.Dropped})
	}
	return out
}

// pruneTries is how often it is decided anew because a proof has changed what
// must stay in the meantime.
const pruneTries = 3

func (e *Engine) pruneFunction(ctx context.Context, f config.Function, now time.Time, dryRun bool) (out PrunedFunction, err error) {
	for range pruneTries {
		var doomed map[string]string
		if out, doomed, err = e.decide(f, now); err != nil || dryRun {
			return out, err
		}
		if err = e.condemn(ctx, doomed); !errors.Is(err, repository.ErrFloor) {
			return out, err
		}
	}
	return out, err
}

// decide applies the rules of a function, and returns with the reasons what no
// rule keeps.
func (e *Engine) decide(f config.Function, now time.Time) (PrunedFunction, map[string]string, error) {
	out := PrunedFunction{Function: f.Name, Rules: describeRules(f.Keep), Decisions: []PruneDecision{}}
	points, waiting, err := e.retentionPoints(f)
	if err != nil {
		return out, nil, err
	}
	// The repository refuses to give up one more than the rules know of: what a
	// proof restored last, though there are newer ones that are proven.
	floors, err := e.repository.Floors(f.Name)
	if err != nil {
		return out, nil, err
	}
	out.Waiting = waiting
	doomed := map[string]string{}
	for _, d := range retention.Decide(policyOf(f.Keep), points, e.cfg.SiteOrder, now) {
		if why := floors[d.ID]; why != "" && !d.Keep {
			d.Keep, d.Reasons = true, []string{why + ": it stays whatever the rules say"}
		}
		out.Decisions = append(out.Decisions, PruneDecision{Snapshot: d.ID, RecoveryPoint: d.Time.UTC(), Keep: d.Keep, Reasons: d.Reasons})
		if d.Keep {
			out.Kept++
			continue
		}
		out.Dropped++
		doomed[d.ID] = strings.Join(d.Reasons, "; ")
	}
	return out, doomed, nil
}

// condemnStep is how many snapshots one mark condemns, so that marks stay small
// objects however much there is to clear up.
const condemnStep = 2000

func (e *Engine) condemn(ctx context.Context, doomed map[string]string) error {
	step := map[string]string{}
	for id, why := range doomed {
		step[id] = why
		if len(step) < condemnStep {
			continue
		}
		if err := e.repository.Condemn(ctx, step); err != nil {
			return err
		}
		step = map[string]string{}
	}
	if len(step) == 0 {
		return nil
	}
	return e.repository.Condemn(ctx, step)
}

// retentionPoints returns the recovery points of a function as far as keeping
// them goes, and how many were given up earlier: those are none any more.
func (e *Engine) retentionPoints(f config.Function) (points []retention.Point, waiting int, err error) {
	doubt, err := e.repository.Doubt(f.Name)
	if err != nil {
		return nil, 0, err
	}
	at := map[string]int{} // where each is in points
	err = e.repository.Snapshots(f.Name, func(s repository.SnapshotInfo) bool {
		if !s.Condemned.IsZero() {
			waiting++
			return true
		}
		p := retention.Point{ID: s.ID, Time: s.RecoveryPoint, Held: s.Held, Suspect: s.Open(), Doubtful: doubt.About(s) != nil}
		for _, site := range e.cfg.SiteOrder {
			if s.Sites[site].State == repository.StateDurable {
				p.Sites = append(p.Sites, site)
			}
		}
		at[s.ID] = len(points)
		points = append(points, p)
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	passed, err := e.passedProofs(f.Name, at)
	for site, proofs := range passed {
		// From a site where none got as far as is configured, the best count.
		enough := min(f.Prove.Level, highest(proofs))
		for _, p := range proofs {
			if p.Level >= enough {
				points[at[p.Snapshot]].Proven = append(points[at[p.Snapshot]].Proven, site)
			}
		}
	}
	return points, waiting, err
}

// passedProofs returns, by site, the last proofs of some snapshots that came to
// a verdict, if that is that they passed.
func (e *Engine) passedProofs(function string, snapshots map[string]int) (map[string][]*catalog.Proof, error) {
	out := map[string][]*catalog.Proof{}
	seen := map[proofKey]bool{}
	err := e.catalog.Proofs(func(p *catalog.Proof) bool {
		key := proofKey{snapshot: p.Snapshot, site: p.Site}
		_, there := snapshots[p.Snapshot]
		if p.Function != function || !there || p.Ended.IsZero() || !p.Passed && !p.Difference || seen[key] {
			return true
		}
		seen[key] = true
		if p.Passed {
			out[p.Site] = append(out[p.Site], p)
		}
		return true
	})
	return out, err
}

func highest(proofs []*catalog.Proof) (level string) {
	for _, p := range proofs {
		level = max(level, p.Level)
	}
	return level
}

// policyOf returns the rules as the package that applies them has them.
func policyOf(k *config.Keep) *retention.Policy {
	if k == nil {
		return nil
	}
	return &retention.Policy{Last: k.Last, Hourly: k.Hourly, Daily: k.Daily, Weekly: k.Weekly, Monthly: k.Monthly, Yearly: k.Yearly}
}

func describeRules(k *config.Keep) string {
	if k == nil {
		return ""
	}
	var parts []string
	for _, r := range []struct {
		name string
		n    int
	}{
		{"last", k.Last},
		{"hourly", k.Hourly},
		{"daily", k.Daily},
		{"weekly", k.Weekly},
		{"monthly", k.Monthly},
		{"yearly", k.Yearly},
	} {
		if r.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", r.name, r.n))
		}
	}
	return strings.Join(parts, ", ")
}

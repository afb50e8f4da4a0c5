package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
)

// bySchedule is who asked for what the service does by itself.
const bySchedule = "schedule"

type actorKey struct{}

// By returns a context in which whatever is done is recorded as asked for by
// who: the name of an operating system's user.
func By(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

// actor is who asked for what is done under ctx: whoever runs the program when
// nobody is named.
func (e *Engine) actor(ctx context.Context) string {
	if who, ok := ctx.Value(actorKey{}).(string); ok {
		return who
	}
	return e.by
}

// attest does work between the intent and the result of an act, so that it
// cannot vanish from the record whatever comes of it. What work returns of the
// record is told in the result; a failure to record is one of the act.
func (e *Engine) attest(ctx context.Context, intent evidence.Record, work func() (evidence.Record, error)) error {
	if err := e.tellPolicy(ctx); err != nil {
		return err
	}
	intent.By = e.actor(ctx)
	seq, err := e.evidence.Begin(intent)
	if err != nil {
		return fmt.Errorf("record the intent of a %s: %w", intent.Act, err)
	}
	result, err := work()
	result.Act, result.Function, result.By = intent.Act, intent.Function, intent.By
	result.Outcome, result.Error = outcomeOf(ctx, result.Outcome, err)
	if recordErr := e.evidence.End(seq, result); recordErr != nil {
		err = errors.Join(err, fmt.Errorf("record the result of a %s: %w", intent.Act, recordErr))
	}
	e.told(result)
	return err
}

// outcomeOf says how an act ended. What the work itself said stands.
func outcomeOf(ctx context.Context, said evidence.Outcome, err error) (evidence.Outcome, string) {
	var text string
	if err != nil {
		text = err.Error()
	}
	switch {
	case said != "":
		return said, text
	case err == nil:
		return evidence.Done, ""
	case ctx.Err() != nil:
		return evidence.CutShort, text
	case errors.Is(err, ErrDifference):
		return evidence.Different, text
	case errors.Is(err, ErrDegraded):
		return evidence.Degraded, text
	}
	return evidence.Failed, text
}

// tell records something that has no duration.
func (e *Engine) tell(ctx context.Context, r evidence.Record) error {
	if err := e.tellPolicy(ctx); err != nil {
		return err
	}
	r.By = e.actor(ctx)
	if _, err := e.evidence.Note(r); err != nil {
		return fmt.Errorf("record a %s: %w", r.Act, err)
	}
	e.told(r)
	return nil
}

// told hurries the publishing of what is not everyday's.
func (e *Engine) told(r evidence.Record) {
	everyday := (r.Act == evidence.ActSnapshot && r.Outcome == evidence.Done) || r.Act == evidence.ActDurable || r.Act == evidence.ActDay
	if !everyday {
		e.urgent.Store(true)
	}
}

// tellPolicy records the objectives in force, unless the log says so already.
// It comes before the first thing that an engine records, and not when the
// engine is opened: whoever only looks changes nothing, and a log that is to be
// read back from a site must be empty until then.
func (e *Engine) tellPolicy(ctx context.Context) error {
	e.policyMu.Lock()
	defer e.policyMu.Unlock()
	if e.policyTold {
		return nil
	}
	if _, err := e.takeUntaken(ctx); err != nil {
		return err
	}
	now, err := policyInForce(e.cfg)
	if err != nil {
		return err
	}
	last, told, err := e.evidence.Latest(evidence.ActPolicy, "")
	if err != nil {
		return fmt.Errorf("read the objectives on record: %w", err)
	}
	if !told || last.Policy.SHA256 != now.SHA256 {
		if _, err := e.evidence.Note(evidence.Record{Act: evidence.ActPolicy, By: e.actor(ctx), Policy: now}); err != nil {
			return fmt.Errorf("record the objectives: %w", err)
		}
	}
	e.policyTold = true
	return nil
}

// policyInForce is what the configuration promises. Nothing in it is secret.
func policyInForce(cfg *config.Config) (*evidence.Policy, error) {
	p := &evidence.Policy{Sites: cfg.SiteOrder, Functions: map[string]evidence.FunctionObjective{}, Terms: termsOf(cfg)}
	for name, f := range cfg.Functions {
		p.Functions[name] = evidence.FunctionObjective{
			RPOSeconds: f.RPO.Seconds(), RTOSeconds: f.RTO.Seconds(), Priority: f.Priority,
			Source: f.Source, Scope: slices.Concat(f.Schemas, f.Tables),
			ProveEverySeconds: f.Prove.Every.Seconds(), ProveLevel: f.Prove.Level, Keep: keepRules(f.Keep),
			Checks: checkDigests(f.Checks), Terms: functionTerms(f),
		}
	}
	var err error
	p.SHA256, err = p.Digest()
	return p, err
}

func keepRules(k *config.Keep) map[string]int {
	if k == nil {
		return nil
	}
	rules := map[string]int{
		"last": k.Last, "hourly": k.Hourly, "daily": k.Daily, "weekly": k.Weekly, "monthly": k.Monthly, "yearly": k.Yearly,
	}
	maps.DeleteFunc(rules, func(_ string, n int) bool { return n == 0 })
	return rules
}

func checkDigests(checks []config.Check) map[string]string {
	out := map[string]string{}
	for _, c := range checks {
		out[c.Name] = c.Definition()
	}
	return out
}

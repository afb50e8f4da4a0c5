package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

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
// record is told in the result; a failure to record is one of the act. Only what
// guards the data itself does not wait for its witness: see [goesOn].
func (e *Engine) attest(ctx context.Context, intent evidence.Record, work func() (evidence.Record, error)) error {
	begun := e.clock.Now()
	seq, unrecorded := e.intend(ctx, intent)
	if unrecorded != nil {
		if !goesOn(intent.Act) || ctx.Err() != nil {
			return notBegun(unrecorded)
		}
		unrecorded = fmt.Errorf("record the intent of a %s: %w", intent.Act, unrecorded)
		if intent.Act == evidence.ActRestore { // which may take hours; a snapshot's end tells the same a moment later
			e.log.Warn("it goes on without being on record; why is told with what comes of it", "act", intent.Act, "function", intent.Function)
		}
	}
	result, err := work()
	result.Act, result.Function, result.By = intent.Act, intent.Function, e.actor(ctx)
	result.Outcome, result.Error = outcomeOf(ctx, result.Outcome, err)
	if unrecorded != nil {
		intent.Late = unrecorded.Error()
		if seq, unrecorded = e.intend(ctx, intent); unrecorded != nil {
			e.keepUntold(untold{Begun: intent, Ended: result}, begun)
			return notOnRecord(intent.Act, err, unrecorded)
		}
	}
	if recordErr := e.evidence.End(seq, result); recordErr != nil {
		if goesOn(intent.Act) {
			e.keepUntold(untold{Intent: &seq, Begun: intent, Ended: result}, begun)
		}
		err = notOnRecord(intent.Act, err, fmt.Errorf("record the result of a %s: %w", intent.Act, recordErr))
	}
	e.told(result)
	return err
}

// notBegun is what an act comes to whose intent could not be recorded.
func notBegun(why error) error {
	return fmt.Errorf("it was not begun, and nothing is changed: its intent could not be put on record: %w", why)
}

// errUnrecorded marks what was done, and is not on record.
var errUnrecorded = fmt.Errorf("%w: it is not on record", ErrDegraded)

// notOnRecord is what an act that ended with err comes to when that could not be
// recorded. What failed stays a failure.
func notOnRecord(act evidence.Act, err, why error) error {
	if err == nil && goesOn(act) {
		// Of what kind the reason is says nothing of the act, which was done.
		return fmt.Errorf("%w: %s", errUnrecorded, why.Error())
	}
	return errors.Join(err, why)
}

// goesOn reports whether an act goes on though it cannot be put on record: when a
// witness is missing, data is saved and given back all the same. Nothing is
// deleted without one, and nothing proven.
func goesOn(act evidence.Act) bool { return act == evidence.ActSnapshot || act == evidence.ActRestore }

// witnessPatience is how long what goes on without a witness waits for one.
const witnessPatience = 20 * time.Second

// errNoWitness ends the waiting, as while the log of years is taken over.
var errNoWitness = errors.New("others are at the log still, or sites that keep it are slow")

// intend puts an intent on record, and before it whatever must come first.
func (e *Engine) intend(ctx context.Context, intent evidence.Record) (uint64, error) {
	if goesOn(intent.Act) {
		bounded, cancel := context.WithTimeoutCause(ctx, e.witness, errNoWitness)
		defer cancel()
		ctx = bounded
	}
	if err := e.tellPolicy(ctx); err != nil {
		if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return 0, err
	}
	intent.By = e.actor(ctx)
	return e.evidence.Begin(intent)
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
	everyday := (r.Act == evidence.ActSnapshot && r.Outcome == evidence.Done) || r.Act == evidence.ActDurable || r.Act == evidence.ActDay || r.Act == evidence.ActFound
	if !everyday {
		e.urgent.Store(true)
	}
}

// tellPolicy records the objectives in force, unless the log says so already, and
// what could not be recorded when it was done.
// It comes before the first thing that an engine records, and not when the
// engine is opened: whoever only looks changes nothing, and a log that is to be
// read back from a site must be empty until then.
func (e *Engine) tellPolicy(ctx context.Context) error {
	select {
	case e.telling <- struct{}{}:
		defer func() { <-e.telling }()
	case <-ctx.Done(): // a log may be taken over, which takes long
		return ctx.Err()
	}
	if e.policyTold {
		return e.tellUntold()
	}
	if err := e.voice(); err != nil {
		return err
	}
	if err := e.takeUntakenNow(ctx); err != nil {
		return err
	}
	if err := e.tellUntold(); err != nil {
		return err
	}
	if err := e.endCutShort(); err != nil {
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

// untakenRetry is how long after a failure evidence is taken over again: it takes
// long, and others wait.
const untakenRetry = 10 * time.Minute

// takeUntakenNow takes over what is left to be taken over, unless that has just
// failed.
func (e *Engine) takeUntakenNow(ctx context.Context) error {
	if since := e.clock.Now().Sub(e.untakenAt); e.untakenErr != nil && since >= 0 && since < untakenRetry {
		return e.untakenErr
	}
	err := e.expectLeft(ctx)
	if err == nil {
		_, err = e.takeUntaken(ctx)
	}
	if err == nil {
		err = e.regain(ctx)
	}
	if ctx.Err() == nil { // who had no time knows nothing of the log
		e.untakenErr, e.untakenAt = err, e.clock.Now()
	}
	return err
}

// endCutShort ends on record what the end of an earlier program cut short: nothing
// of this one has begun, and no other has the catalog.
func (e *Engine) endCutShort() error {
	cutShort, err := e.evidence.EndUnfinished()
	if err != nil {
		return fmt.Errorf("end what was cut short: %w", err)
	}
	for _, intent := range cutShort {
		e.log.Warn("an earlier act is on record without a result; it was cut short", "act", intent.Act, "function", intent.Function, "record", intent.Sequence)
	}
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
	p.Anchors = map[string]float64{}
	for to, every := range anchorRhythms(cfg) {
		p.Anchors[to] = every.Seconds()
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

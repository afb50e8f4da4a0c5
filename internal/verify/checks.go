package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/expect"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/source/postgres"
)

// checkPatience is how long one of the function's own checks may run on the
// restored copy.
const checkPatience = 5 * time.Minute

func unskipped(c config.Check) bool { return c.Skip == "" }

// settleLevel decides how far to go when the request leaves it open, and lowers
// L6 to L5 for a recovery point that is older than the checks when the request
// allows that.
func (p *proof) settleLevel() {
	possible := false
	for _, c := range p.checks {
		_, observed := p.observedAtSource(c)
		possible = possible || unskipped(c) && (c.Expect != "" || observed)
	}
	switch {
	case p.req.Level == "" && possible:
		p.req.Level = levelChecks
	case p.req.Level == "":
		p.req.Level = levelContent
	case p.req.Level == levelChecks && p.req.Lower && !possible:
		p.req.Level, p.result.Lowered = levelContent, true
	}
	p.result.RequestedLevel = p.req.Level
}

// observedAtSource is what a check answered under the snapshot; false when this
// very query was not run then.
func (p *proof) observedAtSource(c config.Check) (repository.Observed, bool) {
	for _, o := range p.snap.Observed {
		if o.Name == c.Name && o.Definition == c.Definition() {
			return o, c.SameAtSource
		}
	}
	return repository.Observed{}, false
}

// ownChecks is L6.
func (p *proof) ownChecks(ctx context.Context) ([]Check, error) {
	defer p.phases.Begin("checks")()
	var out []Check
	for _, c := range p.checks {
		made, err := p.ownCheck(ctx, c)
		out = append(out, made...)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// ownCheck runs one check and compares its answer with what is expected, and
// with what the source answered. The error is that of a proof that ends.
func (p *proof) ownCheck(ctx context.Context, c config.Check) ([]Check, error) {
	base := Check{Name: c.Name, Definition: c.Definition()}
	if !unskipped(c) {
		base.Status, base.Detail = Skipped, c.Skip
		return []Check{base}, nil
	}
	value, err := p.to.Observe(ctx, c.SQL, checkPatience)
	if err != nil {
		base.Status, base.Detail = Inconclusive, err.Error()
		if postgres.LacksRelation(err) {
			base.Detail += "; the recovery point does not hold what the check reads: is that outside of the function's scope? 'backupd check' names it"
		}
		if ctx.Err() != nil {
			return []Check{base}, errors.Join(context.Cause(ctx), err)
		}
		return []Check{base}, nil
	}
	base.Observed = value
	var out []Check
	if c.Expect != "" {
		e, err := expect.Parse(c.Expect)
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", c.Name, err)
		}
		out = append(out, base.compared(e, "expected"))
	}
	if c.SameAtSource {
		out = append(out, p.sameAtSource(base, c))
	}
	return out, nil
}

// sameAtSource compares with what the source answered under the snapshot.
func (p *proof) sameAtSource(check Check, c config.Check) Check {
	check.Name += ": same at source"
	source, asked := p.observedAtSource(c)
	switch {
	case !asked:
		check.Status = Skipped
		check.Detail = "the source was not asked this when the snapshot was taken: the check is newer, or its query was changed"
		return check
	case source.Error != "":
		check.Status, check.Detail = Inconclusive, "not observed in the source: "+source.Error
		return check
	}
	return check.compared(expect.Expectation{Operator: expect.Equal, Value: source.Value}, "the source answered")
}

// compared makes the comparison.
func (c Check) compared(e expect.Expectation, against string) Check {
	c.Operator, c.Expected = string(e.Operator), e.Value
	c.Detail = fmt.Sprintf("answered %q, %s %s %q", c.Observed, against, e.Operator, e.Value)
	holds, err := e.Holds(c.Observed)
	switch {
	case err != nil:
		c.Status, c.Detail = Inconclusive, err.Error()
	case holds:
		c.Status = Pass
	default:
		c.Status = Fail
	}
	return c
}

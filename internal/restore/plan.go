package restore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/progress"
)

// Plan says what a restore would do. It looks at the target and changes
// nothing, there or anywhere else.
func (r *Restorer) Plan(ctx context.Context, req Request) (Plan, error) {
	k := &job{Restorer: r, req: req, phases: progress.NewPhases(r.Clock)}
	if err := req.check(); err != nil {
		return Plan{Function: req.Function}, err
	}
	plan, err := k.plan(ctx)
	if err != nil {
		return plan, fmt.Errorf("plan a restore of %s: %w", req.Function, err)
	}
	return plan, nil
}

func (k *job) plan(ctx context.Context) (plan Plan, err error) {
	plan.Function = k.req.Function
	err = k.prepare(ctx)
	if k.load != nil {
		defer func() { err = errors.Join(err, k.load.Close()) }()
	}
	if err != nil {
		return plan, err
	}
	found, err := k.look(ctx, k.to)
	if err != nil {
		return plan, err
	}
	plan.Snapshot, plan.RecoveryPoint, plan.To = k.info.ID, k.info.RecoveryPoint, k.to.readable
	plan.Replace = found.exists && !found.empty
	plan.SiteOrder = k.order
	plan.Tables = k.load.tables()
	for _, t := range plan.Tables {
		plan.Rows += t.Rows
		plan.BytesRaw += t.Bytes
	}
	plan.BytesToFetch = k.toFetch()
	plan.ExpectedLossSeconds = k.loss(k.Clock.Now())
	plan.ExpectedDurationSeconds, plan.DurationMeasured, plan.DurationBasis, err = k.expect(plan.BytesRaw)
	if err != nil {
		return plan, err
	}
	if plan.Proof, err = k.proof(); err != nil {
		return plan, err
	}
	plan.Steps = k.steps(found)
	plan.Notes = k.load.planNotes(k.refuse(found, k.to))
	return plan, nil
}

// toFetch is what would be read from the sites: the packs, or their share when
// only some tables are wanted.
func (k *job) toFetch() int64 {
	var packs, raw int64
	for _, p := range k.load.Snapshot.Packs {
		packs += p.Size
	}
	for _, t := range k.load.Snapshot.Tables {
		raw += t.Bytes
	}
	if len(k.load.Tables) == 0 || raw == 0 {
		return packs
	}
	return int64(float64(packs) * float64(k.load.bytes()) / float64(raw))
}

// loss is how much time of changes would not come back: up to the moment asked
// for, or up to now.
func (k *job) loss(now time.Time) float64 {
	until := now
	if !k.req.At.IsZero() {
		until = k.req.At
	}
	return max(0, until.Sub(k.info.RecoveryPoint).Seconds())
}

// steps tells in words what would be done.
func (k *job) steps(found state) []string {
	from := "site " + strings.Join(k.order, ", falling through to ")
	steps := []string{fmt.Sprintf("read snapshot %s of %s, taken at %s, from %s",
		k.info.ID, k.info.Function, stamp(k.info.RecoveryPoint), from)}
	fill := fmt.Sprintf("load %d tables over %d connections, then make indexes, constraints and triggers",
		len(k.load.chosen), k.load.Jobs)
	check := "compare rows and digests of all tables with the snapshot while loading"
	switch {
	case !found.exists:
		return append(steps, fmt.Sprintf("make a database beside %s, which does not exist yet", k.to.name),
			fill, check, fmt.Sprintf("rename it to %s", k.to.name))
	case found.empty:
		return append(steps, fmt.Sprintf("mark the database %s, which is empty, as an unfinished restore", k.to.name),
			fill, check, "take the mark away")
	case !k.req.Replace:
		return append(steps, fmt.Sprintf("stop, because %s holds %s and --replace is not given", k.to.name, found.found))
	}
	return append(steps, fmt.Sprintf("make a database beside %s", k.to.name), fill, check,
		"compare its structure and the rows and digests of all its tables with the snapshot",
		fmt.Sprintf("end the sessions in %s, give it another name and put the restored database in its place; the old one is kept", k.to.name))
}

// planNotes tells what to know before starting.
func (l *Loader) planNotes(refused error) []string {
	var notes []string
	if refused != nil {
		notes = append(notes, refused.Error())
	}
	for _, e := range l.globals.Extensions {
		notes = append(notes, fmt.Sprintf("extension %s %s must be installable on the target's server", e.Name, e.Version))
	}
	if n := len(l.globals.Roles); n > 0 && !l.NoOwner {
		var names []string
		for _, r := range l.globals.Roles {
			names = append(names, r.Name)
		}
		notes = append(notes, fmt.Sprintf("roles that the target's server lacks are made without password and cannot log in: %s",
			strings.Join(names, ", ")))
	}
	for _, r := range l.outside {
		notes = append(notes, fmt.Sprintf("foreign key %s of %s.%s refers to %s.%s, outside of the function: "+
			"it is restored only where that table exists", r.Constraint, r.Schema, r.Table, r.ToSchema, r.ToTable))
	}
	return notes
}

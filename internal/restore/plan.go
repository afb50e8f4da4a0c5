package restore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/progress"
	"github.com/saypro/backupd/internal/source/postgres"
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
	found, err := k.choosePoint(ctx)
	if err != nil {
		return plan, err
	}
	if err = k.describe(ctx); k.load != nil {
		defer func() { err = errors.Join(err, k.load.Close()) }()
	}
	if err != nil {
		return plan, err
	}
	refused := k.refuse(found)
	if refused == nil {
		refused, err = k.bystanders(ctx, found)
	}
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
	if refused != nil {
		plan.Refused = refused.Error()
		return plan, nil
	}
	plan.Steps = k.steps(found)
	plan.Notes, err = k.planNotes(ctx)
	return plan, err
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
	fill := fmt.Sprintf("load %s over %d connections, then make indexes, constraints and triggers",
		tablesOf(len(k.load.chosen)), k.load.Jobs)
	check := "compare rows and digests of all tables with the snapshot while loading"
	switch {
	case !found.exists:
		return append(steps, fmt.Sprintf("make a database beside %s, which does not exist yet", k.to.name),
			fill, check, fmt.Sprintf("rename it to %s", k.to.name))
	case found.empty:
		return append(steps, fmt.Sprintf("mark the database %s, which is empty, as an unfinished restore", k.to.name),
			fill, check, "take the mark away")
	}
	return append(steps, fmt.Sprintf("make a database beside %s", k.to.name), fill, check,
		"compare its structure and the rows and digests of all its tables with the snapshot",
		fmt.Sprintf("end the sessions in %s, give it another name and put the restored database in its place; the old one is kept", k.to.name))
}

// planNotes tells what to know before starting.
func (k *job) planNotes(ctx context.Context) ([]string, error) {
	notes, err := k.doubts()
	if err != nil {
		return notes, err
	}
	left, err := k.leftovers(ctx)
	notes = append(notes, left...)
	notes = append(notes, damages(k.info, k.req.From)...)
	if err != nil {
		return notes, err
	}
	l := k.load
	for _, e := range l.globals.Extensions {
		notes = append(notes, fmt.Sprintf("extension %s %s must be installable on the target's server", e.Name, e.Version))
	}
	if !l.NoOwner {
		lacking, err := postgres.MissingRoles(ctx, k.to.url, l.globals)
		if err != nil {
			return notes, err
		}
		if len(lacking) > 0 {
			notes = append(notes, fmt.Sprintf("roles that the target's server lacks are made without password and cannot log in: %s",
				strings.Join(lacking, ", ")))
		}
	}
	for _, r := range l.outside {
		notes = append(notes, fmt.Sprintf("foreign key %s of %s.%s refers to %s.%s, outside of the function: "+
			"it is restored only where that table exists", r.Constraint, r.Schema, r.Table, r.ToSchema, r.ToTable))
	}
	return notes, nil
}

// leftovers tells of databases that restores into the same one left behind
// unfinished: one that is killed cannot remove what it made.
func (k *job) leftovers(ctx context.Context) ([]string, error) {
	unfinished, err := postgres.UnfinishedDatabases(ctx, k.to.url)
	if err != nil {
		return nil, err
	}
	const id = "00000000" // as long as any
	prefix := strings.TrimSuffix(postgres.UnfinishedName(k.to.name, id), id)
	var notes []string
	for _, name := range sortedKeys(unfinished) {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		notes = append(notes, fmt.Sprintf("database %s is left of an unfinished restore (%s); unless that restore still runs, "+
			"remove it with: DROP DATABASE %s", name, unfinished[name], quoted(name)))
	}
	return notes, nil
}

// quoted is a name as SQL takes it, whatever is in it.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

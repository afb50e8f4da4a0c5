package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/schedule"
	"github.com/saypro/backupd/internal/selection"
	"github.com/saypro/backupd/internal/verify"
)

// seen remembers which definitions a proof has looked at, as the scheduler asks
// whenever anything ends, and the record of proofs grows for years.
type seen struct {
	mu     sync.Mutex
	looked map[string]map[string]bool // by function, by schema
	last   map[string]answered        // by function
}

// answered is what was worked out last, and from what.
type answered struct {
	from   string
	change schedule.Change
}

// Changed tells of the newest recovery point whose definitions no proof has
// looked at yet.
func (h history) Changed(function string) schedule.Change {
	c, err := h.changed(h.cfg.Functions[function])
	if err != nil {
		h.log.Error("it could not be found out whether definitions have changed", "function", function, "error", err)
		return schedule.Change{}
	}
	return c
}

func (e *Engine) changed(f config.Function) (schedule.Change, error) {
	e.seen.mu.Lock()
	defer e.seen.mu.Unlock()
	newest, err := e.newestKnown(f.Name)
	if err != nil || newest == "" {
		return schedule.Change{}, err
	}
	if last, ok := e.seen.last[f.Name]; ok && last.from == newest {
		return last.change, nil
	}
	change := schedule.Change{}
	unseen, err := e.unseen(f.Name)
	if err == nil && unseen {
		change, err = e.workOutChange(f)
	}
	if err != nil {
		return schedule.Change{}, err
	}
	e.seen.last[f.Name] = answered{newest, change}
	return change, nil
}

// newestKnown names what an answer depends on: the newest recovery point of a
// function, where it is, and the newest proof. What becomes of older points is
// seen with the next. Empty: there is no point.
func (e *Engine) newestKnown(function string) (string, error) {
	var b strings.Builder
	err := e.repository.Snapshots(function, func(s repository.SnapshotInfo) bool {
		b.WriteString(s.ID)
		for _, site := range e.cfg.SiteOrder {
			fmt.Fprint(&b, " ", s.Sites[site].State)
		}
		return false
	})
	if err != nil || b.Len() == 0 {
		return "", err
	}
	err = e.catalog.Proofs(func(p *catalog.Proof) bool {
		fmt.Fprint(&b, " ", p.Sequence, p.Ended)
		return false
	})
	return b.String(), err
}

// unseen reports whether there is a recovery point with definitions that are not
// known to have been looked at. Needs e.seen.mu.
func (e *Engine) unseen(function string) (found bool, err error) {
	err = e.repository.Snapshots(function, func(s repository.SnapshotInfo) bool {
		found = s.Schema != "" && s.Holders() > 0 && s.Condemned.IsZero() && !e.seen.looked[function][s.Schema]
		return !found
	})
	return found, err
}

// workOutChange looks at all recovery points and all proofs of them. Needs
// e.seen.mu.
func (e *Engine) workOutChange(f config.Function) (schedule.Change, error) {
	proofs, err := e.newestProofs()
	if err != nil {
		return schedule.Change{}, err
	}
	kept, err := e.copies(f, proofs)
	if err != nil {
		return schedule.Change{}, err
	}
	change := kept.change(e.cfg.SiteOrder)
	change.Last = proofs.extra[f.Name]
	e.seen.note(f.Name, kept.all())
	return change, nil
}

// note remembers the definitions that have been looked at.
func (s *seen) note(function string, points []selection.Point) {
	unlooked := map[string]bool{}
	for _, p := range selection.Changed(points) {
		unlooked[p.Schema] = true
	}
	looked := map[string]bool{}
	for _, p := range points {
		looked[p.Schema] = !unlooked[p.Schema]
	}
	s.looked[function] = looked
}

// change is the newest of these recovery points whose definitions no proof has
// looked at, without the last proof for such a reason.
func (c *copies) change(order []string) (out schedule.Change) {
	changed := selection.Changed(c.all())
	if len(changed) == 0 {
		return out
	}
	i := slices.IndexFunc(c.points, func(p selection.Point) bool { return p.ID == changed[0].ID })
	out.Since = c.points[i].Time
	for _, site := range order {
		if c.at[i][site] {
			out.Sites = append(out.Sites, site)
		}
	}
	return out
}

// ProveChange proves the newest recovery point of a function at a site whose
// definitions no proof has looked at yet.
func (d duty) ProveChange(ctx context.Context, function, site string) error {
	f := d.cfg.Functions[function]
	proofs, err := d.newestProofs()
	if err != nil {
		return err
	}
	kept, err := d.copies(f, proofs)
	if err != nil {
		return err
	}
	changed := selection.Changed(kept.from(site))
	if len(changed) == 0 {
		return nil // somebody was faster
	}
	why := verify.Selection{Rule: string(selection.Schema), Population: len(changed)}
	return d.proveOnSchedule(ctx, verify.Request{Function: function, Snapshot: changed[0].ID, From: site, Selection: why, Extra: true})
}

// nextProof says when the next proof of a function is due, from where and why.
func (e *Engine) nextProof(out *FunctionStatus, plan planner) {
	at, site, why := plan.NextProof(out.Function)
	out.NextProof, out.NextProofSite, out.NextProofReason = inUTC(at), site, why
}

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

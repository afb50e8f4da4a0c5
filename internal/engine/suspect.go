package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/snapshot"
	"github.com/saypro/backupd/internal/suspicion"
)

// heldForSuspect begins the reason of a hold on a last clean recovery point. A
// hold for any other reason is somebody's own.
const heldForSuspect = "last clean before suspect "

// raise raises the alarm about a recovery point that looks wrong, and keeps the
// last clean one. The point itself is made, so nothing here fails its run.
func (e *Engine) raise(ctx context.Context, r snapshot.Result) {
	if len(r.Suspect) == 0 || r.Snapshot == "" {
		return
	}
	clean, err := e.pinClean(context.WithoutCancel(ctx), r.Function)
	e.log.Error("a recovery point looks wrong", "function", r.Function, "snapshot", r.Snapshot, "recovery_point", r.RecoveryPoint,
		"what", details(r.Suspect), "last_clean", orNothing(clean), "hint", "look at the data; then restore, or 'backupd suspect clear "+r.Snapshot+"'")
	if err != nil {
		e.log.Error("the last clean recovery point could not be held", "function", r.Function, "error", err)
	}
	err = e.tell(context.WithoutCancel(ctx), evidence.Record{Act: evidence.ActSuspect, Function: r.Function, Suspect: &evidence.Suspect{
		Snapshot: r.Snapshot, RecoveryPoint: r.RecoveryPoint, Signals: evidenceSignals(r.Suspect), LastClean: clean,
	}})
	if err != nil {
		e.log.Error("a suspicion could not be written into the evidence", "function", r.Function, "snapshot", r.Snapshot, "error", err)
	}
}

func orNothing(id string) string {
	if id == "" {
		return "none"
	}
	return id
}

func evidenceSignals(signals []suspicion.Signal) []evidence.Signal {
	out := []evidence.Signal{}
	for _, s := range signals {
		out = append(out, evidence.Signal{Kind: s.Kind, Table: s.Table, Before: s.Before, After: s.After, Limit: s.Limit, Detail: s.Detail})
	}
	return out
}

func details(signals []suspicion.Signal) string {
	var out []string
	for _, s := range signals {
		out = append(out, s.Detail)
	}
	return strings.Join(out, "; ")
}

// pinClean holds the last clean recovery point of a function while others are
// in doubt, and lets those go that were held for a doubt that is over. It
// returns the one that is kept, empty when none is. Doing it again changes
// nothing. What somebody holds for another reason is left alone.
func (e *Engine) pinClean(ctx context.Context, function string) (clean string, err error) {
	e.pinning.Lock()
	defer e.pinning.Unlock()
	doubt, err := e.repository.Doubt(function)
	if err != nil {
		return "", err
	}
	reason := ""
	if doubt.Clean != nil {
		clean = doubt.Clean.ID
		first := doubt.Open[len(doubt.Open)-1]
		reason = heldForSuspect + first.ID + ": " + details(first.Suspect)
	}
	var errs []error
	for _, s := range e.pinned(function, &errs) {
		if s.ID != clean {
			errs = append(errs, e.pin(ctx, s, ""))
		}
	}
	if clean != "" && doubt.Clean.Held != reason && (doubt.Clean.Held == "" || strings.HasPrefix(doubt.Clean.Held, heldForSuspect)) {
		errs = append(errs, e.pin(ctx, *doubt.Clean, reason))
	}
	return clean, errors.Join(errs...)
}

// pin holds a recovery point, or with an empty reason lets it go, on record.
func (e *Engine) pin(ctx context.Context, s repository.SnapshotInfo, reason string) error {
	if err := e.repository.Hold(ctx, s.ID, reason); err != nil {
		return err
	}
	return e.tell(ctx, holdRecord(s.ID, s.Function, reason))
}

// pinned returns what is held of a function because others are in doubt.
func (e *Engine) pinned(function string, errs *[]error) (out []repository.SnapshotInfo) {
	err := e.repository.Snapshots(function, func(s repository.SnapshotInfo) bool {
		if strings.HasPrefix(s.Held, heldForSuspect) {
			out = append(out, s)
		}
		return true
	})
	*errs = append(*errs, err)
	return out
}

// pinAll does so for all functions: a crash may have come between a suspect
// point and the hold.
func (e *Engine) pinAll(ctx context.Context) {
	for _, function := range e.cfg.FunctionOrder {
		if _, err := e.pinClean(ctx, function); err != nil {
			e.log.Error("the last clean recovery point could not be held", "function", function, "error", err)
		}
	}
}

// Suspects lists the recovery points that looked wrong, by function, newest
// first.
func (e *Engine) Suspects(_ context.Context, req SuspectRequest) ([]SuspectPoint, error) {
	names := slices.Sorted(slices.Values(e.cfg.FunctionOrder))
	if req.Function != "" {
		if _, err := e.function(req.Function); err != nil {
			return nil, err
		}
		names = []string{req.Function}
	}
	out := []SuspectPoint{}
	for _, name := range names {
		points, err := e.suspectsOf(name, req.All)
		if err != nil {
			return out, err
		}
		out = append(out, points...)
	}
	return out, nil
}

func (e *Engine) suspectsOf(function string, all bool) (out []SuspectPoint, err error) {
	doubt, err := e.repository.Doubt(function)
	if err != nil {
		return nil, err
	}
	points := doubt.Open
	if all {
		if points, err = e.repository.Suspects(function); err != nil {
			return nil, err
		}
	}
	for _, s := range points {
		out = append(out, suspectPoint(s, doubt))
	}
	return out, nil
}

func suspectPoint(s repository.SnapshotInfo, doubt repository.Doubt) SuspectPoint {
	p := SuspectPoint{Function: s.Function, Snapshot: s.ID, RecoveryPoint: s.RecoveryPoint.UTC(), Signals: s.Suspect, Cleared: s.Cleared}
	if s.Open() && doubt.Clean != nil {
		p.LastClean, p.LastCleanPoint = doubt.Clean.ID, doubt.Clean.RecoveryPoint.UTC()
	}
	return p
}

// ClearSuspect records that what looked wrong in a recovery point is fine, and
// lets go of what was held for it. Others that look wrong stay as they are.
func (e *Engine) ClearSuspect(ctx context.Context, req ClearRequest) (SuspectPoint, error) {
	if strings.TrimSpace(req.Reason) == "" {
		return SuspectPoint{}, fmt.Errorf("%w: clear snapshot %s: say why it is fine", ErrUsage, req.Snapshot)
	}
	info, err := e.repository.Info(req.Snapshot)
	if err != nil {
		return SuspectPoint{}, asUsage(err)
	}
	if info.Cleared != "" {
		return SuspectPoint{}, fmt.Errorf("%w: snapshot %s of %s was cleared already: %s", ErrUsage, info.ID, info.Function, info.Cleared)
	}
	if err := e.tellPolicy(ctx); err != nil {
		return SuspectPoint{}, fmt.Errorf("nothing is judged to be fine without being on record: %w", err)
	}
	err = e.repository.Clear(ctx, info.ID, req.Reason)
	if errors.Is(err, repository.ErrNotSuspect) {
		return SuspectPoint{}, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if err != nil {
		return SuspectPoint{}, err
	}
	e.log.Warn("a suspect recovery point was judged to be fine", "function", info.Function, "snapshot", info.ID, "reason", req.Reason, "by", e.actor(ctx))
	err = e.tell(ctx, evidence.Record{Act: evidence.ActSuspect, Function: info.Function, Suspect: &evidence.Suspect{
		Snapshot: info.ID, RecoveryPoint: info.RecoveryPoint.UTC(), Signals: []evidence.Signal{}, Cleared: req.Reason,
	}})
	if err != nil {
		return SuspectPoint{}, fmt.Errorf("snapshot %s is cleared: %w", info.ID, err)
	}
	if _, err := e.pinClean(ctx, info.Function); err != nil {
		return SuspectPoint{}, fmt.Errorf("snapshot %s is cleared; let go of what was held for it: %w", info.ID, err)
	}
	if info, err = e.repository.Info(info.ID); err != nil {
		return SuspectPoint{}, err
	}
	doubt, err := e.repository.Doubt(info.Function)
	return suspectPoint(info, doubt), err
}

// toldSuspects is how many suspect points of a function a status tells of.
const toldSuspects = 3

// doubts says, a sentence each, which recovery points look wrong and what to do.
func (e *Engine) doubts(function string) (out []string, err error) {
	doubt, err := e.repository.Doubt(function)
	if err != nil {
		return nil, err
	}
	clean := "there is no clean recovery point before it"
	if doubt.Clean != nil {
		clean = fmt.Sprintf("the last clean recovery point is %s of %s, which is kept", doubt.Clean.ID, stamp(doubt.Clean.RecoveryPoint))
	}
	for i, s := range doubt.Open {
		if i == toldSuspects {
			out = append(out, fmt.Sprintf("%d more recovery points look wrong; 'backupd suspect %s' lists them", len(doubt.Open)-i, function))
			break
		}
		out = append(out, fmt.Sprintf("%s: snapshot %s of %s looks wrong: %s; %s; look at the data, restore it from there if it is damaged, "+
			"and then judge: backupd suspect clear %s --reason TEXT", function, s.ID, stamp(s.RecoveryPoint), details(s.Suspect), clean, s.ID))
	}
	return out, nil
}

// namedTables is how many tables are named that are not watched yet.
const namedTables = 3

// unwatched says, a sentence each, what would raise no suspicion yet.
func (e *Engine) unwatched(f config.Function) ([]string, error) {
	if f.Suspect.Off != "" {
		return nil, nil // which is a warning
	}
	w, err := snapshot.Watched(e.catalog, f)
	switch {
	case err != nil:
		return nil, err
	case !w.Compared:
		return []string{"no recovery point was compared with one before it yet: it is not known whether any looks wrong"}, nil
	case len(w.Learning) == 0:
		return nil, nil
	}
	named := strings.Join(w.Learning[:min(len(w.Learning), namedTables)], ", ")
	if left := len(w.Learning) - namedTables; left > 0 {
		named += fmt.Sprintf(" and %d more", left)
	}
	return []string{fmt.Sprintf("changed rows are not watched yet in %s (%s): it takes %s to know what is ordinary there",
		plural(len(w.Learning), "table"), named, plural(w.More, "more recovery point"))}, nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

// withDoubt says of a recovery point whether it is suspect, or in doubt because
// of another.
func withDoubt(p *RecoveryPoint, s repository.SnapshotInfo, doubt repository.Doubt) {
	p.Suspect, p.Cleared = s.Suspect, s.Cleared
	if about := doubt.About(s); about != nil {
		p.DoubtfulSince = about.ID
	}
}

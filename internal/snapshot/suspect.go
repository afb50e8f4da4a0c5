package snapshot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/config"
	"github.com/saypro/backupd/internal/repository"
	"github.com/saypro/backupd/internal/snapshot/content"
	"github.com/saypro/backupd/internal/source/postgres"
	"github.com/saypro/backupd/internal/suspicion"
)

// seen is what is remembered of a function's recovery points to judge the next
// by. It lies in the catalog alone: what a rebuilt one lacks comes back with the
// next points, and until then the newest commit tells of rows and columns.
type seen struct {
	Last suspicion.Point `json:"last"`
	// Clean is the one before all that are in doubt; nil when none is.
	Clean *suspicion.Point `json:"clean,omitempty"`
}

func seenName(function string) string { return "seen:" + function }

// judge compares what was captured with the point before, and says in the
// snapshot what looks wrong. Nothing that goes wrong here ends the run: it is
// said, because a point that was not judged is not known to be clean.
func (k *taking) judge(ctx context.Context, snap *repository.Snapshot, now suspicion.Point) (next *seen) {
	if k.fn.Suspect.Off != "" {
		return &seen{} // what was before is of no use when it is switched on again
	}
	defer k.phases.Begin("judge")()
	next, err := k.compare(ctx, snap, now)
	if err != nil {
		k.result.Notes = append(k.result.Notes, "it was not compared with the recovery point before: "+err.Error())
		k.Log.Error("a recovery point was not compared with the one before", "function", k.fn.Name, "error", err)
	}
	return next
}

func (k *taking) compare(ctx context.Context, snap *repository.Snapshot, now suspicion.Point) (*seen, error) {
	now.Time, now.Scope = snap.RecoveryPoint, scopeName(content.Scope{Source: k.fn.Source, Scope: postgres.Scope{
		Schemas: k.fn.Schemas, Tables: k.fn.Tables, LargeObjects: k.fn.LargeObjects,
	}})
	doubt, err := k.Repository.Doubt(k.fn.Name)
	if err != nil {
		return nil, err
	}
	before, err := k.before(ctx)
	if err != nil {
		return nil, err
	}
	if len(doubt.Open) == 0 {
		before.Clean = nil
	}
	var last *suspicion.Point
	if before.Last.Snapshot != "" {
		last = &before.Last
	}
	snap.Suspect = suspicion.Judge(last, before.Clean, now, limits(k.fn.Suspect))
	next := &seen{Last: suspicion.Learn(last, now, snap.Suspect), Clean: before.Clean}
	if len(snap.Suspect) > 0 && next.Clean == nil && len(doubt.Open) == 0 {
		next.Clean = last
	}
	return next, nil
}

// before returns what is remembered of the points before: nothing of the first.
func (k *taking) before(ctx context.Context) (s seen, err error) {
	text, err := k.Catalog.Meta(seenName(k.fn.Name))
	switch {
	case errors.Is(err, catalog.ErrNotFound):
	case err != nil:
		return s, err
	default:
		if err = json.Unmarshal(text, &s); err == nil {
			return s, nil
		}
		k.Log.Warn("what was remembered of earlier recovery points cannot be read; the newest commit stands instead", "function", k.fn.Name, "error", err)
		s = seen{}
	}
	s.Last, err = k.told(ctx)
	return s, err
}

// told is what the newest commit tells of its tables: neither samples nor a past.
func (k *taking) told(ctx context.Context) (p suspicion.Point, err error) {
	newest, ok, err := k.Repository.Newest(k.fn.Name, func(repository.SnapshotInfo) bool { return true })
	if err != nil || !ok {
		return p, err
	}
	snap, err := k.Repository.Snapshot(ctx, newest.ID)
	if err != nil {
		return p, err
	}
	header, err := content.ReadHeader(snap)
	if err != nil {
		return p, err
	}
	p = suspicion.Point{Snapshot: snap.ID, Time: snap.RecoveryPoint, Scope: scopeName(header.Scope), Tables: map[string]suspicion.Table{}}
	for i, t := range snap.Tables {
		p.Tables[t.Name] = suspicion.Table{Rows: t.Rows, Columns: header.Tables[i].Columns, Digest: t.Digest}
	}
	return p, nil
}

// remember keeps what the next point is judged by.
func (k *taking) remember(next *seen, snapshot string) {
	if next == nil {
		return
	}
	defer k.phases.Begin("judge")()
	if next.Last.Tables != nil {
		next.Last.Snapshot = snapshot
	}
	text, err := json.Marshal(next)
	if err == nil {
		err = k.Catalog.SetMeta(seenName(k.fn.Name), text)
	}
	if err != nil {
		k.Log.Error("the next recovery point cannot be compared with this one", "function", k.fn.Name, "snapshot", snapshot, "error", err)
	}
}

// scopeName stands for what belongs to the function.
func scopeName(s content.Scope) string {
	return fmt.Sprintf("%s %q %q %t", s.Source, s.Schemas, s.Tables, s.LargeObjects)
}

// limits are those of a function's configuration.
func limits(s config.Suspect) suspicion.Limits {
	return suspicion.Limits{
		RowsDrop:    cmp.Or(s.RowsDrop, config.DefaultRowsDrop).Share(),
		RowsChanged: cmp.Or(s.RowsChanged, config.DefaultRowsChanged).Share(),
		MinRows:     int64(cmp.Or(s.MinRows, config.DefaultMinRows)),
		Schema:      true,
		Ignored: func(table string) bool {
			return slices.ContainsFunc(s.Ignore, func(i config.Ignored) bool {
				ok, err := path.Match(i.Table, table) // of names, * alone has a meaning
				return ok && err == nil
			})
		},
	}
}

// Watch says how far the next recovery point of a function can be judged.
type Watch struct {
	// Compared: a recovery point was compared with another.
	Compared bool
	// Learning are the tables whose changed rows would raise no alarm yet, and
	// More how many further recovery points it takes until they do.
	Learning []string
	More     int
}

// Watched reads what is remembered of a function's recovery points.
func Watched(cat *catalog.Catalog, f config.Function) (w Watch, err error) {
	text, err := cat.Meta(seenName(f.Name))
	if errors.Is(err, catalog.ErrNotFound) {
		return w, nil
	}
	var s seen
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return w, fmt.Errorf("read what is remembered of recovery points of %s: %w", f.Name, err)
	}
	w.Compared = len(s.Last.Gaps) > 0
	w.Learning, w.More = suspicion.Unwatched(s.Last, limits(f.Suspect))
	return w, nil
}

// columnsOf names the columns of a table: with a new one a row reads otherwise,
// and is not altered.
func columnsOf(capture *postgres.Capture, table string) string {
	for _, t := range capture.Tables() {
		if t.Schema+"."+t.Name == table {
			return fmt.Sprintf(" %q", t.Columns)
		}
	}
	return ""
}

// canaries reads what nobody changes. One that cannot be read says why.
func (k *taking) canaries(ctx context.Context, capture *postgres.Capture) (map[string]suspicion.Canary, error) {
	if k.fn.Suspect.Off != "" || len(k.fn.Suspect.Canary) == 0 {
		return nil, nil
	}
	defer k.phases.Begin("canaries")()
	out := map[string]suspicion.Canary{}
	for _, name := range slices.Sorted(maps.Keys(k.fn.Suspect.Canary)) {
		c := k.fn.Suspect.Canary[name]
		what := postgres.Canary{Table: c.Table, Key: c.Key, SQL: c.SQL}
		found := suspicion.Canary{Definition: what.Definition() + columnsOf(capture, c.Table), Table: c.Table}
		var err error
		if found.Value, err = capture.Canary(ctx, what); err != nil {
			found.Error = err.Error()
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		out[name] = found
	}
	return out, nil
}

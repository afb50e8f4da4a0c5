package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/source/postgres"
)

// foundEvery is how often it is looked whether an inventory is due. One is
// recorded a day, and one in which something could not be seen is made again.
const foundEvery = time.Hour

// keepFound records every day what the sources hold and no function covers, and
// how the sites protect what they hold, until ctx ends.
func (e *Engine) keepFound(ctx context.Context) {
	for e.awaitVoice(ctx) {
		if err := e.tellFound(ctx); err != nil && ctx.Err() == nil {
			e.log.Error("what the sources hold could not be recorded; it is tried again", "error", err)
		}
		if e.clock.Sleep(ctx, foundEvery) != nil {
			return
		}
	}
}

// tellFound records an inventory, unless there is one of today without an error.
func (e *Engine) tellFound(ctx context.Context) error {
	last, told, err := e.evidence.Latest(evidence.ActFound, "")
	if err != nil {
		return fmt.Errorf("read the inventory on record: %w", err)
	}
	today := told && dayOf(last.Time).Equal(dayOf(e.clock.Now()))
	if today && !anyError(last.Found) {
		return nil
	}
	now, err := e.inventory(ctx)
	if err != nil || today && anyError(now) {
		return err // the same was said today already
	}
	return e.tell(ctx, evidence.Record{Act: evidence.ActFound, Found: now})
}

func anyError(f *evidence.Found) bool {
	for _, s := range f.Sources {
		if s.Error != "" {
			return true
		}
	}
	return false
}

// inventory looks at the sources and the sites.
func (e *Engine) inventory(ctx context.Context) (*evidence.Found, error) {
	scopes := map[string][]postgres.Scope{}
	for _, name := range e.cfg.FunctionOrder {
		f := e.cfg.Functions[name]
		scopes[f.Source] = append(scopes[f.Source], postgres.Scope{Function: name, Schemas: f.Schemas, Tables: f.Tables, LargeObjects: f.LargeObjects})
	}
	out := &evidence.Found{Sources: map[string]evidence.FoundSource{}, Sites: map[string]evidence.FoundSite{}}
	sourced := map[string]bool{} // databases that a source is of
	for _, name := range slices.Sorted(maps.Keys(e.sources)) {
		found, err := e.sources[name].Find(ctx, scopes[name])
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			out.Sources[name] = evidence.FoundSource{Error: err.Error()}
			continue
		}
		sourced[found.Database] = true
		out.Sources[name] = foundSource(found)
	}
	for name, s := range out.Sources {
		s.Databases = slices.DeleteFunc(s.Databases, func(db string) bool { return sourced[db] })
		s.Databases, s.More = cutFound(s.Databases, s.More)
		out.Sources[name] = s
	}
	sites, err := e.Sites(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range sites.Sites {
		out.Sites[s.Site] = foundSite(s)
	}
	return out, nil
}

func foundSource(f postgres.Found) evidence.FoundSource {
	s := evidence.FoundSource{
		Database: f.Database, Version: "PostgreSQL " + f.ServerVersion, Covered: f.Covered, Uncovered: map[string]int{}, Databases: f.Databases,
	}
	for _, schema := range slices.Sorted(maps.Keys(f.Uncovered)) {
		if len(s.Uncovered) == evidence.MostFound {
			s.More++
			continue
		}
		s.Uncovered[schema] = f.Uncovered[schema]
	}
	s.Tables, s.More = cutFound(f.Tables, s.More)
	return s
}

// cutFound bounds how many names are told, and counts the rest.
func cutFound(names []string, more int) ([]string, int) {
	if len(names) <= evidence.MostFound {
		return names, more
	}
	return names[:evidence.MostFound], more + len(names) - evidence.MostFound
}

func foundSite(r SiteReport) evidence.FoundSite {
	s := evidence.FoundSite{}
	if u := r.Unread; u != nil {
		s.Objects, s.Bytes, s.OldestRead, s.NeverRead = u.Objects, u.Bytes, u.Oldest, u.Never
	}
	if l := r.Lock; l != nil {
		s.Lock, s.LockedUntil, s.Unprotected = l.Mode, l.Horizon, l.Unprotected
	}
	return s
}

package soak

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/dir"
)

// auditor watches one site and trusts nothing but what it reads there.
type auditor struct {
	w      *world
	site   *site
	store  storage.Store
	reader *reader
	claims map[string]*claim // by the name of the commit
	marks  map[string]bool   // that were read, by name
}

// claim is what a commit says is there, and was found there.
type claim struct {
	snapshots []snapshotText
}

func newAuditor(w *world, s *site) *auditor {
	w.t.Helper()
	a := &auditor{w: w, site: s, store: s.open(w.t), claims: map[string]*claim{}, marks: map[string]bool{}}
	var err error
	if a.reader, err = openReader(context.Background(), a.store, w.escrow); err != nil {
		w.t.Fatalf("site %s: %v", s.Name, err)
	}
	return a
}

// open opens the site past its link.
func (s *site) open(t testing.TB) storage.Store {
	t.Helper()
	if s.folder == "" {
		return s.StoreAt(t, s.prefix)
	}
	store, err := dir.Open(dir.Options{Site: s.Name, Path: s.folder})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// checkTime bounds one look at one site.
const checkTime = time.Minute

// check reads every recovery point that the site claims for the first time, and
// looks whether what the others need is still there.
func (a *auditor) check() {
	a.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	a.w.tally.checks++
	names, err := a.reader.names(ctx, "c/")
	for err != nil && ctx.Err() == nil { // its server was started a moment ago
		time.Sleep(50 * time.Millisecond)
		names, err = a.reader.names(ctx, "c/")
	}
	if err == nil {
		err = a.readMarks(ctx)
	}
	if err != nil {
		a.w.t.Fatalf("site %s cannot be looked at: %v", a.site.Name, err)
	}
	found := map[string]bool{}
	for _, name := range names {
		found[name] = true
		if a.claims[name] != nil {
			continue
		}
		c, err := a.read(ctx, name)
		if err != nil {
			a.w.violation("site %s: %s: %v", a.site.Name, name, err)
			continue
		}
		a.claims[name] = c
	}
	for name, c := range a.claims {
		if !found[name] {
			delete(a.claims, name)
			a.vanished(name, c)
		}
	}
	a.checkPacks(ctx)
	if err := a.reader.evidence(ctx); err != nil && ctx.Err() == nil {
		a.w.violation("site %s: %v", a.site.Name, err)
	}
	a.checkPromises()
}

// read reads a commit and all that it names, and compares what comes out with
// what the database held.
func (a *auditor) read(ctx context.Context, name string) (*claim, error) {
	c, err := a.reader.commit(ctx, name)
	if err != nil {
		return nil, err
	}
	for i := range c.Snapshots {
		if err := a.compare(ctx, &c.Snapshots[i]); err != nil {
			return nil, fmt.Errorf("snapshot %s of %s: %w", c.Snapshots[i].ID, c.Snapshots[i].Function, err)
		}
	}
	return &claim{c.Snapshots}, nil
}

func (a *auditor) compare(ctx context.Context, s *snapshotText) error {
	tables, err := a.reader.contents(ctx, s)
	if err != nil {
		return err
	}
	b := a.w.book(s.Function)
	step, err := b.compare(tables)
	if err != nil {
		return err
	}
	if was := b.since(s.RecoveryPoint); step < was {
		return fmt.Errorf("it holds step %d, but at its recovery point %s the database was at step %d",
			step, s.RecoveryPoint.Format(time.RFC3339Nano), was)
	}
	a.w.tally.restored++
	return nil
}

// readMarks reads what the marks of the site give up.
func (a *auditor) readMarks(ctx context.Context) error {
	names, err := a.reader.names(ctx, "g/")
	for _, name := range names {
		if a.marks[name] || err != nil {
			continue
		}
		var m *markText
		if m, err = a.reader.mark(ctx, name); err != nil {
			break
		}
		a.marks[name] = true
		for id := range m.Condemn.Snapshots {
			a.w.given[id] = true
		}
		for _, commit := range m.Condemn.Commits {
			a.w.given[commit] = true
		}
	}
	return err
}

// vanished judges a commit that is gone: a mark must have given it up, or its
// snapshot, and the function must have a newer recovery point there.
func (a *auditor) vanished(name string, c *claim) {
	a.w.t.Helper()
	for _, s := range c.snapshots {
		replaced, newer := false, false
		for _, other := range a.claims {
			for _, o := range other.snapshots {
				replaced = replaced || o.ID == s.ID
				newer = newer || o.Function == s.Function && o.RecoveryPoint.After(s.RecoveryPoint)
			}
		}
		switch {
		case replaced && a.w.given[name]:
			a.w.tally.count(a.w.tally.deleted, "replaced commits")
		case !a.w.given[s.ID]:
			a.w.violation("site %s: %s has vanished, with snapshot %s of %s that nobody has given up", a.site.Name, name, s.ID, s.Function)
		case a.w.holds[s.ID]:
			a.w.violation("site %s: %s has vanished, with snapshot %s of %s that is held", a.site.Name, name, s.ID, s.Function)
		case !newer:
			a.w.violation("site %s: %s has vanished, the last recovery point of %s", a.site.Name, name, s.Function)
		default:
			a.w.tally.count(a.w.tally.deleted, "recovery points")
		}
	}
}

// checkPacks looks whether all packs that were read once are still there.
func (a *auditor) checkPacks(ctx context.Context) {
	a.w.t.Helper()
	there := map[string]int64{}
	err := a.store.List(ctx, "p/", "", func(info storage.Info) error {
		there[info.Name[strings.LastIndexByte(info.Name, '/')+1:]] = info.Size
		return nil
	})
	if err != nil {
		a.w.t.Fatalf("site %s cannot be looked at: %v", a.site.Name, err)
	}
	for name, c := range a.claims {
		for _, s := range c.snapshots {
			for _, p := range s.Packs {
				if there[p.SHA256] != p.Size {
					a.w.violation("site %s: %s needs pack %s of %d bytes, and %d bytes are there", a.site.Name, name, p.SHA256, p.Size, there[p.SHA256])
				}
			}
		}
	}
}

// checkPromises looks for everything that the program has said is durable here.
func (a *auditor) checkPromises() {
	a.w.t.Helper()
	has := a.snapshots()
	for id, p := range a.w.promised {
		if p.durable[a.site.Name] && !has[id] && !a.w.given[id] {
			a.w.violation("snapshot %s of %s was reported durable at site %s and is not there", id, p.function, a.site.Name)
		}
	}
}

// snapshots returns the ids of all snapshots that the site claims.
func (a *auditor) snapshots() map[string]bool {
	has := map[string]bool{}
	for _, c := range a.claims {
		for _, s := range c.snapshots {
			has[s.ID] = true
		}
	}
	return has
}

// check looks at both sites and at the catalog, when the program does not run.
func (w *world) check() {
	w.t.Helper()
	w.catalogIsWhole()
	for _, s := range w.sites {
		s.auditor.check()
	}
}

package repository

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage"
)

// check is what must be true after every step.
func (m *machine) check(t rapid.TB) {
	t.Helper()
	m.must(t, m.cat.Verify())
	for name, body := range m.spooled(t) {
		m.truth.learn(name, sum(body)) // it was written just now, or is known
	}
	for _, p := range m.places {
		m.checkClaims(t, p)
	}
	m.observe(t)
}

// checkClaims: every snapshot that a site claims restores byte for byte from
// that site alone, but for what the model damaged there.
func (m *machine) checkClaims(t rapid.TB, p *modelSite) {
	t.Helper()
	for name, c := range m.claims(t, p) {
		for _, s := range c.Snapshots {
			if why := m.whole(t, p, s); why != "" {
				m.fatalf(t, "site %s claims snapshot %s of %s (%s) and lacks what it names: %s", p.name, s.ID, s.Function, name, why)
			}
			m.checkContent(t, p, name, s)
		}
	}
}

// claims returns the commits that a site has right, by name.
func (m *machine) claims(t rapid.TB, p *modelSite) map[string]*commit {
	t.Helper()
	out := map[string]*commit{}
	for _, name := range p.list(t, "c/") {
		why := p.wrong(t, m.truth, name)
		if why == "" {
			object, err := p.readCommit(m.oracle, name)
			m.must(t, err)
			out[name] = m.oracle.commit(t, name, object)
			continue
		}
		if !p.harmed(name) {
			m.fatalf(t, "site %s: commit %s: %s", p.name, name, why)
		}
	}
	return out
}

func (p *modelSite) readCommit(o *oracle, name string) ([]byte, error) {
	if _, ok := o.commits[name]; ok {
		return nil, nil
	}
	return p.read(name)
}

// whole says what a site lacks of a snapshot, but for what the model damaged.
func (m *machine) whole(t rapid.TB, p *modelSite, s *Snapshot) string {
	t.Helper()
	for _, ref := range s.Packs {
		name := catalog.PackName(ref.SHA256)
		if why := p.wrong(t, m.truth, name); why != "" && !p.harmed(name) {
			return name + ": " + why
		}
	}
	return ""
}

// checkContent compares what a commit's packs hold with what was in the
// database, once: neither changes.
func (m *machine) checkContent(t rapid.TB, p *modelSite, name string, s *Snapshot) {
	t.Helper()
	if m.oracle.right[name] {
		return
	}
	for _, ref := range s.Packs {
		if p.harmed(catalog.PackName(ref.SHA256)) {
			return // another site's, or another time
		}
	}
	known := m.snaps[s.ID]
	if known == nil {
		m.fatalf(t, "site %s claims snapshot %s, which nobody took", p.name, s.ID)
	}
	if err := m.oracle.restores(s, known.content, p.read); err != nil {
		m.fatalf(t, "site %s: snapshot %s of %s: %v", p.name, s.ID, s.Function, err)
	}
	m.counts.Restores++
	m.oracle.right[name] = true
}

// live returns what the catalog knows.
func (m *machine) live(t rapid.TB) map[string]SnapshotInfo {
	t.Helper()
	out := map[string]SnapshotInfo{}
	m.must(t, m.Snapshots("", func(s SnapshotInfo) bool { out[s.ID] = s; return true }))
	return out
}

// observe compares what the catalog tells with what must be, and remembers it.
func (m *machine) observe(t rapid.TB) {
	t.Helper()
	live := m.live(t)
	for _, id := range m.order {
		mem := m.snaps[id]
		info, known := live[id]
		switch {
		case !known && mem.known:
			m.fatalf(t, "snapshot %s of %s is gone from the catalog", id, mem.function)
		case !known && mem.captured && !mem.hurt && !mem.swept:
			m.fatalf(t, "snapshot %s of %s was taken and is not in the catalog", id, mem.function)
		case !known:
			continue
		}
		mem.known, mem.swept, mem.condemned = true, false, info.Condemned
		if mem.heldOpen {
			mem.held = info.Held != ""
		}
		if (info.Held != "") != mem.held {
			m.fatalf(t, "snapshot %s of %s is held: %q, and must be: %t", id, mem.function, info.Held, mem.held)
		}
		if mem.held && !info.Condemned.IsZero() {
			m.fatalf(t, "snapshot %s of %s is held and condemned", id, mem.function)
		}
		for site, state := range info.Sites {
			if state.State == StateDurable {
				m.checkDurable(t, m.place(site), mem)
			}
		}
	}
	m.checkHurt(t, live)
}

// checkDurable: what the catalog counts as acknowledged is there, unless the
// model took it away.
func (m *machine) checkDurable(t rapid.TB, p *modelSite, mem *memory) {
	t.Helper()
	mem.acked = true
	for _, c := range m.claims(t, p) {
		for _, s := range c.Snapshots {
			if s.ID == mem.id {
				return
			}
		}
	}
	for name := range p.harm {
		if c := m.oracle.commits[name]; c != nil && c.Snapshots[0].ID == mem.id {
			return
		}
	}
	if p.emptied {
		return
	}
	m.fatalf(t, "snapshot %s of %s is said to be durable at site %s, which does not claim it", mem.id, mem.function, p.name)
}

// copies is where the right bytes of each object are: at a site in the
// configuration, or in the spool.
func (m *machine) copies(t rapid.TB) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, p := range m.configured() {
		for _, name := range p.list(t, "") {
			if isObject(name) && p.wrong(t, m.truth, name) == "" {
				out[name] = true
			}
		}
	}
	for name, body := range m.spooled(t) {
		if sha, ok := m.truth.of(name); !ok || sha == sum(body) {
			out[name] = true
		}
	}
	return out
}

// spooled returns what waits in the spool.
func (m *machine) spooled(t rapid.TB) map[string][]byte {
	t.Helper()
	dir := m.options().Spool
	entries, err := os.ReadDir(dir)
	m.must(t, err)
	out := map[string][]byte{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		b, err := os.ReadFile(dir + "/" + e.Name())
		m.must(t, err)
		out[unflatten(e.Name())] = b
	}
	return out
}

// saved tells which snapshots can be had from all copies together.
func (m *machine) saved(t rapid.TB) map[string]bool {
	t.Helper()
	copies := m.copies(t)
	spooled := m.spooled(t)
	out := map[string]bool{}
	for name := range copies {
		if !strings.HasPrefix(name, "c/") {
			continue
		}
		object := spooled[name]
		for _, p := range m.configured() {
			if _, known := m.oracle.commits[name]; known {
				break
			}
			if p.wrong(t, m.truth, name) == "" {
				var err error
				object, err = p.read(name)
				m.must(t, err)
			}
		}
		for _, s := range m.oracle.commit(t, name, object).Snapshots {
			whole := true
			for _, ref := range s.Packs {
				whole = whole && copies[catalog.PackName(ref.SHA256)]
			}
			out[s.ID] = out[s.ID] || whole
		}
	}
	return out
}

// checkHurt: nothing but the model takes away the last good copy of anything
// that a snapshot needs.
func (m *machine) checkHurt(t rapid.TB, live map[string]SnapshotInfo) {
	t.Helper()
	m.had = m.copies(t)
	for name := range m.had {
		delete(m.gone, name)
	}
	saved := m.saved(t)
	for _, id := range slices.Sorted(maps.Keys(live)) {
		mem := m.snaps[id]
		if mem.hurt || saved[id] {
			continue
		}
		s, err := m.Snapshot(context.Background(), id)
		m.must(t, err)
		lost := m.gone[live[id].Commit]
		for _, ref := range s.Packs {
			lost = lost || m.gone[catalog.PackName(ref.SHA256)]
		}
		if !lost {
			m.fatalf(t, "snapshot %s of %s cannot be had from all sites and the spool together any more", id, mem.function)
		}
		m.note("  snapshot %s needs what was lost before", id)
		mem.hurt = true
	}
}

// hurting notes which objects the model has just taken away for good, and which
// snapshots with them.
func (m *machine) hurting(t rapid.TB) {
	t.Helper()
	copies := m.copies(t)
	for name := range m.had {
		if !copies[name] {
			m.gone[name] = true
		}
	}
	saved := m.saved(t)
	for _, id := range m.order {
		if mem := m.snaps[id]; !mem.hurt && !mem.swept && !saved[id] && (mem.known || mem.captured) {
			m.note("  snapshot %s is lost by this", id)
			mem.hurt = true
		}
	}
}

// checkRebuild: a catalog that is made anew from a site alone gives back every
// snapshot that the site claims.
func (m *machine) checkRebuild(t rapid.TB, p *modelSite) {
	t.Helper()
	m.elsewhere(t, p, func(r *Repository, out *Rebuilt) {
		want := m.restorable(t, p)
		for id, whole := range want {
			if !whole {
				continue
			}
			s, err := r.Snapshot(context.Background(), id)
			if err != nil {
				m.fatalf(t, "site %s claims snapshot %s, and a rebuild from it does not bring it: %v %+v", p.name, id, err, out)
			}
			m.checkRead(t, r, s)
		}
	})
}

// restorable says of each snapshot that a site claims whether the site alone must
// give it back: by the last commit that tells of it, or by the one before where
// the site lacks what that one names. A pack with a few wrong bytes does not show
// in a rebuild, so what its commit tells counts, whatever an earlier one names.
func (m *machine) restorable(t rapid.TB, p *modelSite) map[string]bool {
	t.Helper()
	want := map[string]bool{}
	claims := m.claims(t, p)
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(claims))) {
		for _, s := range claims[name].Snapshots {
			if _, told := want[s.ID]; told {
				continue
			}
			if whole := m.untouched(t, p, s); whole || !m.lacks(t, p, s) {
				want[s.ID] = whole
			}
		}
	}
	return want
}

// lacks reports whether a pack that a snapshot needs is not there in its length.
func (m *machine) lacks(t rapid.TB, p *modelSite, s *Snapshot) bool {
	t.Helper()
	return slices.ContainsFunc(s.Packs, func(ref PackRef) bool {
		info, err := p.raw.Stat(context.Background(), catalog.PackName(ref.SHA256))
		if !errors.Is(err, storage.ErrNotFound) {
			m.must(t, err)
		}
		return err != nil || info.Size != ref.Size
	})
}

// elsewhere makes a catalog anew from a site alone, beside the one in use.
func (m *machine) elsewhere(t rapid.TB, p *modelSite, look func(*Repository, *Rebuilt)) {
	t.Helper()
	dir, err := os.MkdirTemp(m.base, "rebuilt-")
	m.must(t, err)
	cat, err := catalog.Open(dir + "/catalog.db")
	m.must(t, err)
	o := m.options()
	o.Catalog, o.Spool, o.Sites = cat, dir+"/spool", []Site{{Name: p.name, Store: p.raw}}
	r, err := Open(context.Background(), o)
	m.must(t, err)
	out, err := r.Rebuild(context.Background(), p.name, nil)
	m.must(t, err)
	look(r, out)
	m.must(t, errors.Join(cat.Verify(), cat.Close(), os.RemoveAll(dir)))
}

func (m *machine) untouched(t rapid.TB, p *modelSite, s *Snapshot) bool {
	t.Helper()
	for _, ref := range s.Packs {
		if p.wrong(t, m.truth, catalog.PackName(ref.SHA256)) != "" {
			return false
		}
	}
	return true
}

// checkRead restores a snapshot with the product's own reader.
func (m *machine) checkRead(t rapid.TB, r *Repository, s *Snapshot) {
	t.Helper()
	rd, err := r.Reader(s, nil, nil)
	m.must(t, err)
	for _, table := range s.Tables {
		var got strings.Builder
		if err := rd.Copy(context.Background(), table.Data, &got); err != nil {
			m.fatalf(t, "snapshot %s: table %s: %v", s.ID, table.Name, err)
		}
		if got.String() != string(m.snaps[s.ID].content[table.Name]) {
			m.fatalf(t, "snapshot %s: table %s differs", s.ID, table.Name)
		}
	}
	m.counts.Restores++
}

// floor returns the snapshots of a function that must stay: the newest that
// some site holds and that is not condemned, the last proven, and those that
// are held.
func (m *machine) floor(t rapid.TB, function string) map[string]string {
	t.Helper()
	out := map[string]string{}
	now := m.clock.Now()
	var newest, ahead SnapshotInfo
	for _, s := range m.live(t) {
		mem := m.snaps[s.ID]
		if s.Function != function {
			continue
		}
		if mem.held {
			out[s.ID] = "held"
		}
		if s.Holders() == 0 || !s.Condemned.IsZero() {
			continue
		}
		if s.RecoveryPoint.After(now) {
			if s.Commit > ahead.Commit {
				ahead = s
			}
		} else if s.RecoveryPoint.After(newest.RecoveryPoint) || s.RecoveryPoint.Equal(newest.RecoveryPoint) && s.ID > newest.ID {
			newest = s
		}
	}
	if newest.ID == "" {
		newest = ahead
	}
	if newest.ID != "" {
		out[newest.ID] = "last good"
	}
	if id := m.proven(t, function); id != "" {
		out[id] = "last proven"
	}
	return out
}

// proven returns the snapshot of the last proof that passed and is there.
func (m *machine) proven(t rapid.TB, function string) (id string) {
	t.Helper()
	m.must(t, m.cat.Proofs(func(p *catalog.Proof) bool {
		if mem := m.snaps[p.Snapshot]; p.Passed && p.Function == function && mem.known {
			id = p.Snapshot
		}
		return id == ""
	}))
	return id
}

// judge notes what a sweep has deleted, and that it was allowed to.
func (m *machine) judge(t rapid.TB, before map[string]SnapshotInfo, floors map[string]string) {
	t.Helper()
	live := m.live(t)
	for id, was := range before {
		if _, there := live[id]; there {
			continue
		}
		mem := m.snaps[id]
		due := !was.Condemned.IsZero() && m.clock.Now().Sub(was.Condemned) >= modelGrace
		if why, floor := floors[id]; floor || !due {
			m.fatalf(t, "snapshot %s of %s was deleted: condemned at %s, %s", id, mem.function, was.Condemned.Format(time.RFC3339), why)
		}
		mem.known, mem.swept = false, true
		m.counts.Deleted++
	}
	for _, function := range slices.Sorted(maps.Keys(m.tables)) {
		m.checkSomeGood(t, function, before, live)
	}
}

// checkSomeGood: a function that had a good snapshot, as far as anybody has
// looked, still has one.
func (m *machine) checkSomeGood(t rapid.TB, function string, before, live map[string]SnapshotInfo) {
	t.Helper()
	had, left := false, false
	for id, s := range before {
		if s.Function == function && s.Holders() > 0 {
			_, there := live[id]
			had, left = true, left || there
		}
	}
	if had && !left {
		m.fatalf(t, "the last good snapshot of %s was deleted", function)
	}
}

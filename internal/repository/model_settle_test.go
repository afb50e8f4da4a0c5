package repository

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/catalog"
)

// settle ends all faults and sees that the repository comes to rest: every site
// holds exactly what the snapshots that are kept need, and nothing waits.
func (m *machine) settle(t rapid.TB) {
	t.Helper()
	m.note("%s settle", m.clock.Now().Format("02T15:04"))
	owed := m.endFaults(t)
	m.bringAll(t)
	m.check(t)
	live := m.live(t)
	for id := range owed {
		if _, ok := live[id]; !ok {
			m.fatalf(t, "snapshot %s of %s is whole at a site and the catalog does not know it", id, m.snaps[id].function)
		}
	}
	for function := range m.tables { // heals what was lost
		c := m.begin(function)
		m.finish(t, c)
		m.snaps[c.snap.ID].captured = true
	}
	m.bringAll(t)
	m.cleanUp(t)
	m.condemnHurt(t)
	for range 6 {
		m.advance(9 * 24 * time.Hour)
		m.bringAll(t)
		if err := m.sweepAndJudge(t, SweepOptions{Grace: modelGrace * timeScale, MaxRewrite: 1 << 30}); err != nil {
			m.fatalf(t, "when all is well a sweep ends with: %v", err)
		}
		m.bringAll(t)
		m.check(t)
	}
	m.checkRest(t)
}

// endFaults brings everything back, and returns the snapshots that some site
// has whole.
func (m *machine) endFaults(t rapid.TB) map[string]bool {
	if m.dead() {
		m.restart(t)
	}
	m.plan = nil
	for _, c := range m.captures {
		m.finish(t, c)
	}
	m.captures = nil
	m.spoolMax = 0
	for _, p := range m.places {
		m.setDown(p, false)
		p.heal(m)
		p.in = true
	}
	m.init(t)
	m.noteInit(t)
	m.restart(t)
	m.hurting(t)
	m.advance(m.latest.Sub(m.clock.Now()) + time.Hour)
	owed := map[string]bool{}
	for _, p := range m.places {
		for _, c := range m.claims(t, p) {
			for _, s := range c.Snapshots {
				owed[s.ID] = owed[s.ID] || m.untouched(t, p, s)
			}
		}
	}
	// What is being deleted may still be at some site.
	maps.DeleteFunc(owed, func(id string, whole bool) bool { return !whole || m.snaps[id].swept })
	return owed
}

// bringAll syncs until nothing waits any more.
func (m *machine) bringAll(t rapid.TB) {
	t.Helper()
	for range 6 {
		waits := 0
		for _, p := range m.places {
			m.scrubPlace(t, p)
			if err := m.bring(p); err != nil {
				m.fatalf(t, "when all is well site %s fails: %v", p.name, err)
			}
		}
		for _, p := range m.places {
			backlog, err := m.cat.Backlog(p.name)
			m.must(t, err)
			faults, err := m.cat.Faults(p.name)
			m.must(t, err)
			for _, f := range faults {
				if !f.Lost {
					waits++
				}
			}
			waits += backlog.Objects
		}
		if waits == 0 {
			return
		}
	}
	m.fatalf(t, "the sites do not come in step")
}

// cleanUp deletes by hand what the catalog does not know and no site has right,
// as a sweep that refuses advises: the model took the last good copy away, or
// spoiled the only one that a sweep did not reach, at a site that was not in the
// configuration then.
func (m *machine) cleanUp(t rapid.TB) {
	t.Helper()
	for _, p := range m.places {
		for _, name := range p.list(t, "") {
			if !isObject(name) || strings.HasPrefix(name, "p/") || m.anyRight(t, name) {
				continue
			}
			if _, err := m.cat.Object(name); !errors.Is(err, catalog.ErrNotFound) || !m.gone[name] && !p.harmed(name) {
				continue
			}
			m.must(t, p.raw.Delete(context.Background(), name))
			p.forget(name)
		}
	}
}

// anyRight reports whether some site has an object as it was written.
func (m *machine) anyRight(t rapid.TB, name string) bool {
	t.Helper()
	return slices.ContainsFunc(m.places, func(p *modelSite) bool { return p.wrong(t, m.truth, name) == "" })
}

// condemnHurt gives up the snapshots that cannot be had any more.
func (m *machine) condemnHurt(t rapid.TB) {
	doomed := map[string]string{}
	for _, id := range m.ids("") {
		mem := m.snaps[id]
		if mem.hurt && !mem.held && id != m.proven(t, mem.function) {
			doomed[id] = "lost"
		}
	}
	if err := m.Condemn(context.Background(), doomed); err != nil {
		m.fatalf(t, "condemn what is lost: %v", err)
	}
}

// checkRest: nothing waits, nothing is on its way out, and each site holds what
// is needed and nothing else.
func (m *machine) checkRest(t rapid.TB) {
	t.Helper()
	live := m.live(t)
	need := map[string]bool{}
	for id, info := range live {
		if m.snaps[id].hurt {
			continue // held, and lost all the same
		}
		for _, p := range m.places {
			if state := info.Sites[p.name]; state.State != StateDurable {
				m.fatalf(t, "at rest snapshot %s is %s at %s: %s", id, state.State, p.name, state.Error)
			}
		}
		need[info.Commit] = true
		s, err := m.Snapshot(context.Background(), id)
		m.must(t, err)
		for _, ref := range s.Packs {
			need[catalog.PackName(ref.SHA256)] = true
		}
	}
	hurt := slices.ContainsFunc(m.order, func(id string) bool { return m.snaps[id].hurt && m.snaps[id].known })
	for _, p := range m.places {
		left := maps.Clone(need)
		for _, name := range p.list(t, "") {
			if strings.HasPrefix(name, "c/") || strings.HasPrefix(name, "p/") {
				if !need[name] && !hurt {
					m.fatalf(t, "at rest site %s holds %s, which nobody needs", p.name, name)
				}
				if why := p.wrong(t, m.truth, name); why != "" && !hurt {
					m.fatalf(t, "at rest site %s: %s: %s", p.name, name, why)
				}
				delete(left, name)
			}
		}
		if len(left) > 0 {
			m.fatalf(t, "at rest site %s lacks %v", p.name, slices.Sorted(maps.Keys(left)))
		}
	}
	m.checkHolds(t, live)
	m.checkEvidence(t)
	if left := m.spooled(t); len(left) > 0 && !hurt {
		m.fatalf(t, "at rest the spool holds %v", slices.Sorted(maps.Keys(left)))
	}
	if used, _ := m.Spool(); used != 0 && !hurt {
		m.fatalf(t, "at rest the spool counts %d bytes", used)
	}
	for _, p := range m.places {
		m.checkRebuild(t, p)
		m.checkSame(t, p, live)
	}
}

// checkSame: a catalog that is made anew from a site tells the same as the one
// in use.
func (m *machine) checkSame(t rapid.TB, p *modelSite, live map[string]SnapshotInfo) {
	t.Helper()
	m.elsewhere(t, p, func(r *Repository, out *Rebuilt) {
		got := map[string]SnapshotInfo{}
		m.must(t, r.Snapshots("", func(s SnapshotInfo) bool { got[s.ID] = s; return true }))
		for id, want := range live {
			if m.snaps[id].hurt {
				continue
			}
			s, ok := got[id]
			if !ok || s.Commit != want.Commit || s.Held != want.Held || s.Condemned.IsZero() != want.Condemned.IsZero() {
				m.fatalf(t, "a rebuild from %s tells of snapshot %s: %t %s held %q condemned %s, and the catalog in use: %s held %q condemned %s",
					p.name, id, ok, s.Commit, s.Held, s.Condemned, want.Commit, want.Held, want.Condemned)
			}
			delete(got, id)
		}
		for id := range got {
			if !m.snaps[id].hurt {
				m.fatalf(t, "a rebuild from %s tells of snapshot %s, which is gone", p.name, id)
			}
		}
	})
}

// checkHolds: a snapshot is held when the last mark that speaks of it says so.
func (m *machine) checkHolds(t rapid.TB, live map[string]SnapshotInfo) {
	t.Helper()
	last := map[string]string{}
	held := map[string]bool{}
	for _, p := range m.places {
		for _, name := range p.list(t, "g/") {
			if p.wrong(t, m.truth, name) != "" {
				continue
			}
			object, err := p.read(name)
			m.must(t, err)
			mark, err := openMark(m.keys, name, object)
			m.must(t, err)
			if h := mark.Hold; h != nil && name >= last[h.Snapshot] {
				last[h.Snapshot], held[h.Snapshot] = name, h.Reason != ""
			}
		}
	}
	for id, info := range live {
		if (info.Held != "") != held[id] {
			m.fatalf(t, "snapshot %s is held: %q, and the last mark %s says %t", id, info.Held, last[id], held[id])
		}
	}
}

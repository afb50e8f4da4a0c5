package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/catalog"
	"github.com/saypro/backupd/internal/storage/faulty"
)

// actions are everything that can happen.
func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":                     func(t *rapid.T) { m.check(t) },
		"snapshot":             m.doSnapshot,
		"snapshot again":       m.doSnapshot,
		"begin a snapshot":     m.doBegin,
		"go on with one":       m.doStep,
		"end one":              m.doEnd,
		"send some":            m.doSend,
		"sync":                 m.doSync,
		"sync all":             m.doSyncAll,
		"down or up":           m.doOutage,
		"crash or restart":     m.doCrash,
		"clock":                m.doClock,
		"condemn":              m.doCondemn,
		"condemn more":         m.doCondemn,
		"hold or release":      m.doHold,
		"publish evidence":     m.doPublish,
		"prove":                m.doProve,
		"sweep":                m.doSweep,
		"sweep again":          m.doSweep,
		"fault":                m.doFault,
		"damage":               m.doDamage,
		"damage the spool":     m.doDamageSpool,
		"scrub":                m.doScrub,
		"empty a site":         m.doEmpty,
		"init":                 m.doInit,
		"rebuild":              m.doRebuild,
		"take out or put back": m.doReconfigure,
		"lose everywhere":      m.doLose,
		"rebuild elsewhere":    m.doCheckRebuild,
	}
}

// step carries out one step. A process that ended over it is started again.
func (m *machine) step(t *rapid.T, format string, args ...any) (done func()) {
	m.counts.Steps++
	m.note("%s "+format, append([]any{m.clock.Now().Format("02T15:04")}, args...)...)
	return func() {
		if m.dead() {
			m.restart(t)
		}
	}
}

func (m *machine) drawPlace(t *rapid.T, of []*modelSite) *modelSite {
	if len(of) == 0 {
		t.Skip("no such site")
	}
	return rapid.SampledFrom(of).Draw(t, "site")
}

func (m *machine) drawFunction(t *rapid.T) string {
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.tables))).Draw(t, "function")
}

func (m *machine) doSnapshot(t *rapid.T) {
	function := m.drawFunction(t)
	m.mutate(t, function)
	fails := rapid.IntRange(0, 9).Draw(t, "fails") == 0
	defer m.step(t, "snapshot of %s, fails %t", function, fails)()
	c := m.begin(function)
	if fails {
		for range len(c.left) / 2 {
			c.table()
		}
		c.abandon()
		return
	}
	m.finish(t, c)
}

func (m *machine) doBegin(t *rapid.T) {
	if len(m.captures) > 1 || m.spoolMax > 0 {
		t.Skip("enough of them")
	}
	function := m.drawFunction(t)
	m.mutate(t, function)
	defer m.step(t, "begin a snapshot of %s", function)()
	c := m.begin(function)
	c.table()
	if !c.ended {
		m.captures = append(m.captures, c)
	}
}

func (m *machine) drawCapture(t *rapid.T) int {
	if len(m.captures) == 0 {
		t.Skip("no capture runs")
	}
	return rapid.IntRange(0, len(m.captures)-1).Draw(t, "capture")
}

func (m *machine) doStep(t *rapid.T) {
	i := m.drawCapture(t)
	defer m.step(t, "go on with the snapshot of %s", m.captures[i].function)()
	m.captures[i].table()
	if m.captures[i].ended {
		m.captures = slices.Delete(m.captures, i, i+1)
	}
}

func (m *machine) doEnd(t *rapid.T) {
	i := m.drawCapture(t)
	defer m.step(t, "end the snapshot of %s", m.captures[i].function)()
	c := m.captures[i]
	m.captures = slices.Delete(m.captures, i, i+1)
	m.finish(t, c)
}

// site returns a place as the repository knows it.
func (m *machine) site(p *modelSite) Site {
	return Site{Name: p.name, Store: p.store}
}

func (m *machine) doSend(t *rapid.T) {
	p := m.drawPlace(t, m.configured())
	limit := rapid.IntRange(1, 4).Draw(t, "objects")
	defer m.step(t, "send some to %s", p.name)()
	ctx := context.Background()
	if err := m.checkRepository(ctx, m.site(p)); err != nil {
		m.note("  %v", err)
		return
	}
	entries, err := m.cat.Next(p.name, limit)
	m.must(t, err)
	if err := m.sendSome(ctx, m.site(p), entries); err != nil {
		m.note("  %v", err)
	}
}

// bring gives a site what waits for it and compares it, as the uploads do.
func (m *machine) bring(p *modelSite) error {
	known := false
	m.uploads.ask(p.name)
	err := m.bringInStep(context.Background(), m.site(p), &known)
	m.uploads.setFailing(p.name, m.clock.Now(), err)
	if err != nil {
		m.note("  %s: %v", p.name, err)
	}
	return err
}

func (m *machine) doSync(t *rapid.T) {
	p := m.drawPlace(t, m.configured())
	defer m.step(t, "sync %s", p.name)()
	_ = m.bring(p) // it is noted
}

func (m *machine) doSyncAll(t *rapid.T) {
	defer m.step(t, "sync all")()
	for _, p := range m.configured() {
		_ = m.bring(p) // it is noted
	}
}

func (m *machine) doOutage(t *rapid.T) {
	p := m.drawPlace(t, m.places)
	m.setDown(p, !p.down)
	defer m.step(t, "site %s down: %t", p.name, p.down)()
	m.counts.Outages++
}

func (m *machine) setDown(p *modelSite, down bool) {
	p.down = down
	p.store.SetDown(down)
}

func (m *machine) doCrash(t *rapid.T) {
	in := rapid.IntRange(0, 30).Draw(t, "in")
	after := rapid.Bool().Draw(t, "after")
	if in == 0 {
		defer m.step(t, "kill and start")()
		m.restart(t)
		return
	}
	defer m.step(t, "crash soon")()
	m.plan = &crashPlan{in: in, after: after}
}

func (m *machine) doClock(t *rapid.T) {
	by := rapid.SampledFrom([]time.Duration{
		time.Second, time.Minute, time.Hour, 9 * time.Hour, modelGrace + time.Minute, 9 * 24 * time.Hour, -time.Hour, -30 * time.Hour,
	}).Draw(t, "by")
	defer m.step(t, "clock by %s", by)()
	m.advance(by)
}

func (m *machine) advance(by time.Duration) {
	m.clock.Advance(by)
	if now := m.clock.Now(); now.After(m.latest) {
		m.latest = now
	}
}

// ids returns the snapshots of a function that the catalog knows, oldest first.
func (m *machine) ids(function string) (out []string) {
	for _, id := range m.order {
		if mem := m.snaps[id]; mem.known && (function == "" || mem.function == function) {
			out = append(out, id)
		}
	}
	return out
}

func (m *machine) doCondemn(t *rapid.T) {
	function := m.drawFunction(t)
	doomed := map[string]string{}
	for _, id := range m.ids(function) {
		if rapid.IntRange(0, 2).Draw(t, "keep") > 0 {
			doomed[id] = "no rule keeps it"
		}
	}
	floors := m.floor(t, function)
	for id, why := range floors {
		if why == "held" {
			delete(floors, id) // is left out, and no error
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "floors too") > 0 {
		maps.DeleteFunc(doomed, func(id, _ string) bool { return floors[id] != "" })
	}
	if len(doomed) == 0 {
		t.Skip("nothing to condemn")
	}
	defer m.step(t, "condemn %v of %s; floors %v", slices.Sorted(maps.Keys(doomed)), function, floors)()
	must := false
	for id := range doomed {
		must = must || floors[id] != ""
	}
	ctx, cancel := m.patience()
	defer cancel()
	err := m.Condemn(ctx, doomed)
	if errors.Is(err, ErrFloor) != must && !noRoom(err) {
		m.fatalf(t, "condemn: %v, and a floor is among them: %t", err, must)
	}
	if err != nil {
		m.note("  %v", err)
	}
}

func (m *machine) doHold(t *rapid.T) {
	ids := m.ids("")
	if len(ids) == 0 {
		t.Skip("no snapshot")
	}
	mem := m.snaps[rapid.SampledFrom(ids).Draw(t, "snapshot")]
	reason := "court order"
	if mem.held {
		reason = ""
	}
	defer m.step(t, "hold %s: %q", mem.id, reason)()
	defer func() { // the process may have died before or after it was done
		if m.dead() {
			m.restart(t)
			mem.held = m.live(t)[mem.id].Held != ""
		}
	}()
	ctx, cancel := m.patience()
	defer cancel()
	if err := m.Hold(ctx, mem.id, reason); err != nil {
		if !errors.Is(err, catalog.ErrCondemned) && !noRoom(err) {
			m.fatalf(t, "hold: %v", err)
		}
		m.note("  %v", err)
		return
	}
	mem.held, mem.heldOpen = reason != "", false
}

func (m *machine) doProve(t *rapid.T) {
	ids := m.ids("")
	if len(ids) == 0 {
		t.Skip("no snapshot")
	}
	mem := m.snaps[rapid.SampledFrom(ids).Draw(t, "snapshot")]
	p := m.drawPlace(t, m.configured())
	info, err := m.Info(mem.id)
	m.must(t, err)
	if mem.hurt || info.Sites[p.name].State != StateDurable {
		t.Skip("it would not pass")
	}
	defer m.step(t, "prove %s at %s", mem.id, p.name)()
	m.must(t, m.cat.PutProof(&catalog.Proof{Function: mem.function, Snapshot: mem.id, Site: p.name, Passed: true, Level: "L5"}))
}

func (m *machine) doSweep(t *rapid.T) {
	o := SweepOptions{Grace: modelGrace * timeScale}
	if rapid.Bool().Draw(t, "rewrite") {
		o.MaxRewrite = int64(rapid.IntRange(500, 20_000).Draw(t, "most"))
	}
	o.DryRun = rapid.IntRange(0, 9).Draw(t, "dry run") == 0
	sync := rapid.IntRange(0, 3).Draw(t, "sync first") > 0
	defer m.step(t, "sweep %+v, sync first: %t", o, sync)()
	if sync {
		for _, p := range m.configured() {
			_ = m.bring(p) // it is noted
		}
	}
	_ = m.sweepAndJudge(t, o) // what came of it is in the notes
}

// sweepAndJudge sweeps and checks that what went was allowed to go.
func (m *machine) sweepAndJudge(t rapid.TB, o SweepOptions) error {
	if m.dead() {
		m.restart(t)
	}
	m.observe(t)
	before := m.live(t)
	floors := map[string]string{}
	for function := range m.tables {
		maps.Copy(floors, m.floor(t, function))
	}
	ctx, cancel := m.patience()
	defer cancel()
	out, err := m.Sweep(ctx, o, func(string, int64, int64) { m.point() })
	m.counts.Sweeps++
	m.note("  swept %+v: %v", out, err)
	if m.dead() {
		m.restart(t)
	}
	m.judge(t, before, floors)
	return err
}

// doFault has one of the next operations on a site fail, before or after it is
// done.
func (m *machine) doFault(t *rapid.T) {
	p := m.drawPlace(t, m.configured())
	op := rapid.SampledFrom([]string{"put", "get", "stat", "list", "delete", "purge", ""}).Draw(t, "operation")
	skip := rapid.IntRange(0, 12).Draw(t, "skip")
	after := rapid.Bool().Draw(t, "after")
	defer m.step(t, "fault of %s at %s after %d, done %t", op, p.name, skip, after)()
	m.counts.Faults++
	p.store.Inject(faulty.Rule{Op: op, Skip: skip, Times: 1, After: after, Err: errors.New("connection reset")})
}

// objects are those of a site, in an order that does not depend on chance.
func (m *machine) objectsAt(t rapid.TB, p *modelSite) (names []string) {
	t.Helper()
	order := map[string]uint32{}
	for _, name := range p.list(t, "") {
		if !isObject(name) || p.wrong(t, m.truth, name) != "" {
			continue
		}
		names = append(names, name)
		if sha, _ := m.truth.of(name); strings.HasPrefix(name, "p/") {
			order[name], _, _ = m.cat.PackNamed(sha)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return int(order[a]) - int(order[b]) })
	return names
}

// doDamage damages an object of a site of which there is another good copy.
func (m *machine) doDamage(t *rapid.T) {
	p := m.drawPlace(t, m.configured())
	copies := map[string]int{}
	for _, other := range m.configured() {
		if other == p {
			continue
		}
		for _, name := range m.objectsAt(t, other) {
			copies[name]++
		}
	}
	how := rapid.SampledFrom([]string{"lost", "short", "empty", "flipped"}).Draw(t, "how")
	for name, body := range m.spooled(t) {
		// What a site has in its full length may leave a spool that is full.
		if sha, _ := m.truth.of(name); sha == sum(body) && (m.spoolMax == 0 || how != "flipped") {
			copies[name]++
		}
	}
	names := slices.DeleteFunc(m.objectsAt(t, p), func(name string) bool { return copies[name] == 0 })
	if len(names) == 0 {
		t.Skip("nothing that may be damaged")
	}
	name := rapid.SampledFrom(names).Draw(t, "object")
	defer m.step(t, "damage %s at %s: %s", name, p.name, how)()
	m.counts.Faults++
	p.damage(t, name, how)
	m.hurting(t)
}

// doLose takes away an object everywhere.
func (m *machine) doLose(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "rarely") > 0 {
		t.Skip("not now")
	}
	p := m.drawPlace(t, m.configured())
	names := m.objectsAt(t, p)
	if len(names) == 0 {
		t.Skip("nothing to lose")
	}
	name := rapid.SampledFrom(names).Draw(t, "object")
	defer m.step(t, "lose %s everywhere", name)()
	m.counts.Faults++
	for _, p := range m.places {
		if p.wrong(t, m.truth, name) == "" {
			p.damage(t, name, rapid.SampledFrom([]string{"lost", "short", "flipped"}).Draw(t, "how"))
		}
	}
	m.must(t, m.removeSpooled(name))
	m.hurting(t)
}

func (m *machine) removeSpooled(name string) error {
	err := os.Remove(m.Repository.spool.path(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (m *machine) doDamageSpool(t *rapid.T) {
	names := slices.Sorted(maps.Keys(m.spooled(t)))
	if len(names) == 0 {
		t.Skip("nothing waits")
	}
	name := rapid.SampledFrom(names).Draw(t, "object")
	lost := rapid.Bool().Draw(t, "lost")
	defer m.step(t, "damage %s in the spool, lost %t", name, lost)()
	m.safeFrom = m.records
	m.counts.Faults++
	path := m.Repository.spool.path(name)
	if lost {
		m.must(t, os.Remove(path))
	} else {
		b, err := os.ReadFile(path)
		m.must(t, err)
		b[len(b)/2] ^= 1
		m.must(t, os.WriteFile(path, b, 0o600))
	}
	m.hurting(t)
}

// doScrub has what is wrong at a site found by reading it.
func (m *machine) doScrub(t *rapid.T) {
	p := m.drawPlace(t, m.up())
	defer m.step(t, "scrub %s", p.name)()
	m.scrubPlace(t, p)
}

func (m *machine) scrubPlace(t rapid.TB, p *modelSite) {
	for name := range maps.Clone(p.harm) {
		if p.wrong(t, m.truth, name) == "" {
			continue
		}
		_, err := m.cat.Doubt(catalog.Fault{Site: p.name, Name: name, Since: m.clock.Now(), Detail: "wrong", Found: "scrub"})
		m.must(t, err)
	}
}

// doEmpty takes away everything that a site holds, when the others have it.
func (m *machine) doEmpty(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "rarely") > 0 {
		t.Skip("not now")
	}
	p := m.drawPlace(t, m.places)
	if p.in && !m.savedWithout(t, p) {
		t.Skip("there is no other copy")
	}
	defer m.step(t, "empty %s", p.name)()
	m.safeFrom = m.records
	m.counts.Faults++
	p.empty(t)
	p.emptied = true
	m.hurting(t)
}

// savedWithout reports whether all snapshots can be had without a site.
func (m *machine) savedWithout(t rapid.TB, p *modelSite) bool {
	p.in = false
	defer func() { p.in = true }()
	saved := m.saved(t)
	for _, id := range m.order {
		if mem := m.snaps[id]; mem.known && !mem.hurt && !saved[id] {
			return false
		}
	}
	return true
}

func (m *machine) doInit(t *rapid.T) {
	defer m.step(t, "init")()
	m.init(t)
	m.noteInit(t)
}

// noteInit notes which sites hold the repository again.
func (m *machine) noteInit(t rapid.TB) {
	for _, p := range m.places {
		if len(p.list(t, configName)) > 0 {
			p.emptied = false
		}
	}
}

// doRebuild loses the host, and makes the catalog anew from a site.
func (m *machine) doRebuild(t *rapid.T) {
	if rapid.IntRange(0, 1).Draw(t, "rarely") > 0 {
		t.Skip("not now")
	}
	of := slices.DeleteFunc(m.up(), func(p *modelSite) bool { return p.emptied })
	p := m.drawPlace(t, of)
	defer m.step(t, "rebuild from %s", p.name)()
	m.safeFrom = m.records
	m.counts.Rebuilds++
	for _, c := range m.captures {
		c.abandon()
	}
	m.captures = nil
	m.must(t, m.cat.Close())
	m.must(t, os.RemoveAll(m.dataDir()))
	m.data.Add(1)
	m.rebuildFrom(t, p.name)
}

func (m *machine) rebuildFrom(t rapid.TB, site string) {
	m.data.Add(1)
	m.half = site
	m.openCatalog(t)
	r, err := Open(context.Background(), m.options())
	for err != nil { // a fault, or the process died over it
		m.plan = nil
		r, err = Open(context.Background(), m.options())
	}
	m.Repository = r
	out, err := m.Rebuild(context.Background(), site, func(string, int) { m.point() })
	m.note("  rebuilt %+v: %v", out, err)
	if m.dead() {
		m.restart(t)
		return
	}
	if err != nil { // begun anew until it works
		m.must(t, m.cat.Close())
		m.rebuildFrom(t, site)
		return
	}
	m.half = ""
	m.forget(t)
}

// forget takes what a rebuilt catalog tells for what there is: what only the
// lost host had is gone, and what only other sites have is found later.
func (m *machine) forget(t rapid.TB) {
	live := m.live(t)
	for _, id := range m.order {
		mem := m.snaps[id]
		info := live[id]
		mem.held, mem.heldOpen = info.Held != "", true
		mem.known, mem.captured = false, false
	}
	m.hurting(t)
}

func (m *machine) doReconfigure(t *rapid.T) {
	p := m.drawPlace(t, m.places)
	if p.in && (len(m.configured()) == 1 || !m.savedWithout(t, p)) {
		t.Skip("it is needed")
	}
	defer m.step(t, "site %s in the configuration: %t", p.name, !p.in)()
	m.safeFrom = m.records
	p.in = !p.in
	if p.in {
		m.init(t)
		m.noteInit(t)
	}
	m.restart(t)
	m.hurting(t)
}

// doCheckRebuild makes a catalog anew from each site beside the one in use.
func (m *machine) doCheckRebuild(t *rapid.T) {
	defer m.step(t, "rebuild elsewhere")()
	for _, p := range m.places {
		if !p.emptied && len(p.list(t, configName)) > 0 {
			m.checkRebuild(t, p)
		}
	}
}

var _ = fmt.Sprint

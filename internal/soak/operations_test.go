package soak

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func (s *soaking) snapshot() {
	s.t.Helper()
	s.note(s.call("snapshot", "--json"))
}

// What a service is asked for while it runs.
var asked = [][]string{
	{"snapshot", "--json"},
	{"snapshot", "--json"},
	{"verify", "orders", "--from", "cloud", "--level", "L2"},
	{"sync"},
	{"prune"},
	{"sweep"},
	{"scrub", "--all"},
}

// serve runs the service for a while, asks it for things, and kills it.
func (s *soaking) serve() {
	s.t.Helper()
	d := s.begin(s.order("serve"), "serve")
	socket := filepath.Join(s.data, "backupd.sock")
	for range 2 {
		for end := time.Now().Add(s.moment()); time.Now().Before(end); {
			if _, err := os.Stat(socket); err == nil || d.over(0) {
				break
			}
			d.over(5 * time.Millisecond)
		}
		if d.over(0) {
			break
		}
		// The service may end under it, and then it does the work itself: what
		// it says counts in any case.
		c := s.begin("", asked[s.rand.IntN(len(asked))]...)
		if !c.over(s.moment()) {
			c.kill()
		}
		if o := c.outcome(); o.args[0] == "snapshot" {
			s.note(o)
		}
	}
	if d.over(s.moment()) {
		s.judge(d.outcome())
		return
	}
	d.kill()
	s.judge(d.outcome())
}

// restore restores in place of a database that people work with: it is as it
// was, or all of another recovery point.
func (s *soaking) restore() {
	s.t.Helper()
	b := s.book("orders")
	before := s.held(s.live, b)
	s.call("restore", "orders", "--to", s.pg.URLOf(s.live), "--replace", "--yes")
	after := s.held(s.live, b)
	if after == nil {
		s.violation("a restore was killed: there is no live database")
	} else if _, err := b.compare(after); err != nil {
		s.violation("a restore was killed: the live database: %v", err)
	}
	if !equal(before, after) {
		s.tally.count(s.tally.operations, "restore that took its place")
	}
	for name := range s.databases(s.live + "_") {
		s.pg.Exec(s.t, "DROP DATABASE "+name+" WITH (FORCE)")
	}
}

func (s *soaking) verify() {
	s.t.Helper()
	level := []string{"L2", "L2", "L5"}[s.rand.IntN(3)]
	s.call("verify", "--from", s.sites[s.rand.IntN(2)].Name, "--level", level)
}

// hold keeps a recovery point, or lets go of one.
func (s *soaking) hold() {
	s.t.Helper()
	ids := slices.Sorted(maps.Keys(s.sites[0].auditor.snapshots()))
	if len(ids) == 0 {
		return
	}
	id := ids[s.rand.IntN(len(ids))]
	if s.holds[id] {
		delete(s.holds, id) // from the moment on at which it is asked for
		s.call("release", id)
		return
	}
	// It may be on its way out already: then it is refused, which is no fault.
	c := s.begin(s.order("hold"), "hold", id, "--reason", "soak")
	if !c.over(s.moment()) {
		c.kill()
	}
	o := c.outcome()
	if o.code == 0 {
		s.holds[id] = true
	}
	if s.given[id] {
		s.tally.count(s.tally.operations, "hold of what was given up")
		return
	}
	s.judge(o)
}

// powered is what loses its power.
var powered = [][]string{
	{"snapshot", "--json"},
	{"snapshot", "--json"},
	{"serve"},
	{"serve"},
	{"prune"},
	{"sweep"},
	{"sync"},
	{"scrub", "--all"},
	{"key", "rotate"},
}

// power takes the power away from something.
func (s *soaking) power() {
	s.t.Helper()
	args := powered[s.rand.IntN(len(powered))]
	c := s.begin("", args...)
	c.over(s.moment())
	o := s.losePower(s.disk, c)
	if args[0] == "snapshot" {
		s.note(o)
	}
	if s.spoolHasAll(); s.t.Failed() {
		s.t.Logf("it was %s", o)
	}
}

// spoil makes the surroundings bad in some way; peace makes them good again.
func (s *soaking) spoil() {
	s.t.Helper()
	s.heal()
	site := s.sites[s.rand.IntN(2)]
	faults := map[string]func(){
		"a site cannot be reached":          site.link.Cut,
		"a site hangs":                      site.link.Hang,
		"a site is slow":                    func() { site.link.Throttle(300_000) },
		"a site breaks off":                 func() { site.link.CutAfter(int64(s.rand.IntN(20_000))) },
		"a site refuses the credentials":    func() { s.refuse(site.Name) },
		"both sites refuse the credentials": func() { s.refuse("onsite", "cloud") },
		"a site's server is killed":         site.Kill,
	}
	names := []string{
		"a site cannot be reached", "a site hangs", "a site is slow", "a site breaks off",
		"a site refuses the credentials", "both sites refuse the credentials", "a site's server is killed",
	}
	s.fault = names[s.rand.IntN(len(names))]
	faults[s.fault]()
	s.tally.count(s.tally.faults, s.fault)
	if s.fault == "a site's server is killed" {
		site.Start(s.t)
		s.fault = ""
	}
}

// damage spoils objects of a site, and has that found and put right, however
// often it is killed.
func (s *soaking) damage() {
	s.t.Helper()
	s.peace()
	for range 1 + s.rand.IntN(3) {
		path := s.somePack(s.rand)
		if _, err := os.Stat(path); err != nil {
			continue // it is gone already
		}
		if s.rand.IntN(2) == 0 {
			s.tally.count(s.tally.faults, "an object changes a bit")
			s.flip(path)
			continue
		}
		s.tally.count(s.tally.faults, "an object vanishes")
		if err := os.Remove(path); err != nil {
			s.t.Fatal(err)
		}
	}
	s.fault = "an object is damaged"
	for tries := 0; tries < 8; tries++ {
		if s.call("scrub", "cloud", "--all").code == 0 {
			break
		}
	}
	s.fault = ""
	s.scrubbed()
}

func (s *soaking) heal() {
	for _, site := range s.sites {
		site.link.Restore()
	}
	s.refuse()
	s.fault = ""
}

func (s *soaking) peace() {
	s.t.Helper()
	s.heal()
	s.settle()
}

// hostLost loses everything but the sites and the escrow, and rebuilds the
// catalog from one of them, however often that is killed.
func (s *soaking) hostLost() {
	s.t.Helper()
	s.peace()
	s.rebuilt = true
	from := s.sites[s.rand.IntN(2)].Name
	if err := os.RemoveAll(s.data); err != nil {
		s.t.Fatal(err)
	}
	o := s.call("catalog", "rebuild", "--from", from)
	for o.code != 0 && !strings.Contains(o.stderr, isRebuilt) {
		s.check()
		// One that is killed when all is done, and before it says so, is refused the
		// next time: what it brought is looked at then.
		s.again = true
		o = s.call("catalog", "rebuild", "--from", from)
	}
	s.again = false
	s.settle()
}

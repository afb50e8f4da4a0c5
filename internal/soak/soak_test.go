package soak

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/crash"
	"github.com/saypro/backupd/internal/testenv"
)

const (
	// shortSoak is how long TestSoak goes on when SOAK does not say.
	shortSoak = 20 * time.Second
	// settleEvery is about how many operations lie between two times of peace,
	// and generation how many there are before the host, the database and the
	// repository are new: a repository that only grows makes each check slower.
	settleEvery = 10
	generation  = 250
)

// TestSoak does at random whatever can be done, kills it at random, and checks
// after each kill that nothing is lost. SOAK says for how long.
func TestSoak(t *testing.T) {
	t.Parallel()
	duration := shortSoak
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatalf("SOAK=%s: %v", text, err)
		}
	}
	began := time.Now()
	rnd := rand.New(rand.NewPCG(seed(t), 11))
	total := newTally()
	pair := testenv.PrivateSites(t)
	for n := 0; time.Since(began) < duration && !t.Failed(); n++ {
		t.Run(fmt.Sprintf("generation-%d", n), func(t *testing.T) {
			s := newSoaking(t, pair, rnd, total)
			s.until(began.Add(duration))
		})
	}
	t.Logf("%s of soak\n%s", time.Since(began).Round(time.Second), total)
}

// soaking is one generation.
type soaking struct {
	*world
	disk  *disk
	rand  *rand.Rand
	pair  *testenv.SitePair
	fault string // what is wrong with the surroundings now
	live  string // database that restores take the place of
}

func newSoaking(t *testing.T, pair *testenv.SitePair, rnd *rand.Rand, total *tally) *soaking {
	t.Helper()
	s := &soaking{world: newWorld(t, testenv.Postgres(t), pair, total), disk: newDisk(t), rand: rnd, pair: pair}
	s.startTraffic(rnd.Uint64())
	s.data, s.ident = filepath.Join(s.disk.dir, "data"), filepath.Join(s.disk.dir, "identity.txt")
	if rnd.IntN(2) == 0 {
		s.spool = "128MiB"
	}
	s.keep = fmt.Sprintf(", keep: {last: %d}", 2+rnd.IntN(8))
	s.configure()
	s.start()
	s.settle()
	s.live = s.pg.Database + "_live"
	s.must("", "restore", "orders", "--to", s.pg.URLOf(s.live))
	return s
}

// until goes on until that time or the end of the generation, and then looks at
// everything once more.
func (s *soaking) until(end time.Time) {
	s.t.Helper()
	for n := 0; n < generation && time.Now().Before(end) && !s.t.Failed(); n++ {
		s.step()
	}
	s.heal()
	s.timed("settle", s.settle)
	s.timed("rebuild", s.rebuild)
	for _, site := range s.sites {
		s.timed("verify", func() { s.must("", "verify", "--from", site.Name, "--level", "L5") })
		site.auditor.reader.forget()
		site.auditor.claims = map[string]*claim{}
	}
	s.timed("check of everything", s.check)
}

// timed does something, and says how long it took where SOAK_TIMES is set.
func (s *soaking) timed(name string, do func()) {
	s.t.Helper()
	began := time.Now()
	do()
	if os.Getenv("SOAK_TIMES") != "" {
		s.t.Logf("%s: %s", name, time.Since(began).Round(time.Millisecond))
	}
}

// operation is something that is done and killed, with how often it comes.
type operation struct {
	name  string
	share int
	do    func()
}

// step does one thing.
func (s *soaking) step() {
	s.t.Helper()
	operations := []operation{
		{"snapshot", 40, s.snapshot},
		{"serve", 15, s.serve},
		{"restore", 8, s.restore},
		{"verify", 5, s.verify},
		{"sync", 8, func() { s.call("sync") }},
		{"prune", 6, func() { s.call("prune") }},
		{"sweep", 12, func() { s.call("sweep") }},
		{"hold", 3, s.hold},
		{"key rotate", 2, func() { s.call("key", "rotate") }},
		{"scrub", 4, func() { s.call("scrub", "--all") }},
		{"damage", 4, s.damage},
		{"power loss", 12, s.power},
		{"fault", 12, s.spoil},
		{"peace", 100 / settleEvery, s.peace},
		{"host lost", 2, s.hostLost},
	}
	sum := 0
	for _, o := range operations {
		sum += o.share
	}
	n := s.rand.IntN(sum)
	for _, o := range operations {
		if n -= o.share; n >= 0 {
			continue
		}
		s.tally.count(s.tally.operations, o.name)
		s.timed(o.name, o.do)
		s.timed("check", s.check)
		return
	}
}

// pointsOf are the points that a command is likely to come by.
var pointsOf = map[string][]crash.Name{
	"snapshot": snapshotPoints,
	"serve":    slices.Concat(snapshotPoints, sweepPoints, markPoints, proofPoints, scrubPoints),
	"restore":  restorePoints,
	"verify":   slices.Concat(proofPoints, restorePoints[:9]),
	"sync":     slices.Concat(comparePoints, snapshotPoints[len(snapshotPoints)-5:], upkeepPoints),
	"prune":    markPoints,
	"hold":     markPoints,
	"release":  markPoints,
	"sweep":    sweepPoints,
	"scrub":    slices.Concat(scrubPoints, upkeepPoints),
	"key":      slices.Concat(keyPoints, markPoints),
	"catalog":  rebuildPoints,
}

// order tells the program to end at a point, or anywhere with some
// probability; or not at all, and then it is killed from outside.
func (s *soaking) order(command string) string {
	points := pointsOf[command]
	switch n := s.rand.IntN(10); {
	case n < 4:
		return ""
	case n < 8 && len(points) > 0:
		return fmt.Sprintf("%s:%d", points[s.rand.IntN(len(points))], []int{1, 1, 1, 2, 3}[s.rand.IntN(5)])
	}
	return fmt.Sprintf("random:%d:%g", s.rand.Uint64(), []float64{0.005, 0.02, 0.1}[s.rand.IntN(3)])
}

// longest is how long a call may go on that is to kill itself and does not.
const longest = 8 * time.Second

// call calls the program and kills it at some moment if it has not done that
// itself.
func (s *soaking) call(args ...string) outcome {
	s.t.Helper()
	order, while := s.order(args[0]), longest
	if order == "" {
		while = s.moment()
	}
	c := s.begin(order, args...)
	if !c.over(while) {
		c.kill()
	}
	return s.judge(c.outcome())
}

// judge counts how a call ended, and reports an end that nothing explains.
func (s *soaking) judge(o outcome) outcome {
	s.t.Helper()
	switch {
	case o.point != "":
		s.tally.count(s.tally.kills, o.point)
	case o.killed:
		s.tally.count(s.tally.kills, "at a random moment")
	case strings.Contains(o.stderr, "the catalog is held by another process"):
		s.tally.count(s.tally.operations, "two at once, one refused")
	case strings.Contains(o.stderr, "panic:") || strings.Contains(o.stderr, "fatal error:"):
		s.violation("it broke down: %s", o)
	case o.code == 2 || o.code == 4 || o.code != 0 && s.fault == "":
		s.violation("nothing was wrong: %s", o)
	}
	return o
}

// moment is a while in which much may happen or little.
func (s *soaking) moment() time.Duration {
	return time.Duration(s.rand.Int64N(int64([]time.Duration{100, 600, 3000}[s.rand.IntN(3)] * time.Millisecond)))
}

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

// power takes the power away from a snapshot or a service.
func (s *soaking) power() {
	s.t.Helper()
	args := [][]string{{"snapshot", "--json"}, {"serve"}}[s.rand.IntN(2)]
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
	from := s.sites[s.rand.IntN(2)].Name
	if err := os.RemoveAll(s.data); err != nil {
		s.t.Fatal(err)
	}
	for s.call("catalog", "rebuild", "--from", from).code != 0 {
		s.check()
	}
	s.settle()
}

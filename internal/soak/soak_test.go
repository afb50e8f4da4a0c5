package soak

import (
	"fmt"
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
	shortSoak = 15 * time.Second
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
	rnd := rand.New(rand.NewPCG(seed(t), 11))
	total := newTally()
	pair := testenv.PrivateSites(t)
	began := time.Now()
	var end time.Time // counted from when the first generation is ready
	for n := 0; (n == 0 || time.Now().Before(end)) && !t.Failed(); n++ {
		t.Run(fmt.Sprintf("generation-%d", n), func(t *testing.T) {
			s := newSoaking(t, pair, rnd, total)
			if n == 0 {
				end = time.Now().Add(duration)
			}
			s.until(end)
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
	// rebuilt says that the host was lost: what one site had already deleted, or
	// not yet taken, of the former host's commits may be found at the other one.
	// They are those of another writer, beside whom nothing is deleted for a while.
	rebuilt bool
	// again is set while a rebuild is made that was cut short before.
	again bool
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

// isRebuilt is what a rebuild says of a catalog that knows snapshots.
const isRebuilt = "the catalog is not empty"

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
	case s.again && strings.Contains(o.stderr, isRebuilt):
		s.tally.count(s.tally.operations, "rebuild again, which had come to its end")
	case s.rebuilt && strings.Contains(o.stderr, "commits of another backupd were found"):
		s.tally.count(s.tally.operations, "sweep put off after the loss of the host")
	case o.code == 2 || o.code == 4 || o.code != 0 && s.fault == "":
		s.violation("nothing was wrong: %s", o)
	}
	return o
}

// moment is a while in which much may happen or little.
func (s *soaking) moment() time.Duration {
	return time.Duration(s.rand.Int64N(int64([]time.Duration{100, 600, 3000}[s.rand.IntN(3)] * time.Millisecond)))
}

package schedule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/saypro/backupd/internal/clock"
)

// world is a Runner and a History whose runs take the time that a test says.
// It checks at all times that no function overlaps with itself.
type world struct {
	clock clock.Clock
	// take says how long run n (from 0) of a function lasts and how it ends.
	take func(function string, n int) (time.Duration, error)
	// prove is the same for proofs; nil: 1s, passed.
	prove func(function, site string) (time.Duration, error)
	// sleepless runs ignore their context, as a stuck one does.
	deaf map[string]bool

	mu        sync.Mutex
	durations map[string][]time.Duration
	points    map[string]time.Time
	proofs    map[string]time.Time // by function/site
	changes   map[string]Change
	active    map[string]bool
	runs      map[string]int
	started   []string    // what was started, in order
	times     []time.Time // when
	worst     map[string]time.Duration
	most      int // snapshots at once
	faults    []string
}

var errPlanned = errors.New("planned failure")

func newWorld(c clock.Clock) *world {
	return &world{
		clock: c, take: func(string, int) (time.Duration, error) { return time.Second, nil },
		deaf: map[string]bool{}, durations: map[string][]time.Duration{}, points: map[string]time.Time{}, proofs: map[string]time.Time{}, changes: map[string]Change{},
		active: map[string]bool{}, runs: map[string]int{}, worst: map[string]time.Duration{},
	}
}

func (w *world) begin(what string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.active[what] {
		w.faults = append(w.faults, what+" overlaps with itself")
	}
	w.active[what] = true
	w.started = append(w.started, what)
	w.times = append(w.times, w.clock.Now())
	n = w.runs[what]
	w.runs[what]++
	w.most = max(w.most, len(w.active))
	return n
}

func (w *world) end(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.active, what)
}

func (w *world) sleep(ctx context.Context, what string, d time.Duration) error {
	if w.deaf[what] {
		ctx = context.WithoutCancel(ctx)
	}
	return w.clock.Sleep(ctx, d)
}

func (w *world) Snapshot(ctx context.Context, function string) error {
	n := w.begin(function)
	defer w.end(function)
	consistent := w.clock.Now()
	d, err := w.take(function, n)
	if serr := w.sleep(ctx, function, d); serr != nil {
		return serr
	}
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, ok := w.points[function]; ok {
		w.worst[function] = max(w.worst[function], w.clock.Now().Sub(last))
	}
	// The newest by its time, as a catalog would find it.
	if consistent.After(w.points[function]) {
		w.points[function] = consistent
	}
	ds := append(w.durations[function], d)
	if len(ds) > 99 { // keep the first, which tests use to state the p99
		ds = append(ds[:1:1], ds[len(ds)-98:]...)
	}
	w.durations[function] = ds
	return nil
}

func (w *world) Prove(ctx context.Context, function, site string) error {
	what := function + "/" + site
	w.begin(what)
	defer w.end(what)
	d, err := time.Second, error(nil)
	if w.prove != nil {
		d, err = w.prove(function, site)
	}
	if serr := w.sleep(ctx, what, d); serr != nil {
		return serr
	}
	if err == nil {
		w.mu.Lock()
		w.proofs[what] = w.clock.Now()
		w.mu.Unlock()
	}
	return err
}

func (w *world) ProveChange(ctx context.Context, function, site string) error {
	what := function + "/" + site + "!"
	w.begin(what)
	defer w.end(what)
	last := w.clock.Now()
	d, err := time.Second, error(nil)
	if w.prove != nil {
		d, err = w.prove(function, site)
	}
	if serr := w.sleep(ctx, what, d); serr != nil {
		return serr
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.changes[function]
	c.Last = last
	if err == nil {
		c.Sites = nil
	}
	w.changes[function] = c
	return err
}

func (w *world) Changed(function string) Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes[function]
}

// change makes the definitions of a function change now.
func (w *world) change(function string, sites ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.changes[function]
	c.Sites, c.Since = sites, w.clock.Now()
	w.changes[function] = c
}

func (w *world) Durations(function string) []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Duration(nil), w.durations[function]...)
}

func (w *world) LastPoint(function string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.points[function]
	return t, ok
}

func (w *world) LastProof(function, site string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.proofs[function+"/"+site]
	return t, ok
}

// log returns what was started so far and when, in seconds since from.
func (w *world) log(from time.Time) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for i, s := range w.started {
		out = append(out, fmt.Sprintf("%s@%v", s, w.times[i].Sub(from)))
	}
	return out
}

// count returns how often each of the named was started, together.
func (w *world) count(names ...string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		n += w.runs[name]
	}
	return n
}

// gaps returns the times between starts.
func (w *world) gaps() (gaps []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := 1; i < len(w.times); i++ {
		gaps = append(gaps, w.times[i].Sub(w.times[i-1]))
	}
	return gaps
}

// wall is a clock of the machine, in virtual time, without monotonic readings
// and with a step that a test can set: what a daemon gets from its catalog.
type wall struct {
	mu   sync.Mutex
	step time.Duration
}

func (w *wall) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return clock.System.Now().Round(0).Add(w.step).UTC()
}

func (w *wall) Sleep(ctx context.Context, d time.Duration) error { return clock.System.Sleep(ctx, d) }

func (w *wall) set(step time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.step = step
}

// bench is a scheduler that runs in a world.
type bench struct {
	w    *world
	s    *Scheduler
	wall *wall
	logs *logBuffer
	stop func() // ends Run and waits for it
	from time.Time
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run starts a scheduler in virtual time. prepare may change world and options
// before it starts. To be called inside a synctest bubble.
func run(t *testing.T, prepare func(*world, *Options), jobs ...Job) *bench {
	t.Helper()
	c := &wall{}
	w, logs := newWorld(c), &logBuffer{}
	o := Options{Jobs: jobs, Sites: []string{"onsite", "cloud"}, Runner: w, History: w, Clock: c, Log: slog.New(slog.NewTextHandler(logs, nil))}
	if prepare != nil {
		prepare(w, &o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	b := &bench{w: w, s: s, wall: c, logs: logs, from: c.Now()}
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		for _, f := range w.faults {
			t.Error(f)
		}
	})
	t.Cleanup(b.stop)
	return b
}

// pass lets virtual time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

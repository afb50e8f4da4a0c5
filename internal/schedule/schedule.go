// Package schedule decides when each function is captured and proven: the
// planner derives intervals from the objectives and from measured durations,
// the queue runs what is due, the earliest deadline first.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/config"
)

// Job is one function's share of the schedule.
type Job struct {
	Function string
	// RPO is the promise; Tolerate is how many runs in a row may fail without
	// breaking it.
	RPO      time.Duration
	Tolerate int
	// Cron is a cron expression instead of the derived interval, or empty.
	Cron string
	// Priority decides between equal deadlines; the lower goes first.
	Priority int
	// ProveEvery is the time between proofs of the function; 0: none.
	ProveEvery time.Duration
}

// Runner does the work.
type Runner interface {
	// Snapshot captures the function; nil means that a new recovery point is
	// durable at as many sites as the configuration asks for. It must return
	// soon after ctx ends. It is never called twice at once for a function.
	Snapshot(ctx context.Context, function string) error
	// Prove proves the newest recovery point of the function at the site.
	Prove(ctx context.Context, function, site string) error
	// ProveChange proves at the site what History.Changed told of.
	ProveChange(ctx context.Context, function, site string) error
}

// History tells what is on record. It is asked often, from several
// goroutines, and must answer from memory or the local catalog.
type History interface {
	// Durations are recent times from a run's start until its point was
	// durable, in any order.
	Durations(function string) []time.Duration
	// LastPoint is the consistency point of the newest durable recovery point.
	LastPoint(function string) (time.Time, bool)
	// LastProof is when the newest proof of the function at the site ended,
	// those of changes left out.
	LastProof(function, site string) (time.Time, bool)
	// Changed tells of definitions that no proof has looked at yet; without
	// sites there are none.
	Changed(function string) Change
}

// DefaultSlots is how many functions are captured at once. Not one: a long
// capture, or a stuck one, would hold up a function whose RPO is shorter than
// that capture. Not more: each capture costs the source several connections
// and its share of disk reads.
const DefaultSlots = 2

// Options are what a Scheduler needs.
type Options struct {
	Jobs []Job
	// Sites that proofs take turns over, in order of preference.
	Sites   []string
	Runner  Runner
	History History
	Clock   clock.Clock
	Log     *slog.Logger
	// Slots is how many snapshots may run at once; 0 means [DefaultSlots].
	Slots int
}

// Scheduler runs the jobs. Its methods are safe for concurrent use.
type Scheduler struct {
	opts  Options
	slots int
	done  chan outcome

	mu   sync.Mutex
	jobs []*job // in the order of Options.Jobs
	byID map[string]*job
}

// job is a Job with its state. Fields below the line are guarded by
// Scheduler.mu.
type job struct {
	Job
	cron cron.Schedule // nil: derived interval
	gap  time.Duration // longest gap of cron

	snapshot, proof activity
	proofs          map[string]time.Time // last attempt by site
	change          time.Time            // last attempt at a proof of a change
	problem         string               // last one that was logged
}

// activity is what is known about runs of one kind for one function.
type activity struct {
	running bool
	started time.Time // of the run that goes on, or of the last
	good    time.Time // start of the last run that succeeded
	failed  int       // failed runs since then
	retry   time.Time // not before; zero when the last run succeeded
	lent    bool      // its slot was given to another
}

// work is what a run does.
type work struct {
	proof  bool
	change bool   // a proof beside the turns, because definitions changed
	site   string // of a proof
}

// outcome is the end of a run.
type outcome struct {
	job *job
	of  work
	err error
}

// New checks the jobs and returns a scheduler that stands still until Run.
func New(o Options) (*Scheduler, error) {
	s := &Scheduler{opts: o, slots: o.Slots, done: make(chan outcome, 2*len(o.Jobs)), byID: map[string]*job{}}
	if s.slots <= 0 {
		s.slots = DefaultSlots
	}
	if s.opts.Log == nil {
		s.opts.Log = slog.New(slog.DiscardHandler)
	}
	if s.opts.Clock == nil {
		s.opts.Clock = clock.System
	}
	for _, j := range o.Jobs {
		added, err := newJob(j)
		if err != nil {
			return nil, err
		}
		if s.byID[j.Function] != nil {
			return nil, fmt.Errorf("schedule: function %s is listed twice", j.Function)
		}
		s.byID[j.Function] = added
		s.jobs = append(s.jobs, added)
	}
	return s, nil
}

func newJob(j Job) (*job, error) {
	if j.Function == "" || j.RPO <= 0 {
		return nil, fmt.Errorf("schedule: function %q with an RPO of %v", j.Function, j.RPO)
	}
	added := &job{Job: j, proofs: map[string]time.Time{}}
	if j.Cron == "" {
		return added, nil
	}
	c, err := config.ParseCron(j.Cron)
	if err != nil {
		return nil, fmt.Errorf("schedule: function %s: %w", j.Function, err)
	}
	added.cron, added.gap = c, config.LongestGap(c)
	if added.gap == 0 {
		return nil, fmt.Errorf("schedule: function %s: cron %q never comes", j.Function, j.Cron)
	}
	return added, nil
}

// ErrUnknownFunction is returned for a function that has no job.
var ErrUnknownFunction = errors.New("no such function in the schedule")

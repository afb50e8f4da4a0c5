package schedule

import (
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/saypro/backupd/internal/objective"
)

const (
	// minGap keeps runs of one function apart whatever the formula says.
	minGap = time.Second
	// maxSpread bounds the part of an RPO that is given away for spreading.
	maxSpread = 30 * time.Second
)

// Plan is what the planner has decided for a function, and why.
type Plan struct {
	Function string `json:"function"`
	// Interval is the time between two runs; for a cron expression its longest
	// gap. 0: back to back.
	Interval time.Duration `json:"interval"`
	// P99 is the measured time from a run's start until its point is durable.
	P99 time.Duration `json:"p99"`
	// Guessed says that nothing has been measured yet; see [guess].
	Guessed bool `json:"guessed"`
	// Jitter is how late a run may be started on purpose, to spread functions.
	Jitter time.Duration `json:"jitter"`
	// Wait is how long a run may have to wait for another to end.
	Wait time.Duration `json:"wait"`
	// Deadline is when the RPO is broken unless a newer point is durable. Zero:
	// there is no point yet.
	Deadline time.Time `json:"deadline"`
	// Reason explains the interval. Problem is empty when the RPO can be met,
	// else it says why not, before it is broken.
	Reason  string `json:"reason"`
	Problem string `json:"problem,omitempty"`
}

// derived is the schedule of a function without a cron expression.
type derived struct{ interval time.Duration }

var _ cron.Schedule = derived{}

// Next returns the start that follows a run whose point is of time t.
func (d derived) Next(t time.Time) time.Time { return t.Add(max(d.interval, minGap)) }

// guess stands for the p99 of a function that was never captured: half of what
// its RPO could bear. So the first interval leaves room for a surprise, and
// the first run replaces the guess.
func guess(j Job) time.Duration { return j.RPO / time.Duration(2*(2+j.Tolerate)) }

// spread is what the planner gives away of an RPO so that functions with equal
// objectives do not start at one instant.
func spread(j Job) time.Duration { return min(j.RPO/20, maxSpread) }

// Plan returns the plan of a function; of one that has no job, a plan with
// nothing but the problem.
func (s *Scheduler) Plan(function string) Plan {
	j := s.byID[function]
	if j == nil {
		return Plan{Function: function, Problem: ErrUnknownFunction.Error()}
	}
	return s.plan(j, s.measure())
}

// measures are the p99s of the functions that have been measured.
type measures map[*job]time.Duration

func (s *Scheduler) measure() measures {
	m := measures{}
	for _, j := range s.jobs {
		if d := s.opts.History.Durations(j.Function); len(d) > 0 {
			m[j] = objective.P99(d)
		}
	}
	return m
}

// wait is how long a run of j may have to wait for a slot: when there are
// fewer slots than functions, one run of another that has just begun.
func (s *Scheduler) wait(j *job, m measures) time.Duration {
	if len(s.jobs) <= s.slots {
		return 0
	}
	var longest time.Duration
	for other, p99 := range m {
		if other != j {
			longest = max(longest, p99)
		}
	}
	return longest
}

// plan needs no lock: it reads what never changes, and the history.
func (s *Scheduler) plan(j *job, m measures) Plan {
	p := Plan{Function: j.Function, Wait: s.wait(j, m)}
	p99, measured := m[j]
	p.P99, p.Guessed = p99, !measured
	if p.Guessed {
		p.P99 = guess(j.Job)
	}
	if j.cron == nil {
		p.Jitter = spread(j.Job)
	}
	if last, ok := s.opts.History.LastPoint(j.Function); ok {
		p.Deadline = last.Add(j.RPO)
	}
	interval, err := objective.Interval(j.RPO, p.P99, p.Jitter+p.Wait, j.Tolerate)
	if err != nil {
		p.Problem = err.Error()
		var unmet *objective.UnmeetableError
		if errors.As(err, &unmet) && p.Wait > 0 {
			p.Problem += fmt.Sprintf(" (of the delay, %v is another function's run that may hold the slot)", p.Wait)
		}
	}
	p.Interval = interval
	p.Reason = fmt.Sprintf("(RPO %v − p99 %v − spread %v − wait %v) / (1 + %d tolerated)", j.RPO, p.P99, p.Jitter, p.Wait, j.Tolerate)
	if p.Guessed {
		p.Reason += ", p99 guessed until the first run is measured"
	}
	if j.cron != nil {
		p.cron(j, interval)
	}
	return p
}

// cron holds a cron expression against the interval that the formula allows.
func (p *Plan) cron(j *job, allowed time.Duration) {
	p.Interval = j.gap
	p.Reason = fmt.Sprintf("cron %s, runs up to %v apart; %s allows %v", j.Cron, j.gap, p.Reason, allowed)
	if p.Problem == "" && j.gap > allowed {
		p.Problem = fmt.Sprintf("an RPO of %v cannot be met: cron %s leaves up to %v between runs, and at most %v is allowed: %s",
			j.RPO, j.Cron, j.gap, allowed, "a run takes "+p.P99.String()+" until it is durable (p99)")
	}
}

// next returns when a run of j is due, given the time its last good point is of.
func (p Plan) next(j *job, anchor time.Time) time.Time {
	if j.cron != nil {
		return j.cron.Next(anchor)
	}
	return derived{p.Interval}.Next(anchor).Add(p.offset(anchor))
}

// offset is the same for a function and an anchor, and different for others.
func (p Plan) offset(anchor time.Time) time.Duration {
	if p.Jitter <= 0 || p.Problem != "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, p.Function, anchor.UnixNano())
	return time.Duration(h.Sum64() % uint64(p.Jitter))
}

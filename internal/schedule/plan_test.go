package schedule

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func planOf(t *testing.T, slots int, durations map[string][]time.Duration, jobs ...Job) Plan {
	t.Helper()
	w := newWorld(&wall{})
	w.durations = durations
	s, err := New(Options{Jobs: jobs, Runner: w, History: w, Clock: w.clock, Slots: slots})
	if err != nil {
		t.Fatal(err)
	}
	p := s.Plan(jobs[0].Function)
	p.Reason = ""
	return p
}

func TestPlan(t *testing.T) {
	min := func(n ...int) (ds []time.Duration) {
		for _, m := range n {
			ds = append(ds, time.Duration(m)*time.Minute)
		}
		return ds
	}
	f := Job{Function: "f", RPO: 15 * time.Minute}
	for _, c := range []struct {
		name      string
		job       Job
		others    []Job
		durations map[string][]time.Duration
		want      Plan
	}{
		{
			"measured", f, nil,
			map[string][]time.Duration{"f": min(1, 2, 1)},
			Plan{Function: "f", Interval: 12*time.Minute + 30*time.Second, P99: 2 * time.Minute, Jitter: 30 * time.Second},
		},
		{
			"one failure tolerated",
			Job{Function: "f", RPO: 15 * time.Minute, Tolerate: 1},
			nil,
			map[string][]time.Duration{"f": min(2)},
			Plan{Function: "f", Interval: 6*time.Minute + 15*time.Second, P99: 2 * time.Minute, Jitter: 30 * time.Second},
		},
		{
			"guessed",
			Job{Function: "f", RPO: 8 * time.Minute},
			nil, nil,
			Plan{Function: "f", Interval: 8*time.Minute - 2*time.Minute - 24*time.Second, P99: 2 * time.Minute, Guessed: true, Jitter: 24 * time.Second},
		},
		{
			"more functions than slots", f,
			[]Job{{Function: "g", RPO: time.Hour}, {Function: "h", RPO: time.Hour}},
			map[string][]time.Duration{"f": min(2), "g": min(3), "h": min(1)},
			Plan{Function: "f", Interval: 9*time.Minute + 30*time.Second, P99: 2 * time.Minute, Jitter: 30 * time.Second, Wait: 3 * time.Minute},
		},
		{
			"not to be met",
			Job{Function: "f", RPO: 3 * time.Minute},
			nil,
			map[string][]time.Duration{"f": min(2)},
			Plan{
				Function: "f", Interval: 51 * time.Second, P99: 2 * time.Minute, Jitter: 9 * time.Second,
				Problem: "an RPO of 3m0s cannot be met: a run takes 2m0s until it is durable (p99), up to 9s may pass before it starts, and no failed run is tolerated; the least that can be met is 4m9s",
			},
		},
		{
			"cron",
			Job{Function: "f", RPO: 15 * time.Minute, Cron: "*/10 * * * *"},
			nil,
			map[string][]time.Duration{"f": min(2)},
			Plan{Function: "f", Interval: 10 * time.Minute, P99: 2 * time.Minute},
		},
		{
			"cron that became too rare",
			Job{Function: "f", RPO: 15 * time.Minute, Cron: "*/10 * * * *"},
			nil,
			map[string][]time.Duration{"f": min(7)},
			Plan{
				Function: "f", Interval: 10 * time.Minute, P99: 7 * time.Minute,
				Problem: "an RPO of 15m0s cannot be met: cron */10 * * * * leaves up to 10m0s between runs, and at most 8m0s is allowed: a run takes 7m0s until it is durable (p99)",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := planOf(t, 2, c.durations, append([]Job{c.job}, c.others...)...)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanHasItsDeadlineAndReason(t *testing.T) {
	w := newWorld(&wall{})
	point := w.clock.Now().Add(-time.Minute)
	w.points["f"] = point
	s, err := New(Options{Jobs: []Job{{Function: "f", RPO: time.Hour}}, Runner: w, History: w, Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	p := s.Plan("f")
	if !p.Deadline.Equal(point.Add(time.Hour)) || !strings.Contains(p.Reason, "RPO 1h0m0s − p99 15m0s") || !strings.Contains(p.Reason, "guessed") {
		t.Errorf("%+v", p)
	}
	if p := s.Plan("g"); p.Problem == "" || !s.Next("g").IsZero() {
		t.Errorf("a function without a job: %+v, %v", p, s.Next("g"))
	}
}

func TestGuessCanAlwaysBeMet(t *testing.T) {
	for tolerate := range 11 {
		j := Job{Function: "f", RPO: time.Duration(tolerate+2) * time.Second, Tolerate: tolerate}
		if p := planOf(t, 2, nil, j); p.Problem != "" {
			t.Errorf("%d tolerated: %s", tolerate, p.Problem)
		}
	}
}

// TestUnmeetableIsReportedAndRunBackToBack: the RPO is shorter than a run.
func TestUnmeetableIsReportedAndRunBackToBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, func(w *world, o *Options) {
			w.durations["f"] = []time.Duration{2 * time.Minute}
			w.points["f"] = w.clock.Now()
			w.take = func(string, int) (time.Duration, error) { return 2 * time.Minute, nil }
		}, Job{Function: "f", RPO: time.Minute})
		synctest.Wait()
		if n := strings.Count(b.logs.String(), "cannot be met"); n != 2 { // the message and its problem
			t.Errorf("not reported before it is broken:\n%s", b.logs)
		}
		pass(time.Hour)
		b.stop()
		if n := b.w.runs["f"]; n != 30 {
			t.Errorf("%d runs in an hour, want 30 back to back", n)
		}
		if n := strings.Count(b.logs.String(), "the objective cannot be met"); n != 1 {
			t.Errorf("reported %d times", n)
		}
	})
}

func TestCronStartsAtItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pass(7 * time.Minute) // the bubble begins at midnight
		b := run(t, func(w *world, o *Options) {
			w.points["f"] = w.clock.Now().Add(-6 * time.Minute) // 00:01, before the last */5
		}, Job{Function: "f", RPO: time.Hour, Cron: "*/5 * * * *"})
		pass(14 * time.Minute)
		if next := b.s.Next("f"); next.Format("15:04:05") != "00:25:00" {
			t.Errorf("next at %v", next)
		}
		b.stop()
		midnight := b.from.Truncate(24 * time.Hour)
		if diff := cmp.Diff([]string{"f@7m0s", "f@10m0s", "f@15m0s", "f@20m0s"}, b.w.log(midnight)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestSpreadKeepsEqualFunctionsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var jobs []Job
		for _, f := range []string{"a", "b", "c", "d"} {
			jobs = append(jobs, Job{Function: f, RPO: time.Hour})
		}
		b := run(t, func(w *world, o *Options) { o.Slots = 4 }, jobs...)
		pass(3 * time.Hour)
		b.stop()
		at := map[time.Time]int{}
		for _, when := range b.w.times[4:] {
			at[when]++
		}
		if len(at) != len(b.w.times)-4 || len(at) < 8 {
			t.Errorf("starts at the same instant: %v", b.w.log(b.from))
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for want, jobs := range map[string][]Job{
		"listed twice": {{Function: "f", RPO: time.Hour}, {Function: "f", RPO: time.Minute}},
		"RPO":          {{Function: "f"}},
		`function ""`:  {{RPO: time.Hour}},
		"cron":         {{Function: "f", RPO: time.Hour, Cron: "soon"}},
		"never comes":  {{Function: "f", RPO: time.Hour, Cron: "0 0 30 2 *"}},
	} {
		if _, err := New(Options{Jobs: jobs}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

package schedule

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/objective"
)

// scenario is what a model run is made of; drawn before the bubble begins.
type scenario struct {
	slots int
	jobs  []Job
	run   map[string]time.Duration // the longest a good run takes
	fail  map[string]time.Duration // the longest a failing run takes
	luck  map[string][]int         // per run: share of run or fail in percent, negative: fails
}

// drawScenario draws functions whose objectives the formula says can be met,
// with at most one function more than there are slots: for those the wait is
// bounded by one run of another.
func drawScenario(t *rapid.T) scenario {
	sc := scenario{slots: rapid.IntRange(1, 3).Draw(t, "slots"), run: map[string]time.Duration{}, fail: map[string]time.Duration{}, luck: map[string][]int{}}
	n := rapid.IntRange(1, sc.slots+1).Draw(t, "functions")
	longest := time.Duration(0)
	for i := range n {
		name := fmt.Sprintf("f%d", i)
		sc.run[name] = time.Duration(rapid.IntRange(20, 300).Draw(t, "run")) * time.Second
		longest = max(longest, sc.run[name])
		sc.jobs = append(sc.jobs, Job{Function: name, Tolerate: rapid.IntRange(0, 3).Draw(t, "tolerate"), Priority: rapid.IntRange(1, 3).Draw(t, "priority")})
	}
	for i := range sc.jobs {
		j := &sc.jobs[i]
		run, runs := sc.run[j.Function], time.Duration(1+j.Tolerate)
		wait := time.Duration(0)
		if n > sc.slots {
			wait = longest
		}
		// The least that can be met, with 5 % given away for spreading, and more.
		least := ((runs+1)*run + runs*(minRetry+wait) + wait) * 20 / 19
		j.RPO = least + least*time.Duration(rapid.IntRange(1, 300).Draw(t, "slack"))/100
		interval, err := objective.Interval(j.RPO, run, spread(*j)+wait, j.Tolerate)
		if err != nil {
			t.Fatalf("the scenario cannot be met: %v", err)
		}
		// The formula counts on a failure that shows before the next start.
		sc.fail[j.Function] = min(run, interval-minRetry-wait)
		sc.luck[j.Function] = rapid.SliceOfN(rapid.IntRange(-100, 100), 1, 40).Draw(t, "luck")
	}
	return sc
}

// take plays a function's luck, never with more failures in a row than are
// tolerated, and with the longest good run now and then.
func (sc scenario) take(failed map[string]int, tolerate map[string]int) func(string, int) (time.Duration, error) {
	return func(f string, n int) (time.Duration, error) {
		luck := sc.luck[f][n%len(sc.luck[f])]
		if luck < 0 && failed[f] < tolerate[f] {
			failed[f]++
			return sc.fail[f] * time.Duration(-luck) / 100, errPlanned
		}
		failed[f] = 0
		return sc.run[f] * time.Duration(max(luck, -luck)) / 100, nil
	}
}

// TestModelExposureStaysWithinTheRPO simulates days of good and failed runs:
// while no more runs fail in a row than are tolerated, and none takes longer
// than the p99 that was measured, the exposure never exceeds the RPO.
func TestModelExposureStaysWithinTheRPO(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sc := drawScenario(rt)
		var problem string
		synctest.Test(t, func(t *testing.T) { problem = simulate(t, sc) })
		if problem != "" {
			rt.Fatalf("%s\nin %+v", problem, sc)
		}
	})
}

func simulate(t *testing.T, sc scenario) string {
	tolerate, rpo, longest := map[string]int{}, map[string]time.Duration{}, time.Duration(0)
	for _, j := range sc.jobs {
		tolerate[j.Function], rpo[j.Function] = j.Tolerate, j.RPO
		longest = max(longest, j.RPO)
	}
	b := run(t, func(w *world, o *Options) {
		play := sc.take(map[string]int{}, tolerate)
		w.take = func(f string, n int) (time.Duration, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return play(f, n)
		}
		for f, d := range sc.run {
			w.durations[f] = []time.Duration{d}
		}
		o.Slots = sc.slots
	}, sc.jobs...)
	pass(min(25*longest, 72*time.Hour))
	b.stop()
	for f, worst := range b.w.worst {
		last := b.w.clock.Now().Sub(b.w.points[f])
		if worst = max(worst, last); worst > rpo[f] {
			return fmt.Sprintf("%s was exposed for %v, with an RPO of %v, after %d runs", f, worst, rpo[f], b.w.runs[f])
		}
	}
	for f := range rpo {
		if b.w.runs[f] < 15 {
			return fmt.Sprintf("%s ran only %d times", f, b.w.runs[f])
		}
	}
	if b.w.most > sc.slots {
		return fmt.Sprintf("%d snapshots at once in %d slots", b.w.most, sc.slots)
	}
	if len(b.w.faults) > 0 {
		return b.w.faults[0]
	}
	return ""
}

// TestModelNoticesTooLateRuns is the control of the model: the same with runs
// that take longer than what was measured must break the RPO.
func TestModelNoticesTooLateRuns(t *testing.T) {
	sc := scenario{
		slots: 1, jobs: []Job{{Function: "f0", RPO: 10 * time.Minute}},
		run: map[string]time.Duration{"f0": time.Minute}, fail: map[string]time.Duration{}, luck: map[string][]int{"f0": {100}},
	}
	var good, late string
	synctest.Test(t, func(t *testing.T) { good = simulate(t, sc) })
	sc.luck["f0"] = append(make([]int, 0, 60), 100, 100, 100, 700)
	synctest.Test(t, func(t *testing.T) { late = simulate(t, sc) })
	if good != "" || late == "" {
		t.Errorf("as measured: %q; longer than measured: %q", good, late)
	}
}

package objective

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// grow makes samples, several a day: start + perDay × days, times a noise of so
// much of the value, and now and then a wild day.
func grow(r *rand.Rand, days, each int, start, perDay, noise float64, wild int) []Sample {
	var out []Sample
	for d := range days {
		factor := 1.0
		if wild > 0 && r.IntN(wild) == 0 {
			factor = 5
		}
		for i := range each {
			at := float64(d) + float64(i)/float64(each)
			v := (start + perDay*at) * (1 + noise*r.NormFloat64()) * factor
			out = append(out, Sample{t0.Add(time.Duration(at * 24 * float64(time.Hour))), max(v, 0.001)})
		}
	}
	return out
}

// TestTheTrueDateLiesWithinTheInterval: with noise of 1, 5 and 15 % of the
// value and a wild day in ten, of 400 made-up growths at least 95 % must have
// their true date within what is told (which is meant for 99 %, of noise that is
// normal), and none may be missed.
func TestTheTrueDateLiesWithinTheInterval(t *testing.T) {
	const seed, rounds = 20261125, 400
	for _, noise := range []float64{0.01, 0.05, 0.15} {
		r := rand.New(rand.NewPCG(seed, uint64(noise*1000)))
		missed, outside, wide := 0, 0, 0.0
		for range rounds {
			days := 30 + r.IntN(90)
			start := 20 + 100*r.Float64()
			perDay := start * (0.01 + 0.02*r.Float64())
			limit := (start + perDay*float64(days)) * (1.2 + r.Float64())
			truth := t0.Add(time.Duration((limit - start) / perDay * 24 * float64(time.Hour)))
			now := t0.AddDate(0, 0, days)
			c, ok := FindTrend(grow(r, days, 8, start, perDay, noise, 10), true).Crosses(limit, now)
			switch {
			case !ok:
				missed++
			case truth.Before(c.Earliest), !c.Latest.IsZero() && truth.After(c.Latest), c.At.Before(c.Earliest):
				outside++
			default:
				wide += c.Latest.Sub(c.Earliest).Hours() / 24 / rounds
			}
		}
		t.Logf("seed %d, noise %v: %d missed, %d outside, %.0f days wide on average", seed, noise, missed, outside, wide)
		if missed > 0 || outside > rounds*5/100 {
			t.Errorf("noise %v: %d missed, %d of %d outside", noise, missed, outside, rounds)
		}
	}
}

// TestNoAlarmOnFlatNoise: of 2000 functions that do not grow, at most 4 may be
// said to, which is twice what a confidence of 99.9 % in both directions gives.
func TestNoAlarmOnFlatNoise(t *testing.T) {
	const seed = 7
	for _, noise := range []float64{0.01, 0.1, 0.3} {
		r := rand.New(rand.NewPCG(seed, uint64(noise*1000)))
		alarms := 0
		for range 2000 {
			days := 14 + r.IntN(60)
			if _, ok := FindTrend(grow(r, days, 4, 60, 0, noise, 15), false).Crosses(100, t0.AddDate(0, 0, days)); ok {
				alarms++
			}
		}
		if alarms > 4 {
			t.Errorf("seed %d, noise %v: %d alarms", seed, noise, alarms)
		}
	}
}

func TestTrendWithoutNoiseIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.IntRange(minTrendDays, 200).Draw(t, "days")
		perDay := rapid.Float64Range(0.01, 10).Draw(t, "per day")
		limit := 10 + perDay*float64(days)*2
		r := rand.New(rand.NewPCG(1, 1))
		trend := FindTrend(grow(r, days, 1, 10, perDay, 0, 0), false)
		// A day's value counts for its noon.
		truth := t0.Add(time.Duration(((limit-10)/perDay + 0.5) * 24 * float64(time.Hour)))
		c, ok := trend.Crosses(limit, t0.AddDate(0, 0, days))
		if !ok || c.At.Sub(truth).Abs() > time.Minute || c.Latest.Sub(c.Earliest) > time.Minute {
			t.Fatalf("%+v, %v, want %v", c, ok, truth)
		}
		if got := trend.At(t0.Add(12 * time.Hour)); math.Abs(got-10) > 0.001 && days <= maxTrendDays {
			t.Fatalf("level of the first day %v", got)
		}
	})
}

func TestTooFewDaysTellNoTrend(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for days, want := range map[int]string{0: "0 days with measurements, at least 14 are needed", 1: "1 day with measurements, at least 14 are needed", 13: "13 days with measurements, at least 14 are needed", 14: ""} {
		trend := FindTrend(grow(r, days, 100, 10, 1, 0.01, 0), false)
		if trend.TooFew != want {
			t.Errorf("%d days: %q", days, trend.TooFew)
		}
		if _, ok := trend.Crosses(1000, t0); ok != (want == "") {
			t.Errorf("%d days: crosses %v", days, ok)
		}
	}
	if _, ok := FindTrend(grow(r, 60, 4, 100, -1, 0.01, 0), false).Crosses(50, t0); ok {
		t.Error("what becomes less exceeds nothing")
	}
	if _, ok := FindTrend(grow(r, 60, 4, 100, 0.001, 0, 0), false).Crosses(1e6, t0); ok {
		t.Error("in a million days is not worth telling")
	}
}

// TestLongestRunIsWhereTheIntervalEnds holds it against the formula itself.
func TestLongestRunIsWhereTheIntervalEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rpo := time.Duration(rapid.IntRange(10, 4000).Draw(t, "rpo")) * time.Second
		delay := time.Duration(rapid.IntRange(0, 9).Draw(t, "delay")) * time.Second
		k := rapid.IntRange(0, 5).Draw(t, "tolerated")
		longest := LongestRun(rpo, delay, k)
		if _, err := Interval(rpo, longest, delay, k); err != nil && longest > 0 {
			t.Fatalf("a run of %v can be met: %v", longest, err)
		}
		if _, err := Interval(rpo, longest+time.Microsecond, delay, k); err == nil {
			t.Fatalf("longer than %v can be met, too", longest)
		}
	})
}

package evidence

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/objective"
)

// benchDays are what docs/benchmarks.md is about: a function that
// runs every five minutes, for three years.
const benchDays = 3 * 365

// dayOfRuns is a day with 288 runs to two sites and a proof every six hours.
func dayOfRuns(begin time.Time, r *rand.Rand) []DayPoint {
	var points []DayPoint
	for i := range 288 {
		at := begin.Add(time.Duration(i)*5*time.Minute).UnixMilli() + r.Int64N(4000)
		p := DayPoint{
			Consistent: at, Started: at - 100 - r.Int64N(200), Bytes: 1<<31 + int64(i)*4096 + r.Int64N(4096),
			Durable: map[string]int64{"onsite": at + 15_000 + r.Int64N(8000), "cloud": at + 19_000 + r.Int64N(15000)},
		}
		if i%72 == 71 {
			p.Proven = map[string]int64{[]string{"onsite", "cloud"}[i/72%2]: at + 130_000 + r.Int64N(9000)}
		}
		points = append(points, p)
	}
	return points
}

// yearsOfRuns returns a log with the Days of three years, and their period.
func yearsOfRuns(b *testing.B) (*Log, time.Time, time.Time) {
	begin := time.Date(2023, 11, 1, 0, 0, 0, 0, time.UTC)
	c := clock.NewFake(begin)
	l := openLog(b, &memory{}, newSigner(b), c)
	note := func(r Record) {
		if _, err := l.Note(r); err != nil {
			b.Fatal(err)
		}
	}
	note(Record{Act: ActPolicy, Policy: &Policy{
		SHA256: hashOfNothing, Sites: []string{"onsite", "cloud"},
		Functions: map[string]FunctionObjective{"pay": {RPOSeconds: 360, RTOSeconds: 3600, ProveEverySeconds: 21600, ProveLevel: "L5"}},
	}})
	random := rand.New(rand.NewPCG(1, 2))
	bytes := 0
	for i := range benchDays {
		of := begin.AddDate(0, 0, i)
		c.Advance(24 * time.Hour)
		d := Day{
			Date: of.Format(time.DateOnly), First: uint64(i), Next: uint64(i + 1), Intents: 292, Results: 292,
			Points: foldPoints(dayOfRuns(of, random)),
			Silent: [][2]int64{{of.UnixMilli(), of.UnixMilli() + 100}, {of.UnixMilli() + 86_200_000, of.UnixMilli() + 86_400_000}},
		}
		note(Record{Act: ActDay, Function: "pay", Day: &d})
	}
	for e, err := range l.Envelopes(0, l.Size()) {
		if err != nil {
			b.Fatal(err)
		}
		bytes += len(e)
	}
	b.Logf("%d bytes of envelopes, %.1f a run", bytes, float64(bytes)/(benchDays*288))
	return l, begin, begin.AddDate(0, 0, benchDays)
}

const hashOfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// BenchmarkThreeYears reads and judges 315,360 runs.
func BenchmarkThreeYears(b *testing.B) {
	l, from, to := yearsOfRuns(b)
	var h objective.History
	b.Run("read", func(b *testing.B) {
		before := spent(b)
		for b.Loop() {
			var err error
			if h, err = History(l, "pay", from, to); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((spent(b)-before).Seconds()/float64(b.N), "cpu-s/op")
		if len(h.Runs) != benchDays*288 {
			b.Fatalf("%d runs", len(h.Runs))
		}
	})
	b.Run("judge", func(b *testing.B) {
		var a objective.Assessment
		before := spent(b)
		for b.Loop() {
			a = objective.Assess(h, from, to)
		}
		b.ReportMetric((spent(b)-before).Seconds()/float64(b.N), "cpu-s/op")
		for _, f := range a.Views {
			b.Logf("%v: max %v, p99 %v, attainment %.6f, %d violations", f.View, f.Maximum, f.P99, f.Attainment, len(f.Violations))
		}
	})
}

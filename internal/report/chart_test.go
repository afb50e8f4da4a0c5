package report

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/saypro/backupd/internal/evidence"
	"github.com/saypro/backupd/internal/objective"
)

var begin = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

// TestChartLosesNoPeak holds every column against the curve itself, looked at
// just before and at each of its changes.
func TestChartLosesNoPeak(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := objective.History{Policies: []objective.Policy{{From: begin, RPO: time.Hour, Sites: []string{"onsite"}}}}
		span := time.Duration(rapid.IntRange(1, 2_000_000).Draw(t, "seconds")) * time.Second
		for range rapid.IntRange(0, 40).Draw(t, "points") {
			c := begin.Add(time.Duration(rapid.Float64Range(-.1, 1).Draw(t, "consistent") * float64(span)))
			h.Add(objective.Point{Consistent: c, Durable: map[string]time.Time{
				"onsite": c.Add(time.Duration(rapid.Float64Range(0, .1).Draw(t, "durable after") * float64(span))),
			}})
		}
		p := &Period{From: begin, To: begin.Add(span), JudgedTo: begin.Add(span)}
		c, ok := p.chartOf(h, objective.Assess(h, p.From, p.To), objective.ScopeAny)
		if !ok {
			t.Fatal("no chart")
		}
		checkColumns(t, &c, h.Curve(objective.View{Scope: objective.ScopeAny}, []string{"onsite"}))
	})
}

func checkColumns(t *rapid.T, c *chart, curve objective.Curve) {
	const slack = 1e-3
	peak := 0.0
	for _, s := range curve.Segments(c.From, c.To) {
		if s.None {
			continue
		}
		low, high := s.From.Sub(s.Newest).Seconds(), s.To.Sub(s.Newest).Seconds()
		peak = math.Max(peak, high)
		if last := c.Columns[columnAt(c, s.To.Add(-1))]; !last.Known || last.Max < high-slack {
			t.Fatalf("the peak of %v at %v is not in %+v", high, s.To, last)
		}
		if first := c.Columns[columnAt(c, s.From)]; !first.Known || first.Min > max(low, 0)+slack {
			t.Fatalf("the low of %v at %v is not in %+v", low, s.From, first)
		}
	}
	if math.Abs(peak-c.Peak) > slack {
		t.Fatalf("the peak is %v, the chart says %v", peak, c.Peak)
	}
	for i, col := range c.Columns {
		if !col.Known {
			continue
		}
		from, to := c.at(i), c.at(i+1)
		worst := 0.0
		for _, s := range curve.Segments(from, to) {
			if !s.None {
				worst = math.Max(worst, s.To.Sub(s.Newest).Seconds())
			}
		}
		if col.Max > worst+slack && col.Max > 0 {
			t.Fatalf("column %d shows %v, the curve has %v there", i, col.Max, worst)
		}
	}
}

func columnAt(c *chart, t time.Time) int {
	first, _ := c.over(t, t.Add(1))
	return first
}

// TestEveryViolationIsShaded: however short it is.
func TestEveryViolationIsShaded(t *testing.T) {
	h := objective.History{Policies: []objective.Policy{{From: begin, RPO: 10 * time.Minute, Sites: []string{"onsite"}}}}
	for i := range 365 * 288 {
		c := begin.Add(time.Duration(i)*5*time.Minute - time.Minute)
		if i == 50_000 || i == 50_001 {
			continue
		}
		h.Add(objective.Point{Consistent: c, Durable: map[string]time.Time{"onsite": c.Add(40 * time.Second)}})
	}
	p := &Period{From: begin, To: begin.AddDate(1, 0, 0), JudgedTo: begin.AddDate(1, 0, 0)}
	c, _ := p.chartOf(h, objective.Assess(h, p.From, p.To), objective.ScopeAll)
	if c.Violations != 1 || math.Abs(c.Peak-940) > 1 {
		t.Fatalf("%d violations, peak %v", c.Violations, c.Peak)
	}
	drawn := string(c.svg(`<b>"payments"`))
	if strings.Count(drawn, `class="viol"`) != 1 || strings.Count(drawn, `class="mark"`) != 1 || strings.Contains(drawn, "<b>") {
		t.Error("the violation is not drawn once, or a name is not escaped")
	}
	if bad := regexp.MustCompile(`NaN|Inf|e[+-]\d`).FindString(drawn); bad != "" {
		t.Errorf("the drawing has a coordinate %s", bad)
	}
}

func TestSilencesAreFoundExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var records []evidence.Record
		var want []string
		now := begin
		for i := range rapid.IntRange(0, 60).Draw(t, "records") {
			gap := time.Duration(rapid.SampledFrom([]int{0, 1, 40, 69, 70, 71, 300}).Draw(t, "gap")) * time.Minute
			if i > 0 && gap > silenceLimit {
				want = append(want, fmt.Sprint(i-1, gap.Seconds()))
			}
			now = now.Add(gap)
			records = append(records, evidence.Record{Sequence: uint64(i), Time: now, Act: evidence.ActAlive, Phase: evidence.Event})
		}
		l := FromRecords(records, "", "")
		var got []string
		if l.Next > 0 {
			found, err := l.silences(l.First, l.Next-1, silenceLimit)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range found {
				got = append(got, fmt.Sprint(s.After, s.Seconds))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestWords(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0s", 0.31: "0.4s", 9.99: "10s", 12.2: "13s", 60: "1m", 3661: "1h 1m 1s", 86400: "1d", 1800: "30m", -3: "-3s", math.Inf(1): "unknown",
	} {
		if got := span(seconds); got != want {
			t.Errorf("span(%v) = %q, want %q", seconds, got, want)
		}
	}
	for share, want := range map[float64]string{
		1: "100 %", 0: "0 %", .5: "50.00 %", .99999: "99.999 %", .999999999: "99.9999999 %", .8666666: "86.66 %", .9998: "99.98 %",
	} {
		if got := percent(share); got != want {
			t.Errorf("percent(%v) = %q, want %q", share, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if share := rapid.Float64Range(0, 0.9999999999).Draw(t, "share"); strings.HasPrefix(percent(share), "100") {
			t.Fatalf("percent(%v) is %s", share, percent(share))
		}
	})
	for n, want := range map[int]string{0: "0 proofs", 1: "1 proof", 2: "2 proofs", 12345: "12\u00a0345 proofs"} {
		if got := plural(n, "proof"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

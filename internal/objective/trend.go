package objective

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// What a trend is made of at least: fewer days tell more of chance than of
// growth, and more than maxTrendDays tell of times long gone.
const (
	minTrendDays = 14
	minTrendSpan = 14 * 24 * time.Hour
	maxTrendDays = 180
	// farAhead is as far as a date is worth telling.
	farAhead = 10 * 365 * 24 * time.Hour
)

// Quantiles of the normal distribution. A trend is told only when its slope
// differs from 0 with a confidence of 99.9 %, so that the noise of something
// that does not grow raises an alarm less than once in a thousand times. Dates
// are given with a confidence of 99 %, for the slope and for the level each.
const (
	z999 = 3.291
	z99  = 2.576
)

// Sample is one value of something that may grow.
type Sample struct {
	At    time.Time
	Value float64
}

// Trend is how something grows, from one value for each day.
type Trend struct {
	// Days is how many days have a value, From and To the first and the last.
	Days     int
	From, To time.Time
	// Level is the value at the middle day Middle; PerDay the growth, and Low
	// and High its bounds with a confidence of 99 %.
	Middle                        time.Time
	Level, levelError             float64
	PerDay, PerDayLow, PerDayHigh float64
	// Significant says that there is growth or decline, and not only noise.
	Significant bool
	// TooFew says why nothing can be told; empty when something can.
	TooFew string
}

// FindTrend finds the trend of samples: the value of a day is the p99 of its
// samples by nearest rank, or their median.
//
// The slope is the median of the slopes between any two days (Theil 1950, Sen
// 1968), which up to 29 % of wild days do not move; its bounds are those of Sen:
// the slopes at the ranks (N ± z·√(n(n−1)(2n+5)/18)) / 2 of all N. They assume
// that what is no trend is independent from day to day.
func FindTrend(samples []Sample, median bool) Trend {
	days := daily(samples, median)
	t := Trend{Days: len(days)}
	if len(days) > 0 {
		t.From, t.To = days[0].At, days[len(days)-1].At
	}
	if t.Days < minTrendDays || t.To.Sub(t.From) < minTrendSpan-24*time.Hour {
		t.TooFew = fmt.Sprintf("%s with measurements, at least %d are needed", count(t.Days, "day"), minTrendDays)
		return t
	}
	slopes := slopesOf(days)
	t.PerDay = middle(slopes)
	t.PerDayLow, t.PerDayHigh = bounds(slopes, t.Days, z99)
	low, high := bounds(slopes, t.Days, z999)
	t.Significant = low > 0 || high < 0
	t.level(days)
	return t
}

// daily returns one value for each day that has any, of the newest days.
func daily(samples []Sample, median bool) []Sample {
	byDay := map[time.Time][]float64{}
	for _, s := range samples {
		day := s.At.UTC().Truncate(24 * time.Hour)
		byDay[day] = append(byDay[day], s.Value)
	}
	var out []Sample
	for day, values := range byDay {
		slices.Sort(values)
		value := values[(len(values)*99+99)/100-1]
		if median {
			value = middle(values)
		}
		out = append(out, Sample{day.Add(12 * time.Hour), value})
	}
	slices.SortFunc(out, func(a, b Sample) int { return a.At.Compare(b.At) })
	return out[max(0, len(out)-maxTrendDays):]
}

func slopesOf(days []Sample) []float64 {
	slopes := make([]float64, 0, len(days)*(len(days)-1)/2)
	for i, a := range days {
		for _, b := range days[i+1:] {
			slopes = append(slopes, (b.Value-a.Value)/inDays(b.At.Sub(a.At)))
		}
	}
	slices.Sort(slopes)
	return slopes
}

// bounds returns the bounds of the slope of n days.
func bounds(slopes []float64, n int, z float64) (low, high float64) {
	k := float64(n)
	spread := z * math.Sqrt(k*(k-1)*(2*k+5)/18)
	all := float64(len(slopes))
	i := int(math.Floor((all - spread) / 2))
	j := int(math.Ceil((all + spread) / 2))
	return slopes[min(max(i, 0), len(slopes)-1)], slopes[max(min(j, len(slopes)-1), 0)]
}

// level finds the value at the middle of the days: the median of what is left
// without the slope, with its error, 1.2533 standard errors of the mean (what
// the median of normal noise has), the noise measured by its median deviation.
func (t *Trend) level(days []Sample) {
	t.Middle = t.From.Add(t.To.Sub(t.From) / 2)
	rest := make([]float64, len(days))
	for i, d := range days {
		rest[i] = d.Value - t.PerDay*inDays(d.At.Sub(t.Middle))
	}
	slices.Sort(rest)
	t.Level = middle(rest)
	for i := range rest {
		rest[i] = math.Abs(rest[i] - t.Level)
	}
	slices.Sort(rest)
	t.levelError = z99 * 1.2533 * 1.4826 * middle(rest) / math.Sqrt(float64(len(days)))
}

// At is the value that the trend leads to.
func (t Trend) At(when time.Time) float64 { return t.Level + t.PerDay*inDays(when.Sub(t.Middle)) }

// Crossing is when something that grows exceeds a limit.
type Crossing struct {
	// At is the date that the trend leads to; Earliest and Latest bound it with
	// a confidence of 99 %. Zero Latest: not within ten years, if at all.
	At, Earliest, Latest time.Time
}

// Crosses returns when the trend, which was found until now, exceeds the limit.
// False: there is no growth that could be told from noise, or it leads there in
// more than ten years only.
func (t Trend) Crosses(limit float64, now time.Time) (Crossing, bool) {
	if t.TooFew != "" || !t.Significant || t.PerDay <= 0 {
		return Crossing{}, false
	}
	when := func(level, perDay float64) time.Time {
		days := (limit - level) / perDay
		if perDay <= 0 || days > inDays(farAhead+now.Sub(t.Middle)) {
			return time.Time{}
		}
		return t.Middle.Add(time.Duration(days * 24 * float64(time.Hour)))
	}
	c := Crossing{
		At:       when(t.Level, t.PerDay),
		Earliest: when(t.Level+t.levelError, t.PerDayHigh),
		Latest:   when(t.Level-t.levelError, t.PerDayLow),
	}
	return c, !c.At.IsZero()
}

// middle returns the median of sorted values.
func middle(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func inDays(d time.Duration) float64 { return d.Hours() / 24 }

// LongestRun returns how long the p99 of a run's time to durable may become
// before no interval keeps the RPO any more: with so many tolerated failures,
// from [Interval], (RPO − delay) / (2 + tolerated).
func LongestRun(rpo, delay time.Duration, tolerated int) time.Duration {
	return max(rpo-delay, 0) / time.Duration(2+max(tolerated, 0))
}

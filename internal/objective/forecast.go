package objective

import (
	"fmt"
	"slices"
	"time"
)

// restorePhases are those parts of a restore that take longer for more data; to
// provision a database takes as long for any.
var restorePhases = []string{"fetch", "load", "index"}

const provision = "provision"

// Restored is a restore or a proof that loaded everything, as it was measured.
type Restored struct {
	At    time.Time
	Site  string // empty: from several sites
	Level string // of a proof; empty: of a restore
	Bytes int64
	// Seconds are those of the phases provision, fetch, load and index. They may
	// overlap; so their sum is what it took or more.
	Seconds map[string]float64
}

// Took is how long it was, summed over the phases.
func (r Restored) Took() time.Duration {
	s := r.Seconds[provision]
	for _, phase := range restorePhases {
		s += r.Seconds[phase]
	}
	return time.Duration(s * float64(time.Second))
}

// scaled returns how long it would take for so much data: each phase at its
// measured rate, provision as long as it did.
func (r Restored) scaled(bytes int64) time.Duration {
	s := r.Seconds[provision]
	for _, phase := range restorePhases {
		s += r.Seconds[phase] * float64(bytes) / float64(r.Bytes)
	}
	return time.Duration(s * float64(time.Second))
}

// usable reports whether anything can be told from it.
func (r Restored) usable() bool { return r.Bytes > 0 && r.Took() > 0 }

// RTOForecast says how long a restore from one site would take now. It is
// machine time: people notice, decide and switch over besides, so it never says
// that an RTO is met; it can say that it is not.
type RTOForecast struct {
	Site string
	Took time.Duration
	// Measured says that a proof from this site measured the rates, at At to
	// Level; else it is an estimate.
	Measured bool
	At       time.Time
	Level    string
	// Basis says in a sentence what it is made of.
	Basis string
}

// Forecast returns how long a restore of so much data would take from a site:
// by the rates of the newest proof from there, else of the newest restore or
// proof from anywhere, else by guess.
func Forecast(site string, bytes int64, measured []Restored, guess time.Duration) RTOForecast {
	var own, other *Restored
	for i, r := range measured {
		if !r.usable() {
			continue
		}
		if r.Site == site && r.Level != "" && (own == nil || r.At.After(own.At)) {
			own = &measured[i]
		}
		if other == nil || r.At.After(other.At) {
			other = &measured[i]
		}
	}
	switch {
	case own != nil:
		return RTOForecast{Site: site, Took: own.scaled(bytes), Measured: true, At: own.At, Level: own.Level, Basis: "rates measured by " + own.name()}
	case other != nil:
		return RTOForecast{Site: site, Took: other.scaled(bytes), At: other.At, Basis: "estimate: no proof from this site has measured it; rates of " + other.name()}
	default:
		return RTOForecast{Site: site, Took: guess, Basis: "estimate: nothing has been measured yet"}
	}
}

func (r Restored) name() string {
	if r.Level == "" {
		return "the restore of " + stamp(r.At)
	}
	return fmt.Sprintf("the proof to %s from site %s of %s", r.Level, r.Site, stamp(r.At))
}

// RestoreTrend is how the time of a restore from a site develops, by the proofs
// from there.
func RestoreTrend(site string, measured []Restored) Trend {
	var samples []Sample
	for _, r := range measured {
		if r.Site == site && r.Level != "" && r.usable() {
			samples = append(samples, Sample{r.At, r.Took().Seconds()})
		}
	}
	return FindTrend(samples, true)
}

// DurableTrend is how the time to durable develops: the p99 of each day.
func DurableTrend(runs []Run) Trend {
	var samples []Sample
	for _, r := range runs {
		if !r.Consistent.IsZero() && !r.Ended.IsZero() && r.Failure == nil {
			samples = append(samples, Sample{r.Started, r.Ended.Sub(r.Started).Seconds()})
		}
	}
	return FindTrend(samples, false)
}

// Size is how much data the newest of the runs, which are in order, that made a
// recovery point found.
func Size(runs []Run) int64 {
	for _, r := range slices.Backward(runs) {
		if r.Bytes > 0 && !r.Consistent.IsZero() {
			return r.Bytes
		}
	}
	return 0
}

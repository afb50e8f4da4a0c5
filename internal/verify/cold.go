package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a proof used of the host that it ran on.
const (
	ThisHosts  = "this host's" // catalog
	TheDaemons = "the daemon's"
	TheEscrows = "the escrow's"
	TheDrills  = "the drill's" // keys.drill_identity_file
)

// GiveAnotherKey is what to do about a cold start with the daemon's key.
const GiveAnotherKey = "give the escrow's with --identity, or a drill's in keys.drill_identity_file"

// Cold is what a cold start adds to the proof that it made.
type Cold struct {
	// Rebuild is how long it took to rebuild the catalog from the site alone.
	Rebuild time.Duration
	// Total is the time from the start of the empty host until everything was
	// checked and cleared up.
	Total time.Duration
	// RTO is what was promised.
	RTO time.Duration
	// Known is the newest recovery point that this host knew the site to hold
	// when the cold start began, and KnownTime its consistency point; empty when
	// it knew of none.
	Known     string
	KnownTime time.Time
	// Lost says what the rebuild missed at the site, a sentence each.
	Lost []string
	// Key is whose identity opened the site: TheDaemons proves nothing about
	// the loss of this host.
	Key string
}

// JudgeCold turns the proof that a cold start made into one that was asked for
// L7: that holds when every level below does, the key was not the daemon's, and
// all of it was done within the RTO.
func JudgeCold(r Result, c Cold) Result {
	r.RequestedLevel, r.Lowered = levelCold, false
	r.Catalog, r.Key = "rebuilt from site "+r.Site, c.Key
	r.DurationSeconds = c.Total.Seconds()
	if r.Phases == nil {
		r.Phases = map[string]float64{}
	}
	r.Phases["rebuild"] = c.Rebuild.Seconds()
	below := r.Level
	checks := []Check{
		{Name: "an empty host knows the recovery point", Status: Pass, Detail: fmt.Sprintf("catalog %s in %.1f s", r.Catalog, c.Rebuild.Seconds())},
		keyCheck(c.Key),
		timeCheck(c),
	}
	if c.Known != "" {
		checks = append(checks, newestCheck(r, c))
	}
	holds := below == levelChecks
	for i := range checks {
		checks[i].Level, checks[i].Passed = levelCold, checks[i].Status == Pass
		holds = holds && checks[i].Passed
	}
	if r.Error == "" && r.Snapshot != "" {
		r.Checks = append(r.Checks, checks...)
	}
	if r.Passed = holds && r.Error == ""; r.Passed {
		r.Level = levelCold
	}
	r.NotProven = coldNotProven(r, below, c, checks)
	return r
}

func keyCheck(key string) Check {
	c := Check{Name: "the key is not the daemon's", Status: Pass, Detail: "opened with " + key, Operator: "!=", Expected: TheDaemons, Observed: key}
	if key == TheDaemons {
		c.Status = Fail
		c.Detail = "opened with the daemon's own key, which is lost together with this host: " + GiveAnotherKey
	}
	return c
}

// whole is the form of times that are compared as text.
const whole = "2006-01-02T15:04:05.000000Z"

// newestCheck holds what the empty host took for the newest recovery point
// against what is known of the site: whoever passes over the newest, because its
// key does not open or something of it is missing, restores an older one without
// a word.
func newestCheck(r Result, c Cold) Check {
	out := Check{
		Name: "it is the newest that the site is known to hold", Status: Pass, Operator: ">=",
		Expected: c.KnownTime.UTC().Format(whole), Observed: r.RecoveryPoint.UTC().Format(whole),
		Detail: fmt.Sprintf("snapshot %s of %s", r.Snapshot, r.RecoveryPoint.UTC().Format(time.RFC3339)),
	}
	if out.Observed < out.Expected {
		out.Status = Fail
		out.Detail = fmt.Sprintf("snapshot %s of %s is there, and an empty host finds none newer than %s, of %s",
			c.Known, c.KnownTime.UTC().Format(time.RFC3339), r.Snapshot, r.RecoveryPoint.UTC().Format(time.RFC3339))
		if len(c.Lost) > 0 {
			out.Detail += ": " + strings.Join(c.Lost, "; ")
		}
	}
	return out
}

func timeCheck(c Cold) Check {
	out := Check{
		Name: "inside the RTO", Status: Pass, Operator: "<=", Expected: decimal(c.RTO), Observed: decimal(c.Total),
		Detail: fmt.Sprintf("%s of %s, machine time", c.Total.Round(100*time.Millisecond), c.RTO),
	}
	if c.Total > c.RTO {
		out.Status = Fail
	}
	return out
}

// decimal is a duration in seconds, as it is compared.
func decimal(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// coldNotProven replaces what the proof said of L7 before there was anything to
// say.
func coldNotProven(r Result, below string, c Cold, checks []Check) []string {
	var out []string
	if !r.Passed {
		why := []string{}
		if below != levelChecks {
			why = append(why, "every level below must hold, and L6 does not")
		}
		if c.Key == TheDaemons {
			why = append(why, "the key was the daemon's")
		}
		if c.Total > c.RTO {
			why = append(why, fmt.Sprintf("it took %s, the RTO is %s", c.Total.Round(time.Second), c.RTO))
		}
		if i := slices.IndexFunc(checks, func(check Check) bool { return check.Status == Fail && check.Operator == ">=" }); i >= 0 {
			why = append(why, "it was not of the newest recovery point: "+checks[i].Detail)
		}
		if r.Error != "" {
			why = append(why, "it was not carried out to its end")
		}
		out = append(out, levelCold+": a cold start inside the RTO: "+strings.Join(why, "; "))
	}
	for _, sentence := range r.NotProven {
		if !strings.HasPrefix(sentence, levelCold+":") {
			out = append(out, sentence)
		}
	}
	return append(out, "a host in another place: the cold start ran on this one, with its programs and its network")
}

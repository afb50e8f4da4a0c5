package verify

import (
	"fmt"
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

// Cold is what a cold start adds to the proof that it made.
type Cold struct {
	// Rebuild is how long it took to rebuild the catalog from the site alone.
	Rebuild time.Duration
	// Total is the time from the start of the empty host until everything was
	// checked and cleared up.
	Total time.Duration
	// RTO is what was promised.
	RTO time.Duration
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
	r.NotProven = coldNotProven(r, below, c)
	return r
}

func keyCheck(key string) Check {
	c := Check{Name: "the key is not the daemon's", Status: Pass, Detail: "opened with " + key, Operator: "!=", Expected: TheDaemons, Observed: key}
	if key == TheDaemons {
		c.Status = Fail
		c.Detail = "opened with the daemon's own key, which is lost together with this host: give the escrow's with --identity, " +
			"or a drill's in keys.drill_identity_file"
	}
	return c
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
func coldNotProven(r Result, below string, c Cold) []string {
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

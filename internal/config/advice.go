package config

import (
	"fmt"
	"time"
)

// Advice is about something that is allowed and hardly meant.
type Advice struct {
	// Section is "data", "site" or "function"; Name is of which site or
	// function.
	Section, Name string
	// Message says what is so, Hint what to write instead.
	Message, Hint string
}

// noticed is how long it may take until people notice that something was
// destroyed: a week, with its days off.
const noticed = 7 * 24 * time.Hour

// century bounds what is multiplied: beyond it nobody cares.
const century = 100 * 365 * 24 * time.Hour

// Advice returns what a person should think about once more, in the order of
// the file.
func (c *Config) Advice() []Advice {
	var all []Advice
	if c.Scrub.Every == 0 {
		all = append(all, Advice{"data", "scrub", "nothing reads what the sites hold: rot shows when a proof or a restore needs it", "remove scrub: {every: never}"})
	}
	for _, name := range c.SiteOrder {
		if l := c.Sites[name].Lock; l != nil && l.For < c.soundLock() {
			all = append(all, Advice{
				"site", name,
				fmt.Sprintf("locked for %s: from a host that was taken over, copies can be deleted after as little as half of that", days(l.For)),
				"write " + days(c.soundLock()) + " or more, so that it is noticed before",
			})
		}
	}
	for _, name := range c.FunctionOrder {
		f := c.Functions[name]
		if reach := f.reach(); f.Keep != nil && reach < noticed {
			all = append(all, Advice{
				"function", name,
				fmt.Sprintf("keeps recovery points of about %s: a mistake that is noticed later is in all of them", days(reach)),
				"add daily: 30 or the like to its keep",
			})
		}
	}
	return all
}

// soundLock is twice the time until proofs have come round to every site, and
// twice the time that people take: locks are renewed when half of them is over,
// so half is what is left in the worst case.
func (c *Config) soundLock() time.Duration {
	sound := noticed
	for _, f := range c.Functions {
		sound = max(sound, min(f.Prove.Every, century/time.Duration(2*len(c.Sites)))*time.Duration(len(c.Sites)))
	}
	return 2 * sound
}

// reach is about how far back the kept recovery points of a function go, when
// none fails and they are as far apart as its RPO allows.
func (f Function) reach() time.Duration {
	if f.Keep == nil {
		return 0
	}
	const day = 24 * time.Hour
	span := func(n int, each time.Duration) time.Duration { return time.Duration(min(n, int(century/each))) * each }
	k := f.Keep
	return max(
		span(k.Last, max(min(f.RPO, day), minRun)), span(k.Hourly, time.Hour), span(k.Daily, day),
		span(k.Weekly, 7*day), span(k.Monthly, 30*day), span(k.Yearly, 365*day),
	)
}

// days writes whole days as such, other durations as they are.
func days(d time.Duration) string {
	if day := 24 * time.Hour; d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return short(d)
}

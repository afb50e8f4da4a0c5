package config

import (
	"fmt"
	"strconv"
	"time"
)

const (
	// minSpool holds a few packs of every function that is captured at once.
	minSpool Size = 128 << 20
	// minRate moves a pack of full size within some minutes. Less is a mistake
	// in the unit.
	minRate Size = 64 << 10
	// minGrace is more than clocks differ and a listing may be old.
	minGrace = time.Hour
	minLock  = 24 * time.Hour
	// maxLock is the longest lock that is taken for meant: nobody can lift one.
	maxLock = 10 * 366 * 24 * time.Hour
)

func (c *checker) checkSpool() {
	c.sizeFrom("spool.max_bytes", &c.cfg.Spool.MaxBytes, minSpool, DefaultSpoolBytes)
}

// sizeFrom fills in the default when nothing is given and checks the bound.
func (c *checker) sizeFrom(path string, value *Size, least, preset Size) {
	switch {
	case c.bad[path]:
	case !c.has(path):
		*value = preset
	case *value < least:
		c.problem(path, c.shown(path)+" is too little", fmt.Sprintf("write %v or more", least))
	}
}

func (c *checker) checkScrub() {
	c.orNever("scrub.every", &c.cfg.Scrub.Every, DefaultScrubEvery,
		"write a duration such as 30d; never switches the reading off, and nobody notices then when copies rot")
}

// orNever fills in the default of a duration that may also be "never", which is
// 0 from here on.
func (c *checker) orNever(path string, value *time.Duration, preset time.Duration, hint string) {
	if *value == never {
		*value = 0
		return
	}
	if c.has(path) && !c.bad[path] && *value == 0 {
		c.problem(path, "must be more than zero", hint)
		return
	}
	c.positive(path, value, preset)
}

func (c *checker) checkSweep() {
	s := &c.cfg.Sweep
	c.positive("sweep.every", &s.Every, DefaultSweepEvery)
	c.sizeFrom("sweep.max_rewrite", &s.MaxRewrite, 0, DefaultMaxRewrite)
	if c.bad["sweep.grace"] {
		return
	}
	if !c.has("sweep.grace") {
		s.Grace = DefaultSweepGrace
		return
	}
	if s.Grace < minGrace {
		c.problem("sweep.grace", c.shown("sweep.grace")+" is too short", "write "+short(minGrace)+" or more")
	}
}

// checkGrace holds the grace against the snapshots that may run meanwhile:
// one that began before something was given up may end after it is gone.
func (c *checker) checkGrace() {
	grace := c.cfg.Sweep.Grace
	if c.bad["sweep.grace"] {
		return
	}
	for _, name := range c.keys["sources"] {
		at := join(join("sources", name), "max_snapshot_age")
		age := c.cfg.Sources[name].MaxSnapshotAge
		if c.bad[at] || c.bad[join("sources", name)] || age < grace {
			continue
		}
		if c.has("sweep.grace") {
			c.problem("sweep.grace", fmt.Sprintf("%s is not more than max_snapshot_age of source %s, %s: a snapshot that runs so long could need what is deleted meanwhile", c.shown("sweep.grace"), name, short(age)),
				"write more than "+short(age))
			return
		}
		c.problem(at, fmt.Sprintf("%s is not less than sweep.grace, %s: a snapshot that runs so long could need what is deleted meanwhile", c.shown(at), short(grace)),
			"shorten it, or give sweep: {grace: …} with more")
	}
}

func (c *checker) checkRate(path string, rate Size) {
	if c.has(path) && !c.bad[path] && rate < minRate {
		c.problem(path, c.shown(path)+" a second is too little to keep up with anything", fmt.Sprintf("write %v or more; without a limit, remove the key", minRate))
	}
}

func (c *checker) checkLock(path string, l *Lock) {
	if l == nil || c.bad[path] {
		return
	}
	c.oneOf(join(path, "mode"), l.Mode, "compliance", "governance")
	at := join(path, "for")
	switch {
	case c.bad[at]:
	case !c.has(at):
		c.problem(at, "missing", "write how long what is written cannot be deleted, such as 35d")
	case l.For < minLock:
		c.problem(at, c.shown(at)+" is too short to protect anything", "write 1d or more; 35d leaves time to notice")
	case l.For > maxLock:
		c.problem(at, c.shown(at)+" is more than 10 years, and nobody can shorten a lock", "write less: what is still needed is extended in time")
	case !c.bad["sweep.grace"] && l.For < 2*c.cfg.Sweep.Grace:
		c.problem(at, fmt.Sprintf("%s is less than twice sweep.grace, %s: a lock could run out before a sweep has decided about what it is on", c.shown(at), short(c.cfg.Sweep.Grace)),
			"write "+short(2*c.cfg.Sweep.Grace)+" or more, or shorten the grace")
	}
}

// maxPrice is the highest price of a thousand requests that is believed.
const maxPrice = 1000

func (c *checker) checkPrices(path string, s *Site) {
	p := &s.RequestPrices
	var preset RequestPrices
	if s.Kind == "s3" && s.Endpoint == "" {
		preset = RequestPrices{Write: DefaultWritePrice, Read: DefaultReadPrice}
	}
	c.price(join(path, "write"), &p.Write, preset.Write)
	c.price(join(path, "read"), &p.Read, preset.Read)
}

func (c *checker) price(path string, value *float64, preset float64) {
	switch {
	case c.bad[path]:
	case !c.has(path):
		*value = preset
	case *value > maxPrice:
		c.problem(path, strconv.FormatFloat(*value, 'f', -1, 64)+" is out of bounds", "write the price of a thousand requests, such as 0.005")
	}
}

// maxKeep is more hours than there are in ten years.
const maxKeep = 100_000

// checkKeep refuses rules that keep nothing: nobody means that.
func (c *checker) checkKeep(path string, k *Keep) {
	if k == nil || c.bad[path] {
		return
	}
	sum, fine := 0, !c.odd[path]
	for _, rule := range []struct {
		key string
		n   *int
	}{
		{"last", &k.Last},
		{"hourly", &k.Hourly},
		{"daily", &k.Daily},
		{"weekly", &k.Weekly},
		{"monthly", &k.Monthly},
		{"yearly", &k.Yearly},
	} {
		at := join(path, rule.key)
		c.between(at, rule.n, 0, maxKeep, 0)
		sum += *rule.n
		fine = fine && !c.bad[at]
	}
	if fine && sum == 0 {
		c.problem(path, "keeps nothing", "write for example keep: {last: 24, daily: 30, monthly: 24}; to keep everything, remove the key")
	}
}

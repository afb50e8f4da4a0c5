package verify

import (
	"fmt"
	"slices"
	"strings"
)

// conclude sums up what was reached.
func (p *proof) conclude() {
	p.result.Passed = p.result.Level == p.req.Level && p.result.Error == "" && p.spoil == nil
	p.result.NotProven = p.notProven()
}

// notProven says what this proof does not show.
func (p *proof) notProven() []string {
	var out []string
	for _, level := range Levels[slices.Index(Levels, p.result.Level)+1:] {
		switch level {
		case levelChecks:
			out = append(out, p.checksNotProven())
		case levelCold:
			out = append(out, levelCold+": a cold start: this proof used the catalog and the key of this host, not an empty one with the escrowed key")
		default:
			out = append(out, fmt.Sprintf("%s: that %s", level, Meaning(level)))
		}
	}
	for _, c := range p.result.Checks {
		if c.Status == Skipped {
			out = append(out, fmt.Sprintf("the function's own check %s, which is skipped: %s", c.Name, c.Detail))
		}
	}
	out = append(out,
		"any site but "+p.req.From+": nothing was read from another",
		"how long people take to notice, decide and switch over; phases are machine time",
		"that a production server is as fast as the scratch one",
		"passwords of roles, which are never captured, and what lies outside of the database: configuration, files, jobs",
		"content of materialized views, which are computed anew",
	)
	return append(out, p.left...)
}

// checksNotProven says why L6 does not hold.
func (p *proof) checksNotProven() string {
	var why []string
	for _, c := range p.result.Checks {
		if c.Level == levelChecks && (c.Status == Fail || c.Status == Inconclusive) {
			why = append(why, fmt.Sprintf("%s: %s: %s", c.Name, c.Status, c.Detail))
		}
	}
	switch {
	case len(why) > 0:
	case len(p.checks) == 0:
		why = []string{"it has none in the configuration"}
	case !slices.ContainsFunc(p.checks, unskipped):
		why = []string{"all of them are skipped"}
	case p.result.Lowered:
		why = []string{"this recovery point is older than they are, and all of them compare with what the source answered"}
	default:
		why = []string{"they were not run"}
	}
	return levelChecks + ": that the function's own checks pass on the restored data: " + strings.Join(why, "; ")
}

// OwnCheckFailed reports whether what was found wrong is not the copy, which was
// restored whole and equals what was captured: a check of the function's own failed
// on it.
func (r Result) OwnCheckFailed() bool { return r.Difference && r.Level >= levelContent }

// Unmet says in a sentence what kept a proof from passing; empty when it
// passed.
func (r Result) Unmet() string {
	switch {
	case r.Passed:
		return ""
	case r.Error != "":
		return r.Error
	}
	for _, c := range r.Checks {
		if c.Status == Fail || c.Status == Inconclusive {
			return fmt.Sprintf("%s: %s: %s", c.Level, c.Name, c.Detail)
		}
	}
	for _, sentence := range r.NotProven {
		if strings.HasPrefix(sentence, levelChecks) || strings.HasPrefix(sentence, levelCold) {
			return sentence
		}
	}
	return "nothing was checked"
}

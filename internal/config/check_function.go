package config

import (
	"fmt"
	"strings"
	"time"
)

// minRun is the shortest time that a snapshot is taken to need from its
// consistency point until it is durable. An RPO that even this breaks is wrong
// before anything has been measured.
const minRun = time.Second

// minRPO returns the least RPO that can be met when so many runs in a row may
// fail. Runs of a function never overlap, so they start at least minRun apart:
// the failed ones, the one that succeeds, and the time until that is durable.
func minRPO(tolerated int) time.Duration { return time.Duration(tolerated+2) * minRun }

func (c *checker) checkFunctions() {
	for _, name := range c.cfg.FunctionOrder {
		path := join("functions", name)
		if c.bad[path] {
			continue
		}
		f := c.cfg.Functions[name]
		c.checkSourceOf(path, f)
		c.checkScope(path, f)
		c.between(join(path, "priority"), &f.Priority, 1, 1000, DefaultPriority)
		c.between(join(path, "tolerate_failed_runs"), &f.TolerateFailedRuns, 0, 10, 0)
		c.checkObjectives(path, f)
		c.positive(join(path, "prove.every"), &f.Prove.Every, DefaultProveEvery)
		c.orNever(join(path, "prove.rotate"), &f.Prove.Rotate, DefaultRotate,
			"write a duration such as 30d; with never, older recovery points are proven as it comes")
		c.orNever(join(path, "prove.cold_every"), &f.Prove.ColdEvery, 0, "write a duration such as 1w, or never")
		c.checkChecks(join(path, "checks"), f.Checks)
		c.checkLevel(join(path, "prove.level"), &f)
		c.checkKeep(join(path, "keep"), f.Keep)
		c.checkSuspect(join(path, "suspect"), &f.Suspect)
		c.cfg.Functions[name] = f
	}
}

func (c *checker) checkSourceOf(path string, f Function) {
	at := join(path, "source")
	if !c.required(at, f.Source) {
		return
	}
	if _, ok := c.cfg.Sources[f.Source]; ok {
		return
	}
	known := c.keys["sources"]
	hint := "the file has: " + strings.Join(known, ", ")
	if len(known) == 0 {
		hint = "describe it under sources"
	} else if near := nearest(f.Source, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.problem(at, "there is no source "+c.shown(at), hint)
}

// checkScope checks the form of the patterns of schemas and tables.
func (c *checker) checkScope(path string, f Function) {
	for i, s := range f.Schemas {
		at := fmt.Sprintf("%s.schemas.%d", path, i)
		if !c.bad[at] && (s == "" || strings.ContainsAny(s, ".\"")) {
			c.problem(at, c.shown(at)+" is not the name of a schema", "write the bare name, without quotes inside; single tables belong into tables")
		}
	}
	for i, t := range f.Tables {
		c.checkTable(fmt.Sprintf("%s.tables.%d", path, i), t)
	}
	if len(f.Schemas) > 0 && len(f.Tables) > 0 {
		c.problem(join(path, "tables"), "schemas and tables at once", `write whole schemas as tables too ("schema.*"), or make two functions of it`)
	}
	for key, n := range map[string]int{"schemas": len(f.Schemas), "tables": len(f.Tables)} {
		if at := join(path, key); n == 0 && c.has(at) && !c.bad[at] {
			c.problem(at, "an empty list", "name at least one, or remove the key; with neither schemas nor tables the whole database is meant")
		}
	}
}

// checkTable checks the form of the name of a table, or of a pattern.
func (c *checker) checkTable(at, t string) {
	schema, table, dot := strings.Cut(t, ".")
	if !c.bad[at] && (!dot || schema == "" || table == "" || strings.ContainsAny(t, "\"") || strings.Contains(table, ".")) {
		c.problem(at, c.shown(at)+" is not the name of a table", "write schema.table, such as catalog.products or catalog.stock_*")
	}
}

func (c *checker) checkObjectives(path string, f Function) {
	rpo, rto := join(path, "rpo"), join(path, "rto")
	known := c.given(rpo)
	if c.given(rto) && f.RTO <= 0 {
		c.problem(rto, "must be more than zero", "write how long the business can be without this function, such as 1h")
	}
	if !known {
		return
	}
	if least := minRPO(f.TolerateFailedRuns); f.RPO < least && !c.bad[join(path, "tolerate_failed_runs")] {
		c.problem(rpo, c.shown(rpo)+" cannot be met: "+floorReason(f.TolerateFailedRuns),
			fmt.Sprintf("write %s or more", short(least)))
		return
	}
	c.checkCron(path, f)
}

func floorReason(tolerated int) string {
	reason := "a snapshot takes 1s at the very least and the next can only start when it has ended"
	if tolerated > 0 {
		reason += fmt.Sprintf(", with %d failed in between", tolerated)
	}
	return reason
}

// given reports a mandatory duration that the file does not give.
func (c *checker) given(path string) bool {
	if c.bad[path] {
		return false
	}
	if !c.has(path) {
		c.problem(path, "missing", "this objective is mandatory; only the business knows it, so there is no default")
		return false
	}
	return true
}

// checkCron holds a cron expression against the RPO by its longest gap.
func (c *checker) checkCron(path string, f Function) {
	at := join(path, "cron")
	if f.Cron == "" || c.bad[at] {
		return
	}
	schedule, err := ParseCron(f.Cron)
	if err != nil {
		c.problem(at, c.shown(at)+" is not a cron expression", "write minute hour day month weekday, such as */10 * * * *, or leave it out: the interval is derived from the RPO")
		return
	}
	gap := LongestGap(schedule)
	if gap == 0 {
		c.problem(at, c.shown(at)+" never comes", "write a date that exists, or leave it out: the interval is derived from the RPO")
		return
	}
	runs := time.Duration(1 + f.TolerateFailedRuns)
	// The run that ends the gap needs its own time until it is durable.
	if gap > (f.RPO-minRun)/runs {
		failed := ""
		if f.TolerateFailedRuns > 0 {
			failed = fmt.Sprintf(", %d of them may fail in a row", f.TolerateFailedRuns)
		}
		c.problem(at, fmt.Sprintf("runs are up to %s apart%s and each needs time to become durable, which breaks the RPO of %s", short(gap), failed, c.raw[join(path, "rpo")]),
			"run more often, or leave cron out: the interval is derived from the RPO")
	}
}

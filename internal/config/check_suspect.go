package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// reading is how a query begins that changes nothing.
var reading = regexp.MustCompile(`(?i)^\s*(select|with|values|table)\b`)

func (c *checker) checkSuspect(path string, s *Suspect) {
	if at := join(path, "off"); c.has(at) && s.Off == "" && !c.bad[at] {
		c.problem(at, "without a reason", "say why nothing about this function is suspect, or remove the key")
	}
	c.percent(join(path, "rows_drop"), &s.RowsDrop, DefaultRowsDrop)
	c.percent(join(path, "rows_changed"), &s.RowsChanged, DefaultRowsChanged)
	c.between(join(path, "min_rows"), &s.MinRows, 1, 1_000_000_000, DefaultMinRows)
	for i, one := range s.Ignore {
		at := fmt.Sprintf("%s.ignore.%d", path, i)
		if c.bad[at] {
			continue
		}
		if c.required(join(at, "table"), one.Table) {
			c.checkTable(join(at, "table"), one.Table)
		}
		c.required(join(at, "reason"), one.Reason)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Canary)) {
		if at := join(join(path, "canary"), name); !c.bad[at] {
			c.checkCanary(at, s.Canary[name])
		}
	}
}

func (c *checker) checkCanary(path string, one Canary) {
	sql, table, key := join(path, "sql"), join(path, "table"), join(path, "key")
	if c.bad[sql] || c.bad[table] || c.bad[key] {
		return
	}
	switch {
	case one.SQL != "" && (one.Table != "" || one.Key != ""):
		c.problem(sql, "a query and a table at once", "write table and key, or sql alone")
	case one.SQL != "" && !reading.MatchString(one.SQL):
		c.problem(sql, "this does not begin as a query", "write one SELECT")
	case one.SQL != "":
	case one.Table == "" || one.Key == "":
		c.problem(path, "says not what to look at", "write table (schema.name) and key (a condition such as id = 1), or sql")
	default:
		c.checkTable(table, one.Table)
	}
}

func (c *checker) percent(path string, value *Percent, preset Percent) {
	if !c.has(path) && !c.bad[path] {
		*value = preset
	}
}

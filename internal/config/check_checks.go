package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/expect"
)

// Definition is the SHA-256 of the SQL, by which a record tells which query was
// run.
func (c Check) Definition() string {
	sum := sha256.Sum256([]byte(c.SQL))
	return hex.EncodeToString(sum[:])
}

// Checked reports whether the function has checks that are not switched off.
func (f *Function) Checked() bool {
	return slices.ContainsFunc(f.Checks, func(c Check) bool { return c.Skip == "" })
}

// checkChecks checks the form of a function's own checks.
func (c *checker) checkChecks(path string, checks []Check) {
	if len(checks) == 0 && c.has(path) && !c.bad[path] {
		c.problem(path, "an empty list", "name at least one check, or remove the key")
	}
	seen := map[string]bool{}
	for i, check := range checks {
		at := fmt.Sprintf("%s.%d", path, i)
		if c.bad[at] {
			continue
		}
		c.checkName(join(at, "name"), check.Name, seen)
		if c.required(join(at, "sql"), strings.TrimSpace(check.SQL)) {
			c.checkExpect(at, check)
		}
		if skip := join(at, "skip"); c.has(skip) && !c.bad[skip] && strings.TrimSpace(check.Skip) == "" {
			c.problem(skip, "no reason is given", "write why the check is skipped, such as skip: \"the view is being rebuilt until March\"")
		}
	}
}

func (c *checker) checkName(at, name string, seen map[string]bool) {
	switch {
	case !c.required(at, name):
	case !names.MatchString(name):
		c.problem(at, c.shown(at)+" is no name for a check", "write a small letter, then small letters, digits, - or _, at most 63 in all")
	case seen[name]:
		c.problem(at, "the name "+c.shown(at)+" is given twice", "reports tell checks apart by their names")
	}
	seen[name] = true
}

func (c *checker) checkExpect(path string, check Check) {
	at := join(path, "expect")
	switch {
	case c.bad[at]:
	case !c.has(at) && !check.SameAtSource:
		c.problem(at, "missing", "write what the query must answer, such as expect: \"= 0\", or same_at_source: true")
	case c.has(at):
		if _, err := expect.Parse(check.Expect); err != nil {
			c.problem(at, err.Error(), `write an operator and a value, such as "= 0" or ">= 1"`)
		}
	}
}

// levels are those that a proof on schedule can reach for.
var levels = []string{"L0", "L1", "L2", "L3", "L4", "L5", "L6"}

func (c *checker) checkLevel(path string, f *Function) {
	switch level := f.Prove.Level; {
	case c.bad[path]:
	case !c.has(path):
		f.Prove.Level = DefaultProveLevel
		if f.Checked() {
			f.Prove.Level = CheckedProveLevel
		}
	case level == "L7":
		c.problem(path, c.shown(path)+" needs a host with nothing on it", "write L6 or less here; 'backupd verify --cold' reaches L7")
	case !slices.Contains(levels, level):
		c.problem(path, c.shown(path)+" is not a level of proof", "write one of L0 to L6")
	case level == CheckedProveLevel && !f.Checked():
		c.problem(path, c.shown(path)+" cannot be reached: the function has no checks that are not skipped", "add checks to the function, or write L5")
	}
}

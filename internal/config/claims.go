package config

import (
	"fmt"
	"strings"
)

// claim is one pattern of tables that belongs to a function.
type claim struct {
	function      string
	schema, table string // patterns
	path          string // where it stands
	whole, large  bool   // the whole database; its large objects
}

// shown names the claim as the file has it.
func (c *checker) claimed(cl claim) string {
	switch {
	case cl.large:
		return "the large objects"
	case cl.whole:
		return "the whole database"
	case strings.Contains(cl.path, ".schemas."):
		return "schema " + c.shown(cl.path)
	}
	return "table " + c.shown(cl.path)
}

func (c *checker) claimsOf(name string) []claim {
	f, path := c.cfg.Functions[name], join("functions", name)
	var claims []claim
	for i, s := range f.Schemas {
		claims = append(claims, claim{function: name, schema: s, table: "*", path: fmt.Sprintf("%s.schemas.%d", path, i)})
	}
	for i, t := range f.Tables {
		schema, table, _ := strings.Cut(t, ".")
		claims = append(claims, claim{function: name, schema: schema, table: table, path: fmt.Sprintf("%s.tables.%d", path, i)})
	}
	if len(claims) == 0 && !c.has(join(path, "schemas")) && !c.has(join(path, "tables")) {
		claims = append(claims, claim{function: name, schema: "*", table: "*", path: path, whole: true})
	}
	if f.LargeObjects {
		claims = append(claims, claim{function: name, path: join(path, "large_objects"), large: true})
	}
	return claims
}

// checkClaims reports tables that two functions of one database claim. Each
// belongs to one: else its recovery points would promise two different things.
func (c *checker) checkClaims() {
	earlier := map[string][]claim{}
	for _, name := range c.cfg.FunctionOrder {
		if path := join("functions", name); c.bad[path] || c.odd[path] {
			continue
		}
		database := c.database(c.cfg.Functions[name].Source)
		mine := c.claimsOf(name)
		for _, cl := range mine {
			c.checkClaim(cl, earlier[database])
		}
		earlier[database] = append(earlier[database], mine...)
	}
}

// database is the same for two sources that are the same database.
func (c *checker) database(source string) string {
	if db := databaseOf(c.cfg.Sources[source]); db != "" {
		return "database " + db
	}
	return "source " + source
}

func (c *checker) checkClaim(cl claim, earlier []claim) {
	if c.bad[cl.path] {
		return
	}
	for _, other := range earlier {
		if cl.large != other.large || c.bad[other.path] {
			continue
		}
		if !cl.large && (!intersect(cl.schema, other.schema) || !intersect(cl.table, other.table)) {
			continue
		}
		c.problem(cl.path, fmt.Sprintf("function %s claims %s too, with %s in line %d",
			other.function, c.claimed(cl), c.claimed(other), c.at[other.path].line),
			"narrow one of the two; a table belongs to one function")
		return
	}
}

// intersect says whether some name matches both patterns, in which * stands
// for any text.
func intersect(a, b string) bool {
	y := []rune(b)
	// possible[j] says: what is read of a so far and y[:j] have a common match.
	possible := make([]bool, len(y)+1)
	possible[0] = true
	for j := 1; j <= len(y); j++ {
		possible[j] = possible[j-1] && y[j-1] == '*'
	}
	for _, r := range a {
		next := make([]bool, len(y)+1)
		next[0] = possible[0] && r == '*'
		for j := 1; j <= len(y); j++ {
			switch {
			case r == '*' || y[j-1] == '*':
				next[j] = possible[j] || next[j-1]
			default:
				next[j] = possible[j-1] && r == y[j-1]
			}
		}
		possible = next
	}
	return possible[len(y)]
}

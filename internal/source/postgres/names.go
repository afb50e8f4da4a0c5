package postgres

import (
	"regexp"
	"strings"
)

// plainName are the names that need no quotes in a message.
var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_$]*$`)

// display returns the schema-qualified name as a person would write it, with
// quotes only where they are needed. It is for messages, not for SQL.
func display(schema, name string) string {
	if schema == "" {
		return displayName(name)
	}
	return displayName(schema) + "." + displayName(name)
}

func displayName(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

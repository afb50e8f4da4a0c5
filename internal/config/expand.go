package config

import (
	"fmt"
	"regexp"
	"strings"
)

// variable is the inside of ${…}: a name, and maybe a default after :-
var variable = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?$`)

// expandError says what is wrong with a ${…}; it never holds a value.
type expandError struct{ message, hint string }

// expand replaces ${NAME} and ${NAME:-default} in s. A default stands in for a
// variable that is unset or empty. $${ is a literal ${; any other $ is itself.
func expand(s string, getenv func(string) (string, bool)) (string, *expandError) {
	var out strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			out.WriteString(s)
			return out.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			out.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		out.WriteString(s[:i])
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			return "", &expandError{"${ without its }", "write ${NAME}, or $${ for the characters themselves"}
		}
		value, err := lookup(s[i+2:i+end], getenv)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		s = s[i+end+1:]
	}
}

func lookup(inside string, getenv func(string) (string, bool)) (string, *expandError) {
	m := variable.FindStringSubmatch(inside)
	if m == nil {
		return "", &expandError{"not a variable between ${ and }", "write ${NAME} or ${NAME:-default}, or $${ for the characters themselves"}
	}
	value, set := getenv(m[1])
	switch {
	case m[2] != "" && value == "":
		return m[3], nil
	case !set:
		return "", &expandError{
			fmt.Sprintf("the environment variable %s is not set", m[1]),
			fmt.Sprintf("set it, or give a default: ${%s:-default}", m[1]),
		}
	}
	return value, nil
}

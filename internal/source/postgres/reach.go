package postgres

import (
	"slices"
	"strings"
)

const (
	codeBadPassword = "28P01"
	codeNotLetIn    = "28000"
)

// reachError is a connection to a server that did not come about. It says once
// what the driver says for every way that it tried, and what to do.
type reachError struct{ err error }

func (e *reachError) Unwrap() error { return e.err }

func (e *reachError) Error() string {
	var said []string
	for _, line := range strings.Split(e.err.Error(), "\n") {
		line = strings.TrimSpace(line)
		told := slices.ContainsFunc(said, func(s string) bool { return strings.HasSuffix(s, line) })
		if line != "" && !told {
			said = append(said, line)
		}
	}
	text := "connecting: " + strings.Replace(strings.Join(said, "; "), ":; ", ": ", 1)
	if hint := e.hint(); hint != "" {
		text += " (" + hint + ")"
	}
	return text
}

// hint is what to do; empty when the error says it.
func (e *reachError) hint() string {
	text := e.err.Error()
	switch {
	case hasCode(e.err, codeBadPassword):
		return "check user and password; the password may come in PGPASSWORD"
	case hasCode(e.err, codeNotLetIn):
		return "pg_hba.conf of that server must let this user in from this host"
	case strings.Contains(text, "no such host"):
		return "check the name of the host"
	case strings.Contains(text, "connection refused"), strings.Contains(text, "no such file or directory"):
		return "check host and port, and that the server runs and listens there"
	case strings.Contains(text, "timeout"), strings.Contains(text, "no route to host"), strings.Contains(text, "unreachable"):
		return "check host and port, and firewalls in between"
	}
	return ""
}

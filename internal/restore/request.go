package restore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/saypro/backupd/internal/source/postgres"
)

// requestError matches [ErrRequest] without a word more than what is wrong.
type requestError struct{ error }

func (e requestError) Unwrap() []error { return []error{e.error, ErrRequest} }

// wrong returns an error that matches [ErrRequest].
func wrong(format string, args ...any) error {
	return requestError{fmt.Errorf(format, args...)}
}

// check refuses a request that contradicts itself.
func (r Request) check() error {
	switch {
	case r.Function == "":
		return wrong("no function is named")
	case r.To == "":
		return wrong("no target is named; give --to postgres://user@host:5432/database")
	case !r.At.IsZero() && r.Snapshot != "":
		return wrong("a time and a snapshot exclude each other; give one of --at and --snapshot")
	case r.Jobs < 0:
		return wrong("%d jobs", r.Jobs)
	}
	if _, err := parseTarget(r.To); err != nil {
		return err
	}
	for _, name := range r.Tables {
		if _, err := parseTable(name); err != nil {
			return err
		}
	}
	return nil
}

// target is where to restore to.
type target struct {
	url      string // may hold a password
	name     string // of the database
	readable string // host, port and database, for people
}

// parseTarget reads a target's URL. The error does not repeat it.
func parseTarget(address string) (target, error) {
	at, err := postgres.ParseAddress(address)
	if err != nil {
		return target{}, wrong("the target: %v", err)
	}
	return target{url: address, name: at.Database, readable: at.String()}, nil
}

// parseTable splits "schema.name" at the first dot that is not in quotes.
func parseTable(text string) (postgres.TableName, error) {
	quoted := false
	for i, c := range text {
		switch {
		case c == '"':
			quoted = !quoted
		case c == '.' && !quoted:
			name := postgres.TableName{Schema: unquote(text[:i]), Name: unquote(text[i+1:])}
			if name.Schema != "" && name.Name != "" {
				return name, nil
			}
		}
	}
	return postgres.TableName{}, wrong("the table %q has no schema; write it as schema.table", text)
}

func unquote(name string) string {
	if len(name) < 2 || name[0] != '"' || name[len(name)-1] != '"' {
		return name
	}
	return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
}

// tableNames are the tables of a request, each once.
func (r Request) tableNames() ([]postgres.TableName, error) {
	var names []postgres.TableName
	for _, text := range r.Tables {
		name, err := parseTable(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

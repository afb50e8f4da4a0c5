package postgres

import (
	"errors"
	"os/exec"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// NoDatabase reports whether [Connect] failed because the server answers and
// has no database of that name.
func NoDatabase(err error) bool { return hasCode(err, codeUnknownDatabase) }

// refusals are the classes of errors with which a server refuses what it is
// given rather than failing itself: data, constraints, definitions.
var refusals = []string{"0A", "21", "22", "23", "2B", "38", "39", "3F", "42", "44", "P0"}

// serverFaults are words of errors in which the server, or who is connected to
// it, is at fault and not what it was given.
var serverFaults = []string{
	"No space left", "could not extend file", "out of memory", "out of shared memory", "deadlock detected",
	"terminating connection", "canceling statement", "server closed the connection", "the database system is",
	"permission denied", "must be superuser",
}

// Refused reports whether a step of a [Target] failed because the server
// refused the rows or definitions that it was given. It is false when the
// server was away, full or stopped, or did not let us: then nothing is known
// about them.
func Refused(err error) bool {
	var program *exec.ExitError
	if errors.As(err, &program) {
		// pg_restore tells no codes, only words, which are English here.
		text := err.Error()
		return strings.Contains(text, "could not execute query") &&
			!slices.ContainsFunc(serverFaults, func(fault string) bool { return strings.Contains(text, fault) })
	}
	var said *pgconn.PgError
	if !errors.As(err, &said) || said.Code == codeNoPrivilege {
		return false
	}
	return slices.ContainsFunc(refusals, func(class string) bool { return strings.HasPrefix(said.Code, class) })
}

// NotMember reports whether a step of a [Target] failed because who is
// connected may not give objects to the role that owned them.
func NotMember(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error() // of pg_restore there are only words; before 16, and since
	return strings.Contains(text, "must be member of role") || strings.Contains(text, "must be able to SET ROLE")
}

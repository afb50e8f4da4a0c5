package postgres

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrSnapshotLost tells that the session which holds the snapshot of a
	// capture has ended, so that the rest of it can no longer be read
	// consistently: the whole capture is void.
	ErrSnapshotLost = errors.New("the session that holds the snapshot was lost, so this capture is void; take a new one")
	// ErrSnapshotAge tells that a capture was given up because it would have
	// held its snapshot for too long.
	ErrSnapshotAge = errors.New("the snapshot reached max_snapshot_age and was given up to spare the source; " +
		"give it more connections or a higher max_snapshot_age")
	// ErrClosed tells that a capture was used after Close.
	ErrClosed = errors.New("the capture is closed")
	// ErrUnstable tells that tables of the scope were made, dropped or renamed
	// each time while they were being locked.
	ErrUnstable = errors.New("the tables of the scope changed each time they were locked; try again when the migration is over")
)

// LockError tells that the tables of a scope could not be locked in time.
type LockError struct {
	// Table is the one waited for, where it is known.
	Table string
	// Waited is the time allowed.
	Waited time.Duration
	// Blockers are the sessions in the way, as far as they could be found.
	Blockers []Blocker
	// Err is the error of the server.
	Err error
}

// Blocker is a session that holds a lock which a capture waits for, or waits
// for one ahead of it.
type Blocker struct {
	PID         int32
	Application string
	User        string
	Table       string
	// Statement is the kind of the statement, "ALTER TABLE", without the rest
	// of its text, which may hold data.
	Statement string
	// Granted tells that the lock is held, not waited for.
	Granted bool
	// Age is how long its transaction has been open.
	Age time.Duration
}

func (b Blocker) String() string {
	verb := "waiting for a lock on"
	if b.Granted {
		verb = "holding a lock on"
	}
	return fmt.Sprintf("pid %d (%s, user %s, application %q) %s %s, its transaction open for %s",
		b.PID, b.Statement, b.User, b.Application, verb, b.Table, b.Age.Round(time.Second))
}

func (e *LockError) Error() string {
	var text strings.Builder
	text.WriteString("not all locks were granted")
	if e.Table != "" {
		text.Reset()
		fmt.Fprintf(&text, "the lock on %s was not granted", e.Table)
	}
	fmt.Fprintf(&text, " within %s", e.Waited)
	for i, b := range e.Blockers {
		sep := "; in the way: "
		if i > 0 {
			sep = ", "
		}
		text.WriteString(sep + b.String())
	}
	if len(e.Blockers) == 0 {
		text.WriteString("; what was in the way is gone by now or cannot be seen by this role (grant pg_monitor to see it)")
	}
	return text.String()
}

func (e *LockError) Unwrap() error { return e.Err }

// ScopeError tells that a scope cannot be captured as it is written.
type ScopeError struct {
	// Problems are sentences, each with what to do about it.
	Problems []string
}

func (e *ScopeError) Error() string { return listed("its scope cannot be captured", e.Problems) }

// RightsError tells what the role of the source may not read.
type RightsError struct {
	// Role is the role that lacks the rights.
	Role string
	// Problems are sentences, each with what to do about it.
	Problems []string
}

func (e *RightsError) Error() string {
	return listed(fmt.Sprintf("the role %s may not read all of it", displayName(e.Role)), e.Problems)
}

// listed joins a headline and a list, which it cuts short.
func listed(headline string, items []string) string {
	const most = 10
	if len(items) > most {
		items = append(items[:most:most], fmt.Sprintf("and %d more", len(items)-most))
	}
	return headline + ": " + strings.Join(items, "; ")
}

// Codes of errors that are told apart here.
const (
	codeLockNotAvailable = "55P03"
	codeQueryCanceled    = "57014"
	codeUndefinedTable   = "42P01"
	codeInvalidSchema    = "3F000"

	codeTooManyConnections = "53300"
	codeNoPrivilege        = "42501"
	codeOutOfMemory        = "53200"
)

// hasCode reports whether err is an error of the server with one of the codes.
func hasCode(err error, codes ...string) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	for _, code := range codes {
		if pg.Code == code {
			return true
		}
	}
	return false
}

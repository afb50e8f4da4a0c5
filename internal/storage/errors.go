package storage

import "errors"

// What went wrong, to be told apart with errors.Is.
var (
	// ErrNotFound: no object of that name.
	ErrNotFound = errors.New("object not found")
	// ErrExists: an object of that name is there already and was not touched.
	ErrExists = errors.New("object exists already")
	// ErrNoBucket: the bucket (or the directory) of the site does not exist.
	ErrNoBucket = errors.New("bucket does not exist")
	// ErrDenied: the site refused the credentials or the right to do this.
	ErrDenied = errors.New("access denied")
	// ErrChecksum: the bytes are not those that were meant.
	ErrChecksum = errors.New("checksum differs")
)

// Error is a failed operation on one site.
type Error struct {
	Site string // name in the configuration
	Op   string // "put", "get", "stat", "list", "delete", "probe"
	Name string // object; empty when the operation has none
	Err  error
	// Hint tells the operator what to look at; may be empty.
	Hint string
}

func (e *Error) Error() string {
	s := "site " + e.Site + ": " + e.Op
	if e.Name != "" {
		s += " " + e.Name
	}
	s += ": " + e.Err.Error()
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Permanent reports whether trying the same operation again cannot help.
func Permanent(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) || errors.Is(err, ErrNoBucket) ||
		errors.Is(err, ErrDenied) || errors.Is(err, ErrChecksum)
}

package storage

import (
	"errors"
	"fmt"
	"io"
)

// What went wrong, to be told apart with errors.Is. An error that matches none
// of them is temporary: the site is away, slow, full or has lost its footing,
// and the same operation may work later.
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
	// ErrShort: the object ends before the range that was asked for does. It
	// matches [io.ErrUnexpectedEOF] too, which alone means that the
	// connection broke before the bytes were through.
	ErrShort = fmt.Errorf("object is shorter than asked for: %w", io.ErrUnexpectedEOF)
	// ErrLocked: the object's retention forbids to delete it, or to end the
	// retention sooner.
	ErrLocked = errors.New("object is locked")
	// ErrInvalid: a name, range or object that no site could serve; a mistake
	// of the caller.
	ErrInvalid = errors.New("invalid request")
	// ErrUnsupported: the site does not know how to do this.
	ErrUnsupported = errors.New("not supported by the site")
)

// Error is a failed operation on one site.
type Error struct {
	Site string // name in the configuration; empty when not known
	Op   string // "open", "put", "get", "stat", "list", "delete", "probe", "retain", "retention", "purge"
	Name string // object; empty when the operation has none
	Err  error
	// Hint tells the operator what to look at; may be empty.
	Hint string
}

func (e *Error) Error() string {
	s := e.Op
	if e.Site != "" {
		s = "site " + e.Site + ": " + s
	}
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
	for _, sentinel := range []error{
		ErrNotFound, ErrExists, ErrNoBucket, ErrDenied, ErrChecksum, ErrShort, ErrLocked, ErrInvalid, ErrUnsupported,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

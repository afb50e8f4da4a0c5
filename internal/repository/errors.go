package repository

import (
	"errors"
	"fmt"
)

// What went wrong, to be told apart with errors.Is.
var (
	// ErrNoRepository: the site holds no repo.json.
	ErrNoRepository = errors.New("no repository here")
	// ErrOtherRepository: the site holds another repository than the rest.
	ErrOtherRepository = errors.New("another repository")
	// ErrWrongKey: none of the identities opens the repository key.
	ErrWrongKey = errors.New("wrong key")
	// ErrFormat: the repository needs a newer release.
	ErrFormat = errors.New("repository format is not known to this release")
	// ErrCorrupt: an object holds other bytes than it must.
	ErrCorrupt = errors.New("corrupt object")
	// ErrSpool: the spool cannot be written, full disk above all.
	ErrSpool = errors.New("spool cannot be written")
	// ErrUnavailable: no site could give the right bytes of an object.
	ErrUnavailable = errors.New("no site has the right bytes")
	// ErrNotDurable: no site has acknowledged the snapshot.
	ErrNotDurable = errors.New("not on any site")
)

// ObjectError is a failure that concerns one object of one site.
type ObjectError struct {
	Site   string
	Object string
	Err    error
}

func (e *ObjectError) Error() string {
	return fmt.Sprintf("site %s: object %s: %v", e.Site, e.Object, e.Err)
}

func (e *ObjectError) Unwrap() error { return e.Err }

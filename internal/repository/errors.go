package repository

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/saypro/backupd/internal/storage"
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
	// ErrOwnDisk: what a site is not given is held up by this host.
	ErrOwnDisk = errors.New("the disk of this host is full or cannot be written, which is no fault of the site")
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

// ownFault marks an error of the uploads to a site that is of this host's disk.
// What a site says of itself, a full disk of its own among it, stays the site's.
func ownFault(err error) error {
	var site *storage.Error
	if err == nil || errors.As(err, &site) {
		return err
	}
	for _, own := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS} {
		if errors.Is(err, own) {
			return fmt.Errorf("%w: %w", ErrOwnDisk, err)
		}
	}
	return err
}

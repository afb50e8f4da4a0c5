// Package storage is the contract with a place that keeps objects: an S3
// service, a MinIO server, a directory. Nothing outside this package knows how
// such a place is spoken to.
package storage

import (
	"context"
	"io"
)

// Store keeps immutable objects under slash-separated names (see [CheckName])
// relative to the site's prefix. No object's name may be the folder of another:
// a site with "p/a" has no "p". All methods are safe for concurrent use, honour their context
// and return errors of type [*Error].
//
// An implementation passes the suite in storagetest against its real server.
type Store interface {
	// Put writes an object of obj.Size bytes exactly once. When an object of
	// that name exists it is left as it is and the error matches [ErrExists].
	// The stored bytes are checked against obj.SHA256, by the server where it
	// can and otherwise on the way there; a difference matches [ErrChecksum].
	// When Put has returned, it reads obj.Body no more. After it returned nil,
	// Get and List see the object. After an error that
	// is not [Permanent] the object may or may not have been stored.
	Put(ctx context.Context, obj Object) error

	// Get returns length bytes of the object from offset on; a length of -1
	// means up to the end. Fewer bytes than asked for surface as an error from
	// Get or from Read, never as a short, clean end: [ErrShort] when the object
	// itself is shorter, another that matches [io.ErrUnexpectedEOF] when they
	// were lost on the way. A name without object matches [ErrNotFound]. The
	// context governs the reading too; the caller closes what it got.
	Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)

	// Stat returns the object's name and size, or an error that matches
	// [ErrNotFound].
	Stat(ctx context.Context, name string) (Info, error)

	// List calls fn for each object whose name begins with prefix and sorts
	// after the name after, in ascending order of names (byte by byte), page
	// by page. Objects that come or go meanwhile may be seen or not. An error
	// from fn ends the listing and is returned as it is.
	List(ctx context.Context, prefix, after string, fn func(Info) error) error

	// Delete removes the object. Removing what does not exist is no error.
	Delete(ctx context.Context, name string) error
}

// Object is what Put writes.
type Object struct {
	Name   string
	Size   int64
	SHA256 [32]byte
	// Body gives the bytes; Put may rewind it to send them again.
	Body io.ReadSeeker
	// Retention protects the new object from deletion. An object that was
	// there before keeps its own. A site without object lock answers
	// [ErrUnsupported].
	Retention Retention
}

// Info describes a stored object.
type Info struct {
	Name string
	Size int64
}

package wire

import (
	"context"
	"io"

	"github.com/saypro/backupd/internal/storage"
)

// Client speaks S3, in the bucket of one site. Its names are whole keys and
// its errors its own; [Site] makes of it what the contract asks for.
type Client interface {
	// Put sends one plain PUT on condition that the key is free: the body as
	// it is, its digest signed and stated in headers, and the retention.
	Put(ctx context.Context, key string, obj storage.Object, body io.Reader) error
	// Get asks for the bytes that the header Range names; empty: all.
	Get(ctx context.Context, key, bytes string) (Content, error)
	// Head returns the size.
	Head(ctx context.Context, key string) (int64, error)
	// List calls fn for each key with the prefix that sorts after the key
	// after, in pages of so many. An error of fn ends it and is returned.
	List(ctx context.Context, prefix, after string, page int32, fn func(key string, size int64) error) error
	// Delete removes a version, or without one what is the current.
	Delete(ctx context.Context, key, version string) error
	// Versions calls fn for each version of the keys with the prefix, sorted
	// by key. An error of fn ends it and is returned.
	Versions(ctx context.Context, prefix string, fn func(Version) error) error
	// Retain sets the retention of the current version, if wanted with the
	// right to bypass the one it has.
	Retain(ctx context.Context, key string, r storage.Retention, bypass bool) error
	// Retention reads that of a version; empty: of the current.
	Retention(ctx context.Context, key, version string) (storage.Retention, error)
	// ObjectLock tells whether the bucket has object lock.
	ObjectLock(ctx context.Context) (bool, error)
	// Answer takes an error apart: what the site answered, the zero Answer
	// when it did not, and the error without what the client wraps around it.
	Answer(err error) (Answer, error)
}

// Content is what a site answers to a GET.
type Content struct {
	Body   io.ReadCloser
	Length int64  // -1: not stated
	Range  string // header Content-Range; empty: not stated
}

// Version is one version of an object, or the mark of a deletion.
type Version struct {
	Key, ID string
	Marker  bool
}

package storage

import (
	"context"
	"fmt"
	"io"
)

// ErrReadOnly is what a store that may only be read answers to everything else.
var ErrReadOnly = fmt.Errorf("%w: this store may only be read", ErrDenied)

// ReadOnly lets nobody write to a store or delete from it, nor do anything else
// that it can do beyond a [Store]: whatever wants to is refused.
func ReadOnly(s Store) Store { return readOnly{s} }

type readOnly struct{ store Store }

func (r readOnly) Put(_ context.Context, obj Object) error {
	return &Error{Op: "put", Name: obj.Name, Err: ErrReadOnly}
}

func (r readOnly) Delete(_ context.Context, name string) error {
	return &Error{Op: "delete", Name: name, Err: ErrReadOnly}
}

func (r readOnly) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	return r.store.Get(ctx, name, offset, length)
}

func (r readOnly) Stat(ctx context.Context, name string) (Info, error) {
	return r.store.Stat(ctx, name)
}

func (r readOnly) List(ctx context.Context, prefix, after string, fn func(Info) error) error {
	return r.store.List(ctx, prefix, after, fn)
}

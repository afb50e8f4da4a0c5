package wire

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/saypro/backupd/internal/storage"
)

// Site is the store in a bucket, whichever client speaks to it. It implements
// [storage.Store], [storage.LockProber], [storage.ChecksumProber],
// [storage.Locker], [storage.Bypasser] and [storage.Purger].
type Site struct {
	name     string // in the configuration
	endpoint string // for hints
	keys     Keys
	client   Client
}

// NewSite returns the store under a prefix, which may be empty.
func NewSite(name, endpoint, prefix string, client Client) (*Site, error) {
	keys, err := NewKeys(prefix)
	if err != nil {
		return nil, err
	}
	return &Site{name: name, endpoint: endpoint, keys: keys, client: client}, nil
}

// Put implements [storage.Store].
func (s *Site) Put(ctx context.Context, obj storage.Object) error {
	err := obj.Retention.Check()
	if err == nil {
		err = s.put(ctx, obj)
	}
	return s.fail(ctx, "put", obj.Name, err)
}

func (s *Site) put(ctx context.Context, obj storage.Object) error {
	body, err := storage.NewBody(obj)
	if err != nil {
		return err
	}
	err = s.client.Put(ctx, s.keys.Key(obj.Name), obj, body)
	body.Release()
	switch {
	case body.Err() != nil:
		return body.Err()
	case err == nil && !body.Complete():
		return untrue{what: "said to have stored an object of which it had not got all"}
	case err == nil:
		return nil
	}
	answer, cause := s.client.Answer(err)
	_, means := Meaning(answer)
	switch {
	case answer == (Answer{}) && ctx.Err() == nil && Unheard(cause, body):
		if _, none := s.size(ctx, obj.Name); none == nil {
			return storage.ErrExists
		}
	case errors.Is(means, storage.ErrLocked): // versitygw looks at the lock first
		return storage.ErrExists
	case errors.Is(means, storage.ErrExists):
		if _, none := s.size(ctx, obj.Name); errors.Is(none, storage.ErrNotFound) {
			return errHidden
		}
	}
	return err
}

// errHidden is an object that was deleted where old versions are kept. MinIO
// and Amazon take it anew; versitygw does not, and it must not pass for stored.
var errHidden = errors.New("the site refuses it as existing and does not show it: it seems hidden by the mark of a deletion")

// PutUnchecked implements [storage.ChecksumProber].
func (s *Site) PutUnchecked(ctx context.Context, obj storage.Object) error {
	return s.fail(ctx, "put", obj.Name, s.client.Put(ctx, s.keys.Key(obj.Name), obj, obj.Body))
}

// Get implements [storage.Store].
func (s *Site) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := s.get(ctx, name, Range{Offset: offset, Length: length})
	if err != nil {
		return nil, s.fail(ctx, "get", name, err)
	}
	return body, nil
}

func (s *Site) get(ctx context.Context, name string, r Range) (io.ReadCloser, error) {
	if err := errors.Join(storage.CheckName(name), storage.CheckRange(r.Offset, r.Length)); err != nil {
		return nil, err
	}
	if r.Length == 0 {
		return s.nothing(ctx, name, r)
	}
	content, err := s.client.Get(ctx, s.keys.Key(name), r.Header())
	if err != nil {
		if answer, _ := s.client.Answer(err); answer.Status == http.StatusRequestedRangeNotSatisfiable && r.Length == -1 {
			return s.nothing(ctx, name, r)
		}
		return nil, err
	}
	want, err := r.Expect(content.Length, content.Range)
	if err != nil {
		_ = content.Body.Close() // the error that counts is known
		return nil, err
	}
	return NewReader(ctx, content.Body, want, func(err error) error { return s.fail(ctx, "get", name, err) }), nil
}

// nothing serves a range of no bytes, for which there is no header, if the
// object reaches that far.
func (s *Site) nothing(ctx context.Context, name string, r Range) (io.ReadCloser, error) {
	size, err := s.size(ctx, name)
	if err == nil && r.Offset > size {
		err = storage.ErrShort
	}
	return http.NoBody, err
}

// Stat implements [storage.Store].
func (s *Site) Stat(ctx context.Context, name string) (storage.Info, error) {
	err := storage.CheckName(name)
	var size int64
	if err == nil {
		size, err = s.size(ctx, name)
	}
	if err != nil {
		return storage.Info{}, s.fail(ctx, "stat", name, err)
	}
	return storage.Info{Name: name, Size: size}, nil
}

func (s *Site) size(ctx context.Context, name string) (int64, error) {
	size, err := s.client.Head(ctx, s.keys.Key(name))
	if err == nil {
		return size, nil
	}
	if answer, _ := s.client.Answer(err); answer.Status == http.StatusNotFound {
		return 0, s.missing(ctx)
	}
	return 0, err
}

// missing says what a site without the object is missing: an answer to HEAD
// has no body that could. One to a listing does, and is the same status when
// it is the bucket, or with versitygw the key.
func (s *Site) missing(ctx context.Context) error {
	err := s.client.List(ctx, s.keys.Key(""), "", 1, func(string, int64) error { return errEnough })
	if answer, _ := s.client.Answer(err); answer.Status == http.StatusNotFound {
		return err
	}
	return storage.ErrNotFound
}

// errEnough ends a listing of which no more is wanted.
var errEnough = errors.New("enough")

// List implements [storage.Store].
func (s *Site) List(ctx context.Context, prefix, after string, fn func(storage.Info) error) error {
	if err := storage.CheckPrefix(prefix); err != nil {
		return s.fail(ctx, "list", prefix, err)
	}
	var order Ascending
	var stopped error
	err := s.client.List(ctx, s.keys.Key(prefix), s.keys.After(after), 1000, func(key string, size int64) error {
		name, err := s.keys.Name(key)
		if err == nil {
			err = order.Next(name)
		}
		if err == nil {
			stopped = fn(storage.Info{Name: name, Size: size})
			err = stopped
		}
		return err
	})
	if stopped != nil {
		return stopped
	}
	return s.fail(ctx, "list", prefix, err)
}

// Delete implements [storage.Store].
func (s *Site) Delete(ctx context.Context, name string) error {
	err := storage.CheckName(name)
	if err == nil {
		err = s.client.Delete(ctx, s.keys.Key(name), "")
	}
	if err = s.fail(ctx, "delete", name, err); errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// fail gives an error its meaning; nil stays nil.
func (s *Site) fail(ctx context.Context, op, name string, err error) error {
	if err == nil {
		return nil
	}
	var known *storage.Error
	if errors.As(err, &known) {
		return err
	}
	e := &storage.Error{Site: s.name, Op: op, Name: name, Err: err}
	answer, cause := s.client.Answer(err)
	var lie untrue
	switch {
	case ctx.Err() != nil:
		e.Err = ctx.Err()
	case storage.Permanent(err):
	case errors.Is(err, errHidden):
		e.Hint = "remove the mark, which is the newest version of the object"
	case errors.As(err, &lie):
		e.Hint, e.Err = lie.meaning()
	case answer != (Answer{}):
		e.Hint, e.Err = Meaning(answer)
	default:
		e.Err = cause
		e.Hint = Broken(cause, s.endpoint)
	}
	return e
}

// Package minio keeps a site on a MinIO server, or on any other S3 service, by
// way of MinIO's own client.
package minio

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	miniogo "github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/internal/wire"
)

// Options says where the site is and how to enter it.
type Options struct {
	Site      string // name in the configuration, for errors
	Endpoint  string // http://host:port or https://host:port
	Region    string // empty: us-east-1, which a MinIO server takes unless told otherwise
	Bucket    string
	Prefix    string // what all keys begin with, before a slash; may be empty
	AccessKey string
	SecretKey string
	// Stall is how long a request may go without a byte moving before it
	// fails. Default 1 minute.
	Stall time.Duration
	// Traffic counts the requests of the site; nil: they are not counted.
	Traffic *storage.Traffic
}

// Store is a site on a MinIO server. It implements [storage.Store],
// [storage.LockProber] and [storage.ChecksumProber].
type Store struct {
	site     string
	endpoint string
	bucket   string
	keys     wire.Keys
	client   miniogo.Core
}

// Open checks the options; it does not connect.
func Open(o Options) (*Store, error) {
	s, err := open(o)
	if err != nil {
		return nil, &storage.Error{Site: o.Site, Op: "open", Err: err}
	}
	return s, nil
}

func open(o Options) (*Store, error) {
	endpoint, err := wire.ParseEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	keys, err := wire.NewKeys(o.Prefix)
	if err != nil {
		return nil, err
	}
	if o.Region == "" {
		// Without one the client asks the server for it before each first
		// request, which needs a right of its own.
		o.Region = "us-east-1"
	}
	client, err := miniogo.New(endpoint.Host, &miniogo.Options{
		Creds:      credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""),
		Secure:     endpoint.Scheme == "https",
		Transport:  wire.NewTransport(o.Stall, nil, o.Traffic),
		Region:     o.Region,
		MaxRetries: 1, // retrying is for storage.WithRetry
	})
	if err != nil {
		return nil, err
	}
	return &Store{
		site: o.Site, endpoint: endpoint.String(), bucket: o.Bucket, keys: keys, client: miniogo.Core{Client: client},
	}, nil
}

// Put implements [storage.Store].
func (s *Store) Put(ctx context.Context, obj storage.Object) error {
	body, err := storage.NewBody(obj)
	if err != nil {
		return s.fail(ctx, "put", obj.Name, err)
	}
	err = s.put(ctx, obj, body)
	body.Release()
	switch {
	case err == nil:
		return nil
	case body.Err() != nil:
		err = body.Err()
	case miniogo.ToErrorResponse(err).StatusCode == 0 && ctx.Err() == nil && wire.Unheard(err, body):
		if _, none := s.size(ctx, obj.Name); none == nil {
			err = storage.ErrExists
		}
	}
	return s.fail(ctx, "put", obj.Name, err)
}

// PutUnchecked implements [storage.ChecksumProber].
func (s *Store) PutUnchecked(ctx context.Context, obj storage.Object) error {
	if err := s.put(ctx, obj, obj.Body); err != nil {
		return s.fail(ctx, "put", obj.Name, err)
	}
	return nil
}

// put sends one plain PUT: the body as it is, its digest signed and stated in
// headers. Chunked signatures and checksums behind the body, which the client
// would use by itself, are not understood by every server.
func (s *Store) put(ctx context.Context, obj storage.Object, body io.Reader) error {
	opts := miniogo.PutObjectOptions{
		ContentType:          "application/octet-stream",
		DisableContentSha256: true, // of chunks; that of the whole is signed
		DisableMultipart:     true,
		UserMetadata: map[string]string{
			"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(obj.SHA256[:]),
		},
	}
	opts.SetMatchETagExcept("*")
	_, err := s.client.PutObject(ctx, s.bucket, s.keys.Key(obj.Name), body, obj.Size,
		"", hex.EncodeToString(obj.SHA256[:]), opts)
	return err
}

// Get implements [storage.Store].
func (s *Store) Get(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	body, err := s.get(ctx, name, wire.Range{Offset: offset, Length: length})
	if err != nil {
		return nil, s.fail(ctx, "get", name, err)
	}
	return body, nil
}

func (s *Store) get(ctx context.Context, name string, r wire.Range) (io.ReadCloser, error) {
	if err := errors.Join(storage.CheckName(name), storage.CheckRange(r.Offset, r.Length)); err != nil {
		return nil, err
	}
	if r.Length == 0 {
		return s.nothing(ctx, name, r)
	}
	opts := miniogo.GetObjectOptions{}
	if header := r.Header(); header != "" {
		opts.Set("Range", header)
	}
	body, info, header, err := s.client.GetObject(ctx, s.bucket, s.keys.Key(name), opts)
	if miniogo.ToErrorResponse(err).StatusCode == http.StatusRequestedRangeNotSatisfiable && r.Length == -1 {
		return s.nothing(ctx, name, r)
	}
	if err != nil {
		return nil, err
	}
	want, err := r.Expect(info.Size, header.Get("Content-Range"))
	if err != nil {
		_ = body.Close() // the error that counts is known
		return nil, err
	}
	return wire.NewReader(body, want, func(err error) error { return s.fail(ctx, "get", name, err) }), nil
}

// nothing serves a range of no bytes, for which there is no header, if the
// object reaches that far.
func (s *Store) nothing(ctx context.Context, name string, r wire.Range) (io.ReadCloser, error) {
	size, err := s.size(ctx, name)
	if err == nil && r.Offset > size {
		err = storage.ErrShort
	}
	return http.NoBody, err
}

// Stat implements [storage.Store].
func (s *Store) Stat(ctx context.Context, name string) (storage.Info, error) {
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

func (s *Store) size(ctx context.Context, name string) (int64, error) {
	info, err := s.client.StatObject(ctx, s.bucket, s.keys.Key(name), miniogo.StatObjectOptions{})
	if miniogo.ToErrorResponse(err).StatusCode == http.StatusNotFound {
		return 0, s.missing(ctx)
	}
	return info.Size, err
}

// missing says what a site without the object is missing: an answer to HEAD
// has no body that could. One to a listing does, and is the same status when
// it is the bucket, or with versitygw the key.
func (s *Store) missing(ctx context.Context) error {
	for object := range s.client.ListObjectsIter(ctx, s.bucket, miniogo.ListObjectsOptions{
		Prefix: s.keys.Key(""), Recursive: true, MaxKeys: 1,
	}) {
		if miniogo.ToErrorResponse(object.Err).StatusCode == http.StatusNotFound {
			return object.Err
		}
		break
	}
	return storage.ErrNotFound
}

// List implements [storage.Store].
func (s *Store) List(ctx context.Context, prefix, after string, fn func(storage.Info) error) error {
	if err := storage.CheckPrefix(prefix); err != nil {
		return s.fail(ctx, "list", prefix, err)
	}
	var order wire.Ascending
	for object := range s.client.ListObjectsIter(ctx, s.bucket, miniogo.ListObjectsOptions{
		Prefix: s.keys.Key(prefix), StartAfter: s.keys.After(after), Recursive: true, MaxKeys: 1000,
	}) {
		name, err := s.listed(object, &order)
		if err != nil {
			return s.fail(ctx, "list", prefix, err)
		}
		if err := fn(storage.Info{Name: name, Size: object.Size}); err != nil {
			return err
		}
	}
	// The iterator ends in silence when its context does.
	if err := ctx.Err(); err != nil {
		return s.fail(ctx, "list", prefix, err)
	}
	return nil
}

func (s *Store) listed(object miniogo.ObjectInfo, order *wire.Ascending) (string, error) {
	if object.Err != nil {
		return "", object.Err
	}
	name, err := s.keys.Name(object.Key)
	if err != nil {
		return "", err
	}
	return name, order.Next(name)
}

// Delete implements [storage.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	err := storage.CheckName(name)
	if err == nil {
		err = s.client.RemoveObject(ctx, s.bucket, s.keys.Key(name), miniogo.RemoveObjectOptions{})
	}
	if err = s.fail(ctx, "delete", name, err); errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// ObjectLock implements [storage.LockProber].
func (s *Store) ObjectLock(ctx context.Context) (bool, error) {
	enabled, _, _, _, err := s.client.GetObjectLockConfig(ctx, s.bucket)
	if miniogo.ToErrorResponse(err).Code == "ObjectLockConfigurationNotFoundError" {
		return false, nil
	}
	return enabled == "Enabled", s.fail(ctx, "probe", "", err)
}

// fail gives an error its meaning; nil stays nil.
func (s *Store) fail(ctx context.Context, op, name string, err error) error {
	if err == nil {
		return nil
	}
	var known *storage.Error
	if errors.As(err, &known) {
		return err
	}
	e := &storage.Error{Site: s.site, Op: op, Name: name, Err: err}
	answer := miniogo.ToErrorResponse(err)
	switch {
	case ctx.Err() != nil:
		e.Err = ctx.Err()
	case storage.Permanent(err):
	case answer.StatusCode != 0 || answer.Code != "":
		e.Hint, e.Err = wire.Meaning(wire.Answer{
			Status: answer.StatusCode, Code: strings.TrimSpace(answer.Code), Message: answer.Message,
		})
	default:
		e.Hint = wire.Broken(err, s.endpoint)
	}
	return e
}

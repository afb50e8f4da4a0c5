package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/internal/wire"
)

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
	case status(err) == 0 && ctx.Err() == nil && wire.Unheard(err, body):
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
// headers.
func (s *Store) put(ctx context.Context, obj storage.Object, body io.Reader) error {
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:         &s.bucket,
		Key:            aws.String(s.keys.Key(obj.Name)),
		Body:           body,
		ContentLength:  &obj.Size,
		ContentType:    aws.String("application/octet-stream"),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(obj.SHA256[:])),
		IfNoneMatch:    aws.String("*"),
	}, signedAs(obj.SHA256))
	return err
}

// signedAs signs the body by its known digest. By itself the client would read
// all of it once more over http, and not sign it over https.
func signedAs(digest [32]byte) func(*s3.Options) {
	set := middleware.InitializeMiddlewareFunc("BodyDigest", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		return next.HandleInitialize(v4.SetPayloadHash(ctx, hex.EncodeToString(digest[:])), in)
	})
	return s3.WithAPIOptions(func(stack *middleware.Stack) error {
		return stack.Initialize.Add(set, middleware.Before)
	})
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
	input := &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.keys.Key(name))}
	if header := r.Header(); header != "" {
		input.Range = &header
	}
	out, err := s.client.GetObject(ctx, input)
	if status(err) == http.StatusRequestedRangeNotSatisfiable && r.Length == -1 {
		return s.nothing(ctx, name, r)
	}
	if err != nil {
		return nil, err
	}
	stated := int64(-1)
	if out.ContentLength != nil {
		stated = *out.ContentLength
	}
	want, err := r.Expect(stated, aws.ToString(out.ContentRange))
	if err != nil {
		_ = out.Body.Close() // the error that counts is known
		return nil, err
	}
	return wire.NewReader(out.Body, want, func(err error) error { return s.fail(ctx, "get", name, err) }), nil
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

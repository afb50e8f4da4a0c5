package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/internal/wire"
)

// client implements [wire.Client].
type client struct {
	bucket string
	speaks *s3.Client
}

func (c *client) Put(ctx context.Context, key string, obj storage.Object, body io.Reader) error {
	input := &s3.PutObjectInput{
		Bucket:         &c.bucket,
		Key:            &key,
		Body:           body,
		ContentLength:  &obj.Size,
		ContentType:    aws.String("application/octet-stream"),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(obj.SHA256[:])),
		IfNoneMatch:    aws.String("*"),
	}
	if r := obj.Retention; r != (storage.Retention{}) {
		input.ObjectLockMode = types.ObjectLockMode(wire.ModeName(r.Mode))
		input.ObjectLockRetainUntilDate = aws.Time(wire.Until(r.Until))
		input.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 // Amazon wants it said
	}
	_, err := c.speaks.PutObject(ctx, input, signedAs(obj.SHA256))
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

func (c *client) Get(ctx context.Context, key, bytes string) (wire.Content, error) {
	input := &s3.GetObjectInput{Bucket: &c.bucket, Key: &key}
	if bytes != "" {
		input.Range = &bytes
	}
	out, err := c.speaks.GetObject(ctx, input)
	if err != nil {
		return wire.Content{}, err
	}
	content := wire.Content{Body: out.Body, Length: -1, Range: aws.ToString(out.ContentRange)}
	if out.ContentLength != nil {
		content.Length = *out.ContentLength
	}
	return content, nil
}

func (c *client) Head(ctx context.Context, key string) (int64, error) {
	out, err := c.speaks.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		return 0, err
	}
	return aws.ToInt64(out.ContentLength), nil
}

func (c *client) List(ctx context.Context, prefix, after string, page int32, fn func(string, int64) error) error {
	input := &s3.ListObjectsV2Input{Bucket: &c.bucket, Prefix: &prefix, MaxKeys: &page}
	if after != "" {
		input.StartAfter = &after
	}
	for pages := s3.NewListObjectsV2Paginator(c.speaks, input); pages.HasMorePages(); {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, object := range out.Contents {
			if err := fn(aws.ToString(object.Key), aws.ToInt64(object.Size)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Versions gives the versions of a page before the marks on it, which the
// client tells apart.
func (c *client) Versions(ctx context.Context, prefix string, fn func(wire.Version) error) error {
	pages := s3.NewListObjectVersionsPaginator(c.speaks, &s3.ListObjectVersionsInput{Bucket: &c.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		var found []wire.Version
		for _, v := range out.Versions {
			found = append(found, wire.Version{Key: aws.ToString(v.Key), ID: aws.ToString(v.VersionId)})
		}
		for _, m := range out.DeleteMarkers {
			found = append(found, wire.Version{Key: aws.ToString(m.Key), ID: aws.ToString(m.VersionId), Marker: true})
		}
		slices.SortStableFunc(found, func(a, b wire.Version) int { return strings.Compare(a.Key, b.Key) })
		for _, v := range found {
			if err := fn(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *client) Delete(ctx context.Context, key, version string) error {
	input := &s3.DeleteObjectInput{Bucket: &c.bucket, Key: &key}
	if version != "" {
		input.VersionId = &version
	}
	_, err := c.speaks.DeleteObject(ctx, input)
	return err
}

func (c *client) Retain(ctx context.Context, key string, r storage.Retention, bypass bool) error {
	input := &s3.PutObjectRetentionInput{
		Bucket: &c.bucket, Key: &key,
		Retention: &types.ObjectLockRetention{
			Mode: types.ObjectLockRetentionMode(wire.ModeName(r.Mode)), RetainUntilDate: aws.Time(wire.Until(r.Until)),
		},
	}
	if bypass {
		input.BypassGovernanceRetention = &bypass
	}
	_, err := c.speaks.PutObjectRetention(ctx, input)
	return err
}

func (c *client) Retention(ctx context.Context, key, version string) (storage.Retention, error) {
	input := &s3.GetObjectRetentionInput{Bucket: &c.bucket, Key: &key}
	if version != "" {
		input.VersionId = &version
	}
	out, err := c.speaks.GetObjectRetention(ctx, input)
	if err != nil || out.Retention == nil {
		return storage.Retention{}, err
	}
	return wire.NewRetention(string(out.Retention.Mode), out.Retention.RetainUntilDate), nil
}

func (c *client) ObjectLock(ctx context.Context) (bool, error) {
	out, err := c.speaks.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &c.bucket})
	if err != nil || out.ObjectLockConfiguration == nil {
		return false, err
	}
	return out.ObjectLockConfiguration.ObjectLockEnabled == types.ObjectLockEnabledEnabled, nil
}

func (c *client) Answer(err error) (wire.Answer, error) {
	var response *smithyhttp.ResponseError
	var api smithy.APIError
	status := 0
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	switch {
	case errors.As(err, &api):
		return wire.Answer{Status: status, Code: api.ErrorCode(), Message: api.ErrorMessage()}, err
	case status >= 300:
		return wire.Answer{Status: status}, err
	}
	return wire.Answer{}, inner(err)
}

// inner takes off what the client wraps around the failure of a request.
func inner(err error) error {
	var operation *smithy.OperationError
	if errors.As(err, &operation) {
		err = operation.Err
	}
	var request *smithyhttp.RequestSendError
	if errors.As(err, &request) {
		err = request.Err
	}
	return err
}

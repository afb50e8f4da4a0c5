// Package s3 keeps a site in a bucket of Amazon S3, or of a service that speaks
// the same, by way of Amazon's own client.
package s3

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/internal/wire"
)

// Options says where the site is and how to enter it.
type Options struct {
	Site     string // name in the configuration, for errors
	Endpoint string // http://host:port or https://host:port; empty: Amazon
	Region   string // empty: what the client finds by itself, us-east-1 with an endpoint
	Bucket   string
	Prefix   string // what all keys begin with, before a slash; may be empty
	// AccessKey and SecretKey, when both empty, are looked for where the
	// client always does: environment, shared files, role of the machine.
	AccessKey string
	SecretKey string
	// Stall is how long a request may go without a byte moving before it
	// fails. Default 1 minute.
	Stall time.Duration
	// Traffic counts the requests of the site; nil: they are not counted.
	Traffic *storage.Traffic
}

// Store is a site in a bucket. It implements [storage.Store],
// [storage.LockProber] and [storage.ChecksumProber].
type Store struct {
	site     string
	endpoint string
	bucket   string
	keys     wire.Keys
	client   *s3.Client
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
	s := &Store{site: o.Site, bucket: o.Bucket, endpoint: "Amazon S3"}
	if o.Endpoint != "" {
		endpoint, err := wire.ParseEndpoint(o.Endpoint)
		if err != nil {
			return nil, err
		}
		s.endpoint = endpoint.String()
	}
	var err error
	if s.keys, err = wire.NewKeys(o.Prefix); err != nil {
		return nil, err
	}
	cfg, err := load(o)
	if err != nil {
		return nil, err
	}
	s.client = s3.NewFromConfig(cfg, func(c *s3.Options) {
		// Since 2025 the client adds checksums of its own liking behind the
		// body, in chunks; many services other than Amazon's refuse that.
		c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		c.Retryer = aws.NopRetryer{}        // retrying is for storage.WithRetry
		c.ContinueHeaderThresholdBytes = -1 // the transport does that
		if o.Endpoint != "" {
			c.BaseEndpoint = &s.endpoint
			c.UsePathStyle = true
		}
	})
	return s, nil
}

// load says who we are and where the service is. With keys given, nothing in
// the environment has a say.
func load(o Options) (aws.Config, error) {
	if o.Region == "" && o.Endpoint != "" {
		o.Region = "us-east-1"
	}
	cfg := aws.Config{
		Region: o.Region, Logger: logging.Nop{},
		Credentials: credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, ""),
	}
	var roots *x509.CertPool
	if o.AccessKey == "" && o.SecretKey == "" {
		var err error
		cfg, err = config.LoadDefaultConfig(context.Background(),
			config.WithRegion(o.Region), config.WithLogger(logging.Nop{}))
		if err != nil {
			return aws.Config{}, fmt.Errorf("read the settings of the S3 client: %w", err)
		}
		roots = trusted(cfg)
	}
	if cfg.Region == "" {
		return aws.Config{}, fmt.Errorf("%w: region of the site is not given", storage.ErrInvalid)
	}
	cfg.HTTPClient = &http.Client{
		Transport:     wire.NewTransport(o.Stall, roots, o.Traffic),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return cfg, nil
}

// trusted returns the authorities that the environment (AWS_CA_BUNDLE) names,
// or nil.
func trusted(cfg aws.Config) *x509.CertPool {
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok || client.GetTransport().TLSClientConfig == nil {
		return nil
	}
	return client.GetTransport().TLSClientConfig.RootCAs
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
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: aws.String(s.keys.Key(name))})
	if status(err) == http.StatusNotFound {
		return 0, s.missing(ctx)
	}
	if err != nil {
		return 0, err
	}
	return aws.ToInt64(out.ContentLength), nil
}

// missing says what a site without the object is missing: an answer to HEAD
// has no body that could. One to a listing does, and is the same status when
// it is the bucket, or with versitygw the key.
func (s *Store) missing(ctx context.Context) error {
	_, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &s.bucket, Prefix: aws.String(s.keys.Key("")), MaxKeys: aws.Int32(1),
	})
	if status(err) == http.StatusNotFound {
		return err
	}
	return storage.ErrNotFound
}

// List implements [storage.Store].
func (s *Store) List(ctx context.Context, prefix, after string, fn func(storage.Info) error) error {
	if err := storage.CheckPrefix(prefix); err != nil {
		return s.fail(ctx, "list", prefix, err)
	}
	input := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: aws.String(s.keys.Key(prefix)), MaxKeys: aws.Int32(1000)}
	if after != "" {
		input.StartAfter = aws.String(s.keys.After(after))
	}
	var order wire.Ascending
	for pages := s3.NewListObjectsV2Paginator(s.client, input); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return s.fail(ctx, "list", prefix, err)
		}
		for _, object := range page.Contents {
			name, err := s.keys.Name(aws.ToString(object.Key))
			if err == nil {
				err = order.Next(name)
			}
			if err != nil {
				return s.fail(ctx, "list", prefix, err)
			}
			if err := fn(storage.Info{Name: name, Size: aws.ToInt64(object.Size)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Delete implements [storage.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	err := storage.CheckName(name)
	if err == nil {
		_, err = s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: aws.String(s.keys.Key(name))})
	}
	if err = s.fail(ctx, "delete", name, err); errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// ObjectLock implements [storage.LockProber].
func (s *Store) ObjectLock(ctx context.Context) (bool, error) {
	out, err := s.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &s.bucket})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "ObjectLockConfigurationNotFoundError" {
		return false, nil
	}
	if err != nil {
		return false, s.fail(ctx, "probe", "", err)
	}
	lock := out.ObjectLockConfiguration
	return lock != nil && lock.ObjectLockEnabled == "Enabled", nil
}

// status returns the status of the answer that an error stands for, or 0.
func status(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
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
	var api smithy.APIError
	switch {
	case ctx.Err() != nil:
		e.Err = ctx.Err()
	case storage.Permanent(err):
	case errors.As(err, &api):
		e.Hint, e.Err = wire.Meaning(wire.Answer{Status: status(err), Code: api.ErrorCode(), Message: api.ErrorMessage()})
	case status(err) >= 300:
		e.Hint, e.Err = wire.Meaning(wire.Answer{Status: status(err)})
	case strings.Contains(err.Error(), "get credentials"):
		e.Err = inner(err)
		e.Hint = "no keys were found; set access_key and secret_key of the site, or what the S3 client looks at"
	default:
		e.Err = inner(err)
		e.Hint = wire.Broken(e.Err, s.endpoint)
	}
	return e
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

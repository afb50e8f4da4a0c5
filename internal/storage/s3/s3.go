// Package s3 keeps a site in a bucket of Amazon S3, or of a service that speaks
// the same, by way of Amazon's own client.
package s3

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

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
	// Dial connects to the site; nil: as everybody does.
	Dial storage.Dial
}

// Store is a site in a bucket.
type Store struct{ *wire.Site }

// Open checks the options; it does not connect.
func Open(o Options) (*Store, error) {
	s, err := open(o)
	if err != nil {
		return nil, &storage.Error{Site: o.Site, Op: "open", Err: err}
	}
	return s, nil
}

func open(o Options) (*Store, error) {
	place := "Amazon S3"
	if o.Endpoint != "" {
		endpoint, err := wire.ParseEndpoint(o.Endpoint)
		if err != nil {
			return nil, err
		}
		place = endpoint.String()
	}
	cfg, err := load(o)
	if err != nil {
		return nil, err
	}
	speaks := s3.NewFromConfig(cfg, func(c *s3.Options) {
		// Since 2025 the client adds checksums of its own liking behind the
		// body, in chunks; many services other than Amazon's refuse that.
		c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		c.Retryer = aws.NopRetryer{}        // retrying is for storage.WithRetry
		c.ContinueHeaderThresholdBytes = -1 // the transport does that
		if o.Endpoint != "" {
			c.BaseEndpoint = &place
			c.UsePathStyle = true
		}
	})
	site, err := wire.NewSite(o.Site, place, o.Prefix, &client{bucket: o.Bucket, speaks: speaks})
	return &Store{site}, err
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
		Transport:     wire.NewTransport(o.Stall, roots, o.Traffic, o.Dial),
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

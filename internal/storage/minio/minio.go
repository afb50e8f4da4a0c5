// Package minio keeps a site on a MinIO server, or on any other S3 service, by
// way of MinIO's own client.
package minio

import (
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
	// Dial connects to the site; nil: as everybody does.
	Dial storage.Dial
}

// Store is a site on a MinIO server.
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
	endpoint, err := wire.ParseEndpoint(o.Endpoint)
	if err != nil {
		return nil, err
	}
	if o.Region == "" {
		// Without one the client asks the server for it before each first
		// request, which needs a right of its own.
		o.Region = "us-east-1"
	}
	speaks, err := miniogo.New(endpoint.Host, &miniogo.Options{
		Creds:      credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""),
		Secure:     endpoint.Scheme == "https",
		Transport:  wire.NewTransport(o.Stall, nil, o.Traffic, o.Dial),
		Region:     o.Region,
		MaxRetries: 1, // retrying is for storage.WithRetry
	})
	if err != nil {
		return nil, err
	}
	c := &client{bucket: o.Bucket, core: miniogo.Core{Client: speaks}}
	site, err := wire.NewSite(o.Site, endpoint.String(), o.Prefix, c)
	return &Store{site}, err
}

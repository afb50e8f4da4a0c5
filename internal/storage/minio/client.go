package minio

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"

	miniogo "github.com/minio/minio-go/v7"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/internal/wire"
)

// client implements [wire.Client].
type client struct {
	bucket string
	core   miniogo.Core
}

// Put sends no chunked signatures and no checksums behind the body, which the
// client would use by itself: not every server understands them.
func (c *client) Put(ctx context.Context, key string, obj storage.Object, body io.Reader) error {
	opts := miniogo.PutObjectOptions{
		ContentType:          "application/octet-stream",
		DisableContentSha256: true, // of chunks; that of the whole is signed
		DisableMultipart:     true,
		UserMetadata: map[string]string{
			"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(obj.SHA256[:]),
		},
	}
	if r := obj.Retention; r != (storage.Retention{}) {
		opts.Mode, opts.RetainUntilDate = miniogo.RetentionMode(wire.ModeName(r.Mode)), wire.Until(r.Until)
	}
	opts.SetMatchETagExcept("*")
	_, err := c.core.PutObject(ctx, c.bucket, key, body, obj.Size, "", hex.EncodeToString(obj.SHA256[:]), opts)
	return err
}

func (c *client) Get(ctx context.Context, key, bytes string) (wire.Content, error) {
	opts := miniogo.GetObjectOptions{}
	if bytes != "" {
		opts.Set("Range", bytes)
	}
	body, info, header, err := c.core.GetObject(ctx, c.bucket, key, opts)
	return wire.Content{Body: body, Length: info.Size, Range: header.Get("Content-Range")}, err
}

func (c *client) Head(ctx context.Context, key string) (int64, error) {
	info, err := c.core.StatObject(ctx, c.bucket, key, miniogo.StatObjectOptions{})
	return info.Size, err
}

func (c *client) List(ctx context.Context, prefix, after string, page int32, fn func(string, int64) error) error {
	return c.each(ctx, miniogo.ListObjectsOptions{
		Prefix: prefix, StartAfter: after, Recursive: true, MaxKeys: int(page),
	}, func(o miniogo.ObjectInfo) error { return fn(o.Key, o.Size) })
}

func (c *client) Versions(ctx context.Context, prefix string, fn func(wire.Version) error) error {
	return c.each(ctx, miniogo.ListObjectsOptions{
		Prefix: prefix, WithVersions: true, Recursive: true,
	}, func(o miniogo.ObjectInfo) error {
		return fn(wire.Version{Key: o.Key, ID: o.VersionID, Marker: o.IsDeleteMarker})
	})
}

func (c *client) each(ctx context.Context, opts miniogo.ListObjectsOptions, fn func(miniogo.ObjectInfo) error) error {
	for object := range c.core.ListObjectsIter(ctx, c.bucket, opts) {
		err := object.Err
		if err == nil {
			err = fn(object)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err() // the iterator ends in silence when its context does
}

func (c *client) Delete(ctx context.Context, key, version string) error {
	return c.core.RemoveObject(ctx, c.bucket, key, miniogo.RemoveObjectOptions{VersionID: version})
}

func (c *client) Retain(ctx context.Context, key string, r storage.Retention, bypass bool) error {
	mode, until := miniogo.RetentionMode(wire.ModeName(r.Mode)), wire.Until(r.Until)
	return c.core.PutObjectRetention(ctx, c.bucket, key, miniogo.PutObjectRetentionOptions{
		Mode: &mode, RetainUntilDate: &until, GovernanceBypass: bypass,
	})
}

func (c *client) Retention(ctx context.Context, key, version string) (storage.Retention, error) {
	mode, until, err := c.core.GetObjectRetention(ctx, c.bucket, key, version)
	if err != nil || mode == nil {
		return storage.Retention{}, err
	}
	return wire.NewRetention(string(*mode), until), nil
}

func (c *client) ObjectLock(ctx context.Context) (bool, error) {
	enabled, _, _, _, err := c.core.GetObjectLockConfig(ctx, c.bucket)
	return enabled == "Enabled", err
}

func (c *client) Answer(err error) (wire.Answer, error) {
	a := miniogo.ToErrorResponse(err)
	return wire.Answer{Status: a.StatusCode, Code: strings.TrimSpace(a.Code), Message: a.Message}, err
}

package s3site

import (
	"crypto/md5"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"

	"github.com/saypro/backupd/internal/clock"
)

// disk keeps the objects of one bucket as files of a folder, and their names
// in memory. Unlike the backends that come with gofakes3 it shows an object
// only when all of it has arrived, so that a connection that is cut leaves
// nothing behind, and keeps no content in memory. It implements
// [gofakes3.Backend].
type disk struct {
	bucket string
	dir    string

	mu      sync.Mutex
	objects map[string]object
	bytes   int64
	serial  int64
}

type object struct {
	file     string
	size     int64
	etag     []byte
	meta     map[string]string
	modified time.Time
}

var _ gofakes3.Backend = (*disk)(nil)

func (d *disk) known(bucket string) error {
	if bucket != d.bucket {
		return gofakes3.BucketNotFound(bucket)
	}
	return nil
}

func (d *disk) ListBuckets() ([]gofakes3.BucketInfo, error) {
	return []gofakes3.BucketInfo{{Name: d.bucket, CreationDate: gofakes3.NewContentTime(clock.System.Now())}}, nil
}

func (d *disk) BucketExists(name string) (bool, error) { return name == d.bucket, nil }

func (d *disk) CreateBucket(string) error      { return gofakes3.ErrNotImplemented }
func (d *disk) DeleteBucket(string) error      { return gofakes3.ErrNotImplemented }
func (d *disk) ForceDeleteBucket(string) error { return gofakes3.ErrNotImplemented }

func (d *disk) ListBucket(bucket string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	if err := d.known(bucket); err != nil {
		return nil, err
	}
	if prefix == nil {
		prefix = &gofakes3.Prefix{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	list := gofakes3.NewObjectList()
	var match gofakes3.PrefixMatch
	count := int64(0)
	last := ""
	for _, name := range slices.Sorted(maps.Keys(d.objects)) {
		if name <= page.Marker || !prefix.Match(name, &match) {
			continue
		}
		if page.MaxKeys > 0 && count == page.MaxKeys {
			list.IsTruncated, list.NextMarker = true, last
			break
		}
		count, last = count+1, name
		if match.CommonPrefix {
			list.AddPrefix(match.MatchedPart)
			continue
		}
		o := d.objects[name]
		list.Add(&gofakes3.Content{
			Key: name, Size: o.size, ETag: gofakes3.FormatETag(o.etag), LastModified: gofakes3.NewContentTime(o.modified),
		})
	}
	return list, nil
}

func (d *disk) HeadObject(bucket, name string) (*gofakes3.Object, error) {
	o, err := d.find(bucket, name)
	if err != nil {
		return nil, err
	}
	return &gofakes3.Object{Name: name, Metadata: o.meta, Size: o.size, Hash: o.etag, Contents: http.NoBody}, nil
}

func (d *disk) GetObject(bucket, name string, part *gofakes3.ObjectRangeRequest) (*gofakes3.Object, error) {
	o, err := d.find(bucket, name)
	if err != nil {
		return nil, err
	}
	span, err := part.Range(o.size)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(o.file)
	if err != nil {
		return nil, err
	}
	answer := &gofakes3.Object{Name: name, Metadata: o.meta, Size: o.size, Hash: o.etag, Range: span, Contents: f}
	if span != nil {
		answer.Contents = fileSpan{io.NewSectionReader(f, span.Start, span.Length), f}
		// The checksum is one of the whole object.
		answer.Metadata = maps.Clone(o.meta)
		delete(answer.Metadata, checksumHeader)
	}
	return answer, nil
}

// fileSpan reads a part of a file.
type fileSpan struct {
	io.Reader
	io.Closer
}

func (d *disk) find(bucket, name string) (object, error) {
	if err := d.known(bucket); err != nil {
		return object{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	o, ok := d.objects[name]
	if !ok {
		return object{}, gofakes3.KeyNotFound(name)
	}
	return o, nil
}

func (d *disk) PutObject(bucket, name string, meta map[string]string, body io.Reader, size int64, conditions *gofakes3.PutConditions) (gofakes3.PutObjectResult, error) {
	none := gofakes3.PutObjectResult{}
	if err := d.known(bucket); err != nil {
		return none, err
	}
	if err := d.allowed(name, conditions); err != nil {
		return none, err
	}
	o, err := d.receive(body, size)
	if err != nil {
		return none, err
	}
	o.meta = keepMeta(meta)
	if err := d.show(name, o, conditions); err != nil {
		_ = os.Remove(o.file) // goes with the folder at the latest
		return none, err
	}
	return none, nil
}

// receive writes what arrives to a file that no object refers to yet.
func (d *disk) receive(body io.Reader, size int64) (object, error) {
	d.mu.Lock()
	d.serial++
	file := filepath.Join(d.dir, fmt.Sprintf("%08d", d.serial))
	d.mu.Unlock()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return object{}, err
	}
	hash := md5.New()
	n, err := io.Copy(io.MultiWriter(f, hash), body)
	if err == nil && n != size {
		err = gofakes3.ErrIncompleteBody
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(file) // goes with the folder at the latest
		return object{}, err
	}
	return object{file: file, size: size, etag: hash.Sum(nil), modified: clock.System.Now()}, nil
}

// allowed tells before the body is read that it will not be wanted.
func (d *disk) allowed(name string, conditions *gofakes3.PutConditions) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.check(name, conditions)
}

func (d *disk) check(name string, conditions *gofakes3.PutConditions) error {
	o, exists := d.objects[name]
	return gofakes3.CheckPutConditions(conditions, &gofakes3.ConditionalObjectInfo{Exists: exists, Hash: o.etag})
}

// show makes a received object visible, all of it at once.
func (d *disk) show(name string, o object, conditions *gofakes3.PutConditions) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(name, conditions); err != nil {
		return err
	}
	if old, ok := d.objects[name]; ok {
		d.bytes -= old.size
		_ = os.Remove(old.file) // goes with the folder at the latest
	}
	d.objects[name] = o
	d.bytes += o.size
	return nil
}

// keepMeta drops the headers that belong to the request, not to the object.
func keepMeta(meta map[string]string) map[string]string {
	kept := map[string]string{}
	for key, value := range meta {
		if key == checksumHeader || !strings.HasPrefix(key, "X-Amz-") || strings.HasPrefix(key, "X-Amz-Meta-") {
			kept[key] = value
		}
	}
	return kept
}

func (d *disk) DeleteObject(bucket, name string) (gofakes3.ObjectDeleteResult, error) {
	none := gofakes3.ObjectDeleteResult{}
	if err := d.known(bucket); err != nil {
		return none, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	o, ok := d.objects[name]
	if !ok {
		return none, nil
	}
	delete(d.objects, name)
	d.bytes -= o.size
	return none, os.Remove(o.file)
}

func (d *disk) DeleteMulti(bucket string, names ...string) (gofakes3.MultiDeleteResult, error) {
	var result gofakes3.MultiDeleteResult
	for _, name := range names {
		if _, err := d.DeleteObject(bucket, name); err != nil {
			return result, err
		}
		result.Deleted = append(result.Deleted, gofakes3.ObjectID{Key: name})
	}
	return result, nil
}

func (d *disk) CopyObject(string, string, string, string, map[string]string) (gofakes3.CopyObjectResult, error) {
	return gofakes3.CopyObjectResult{}, gofakes3.ErrNotImplemented
}

// held returns how many objects there are and what they take.
func (d *disk) held() (objects, bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(len(d.objects)), d.bytes
}

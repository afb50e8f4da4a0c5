package sitetest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

const (
	slowDown = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message><RequestId>1</RequestId></Error>`
	denied  = `<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>AccessDenied</Code></Error>`
	page    = "<!DOCTYPE html><html><head><title>Welcome</title></head><body><p>Sign in</body></html>"
	listing = `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
		`<Name>backups</Name><Prefix></Prefix><KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>` +
		`<Contents><Key>p/object</Key><LastModified>2026-01-02T15:04:05.000Z</LastModified><ETag>"e"</ETag><Size>7</Size></Contents>` +
		`</ListBucketResult>`
)

// lie is an answer of success that is none. The headers are pairs; a
// Content-Length that is longer than the body breaks the connection.
type lie struct {
	what    string
	op      string
	status  int
	headers []string
	body    string
	// want is what the error has to match; nil: a temporary one.
	want error
}

var etag = []string{"ETag", `"e"`, "Last-Modified", "Fri, 02 Jan 2026 15:04:05 GMT"}

func with(headers ...string) []string { return append(append([]string{}, etag...), headers...) }

var lies = []lie{
	{"an error inside", "put", 200, etag, slowDown, nil},
	{"an error inside, no ETag", "put", 200, nil, slowDown, nil},
	{"a refusal inside", "put", 200, etag, denied, storage.ErrDenied},
	{"no ETag", "put", 200, nil, "", nil},
	{"a page", "put", 200, etag, page, nil},
	{"other bytes", "put", 200, with("X-Amz-Checksum-Sha256", "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="), "", nil},
	{"cut off", "put", 200, with("Content-Length", "500"), slowDown, nil},

	{"an error inside", "get", 200, etag, slowDown, nil},
	{"an error inside, after a while", "get", 200, etag, " \n \n" + slowDown, nil},
	{"an error inside, no ETag", "get", 200, nil, slowDown, nil},
	{"a refusal inside", "get", 200, etag, denied, storage.ErrDenied},
	{"a page", "get", 200, nil, page, nil},
	{"too short", "get", 200, with("Content-Length", "500"), "content", nil},
	{"too short, nothing", "get", 200, with("Content-Length", "500"), "", nil},

	{"an error inside", "range", 206, with("Content-Range", "bytes 10-14/100"), slowDown, nil},
	{"an error inside, no range", "range", 200, etag, slowDown, nil},
	{"the range ignored", "range", 200, etag, strings.Repeat("x", 100), storage.ErrUnsupported},
	{"another range", "range", 206, with("Content-Range", "bytes 0-4/100"), "xxxxx", storage.ErrUnsupported},
	{"the range too long", "range", 206, with("Content-Range", "bytes 10-14/100"), "xxxxxxx", nil},
	{"the range too short", "range", 206, with("Content-Range", "bytes 10-14/100"), "xxx", nil},
	{"the range cut off", "range", 206, with("Content-Range", "bytes 10-14/100", "Content-Length", "5"), "xxx", nil},

	{"no ETag", "stat", 200, []string{"Content-Length", "7", "Last-Modified", "Fri, 02 Jan 2026 15:04:05 GMT"}, "", nil},
	{"no size", "stat", 200, with("Transfer-Encoding", "chunked"), "", nil},

	{"an error inside", "list", 200, nil, slowDown, nil},
	{"a refusal inside", "list", 200, nil, denied, storage.ErrDenied},
	{"a page", "list", 200, nil, page, nil},
	{"another document", "list", 200, nil, "<ListAllMyBucketsResult></ListAllMyBucketsResult>", nil},
	{"nothing", "list", 200, nil, "", nil},
	{"text", "list", 200, nil, "OK", nil},
	{"cut off", "list", 200, []string{"Content-Length", fmt.Sprint(len(listing))}, listing[:len(listing)-20], nil},
	{"cut off without a length", "list", 200, nil, listing[:len(listing)-20], nil},

	{"an error inside", "delete", 200, nil, slowDown, nil},
}

// Lies checks that no answer of success is believed that cannot be one. The
// store is opened at the given endpoint, whose server knows no site behind it.
func Lies(t *testing.T, open func(t *testing.T, endpoint string) storage.Store) {
	for _, l := range lies {
		t.Run(l.op+": "+l.what, func(t *testing.T) {
			server := httptest.NewServer(l)
			t.Cleanup(server.Close)
			err := operations(t, open(t, server.URL), 1000)[l.op]()
			var e *storage.Error
			if !errors.As(err, &e) || l.want == nil && (storage.Permanent(err) || e.Hint == "") || !errors.Is(err, l.want) && l.want != nil {
				t.Errorf("%v, want %v", err, l.want)
			}
			if strings.Contains(l.body, "SlowDown") && l.what != "cut off" && err != nil && !strings.Contains(err.Error(), "SlowDown") {
				t.Errorf("%v does not tell the site's reason", err)
			}
		})
	}
	t.Run("put: stored before it was there", func(t *testing.T) {
		server := httptest.NewServer(lie{status: 200, headers: with("Connection", "close")})
		t.Cleanup(server.Close)
		err := operations(t, open(t, server.URL), 4<<20)["put"]()
		if err == nil || storage.Permanent(err) {
			t.Errorf("%v, want a temporary error", err)
		}
	})
	t.Run("truth", func(t *testing.T) { truth(t, open) })
}

// truth checks that the answers above are refused for what is wrong with them.
func truth(t *testing.T, open func(t *testing.T, endpoint string) storage.Store) {
	for _, l := range []lie{
		{op: "put", status: 200, headers: etag},
		{op: "put", status: 200, headers: etag, body: " \n"},
		{op: "get", status: 200, headers: with("Content-Length", "7"), body: "content"},
		{op: "get", status: 200, headers: etag, body: page},
		{op: "get", status: 200, headers: etag, body: " <Error>not quite</Error>"},
		{op: "range", status: 206, headers: with("Content-Range", "bytes 10-14/100"), body: "xxxxx"},
		{op: "stat", status: 200, headers: with("Content-Length", "7")},
		{op: "list", status: 200, body: listing},
		{op: "delete", status: 204},
	} {
		server := httptest.NewServer(l)
		if err := operations(t, open(t, server.URL), 1000)[l.op](); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
		server.Close()
	}
}

func operations(t *testing.T, s storage.Store, size int) map[string]func() error {
	return map[string]func() error{
		"put":   func() error { return s.Put(t.Context(), storagetest.Object("p/object", storagetest.Bytes(1, size))) },
		"get":   func() error { _, err := storagetest.Read(t.Context(), s, "p/object", 0, -1); return err },
		"range": func() error { _, err := storagetest.Read(t.Context(), s, "p/object", 10, 5); return err },
		"stat":  func() error { _, err := s.Stat(t.Context(), "p/object"); return err },
		"list": func() error {
			return s.List(t.Context(), "", "", func(storage.Info) error { return nil })
		},
		"delete": func() error { return s.Delete(t.Context(), "p/object") },
	}
}

// ServeHTTP gives the answer, whatever was asked.
func (l lie) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	early := false
	for i := 0; i < len(l.headers); i += 2 {
		w.Header().Set(l.headers[i], l.headers[i+1])
		early = early || l.headers[i] == "Connection"
	}
	if !early {
		_, _ = io.Copy(io.Discard, r.Body) // whatever comes
	}
	w.WriteHeader(l.status)
	_, _ = io.WriteString(w, l.body) // the server ends the connection when it does not fit
}

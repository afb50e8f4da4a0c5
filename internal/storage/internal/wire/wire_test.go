package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/saypro/backupd/internal/storage"
)

func TestParseEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://127.0.0.1:9000":  "http://127.0.0.1:9000",
		"https://s3.example.com": "https://s3.example.com",
		"http://[::1]:9000/":     "http://[::1]:9000",
	} {
		u, err := ParseEndpoint(endpoint)
		if err != nil || u.String() != want {
			t.Errorf("ParseEndpoint(%q) = %v, %v", endpoint, u, err)
		}
	}
	for _, endpoint := range []string{
		"", "127.0.0.1:9000", "ftp://host", "http://", "http://user:hunter2@host", "http://host/hunter2",
		"http://host?hunter2", "http://ho st:hunter2", "://hunter2",
	} {
		_, err := ParseEndpoint(endpoint)
		if !errors.Is(err, storage.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseEndpoint(%q) = %v", endpoint, err)
		}
	}
}

func TestKeys(t *testing.T) {
	for prefix, want := range map[string]string{"": "p/x", "market": "market/p/x", "/a/b/": "a/b/p/x"} {
		k, err := NewKeys(prefix)
		if err != nil || k.Key("p/x") != want {
			t.Errorf("%q: %q, %v", prefix, k.Key("p/x"), err)
		}
		if name, err := k.Name(want); err != nil || name != "p/x" {
			t.Errorf("%q: %q, %v", prefix, name, err)
		}
		if k.After("") != "" || k.After("p/x") != want {
			t.Errorf("%q: After = %q, %q", prefix, k.After(""), k.After("p/x"))
		}
	}
	k, err := NewKeys("market")
	if err != nil {
		t.Fatal(err)
	}
	if name, err := k.Name("market2/x"); err == nil {
		t.Errorf("Name = %q", name)
	}
	if _, err := NewKeys("a b"); !errors.Is(err, storage.ErrInvalid) {
		t.Error(err)
	}
}

func TestMeaning(t *testing.T) {
	for _, c := range []struct {
		answer Answer
		want   error // nil: temporary
	}{
		{Answer{404, "NoSuchKey", "gone"}, storage.ErrNotFound},
		{Answer{404, "", ""}, storage.ErrNotFound},
		{Answer{404, "NoSuchBucket", ""}, storage.ErrNoBucket},
		{Answer{412, "PreconditionFailed", ""}, storage.ErrExists},
		{Answer{412, "", ""}, storage.ErrExists},
		{Answer{409, "ConditionalRequestConflict", ""}, nil},
		{Answer{409, "OperationAborted", ""}, nil},
		{Answer{409, "Conflict", ""}, nil},
		{Answer{403, "AccessDenied", ""}, storage.ErrDenied},
		{Answer{403, "SomethingNew", ""}, storage.ErrDenied},
		{Answer{401, "", ""}, storage.ErrDenied},
		{Answer{403, "RequestTimeTooSkewed", ""}, storage.ErrDenied},
		{Answer{400, "AuthorizationHeaderMalformed", ""}, storage.ErrDenied},
		{Answer{301, "", ""}, storage.ErrDenied},
		{Answer{400, "XAmzContentSHA256Mismatch", ""}, storage.ErrChecksum},
		{Answer{400, "BadDigest", ""}, storage.ErrChecksum},
		{Answer{403, "AccessDenied", "Access Denied because object protected by object lock."}, storage.ErrLocked},
		{Answer{400, "InvalidRequest", "Object is WORM protected and cannot be overwritten"}, storage.ErrLocked},
		{Answer{400, "InvalidRequest", "Bucket is missing Object Lock Configuration"}, storage.ErrUnsupported},
		{Answer{400, "InvalidRequest", "Bucket is missing ObjectLockConfiguration"}, storage.ErrUnsupported},
		{Answer{400, "MalformedXML", "the retain until date must be in the future"}, storage.ErrInvalid},
		{Answer{400, "InvalidArgument", "The retain until date must be in the future!"}, storage.ErrInvalid},
		{Answer{503, "SlowDown", "object protected by object lock"}, nil},
		{Answer{416, "InvalidRange", ""}, storage.ErrShort},
		{Answer{501, "NotImplemented", ""}, storage.ErrUnsupported},
		{Answer{500, "InternalError", ""}, nil},
		{Answer{503, "SlowDown", ""}, nil},
		{Answer{507, "XMinioStorageFull", ""}, nil},
		{Answer{403, "QuotaExceeded", ""}, nil},
		{Answer{502, "", "<html>bad gateway</html>"}, nil},
		{Answer{429, "", ""}, nil},
	} {
		hint, err := Meaning(c.answer)
		if c.want == nil && storage.Permanent(err) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%+v means %v, want %v", c.answer, err, c.want)
		}
		if c.want == nil && hint == "" {
			t.Errorf("%+v has no hint", c.answer)
		}
		if !strings.Contains(err.Error(), fmt.Sprint(c.answer.Status)) {
			t.Errorf("%+v: %v does not say the status", c.answer, err)
		}
	}
	_, err := Meaning(Answer{502, "", strings.Repeat("x ", 5000)})
	if len(err.Error()) > 300 {
		t.Errorf("%d bytes of message", len(err.Error()))
	}
}

func TestBroken(t *testing.T) {
	for _, c := range []struct {
		err  error
		hint string
	}{
		{&net.DNSError{Err: "no such host", Name: "x"}, "resolved"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "running"},
		{fmt.Errorf("wrapped: %w", context.DeadlineExceeded), "in time"},
		{errors.New("http: server gave HTTP response to HTTPS client"), "speaks http"},
		{io.ErrUnexpectedEOF, "broke"},
	} {
		hint := Broken(c.err, "http://host")
		if storage.Permanent(c.err) || !strings.Contains(hint, c.hint) {
			t.Errorf("%v: %s", c.err, hint)
		}
	}
}

func TestRangeExpect(t *testing.T) {
	for _, c := range []struct {
		r            Range
		length       int64
		contentRange string
		want         int64
		err          error
	}{
		{Range{0, -1}, 100, "", 100, nil},
		{Range{0, -1}, 0, "", 0, nil},
		{Range{0, -1}, -1, "", 0, storage.ErrUnsupported},
		{Range{10, 5}, 5, "bytes 10-14/100", 5, nil},
		{Range{10, 5}, -1, "bytes 10-14/100", 5, nil},
		{Range{10, -1}, 90, "bytes 10-99/100", 90, nil},
		{Range{10, 5}, 4, "bytes 10-13/14", 0, storage.ErrShort},
		{Range{10, 5}, 3, "bytes 10-14/100", 0, io.ErrUnexpectedEOF},
		{Range{10, 5}, 100, "", 0, storage.ErrUnsupported},
		{Range{10, 5}, 6, "bytes 10-15/100", 0, storage.ErrUnsupported},
		{Range{10, 5}, 5, "bytes 0-4/100", 0, storage.ErrUnsupported},
		{Range{10, -1}, 5, "bytes 10-14/100", 0, storage.ErrUnsupported},
		{Range{10, 5}, 5, "bytes 10-14/*", 0, storage.ErrUnsupported},
		{Range{10, 5}, 5, "bytes ten-14/100", 0, storage.ErrUnsupported},
	} {
		got, err := c.r.Expect(c.length, c.contentRange)
		if !errors.Is(err, c.err) || got != c.want {
			t.Errorf("%+v: Expect(%d, %q) = %d, %v; want %d, %v", c.r, c.length, c.contentRange, got, err, c.want, c.err)
		}
	}
}

func TestReaderTakesNoShortBody(t *testing.T) {
	same := func(err error) error { return fmt.Errorf("seen: %w", err) }
	for body, want := range map[string]error{"12345": nil, "1234": io.ErrUnexpectedEOF, "": io.ErrUnexpectedEOF, "123456": nil} {
		got, err := io.ReadAll(NewReader(t.Context(), io.NopCloser(strings.NewReader(body)), 5, same))
		if !errors.Is(err, want) || want == nil && string(got) != "12345" {
			t.Errorf("%q: %q, %v", body, got, err)
		}
		if want != nil && !strings.HasPrefix(err.Error(), "seen: ") {
			t.Errorf("%q: %v was not passed on", body, err)
		}
	}
	if got, err := io.ReadAll(NewReader(t.Context(), http.NoBody, 0, same)); err != nil || len(got) != 0 {
		t.Errorf("empty: %q, %v", got, err)
	}
}

func TestAscending(t *testing.T) {
	var a Ascending
	for _, name := range []string{"a", "a-b", "a/b", "b"} {
		if err := a.Next(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"b", "a/c"} {
		if err := a.Next(name); !errors.Is(err, storage.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNothingIsReadAfterTheEnd: the bytes are all there, and the transport has not
// noticed yet that nobody wants them.
func TestNothingIsReadAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := NewReader(ctx, io.NopCloser(strings.NewReader("content")), 7, func(err error) error { return err })
	if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, r); n > 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("read %d bytes more, then %v", n, err)
	}
}

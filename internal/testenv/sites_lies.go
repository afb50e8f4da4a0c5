package testenv

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	miniogo "github.com/minio/minio-go/v7"
)

// believable adds what every answer about an object has.
func believable(h http.Header) {
	h.Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	h.Set("Last-Modified", "Sun, 01 Mar 2026 12:00:00 GMT")
	h.Set("Content-Type", "application/octet-stream")
}

// SayError answers with an error of S3.
func SayError(status int, code, message string) Say {
	return func(_ *Liar, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the answer may be lost with the connection
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		writeError(w, r, status, code, message)
	}
}

func writeError(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	body := fmt.Sprintf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body) // whoever asked may have gone
	}
}

// SaySlowDown asks for fewer requests.
var SaySlowDown = SayError(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")

// SayExpired says that the credentials are no longer good.
var SayExpired = SayError(http.StatusForbidden, "ExpiredToken", "The provided token has expired.")

// SayWrongKey says that they never were.
var SayWrongKey = SayError(http.StatusForbidden, "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records.")

// SayErrorInside answers 200 with an error in the body, and has not done what
// was asked.
var SayErrorInside Say = func(_ *Liar, w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // as a server would that fails late
	writeError(w, r, http.StatusOK, "InternalError", "We encountered an internal error. Please try again.")
}

// SayDone answers a Put as if it were done, and has done nothing.
var SayDone Say = func(_ *Liar, w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // what is lost
	believable(w.Header())
	w.WriteHeader(http.StatusOK)
}

// SayDeleted answers a Delete as if it were done, and has done nothing.
var SayDeleted Say = func(_ *Liar, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// SayDoneWith answers a Put as if it were done, and has stored something else.
func SayDoneWith(change func([]byte) []byte) Say {
	return func(l *Liar, w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, key := operation(r)
			err = l.put(r.Context(), key, change(body))
		}
		if err != nil {
			hangUp(w)
			return
		}
		believable(w.Header())
		w.WriteHeader(http.StatusOK)
	}
}

func (l *Liar) put(ctx context.Context, key string, body []byte) error {
	client, err := l.site.client()
	if err != nil {
		return err
	}
	_, err = client.PutObject(ctx, l.Bucket, key, bytes.NewReader(body), int64(len(body)), miniogo.PutObjectOptions{})
	return err
}

// SayNothing does not answer until the lie is taken back, or whoever asks has
// gone.
var SayNothing Say = func(l *Liar, w http.ResponseWriter, r *http.Request) {
	select {
	case <-l.over():
	case <-r.Context().Done():
	}
	hangUp(w)
}

// SayHalf gives headers and n bytes of the true answer, and then nothing more
// for as long as SayNothing does.
func SayHalf(n int) Say {
	return func(l *Liar, w http.ResponseWriter, r *http.Request) {
		answer := l.truth(r)
		copyAnswer(w, answer, n)
		_ = http.NewResponseController(w).Flush() // whoever asked may have gone
		SayNothing(l, w, r)
	}
}

// SayBrokenOff breaks the connection after n bytes of the body: of the request
// when that has one, else of the true answer.
func SayBrokenOff(n int) Say {
	return func(l *Liar, w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 0 {
			_, _ = io.CopyN(io.Discard, r.Body, int64(n)) // it ends here anyhow
			hangUp(w)
			return
		}
		answer := l.truth(r)
		copyAnswer(w, answer, n)
		_ = http.NewResponseController(w).Flush() // whoever asked may have gone
		hangUp(w)
	}
}

// SayShort gives n bytes of the true answer as if that were all of it.
func SayShort(n int) Say {
	return func(l *Liar, w http.ResponseWriter, r *http.Request) {
		answer := l.truth(r)
		body := answer.Body.Bytes()
		answer.Header().Set("Content-Length", strconv.Itoa(min(n, len(body))))
		copyAnswer(w, answer, n)
	}
}

// SayEmpty says that the object has no bytes.
var SayEmpty Say = func(l *Liar, w http.ResponseWriter, r *http.Request) {
	believable(w.Header())
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}

// SayFlipped gives the true answer with some bits of its body changed.
var SayFlipped Say = func(l *Liar, w http.ResponseWriter, r *http.Request) {
	answer := l.truth(r)
	body := answer.Body.Bytes()
	for i := len(body) / 2; i < len(body); i += 512 {
		body[i] ^= 0x10
	}
	copyAnswer(w, answer, len(body))
}

// SayOther gives the bytes of another object of the same kind, one that is as
// long or longer: the range that was asked for, and no word of it.
var SayOther Say = func(l *Liar, w http.ResponseWriter, r *http.Request) {
	_, key := operation(r)
	body, err := l.other(r.Context(), key)
	if err != nil {
		hangUp(w)
		return
	}
	answer := httptest.NewRecorder()
	from, to := 0, len(body)-1
	status := http.StatusOK
	if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); n > 0 && from < len(body) {
		status, to = http.StatusPartialContent, min(to, len(body)-1)
		answer.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(body)))
	} else {
		from, to = 0, len(body)-1
	}
	believable(answer.Header())
	answer.Header().Set("Content-Length", strconv.Itoa(to-from+1))
	answer.WriteHeader(status)
	_, _ = answer.Body.Write(body[from : to+1]) // never fails
	copyAnswer(w, answer, len(body))
}

// other returns the bytes of another object of the same kind: the longest.
func (l *Liar) other(ctx context.Context, key string) ([]byte, error) {
	client, err := l.site.client()
	if err != nil {
		return nil, err
	}
	folder := key[:strings.LastIndexByte(key, '/')+1]
	if at := strings.Index("/"+key, "/p/"); at >= 0 {
		folder = key[:at+2] // packs are spread over folders
	} else if at := strings.Index("/"+key, "/c/"); at >= 0 {
		folder = key[:at+2] // and commits
	}
	best := miniogo.ObjectInfo{}
	for o := range client.ListObjectsIter(ctx, l.Bucket, miniogo.ListObjectsOptions{Prefix: folder, Recursive: true}) {
		if o.Err == nil && o.Key != key && o.Size > best.Size {
			best = o
		}
	}
	if best.Key == "" {
		return nil, fmt.Errorf("no object but %s in %s", key, folder)
	}
	body, err := client.GetObject(ctx, l.Bucket, best.Key, miniogo.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // it was only read
	return io.ReadAll(body)
}

// SayStale lists only what there is when it is called.
func (l *Liar) SayStale(t testing.TB) Say {
	t.Helper()
	client, err := l.site.client()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for o := range client.ListObjectsIter(context.Background(), l.Bucket, miniogo.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		known[o.Key] = true
	}
	return listing(func(key string) bool { return known[key] })
}

// SayNothingThere lists nothing at all.
var SayNothingThere = listing(func(string) bool { return false })

var contents = regexp.MustCompile(`(?s)<Contents>.*?<Key>(.*?)</Key>.*?</Contents>`)

// listing gives the true listing without the keys that are not to be seen.
func listing(seen func(key string) bool) Say {
	return func(l *Liar, w http.ResponseWriter, r *http.Request) {
		answer := l.truth(r)
		body := contents.ReplaceAllFunc(answer.Body.Bytes(), func(b []byte) []byte {
			if seen(string(contents.FindSubmatch(b)[1])) {
				return b
			}
			return nil
		})
		answer.Body = bytes.NewBuffer(body)
		answer.Header().Set("Content-Length", strconv.Itoa(len(body)))
		copyAnswer(w, answer, len(body))
	}
}

// truth asks the site and returns its whole answer.
func (l *Liar) truth(r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	l.honest.ServeHTTP(answer, r)
	return answer
}

// copyAnswer passes on an answer, of its body the first n bytes.
func copyAnswer(w http.ResponseWriter, answer *httptest.ResponseRecorder, n int) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	body := answer.Body.Bytes()
	_, _ = w.Write(body[:min(n, len(body))]) // whoever asked may have gone
}

// hangUp breaks the connection, by a reset where that can be.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // whoever asked has gone
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a mere end would do
	}
	_ = conn.Close() // breaking it is the point
}

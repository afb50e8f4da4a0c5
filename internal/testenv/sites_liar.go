package testenv

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	miniogo "github.com/minio/minio-go/v7"

	"github.com/saypro/backupd/internal/storage"
)

// Operations of S3, as a [Lie] names them.
const (
	OpPut    = "put"
	OpGet    = "get"
	OpHead   = "head"
	OpList   = "list"
	OpDelete = "delete"
)

// Lie is what a site says instead of the truth.
type Lie struct {
	// Op is one of the operations; empty: any.
	Op string
	// Part is what the key of the object must contain, such as "/p/" for packs
	// or "/c/" for commits; empty: any. A listing has its prefix for a key.
	Part string
	// Skip lets as many requests through first; Times ends the lie after as
	// many more, 0: never.
	Skip, Times int
	// Say answers the request. The names of lies begin with Say, such as
	// [SaySlowDown].
	Say Say
}

// Say answers one request in the place of a site.
type Say func(l *Liar, w http.ResponseWriter, r *http.Request)

// Liar stands in front of a site and lies when told to. Whatever it does not
// lie about is the word of the real server. Requests pass unchanged, so that
// their signatures stay valid.
type Liar struct {
	// Bucket is the liar's own, so that nothing else is in it.
	Bucket string

	site   *Site
	server *httptest.Server
	honest *httputil.ReverseProxy

	mu    sync.Mutex
	lies  []*told
	log   []Request
	ended chan struct{} // closed and replaced when lies are taken back
}

type told struct {
	Lie
	seen, told int
}

// Request is one that came by.
type Request struct {
	At      time.Time
	Op, Key string
	Lied    bool
}

// NewLiar starts a liar in front of a site.
func NewLiar(t testing.TB, site *Site) *Liar {
	t.Helper()
	target, err := url.Parse(site.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	l := &Liar{Bucket: site.NewBucket(t, false), site: site, ended: make(chan struct{})}
	l.honest = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // which is signed
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 32, ExpectContinueTimeout: time.Second, DisableCompression: true},
		// Whoever asked has gone, or the server was killed.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			if inner, ok := w.(*httptest.ResponseRecorder); ok {
				inner.WriteHeader(http.StatusBadGateway)
				return
			}
			hangUp(w)
		},
	}
	l.server = httptest.NewServer(l)
	t.Cleanup(func() {
		l.Honest()
		l.server.CloseClientConnections()
		l.server.Close()
	})
	return l
}

// Store returns a store in the liar's bucket by way of the liar.
func (l *Liar) Store(t testing.TB, stall time.Duration) storage.Store {
	t.Helper()
	c := l.site.Config("market")
	c.Endpoint, c.Bucket = l.server.URL, l.Bucket
	return OpenSite(t, l.site.Name, c, stall)
}

// Truth returns a store in the liar's bucket that asks the site itself.
func (l *Liar) Truth(t testing.TB) storage.Store {
	t.Helper()
	c := l.site.Config("market")
	c.Bucket = l.Bucket
	return OpenSite(t, l.site.Name, c, 0)
}

// Recreate removes the bucket with all that it holds and makes it again.
func (l *Liar) Recreate(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := l.site.client()
	if err != nil {
		t.Fatal(err)
	}
	for o := range client.ListObjectsIter(ctx, l.Bucket, miniogo.ListObjectsOptions{Recursive: true}) {
		if o.Err == nil {
			o.Err = client.RemoveObject(ctx, l.Bucket, o.Key, miniogo.RemoveObjectOptions{})
		}
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if err := client.RemoveBucket(ctx, l.Bucket); err != nil {
		t.Fatal(err)
	}
	if err := l.site.makeBucket(l.Bucket, false); err != nil {
		t.Fatal(err)
	}
}

// Replace puts other bytes in the place of an object, as a site would that
// lost the right ones.
func (l *Liar) Replace(t testing.TB, name string, body []byte) {
	t.Helper()
	if err := l.put(context.Background(), "market/"+name, body); err != nil {
		t.Fatal(err)
	}
}

// Tell makes the liar lie. Of several lies that fit the first is told.
func (l *Liar) Tell(lies ...Lie) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lie := range lies {
		l.lies = append(l.lies, &told{Lie: lie})
	}
}

// Honest ends all lies, also those that are being told: requests that hang
// are cut.
func (l *Liar) Honest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lies = nil
	close(l.ended)
	l.ended = make(chan struct{})
}

// Lied returns how often the liar has lied.
func (l *Liar) Lied() int {
	n := 0
	for _, r := range l.Requests() {
		if r.Lied {
			n++
		}
	}
	return n
}

// Requests returns what was asked so far.
func (l *Liar) Requests() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.log)
}

// ServeHTTP answers a request, truthfully or not.
func (l *Liar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, key := operation(r)
	if say := l.choose(op, key); say != nil {
		say(l, w, r)
		return
	}
	l.honest.ServeHTTP(w, r)
}

// choose returns the lie for a request; nil for the truth.
func (l *Liar) choose(op, key string) Say {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lie := range l.lies {
		if lie.Op != "" && lie.Op != op || !strings.Contains("/"+key, lie.Part) || lie.Times > 0 && lie.told >= lie.Times {
			continue
		}
		if lie.seen++; lie.seen <= lie.Skip {
			continue
		}
		lie.told++
		l.log = append(l.log, Request{time.Now(), op, key, true})
		return lie.Say
	}
	l.log = append(l.log, Request{time.Now(), op, key, false})
	return nil
}

// operation tells what a request asks for. The path is that of the bucket and
// then the key.
func operation(r *http.Request) (op, key string) {
	_, key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodGet && key == "":
		return OpList, r.URL.Query().Get("prefix")
	case r.Method == http.MethodGet:
		return OpGet, key
	case r.Method == http.MethodHead:
		return OpHead, key
	case r.Method == http.MethodPut:
		return OpPut, key
	case r.Method == http.MethodDelete:
		return OpDelete, key
	}
	return r.Method, key
}

// over returns what is closed when lies are taken back.
func (l *Liar) over() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

package sitetest

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
	"github.com/saypro/backupd/internal/testenv"
)

// Watched starts a server before that of the site that notes each request. It
// speaks TLS if wanted.
func Watched(t *testing.T, site *testenv.Site, secure bool) (server *httptest.Server, seen func() []*http.Request) {
	t.Helper()
	target, err := url.Parse(site.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var requests []*http.Request
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // which is signed
		mu.Lock()
		defer mu.Unlock()
		requests = append(requests, r.In.Clone(r.In.Context()))
	}}
	server = httptest.NewUnstartedServer(proxy)
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server, func() []*http.Request {
		mu.Lock()
		defer mu.Unlock()
		return requests
	}
}

// PlainPut checks that a large object is one PUT, in a form that every dialect
// of S3 understands: no parts, no chunks, no checksum behind the body, and
// signed with the digest of all of it.
func PlainPut(t *testing.T, s storage.Store, seen func() []*http.Request) {
	t.Helper()
	obj := storagetest.Object("p/plain", storagetest.Bytes(1, 20<<20))
	if err := s.Put(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	if len(seen()) != 1 {
		t.Fatalf("%d requests for one object", len(seen()))
	}
	r := seen()[0]
	if r.Method != http.MethodPut || r.ContentLength != obj.Size || len(r.TransferEncoding) != 0 {
		t.Errorf("%s of %d bytes, %v", r.Method, r.ContentLength, r.TransferEncoding)
	}
	for name, want := range map[string]string{
		"If-None-Match":         "*",
		"X-Amz-Content-Sha256":  hex.EncodeToString(obj.SHA256[:]),
		"X-Amz-Checksum-Sha256": base64.StdEncoding.EncodeToString(obj.SHA256[:]),
		"Expect":                "100-continue",
		"Content-Encoding":      "",
		"X-Amz-Trailer":         "",
		"Trailer":               "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") && name != "X-Amz-Checksum-Sha256" || strings.Contains(name, "Decoded") {
			t.Errorf("header %s: %s", name, r.Header.Get(name))
		}
	}
	if signed := r.Header.Get("Authorization"); !strings.Contains(signed, "if-none-match") ||
		!strings.Contains(signed, "x-amz-checksum-sha256") {
		t.Errorf("not signed: %s", signed)
	}
}

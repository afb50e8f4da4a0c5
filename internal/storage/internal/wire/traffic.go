package wire

import (
	"io"
	"net/http"
	"net/http/httptrace"

	"github.com/saypro/backupd/internal/storage"
)

// counting counts the requests that go out, whatever becomes of them, and the
// bytes of their bodies in both directions.
type counting struct {
	next    http.RoundTripper
	traffic *storage.Traffic
}

func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	// What fails before it reaches the site, such as a connection that is
	// refused, costs nothing. What goes out again on another connection does.
	count := c.counter(req)
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteHeaders: count})
	req = req.Clone(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = c.sending(req.Body)
		if again := req.GetBody; again != nil {
			req.GetBody = func() (io.ReadCloser, error) {
				body, err := again()
				if err != nil {
					return nil, err
				}
				return c.sending(body), nil
			}
		}
	}
	resp, err := c.next.RoundTrip(req)
	if err == nil && resp.Body != http.NoBody {
		resp.Body = &closing{Reader: c.traffic.Receiving(resp.Body), Closer: resp.Body}
	}
	return resp, err
}

// counter returns what counts a request of this class.
func (c *counting) counter(req *http.Request) func() {
	switch query := req.URL.Query(); {
	case req.Method == http.MethodDelete:
		return c.traffic.Deleted
	case req.Method == http.MethodHead, req.Method == http.MethodGet && !isListing(query):
		return c.traffic.Asked
	}
	return c.traffic.Wrote
}

// isListing tells whether a GET with this query lists a bucket.
func isListing(query map[string][]string) bool {
	for _, name := range []string{"list-type", "versions", "prefix"} {
		if _, ok := query[name]; ok {
			return true
		}
	}
	return false
}

func (c *counting) sending(body io.ReadCloser) io.ReadCloser {
	return &closing{Reader: c.traffic.Sending(body), Closer: body}
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] through.
func (c *counting) CloseIdleConnections() { closeIdle(c.next) }

// closeIdle closes the idle connections of a transport that has any.
func closeIdle(t http.RoundTripper) {
	if idle, ok := t.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
}

type closing struct {
	io.Reader
	io.Closer
}

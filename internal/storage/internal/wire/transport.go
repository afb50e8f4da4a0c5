package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"

	"github.com/saypro/backupd/internal/clock"
	"github.com/saypro/backupd/internal/storage"
)

// DefaultStall is how long a request may go without a byte moving.
const DefaultStall = time.Minute

// expectAbove is the size from which a PUT first asks whether it is welcome,
// so that megabytes are not sent to learn that the object is there already.
// A server that answers without reading on also breaks the connection, which
// can lose its answer.
const expectAbove = 256 << 10

// writeBuffer bounds what the kernel holds of a body that counts as sent: on a
// slow line all of it has to get through while we wait for the answer, which
// must not look like a stall. At 60 s that is a line of 35 kB/s.
const writeBuffer = 1 << 20

// NewTransport returns connections to one site that fail when no byte moves
// for the time of stall (DefaultStall when 0), however long a request as a
// whole may take. Roots are the authorities to trust; nil: those of the system.
// Traffic counts the requests and may be nil; so may dial, which connects.
func NewTransport(stall time.Duration, roots *x509.CertPool, traffic *storage.Traffic, dial storage.Dial) http.RoundTripper {
	if stall <= 0 {
		stall = DefaultStall
	}
	if dial == nil {
		dial = (&net.Dialer{Timeout: min(stall, 15*time.Second), KeepAlive: 15 * time.Second}).DialContext
	}
	return &honest{&counting{traffic: traffic, next: &expecting{next: &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetWriteBuffer(writeBuffer) // works without
			}
			return &stallConn{Conn: c, stall: stall}, nil
		},
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   min(stall, 15*time.Second),
		ResponseHeaderTimeout: stall,
		ExpectContinueTimeout: 2 * time.Second,
		MaxIdleConnsPerHost:   32,
		// Half, since a connection that is used again after a rest has only
		// what is left of the stall to bring the first bytes through.
		IdleConnTimeout: stall / 2,
		// The stored bytes are wanted, whatever their encoding is called.
		DisableCompression: true,
		WriteBufferSize:    64 << 10,
		ReadBufferSize:     64 << 10,
	}}}}
}

// expecting asks before it sends a large body.
type expecting struct{ next *http.Transport }

func (e *expecting) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPut && req.ContentLength >= expectAbove && req.Header.Get("Expect") == "" {
		req = req.Clone(req.Context())
		req.Header.Set("Expect", "100-continue")
	}
	return e.next.RoundTrip(req)
}

// CloseIdleConnections lets [http.Client.CloseIdleConnections] through.
func (e *expecting) CloseIdleConnections() { e.next.CloseIdleConnections() }

// stallConn is a connection on which each read and write has its own deadline.
// A write puts off the deadline of reading too: while a body goes out, a read
// waits for the answer all along.
type stallConn struct {
	net.Conn
	stall time.Duration
}

func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(clock.System.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(clock.System.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

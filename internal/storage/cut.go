package storage

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"time"
)

// ErrCut marks what a [Cut] refused.
var ErrCut = errors.New("refused: an exercise keeps its reading away from this site")

// Dial connects to an address, as [net.Dialer.DialContext] does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Cut is a line to one site that is cut in this process: every connection of
// whoever dials through it is refused, and counted. Others do not notice.
type Cut struct {
	address  string // of the endpoint; empty when only its own store dials there
	attempts atomic.Int64
}

// NewCut cuts the line to a site with that endpoint; empty: the site has none
// of its own.
func NewCut(endpoint string) *Cut { return &Cut{address: hostPort(endpoint)} }

// hostPort returns the address that a client dials for an endpoint.
func hostPort(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// Attempts returns how many connections, or operations of a folder, were
// refused.
func (c *Cut) Attempts() int { return int(c.attempts.Load()) }

// Dial refuses whatever the address: it is for the store of the site itself.
func (c *Cut) Dial(context.Context, string, string) (net.Conn, error) { return nil, c.refuse() }

// Store stands in for the store of a folder, to which nothing is dialled.
func (c *Cut) Store(site string) Store { return cutStore{site, c} }

func (c *Cut) refuse() error {
	c.attempts.Add(1)
	return ErrCut
}

// DialAround dials like everybody, but not to the endpoint of a site that is
// cut: a second site that lies at the same place is gone with it.
func DialAround(cuts ...*Cut) Dial {
	dialer := net.Dialer{Timeout: 15 * time.Second, KeepAlive: 15 * time.Second}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		for _, c := range cuts {
			if c.address != "" && c.address == address {
				return nil, c.refuse()
			}
		}
		return dialer.DialContext(ctx, network, address)
	}
}

// cutStore refuses every operation.
type cutStore struct {
	site string
	cut  *Cut
}

func (s cutStore) fail(op, name string) error {
	return &Error{Site: s.site, Op: op, Name: name, Err: s.cut.refuse()}
}

func (s cutStore) Put(_ context.Context, obj Object) error { return s.fail("put", obj.Name) }

func (s cutStore) Get(_ context.Context, name string, _, _ int64) (io.ReadCloser, error) {
	return nil, s.fail("get", name)
}

func (s cutStore) Stat(_ context.Context, name string) (Info, error) {
	return Info{}, s.fail("stat", name)
}

func (s cutStore) List(context.Context, string, string, func(Info) error) error {
	return s.fail("list", "")
}

func (s cutStore) Delete(_ context.Context, name string) error { return s.fail("delete", name) }

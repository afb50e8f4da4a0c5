package testenv

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Link is a connection between us and a server that a test can spoil. What
// goes through it arrives unchanged, as long as it does.
type Link struct {
	target   string
	listener net.Listener

	down  atomic.Bool
	hung  atomic.Bool
	speed atomic.Int64 // bytes per second and direction; 0: unlimited
	allow atomic.Int64 // bytes from the server until the cut; negative: no end
	taken atomic.Int64 // connections

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// Proxy starts a link to target, an address such as "127.0.0.1:9000" or the
// path of a socket.
func Proxy(t testing.TB, target string) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{target: target, listener: listener, conns: map[net.Conn]struct{}{}}
	l.allow.Store(-1)
	go l.serve()
	t.Cleanup(func() {
		_ = listener.Close() // nothing to lose
		l.Cut()
	})
	return l
}

// Address returns where the link listens.
func (l *Link) Address() string { return l.listener.Addr().String() }

// URL returns the address of the link as an endpoint.
func (l *Link) URL() string { return "http://" + l.Address() }

// Accepted returns how many connections were made to the link.
func (l *Link) Accepted() int { return int(l.taken.Load()) }

// Cut breaks all connections, and new ones at once.
func (l *Link) Cut() {
	l.down.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Close() // breaking it is the point
	}
}

// CutAfter cuts the link when n more bytes have come from the server.
func (l *Link) CutAfter(n int64) { l.allow.Store(n) }

// Hang stops all traffic with the connections left open.
func (l *Link) Hang() { l.hung.Store(true) }

// Throttle limits each direction to some bytes per second; 0 ends that.
func (l *Link) Throttle(bytesPerSecond int64) { l.speed.Store(bytesPerSecond) }

// Restore ends what Cut, CutAfter, Hang and Throttle did. Connections that were
// cut stay so.
func (l *Link) Restore() {
	l.speed.Store(0)
	l.allow.Store(-1)
	l.hung.Store(false)
	l.down.Store(false)
}

func (l *Link) serve() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.taken.Add(1)
		if l.down.Load() {
			_ = client.Close() // as if nobody listened
			continue
		}
		go l.connect(client)
	}
}

func (l *Link) connect(client net.Conn) {
	network := "tcp"
	if strings.HasPrefix(l.target, "/") {
		network = "unix"
	}
	server, err := net.Dial(network, l.target)
	if err != nil {
		_ = client.Close() // as the target would
		return
	}
	// Small buffers, so that what the link holds back is held back.
	for _, c := range []net.Conn{client, server} {
		if small, ok := c.(interface {
			SetReadBuffer(int) error
			SetWriteBuffer(int) error
		}); ok {
			_ = small.SetReadBuffer(64 << 10)  // works without
			_ = small.SetWriteBuffer(64 << 10) // works without
		}
	}
	l.mu.Lock()
	l.conns[client], l.conns[server] = struct{}{}, struct{}{}
	l.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { l.move(server, client, false) })
	wg.Go(func() { l.move(client, server, true) })
	wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, client)
	delete(l.conns, server)
}

// move copies one direction until it ends, and ends the connection with it.
func (l *Link) move(to, from net.Conn, fromServer bool) {
	defer func() { _ = to.Close() }()
	defer func() { _ = from.Close() }()
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		for l.hung.Load() && !l.down.Load() {
			time.Sleep(5 * time.Millisecond)
		}
		if n > 0 && !l.pass(to, buffer[:n], fromServer) {
			return
		}
		if err != nil {
			return
		}
	}
}

// pass writes what came; false means that the connection is over.
func (l *Link) pass(to io.Writer, p []byte, fromServer bool) bool {
	if speed := l.speed.Load(); speed > 0 {
		time.Sleep(time.Duration(int64(len(p)) * int64(time.Second) / speed))
	}
	cut := false
	if fromServer && l.allow.Load() >= 0 {
		left := l.allow.Add(-int64(len(p)))
		if left < 0 {
			p, cut = p[:max(0, int64(len(p))+left)], true
		}
	}
	if l.down.Load() {
		return false
	}
	if _, err := to.Write(p); err != nil {
		return false
	}
	if cut {
		l.Cut()
	}
	return !cut
}

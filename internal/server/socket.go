package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// SocketName is the name of the socket in the data directory.
const SocketName = "backupd.sock"

// maxSocketPath is what sun_path holds on Linux, less its closing zero.
const maxSocketPath = 107

// privateRoom is what the path of a socket in the making may have more than
// the final one: it lies in a temporary directory named with ten digits.
const privateRoom = len("/.s0123456789/s") - len("/"+SocketName)

// dialTimeout bounds the wait for somebody to accept on the socket: accepting
// is the kernel's work, so a service that is merely busy answers at once.
const dialTimeout = 3 * time.Second

var (
	// ErrNoService means that nobody serves in the data directory.
	ErrNoService = errors.New("no service is running")
	// ErrServed means that somebody serves there already.
	ErrServed = errors.New("a service is running already")
)

// SocketPath returns the path of the socket in dataDir.
func SocketPath(dataDir string) string { return filepath.Join(dataDir, SocketName) }

// Listen makes the socket in dataDir, which it creates if need be, readable
// and writable by the user of the service alone. A socket that a dead service
// left behind is replaced; when a live one answers the error is [ErrServed].
//
// The caller should hold the catalog: its lock, not the socket, decides who
// is the one service.
func Listen(ctx context.Context, dataDir string) (net.Listener, error) {
	path := SocketPath(dataDir)
	if n := len(path) + privateRoom; n > maxSocketPath {
		return nil, fmt.Errorf("listen on %s: path too long for a unix socket by %d bytes; choose a shorter data_dir", path, n-maxSocketPath)
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory for the socket: %w", err)
	}
	conn, err := dialSocket(ctx, path)
	if err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, ErrServed)
	}
	if !errors.Is(err, ErrNoService) {
		return nil, err
	}
	return bindPrivately(ctx, dataDir, path)
}

// bindPrivately binds the socket within a directory that nobody else can
// enter, and moves it to its place once its mode is right: at no moment can
// another user connect. The move also replaces a stale socket at one stroke.
func bindPrivately(ctx context.Context, dataDir, path string) (net.Listener, error) {
	dir, err := os.MkdirTemp(dataDir, ".s")
	if err != nil {
		return nil, fmt.Errorf("make room for the socket: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	unfinished := filepath.Join(dir, "s")
	l, err := new(net.ListenConfig).Listen(ctx, "unix", unfinished)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(unfinished, 0o600), os.Rename(unfinished, path)); err != nil {
		_ = ul.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		_ = ul.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return &socket{UnixListener: ul, path: path, made: info}, nil
}

// socket removes its file when it is closed, unless somebody else's has taken
// its place.
type socket struct {
	*net.UnixListener
	path string
	made fs.FileInfo
}

// Close stops listening and removes the socket.
func (s *socket) Close() error {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.made) {
		_ = os.Remove(s.path)
	}
	return s.UnixListener.Close()
}

// dialSocket connects to the socket at path. Its error is ErrNoService when
// there is none or nobody listens on it.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return conn, nil
	case len(path) > maxSocketPath: // nobody can have made that one
		return nil, fmt.Errorf("connect to %s: %w", path, ErrNoService)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTSOCK):
		return nil, fmt.Errorf("connect to %s: %w", path, ErrNoService)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("connect to %s: %w; run the command as the user of the service, or as root", path, err)
	default:
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
}

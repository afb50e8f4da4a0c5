// Package s3site is an S3 server inside of the process, for the demonstration
// only: one bucket on disk behind gofakes3, with the conditions and checksums
// that backupd relies on, that can be cut off and brought back.
package s3site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/johannesboyne/gofakes3"
)

// Options says what to serve.
type Options struct {
	Dir       string // folder for the objects; made, and removed by Close
	Bucket    string
	AccessKey string // the only one accepted; signatures are not checked
}

// Site is a running server.
type Site struct {
	disk    *disk
	dir     string
	handler http.Handler
	address string

	mu     sync.Mutex
	server *http.Server // nil while cut off
	ended  chan struct{}
}

// Start serves an empty bucket on a free port of the loopback interface.
func Start(o Options) (*Site, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("s3site: %w", err)
	}
	d := &disk{bucket: o.Bucket, dir: o.Dir, objects: map[string]object{}}
	s := &Site{
		disk: d, dir: o.Dir, address: "127.0.0.1:0",
		handler: guard(o.AccessKey, gofakes3.New(d, gofakes3.WithoutVersioning()).Server()),
	}
	if err := s.Return(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(o.Dir))
	}
	return s, nil
}

// Endpoint returns the address to give to an S3 client. It stays the same
// when the site is cut off and returns.
func (s *Site) Endpoint() string { return "http://" + s.address }

// Return makes the site reachable, at the same address as before.
func (s *Site) Return() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", s.address)
	if err != nil {
		return fmt.Errorf("s3site: %w", err)
	}
	s.address = listener.Addr().String()
	server := &http.Server{Handler: s.handler, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan struct{})
	s.server, s.ended = server, ended
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // ends by Close alone
	}()
	return nil
}

// Cut makes the site unreachable at once: open connections break, new ones are
// refused. What it holds stays.
func (s *Site) Cut() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return nil
	}
	err := s.server.Close()
	<-s.ended
	s.server = nil
	if err != nil {
		return fmt.Errorf("s3site: %w", err)
	}
	return nil
}

// Held returns how many objects the site holds and what they take, in bytes.
func (s *Site) Held() (objects, bytes int64) { return s.disk.held() }

// Close ends the site and removes what it held.
func (s *Site) Close() error {
	return errors.Join(s.Cut(), os.RemoveAll(s.dir))
}

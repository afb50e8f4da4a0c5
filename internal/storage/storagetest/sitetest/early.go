package sitetest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/saypro/backupd/internal/storage"
	"github.com/saypro/backupd/internal/storage/storagetest"
)

// LetsGo checks that a Put reads nothing of its object when it has returned,
// although the site answers before the body is through. The store is opened
// at the given endpoint, whose server knows no site behind it.
func LetsGo(t *testing.T, open func(t *testing.T, endpoint string) storage.Store) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// Else the server reads most of the body before it answers.
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusInsufficientStorage)
	}))
	t.Cleanup(server.Close)
	s := open(t, server.URL)
	for range 3 {
		obj := storagetest.Object("p/object", storagetest.Bytes(1, 200_000))
		slow := &slowly{ReadSeeker: obj.Body}
		obj.Body = slow
		if err := s.Put(t.Context(), obj); err == nil || storage.Permanent(err) {
			t.Errorf("Put = %v, want a temporary error", err)
		}
		slow.over.Store(true)
		time.Sleep(150 * time.Millisecond)
		if slow.late.Load() {
			t.Fatal("the body was read after the end of the Put")
		}
	}
}

// slowly gives out a body in small pieces, each after a while: longer than
// clients wait for what they are sending when the answer has come.
type slowly struct {
	io.ReadSeeker
	over, late atomic.Bool
}

func (s *slowly) Read(p []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	if s.over.Load() {
		s.late.Store(true)
	}
	return s.ReadSeeker.Read(p[:min(len(p), 4096)])
}

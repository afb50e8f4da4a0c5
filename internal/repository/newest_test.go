package repository

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/saypro/backupd/internal/storage"
)

// tracing notes the names of what is put, in order.
type tracing struct {
	storage.Store
	mu   sync.Mutex
	puts []string
	sent int64
}

func (s *tracing) Put(ctx context.Context, o storage.Object) error {
	err := s.Store.Put(ctx, o)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.puts = append(s.puts, o.Name)
		s.sent += o.Size
	}
	return err
}

// A site that was away is given the newest recovery point first, with what it
// needs and nothing else before it.
func TestNewestPointIsSentFirst(t *testing.T) {
	b, rnd := newBench(t), seeded(t)
	b.stop()
	snaps, _ := b.unsent(t, rnd, 12, 10)
	trace := &tracing{Store: b.options.Sites[1].Store}
	b.options.Sites[1].Store = trace
	b.open(t)
	b.inStep(t)
	newest, err := b.Info(snaps[len(snaps)-1].ID)
	if err != nil {
		t.Fatal(err)
	}
	before := 0
	for i, name := range trace.puts {
		if strings.HasPrefix(name, "c/") {
			if name != newest.Commit {
				t.Errorf("the first commit sent is %s, the newest is %s", name, newest.Commit)
			}
			before = i
			break
		}
	}
	if n := len(snaps[len(snaps)-1].Packs); before != n {
		t.Errorf("%d objects were sent before the newest commit, which names %d packs", before, n)
	}
	t.Logf("%d of %d objects before the newest recovery point was there", before+1, len(trace.puts))
}
